#include "base/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ottla {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

constexpr auto kTable = [] {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    table[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t k = 1; k < 8; ++k) {
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
    }
  }
  return table;
}();

#if defined(__x86_64__)

// Three streams hide the latency of the instruction; their CRCs are joined by shifting over the
// length of a stream (multiplication by x^(8 * kStream) modulo the polynomial, as a table by byte).
constexpr std::size_t kStream = 1024;

constexpr std::uint32_t shift_one_bit(std::uint32_t crc) {
  return (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
}

constexpr auto kShift = [] {
  std::array<std::array<std::uint32_t, 256>, 4> table{};
  // basis[b]: what bit b of a CRC becomes after kStream zero bytes
  std::array<std::uint32_t, 32> basis{};
  for (std::size_t b = 0; b < 32; ++b) basis[b] = 1u << b;
  std::array<std::uint32_t, 32> step{};
  for (std::size_t b = 0; b < 32; ++b) step[b] = shift_one_bit(1u << b);
  // square the one-bit step until it is 8 * kStream bits
  for (std::size_t bits = 1; bits < 8 * kStream; bits *= 2) {
    std::array<std::uint32_t, 32> squared{};
    for (std::size_t b = 0; b < 32; ++b) {
      std::uint32_t in = step[b];
      for (std::size_t k = 0; k < 32; ++k) {
        if (in & (1u << k)) squared[b] ^= step[k];
      }
    }
    step = squared;
  }
  for (std::size_t byte = 0; byte < 4; ++byte) {
    for (std::uint32_t value = 0; value < 256; ++value) {
      for (std::size_t bit = 0; bit < 8; ++bit) {
        if (value & (1u << bit)) table[byte][value] ^= step[byte * 8 + bit];
      }
    }
  }
  return table;
}();

std::uint32_t shift_stream(std::uint32_t crc) {
  return kShift[0][crc & 0xff] ^ kShift[1][(crc >> 8) & 0xff] ^ kShift[2][(crc >> 16) & 0xff] ^
         kShift[3][crc >> 24];
}

std::uint64_t load_word(const std::uint8_t* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(ByteView bytes,
                                                                std::uint32_t seed) {
  std::uint64_t crc = ~seed;
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  while (left >= 3 * kStream) {
    std::uint64_t first = crc;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kStream; i += 8) {
      first = _mm_crc32_u64(first, load_word(at + i));
      second = _mm_crc32_u64(second, load_word(at + kStream + i));
      third = _mm_crc32_u64(third, load_word(at + 2 * kStream + i));
    }
    crc = shift_stream(static_cast<std::uint32_t>(first)) ^ second;
    crc = shift_stream(static_cast<std::uint32_t>(crc)) ^ third;
    at += 3 * kStream;
    left -= 3 * kStream;
  }
  for (; left >= 8; at += 8, left -= 8) crc = _mm_crc32_u64(crc, load_word(at));
  for (; left > 0; ++at, --left) crc = _mm_crc32_u8(static_cast<std::uint32_t>(crc), *at);
  return ~static_cast<std::uint32_t>(crc);
}

#endif

}  // namespace

std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    const std::uint32_t low =
        crc ^ (static_cast<std::uint32_t>(at[0]) | static_cast<std::uint32_t>(at[1]) << 8 |
               static_cast<std::uint32_t>(at[2]) << 16 | static_cast<std::uint32_t>(at[3]) << 24);
    crc = kTable[7][low & 0xff] ^ kTable[6][(low >> 8) & 0xff] ^ kTable[5][(low >> 16) & 0xff] ^
          kTable[4][low >> 24] ^ kTable[3][at[4]] ^ kTable[2][at[5]] ^ kTable[1][at[6]] ^
          kTable[0][at[7]];
  }
  for (; left > 0; ++at, --left) crc = (crc >> 8) ^ kTable[0][(crc ^ *at) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_hardware(bytes, seed);
#endif
  return crc32c_portable(bytes, seed);
}

}  // namespace ottla
