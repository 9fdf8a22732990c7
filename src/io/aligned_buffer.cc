#include <cstdlib>

#include "io/disk.h"

namespace ottla::io {

namespace {

std::size_t round_up(std::size_t size_bytes, std::size_t unit) {
  return (size_bytes + unit - 1) / unit * unit;
}

std::uint8_t* allocate(std::size_t size_bytes, std::size_t alignment) {
  auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(alignment, size_bytes));
  OTTLA_CHECK(memory != nullptr);
  return memory;
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t size_bytes)
    : size_bytes_(round_up(size_bytes, kDirectAlignment)) {
  data_.reset(allocate(size_bytes_, kDirectAlignment));
  std::memset(data(), 0, size_bytes_);
}

AlignedBuffer::AlignedBuffer(Disk& disk, std::size_t size_bytes)
    : size_bytes_(round_up(size_bytes, kHugePageBytes)) {
  data_.reset(allocate(size_bytes_, kHugePageBytes));
  disk.expect_large_io(view());  // before the first touch brings in small pages
  std::memset(data(), 0, size_bytes_);
}

void AlignedBuffer::Free::operator()(std::uint8_t* memory) const { std::free(memory); }

}  // namespace ottla::io
