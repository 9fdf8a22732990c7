#include "base/copy.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace ottla {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kWorthIt = 64 * kLine;

}  // namespace

void copy_uncached(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
#if defined(__x86_64__)
  if (size >= kWorthIt) {
    const std::size_t head = -reinterpret_cast<std::uintptr_t>(to) % kLine;
    std::memcpy(to, from, head);
    to += head;
    from += head;
    size -= head;
    for (; size >= kLine; to += kLine, from += kLine, size -= kLine) {
      for (std::size_t at = 0; at < kLine; at += sizeof(__m128i)) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + at),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at)));
      }
    }
    _mm_sfence();  // other threads and the disk see it as any other store
  }
#endif
  std::memcpy(to, from, size);
}

}  // namespace ottla
