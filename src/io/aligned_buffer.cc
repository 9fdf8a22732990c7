#include <cstdlib>

#include "io/disk.h"

namespace ottla::io {

AlignedBuffer::AlignedBuffer(std::size_t size_bytes)
    : size_bytes_((size_bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment) {
  auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(kDirectAlignment, size_bytes_));
  OTTLA_CHECK(memory != nullptr);
  std::memset(memory, 0, size_bytes_);
  data_.reset(memory);
}

void AlignedBuffer::Free::operator()(std::uint8_t* memory) const { std::free(memory); }

}  // namespace ottla::io
