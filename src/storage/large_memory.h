// Memory for direct I/O that slices are given of. Private to storage.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "io/disk.h"

namespace ottla::storage {

// What fills a huge page, with the block before it that counts the owners.
inline constexpr std::size_t kHugeMemoryBytes = io::kHugePageBytes - io::kDirectAlignment;

// Its address is a multiple of io::kDirectAlignment.
Slice aligned_memory(std::size_t bytes);

// The same; of kHugeMemoryBytes and more in huge pages, where the system gives them.
Slice large_memory(io::Disk& disk, std::size_t bytes);

}  // namespace ottla::storage
