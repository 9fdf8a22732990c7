#include "io/frame_memory.h"

#include <array>
#include <cstdint>
#include <new>

namespace ottla::io::detail {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define OTTLA_PLAIN_FRAMES 1  // the sanitizers should see each frame come and go
#endif
#endif

#if !defined(OTTLA_PLAIN_FRAMES)

constexpr std::size_t kClassBytes = 64;
constexpr std::size_t kClasses = 24;  // frames up to 1,536 bytes
constexpr std::uint32_t kFreePerClassMax =
    512;  // at most 9.6 MiB a thread, and only after a burst of that size

struct FreeBlock {
  FreeBlock* next;
};

struct FreeLists {
  std::array<FreeBlock*, kClasses> first{};
  std::array<std::uint32_t, kClasses> count{};
  bool ended = false;  // the thread is being torn down: frames that die now go back to the system
  ~FreeLists() {
    ended = true;
    for (FreeBlock*& head : first) {
      while (head != nullptr) {
        FreeBlock* next = head->next;
        ::operator delete(head);
        head = next;
      }
    }
  }
};

thread_local FreeLists free_lists;

#endif

}  // namespace

#if defined(OTTLA_PLAIN_FRAMES)

void* allocate_frame(std::size_t size_bytes) { return ::operator new(size_bytes); }
void free_frame(void* memory, std::size_t) noexcept { ::operator delete(memory); }

#else

void* allocate_frame(std::size_t size_bytes) {
  const std::size_t index = (size_bytes - 1) / kClassBytes;
  if (index >= kClasses) return ::operator new(size_bytes);
  FreeLists& lists = free_lists;
  if (FreeBlock* block = lists.first[index]) {
    lists.first[index] = block->next;
    --lists.count[index];
    return block;
  }
  return ::operator new((index + 1) * kClassBytes);
}

void free_frame(void* memory, std::size_t size_bytes) noexcept {
  const std::size_t index = (size_bytes - 1) / kClassBytes;
  FreeLists& lists = free_lists;
  if (index >= kClasses || lists.count[index] >= kFreePerClassMax || lists.ended) {
    ::operator delete(memory);
    return;
  }
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = lists.first[index];
  lists.first[index] = block;
  ++lists.count[index];
}

#endif

}  // namespace ottla::io::detail
