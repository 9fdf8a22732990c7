#include "storage/large_memory.h"

#include <cstdint>

namespace ottla::storage {

Slice aligned_memory(std::size_t bytes) {
  const Slice memory = Slice::allocate(bytes + io::kDirectAlignment);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t skip = -address % io::kDirectAlignment;
  return memory.subslice(skip, bytes);
}

Slice large_memory(io::Disk& disk, std::size_t bytes) {
  if (bytes < kHugeMemoryBytes) return aligned_memory(bytes);
  const Slice memory = Slice::allocate_in_block(
      bytes + io::kDirectAlignment - Slice::kBlockOverhead, io::kHugePageBytes,
      [&](MutableByteView block) { disk.expect_large_io(block); });
  return memory.subslice(io::kDirectAlignment - Slice::kBlockOverhead, bytes);
}

}  // namespace ottla::storage
