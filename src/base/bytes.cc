#include "base/bytes.h"

#include <cstdlib>
#include <new>

namespace ottla {

static_assert(sizeof(SharedMemory) == Slice::kBlockOverhead);

SharedMemory* SharedMemory::allocate(std::size_t size, std::size_t alignment) {
  const std::size_t bytes = sizeof(SharedMemory) + size;
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(bytes)
          : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  OTTLA_CHECK(memory != nullptr);
  return new (memory) SharedMemory(size);
}

void SharedMemory::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~SharedMemory();
  std::free(this);
}

Slice Slice::allocate(std::size_t size) { return allocate_in_block(size, 1); }

Slice Slice::allocate_in_block(std::size_t size, std::size_t alignment) {
  Slice slice;
  slice.memory_ = SharedMemory::allocate(size, alignment);
  slice.data_ = slice.memory_->data();
  slice.size_ = size;
  return slice;
}

Slice Slice::copy_of(ByteView bytes) {
  Slice slice = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(slice.data_, bytes.data(), bytes.size());
  return slice;
}

Slice Slice::subslice(std::size_t from, std::size_t count) const {
  OTTLA_CHECK(from <= size_ && count <= size_ - from);
  Slice part = *this;
  part.data_ += from;
  part.size_ = count;
  return part;
}

}  // namespace ottla
