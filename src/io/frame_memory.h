// Memory for coroutine frames: lists of free blocks by size, one set per thread, so that a
// request's coroutines cost no trip through the allocator. A frame may be freed on another thread
// than it was made on; it then stays there.
#pragma once

#include <cstddef>

namespace ottla::io::detail {

void* allocate_frame(std::size_t size_bytes);
void free_frame(void* memory, std::size_t size_bytes) noexcept;

}  // namespace ottla::io::detail
