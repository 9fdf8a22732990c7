#include "base/bytes.h"

#include <cstdlib>
#include <new>

namespace ottla {

static_assert(sizeof(SharedMemory) == Slice::kBlockOverhead);

SharedMemory* SharedMemory::allocate(std::size_t size) {
  void* memory = std::malloc(sizeof(SharedMemory) + size);
  OTTLA_CHECK(memory != nullptr);
  return new (memory) SharedMemory(size);
}

SharedMemory* SharedMemory::allocate_block(std::size_t size, std::size_t alignment,
                                           const BeforeTouch& before_touch) {
  const std::size_t bytes = (sizeof(SharedMemory) + size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, bytes);
  OTTLA_CHECK(memory != nullptr);
  before_touch({static_cast<std::uint8_t*>(memory), bytes});
  return new (memory) SharedMemory(size);
}

void SharedMemory::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~SharedMemory();
  std::free(this);
}

Slice::Slice(SharedMemory* memory)
    : memory_(memory), data_(memory->data()), size_(memory->size()) {}

Slice Slice::allocate(std::size_t size) { return Slice(SharedMemory::allocate(size)); }

Slice Slice::allocate_in_block(std::size_t size, std::size_t alignment,
                               const BeforeTouch& before_touch) {
  return Slice(SharedMemory::allocate_block(size, alignment, before_touch));
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
