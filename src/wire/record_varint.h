// The variable-length integers of records: seven bits a byte, least significant first, the top bit
// says that more follow; signed numbers are zig-zag coded first. Used by record.cc and the
// streaming walk of record_skim.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ottla::wire {

inline constexpr std::size_t kVarintBytesMax = 5;
inline constexpr std::size_t kVarlongBytesMax = 10;

constexpr std::uint32_t zigzag(std::int32_t number) {
  return (static_cast<std::uint32_t>(number) << 1) ^ static_cast<std::uint32_t>(number >> 31);
}
constexpr std::uint64_t zigzag(std::int64_t number) {
  return (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
}
constexpr std::int32_t unzigzag(std::uint32_t coded) {
  return static_cast<std::int32_t>((coded >> 1) ^ (0u - (coded & 1)));
}
constexpr std::int64_t unzigzag(std::uint64_t coded) {
  return static_cast<std::int64_t>((coded >> 1) ^ (std::uint64_t{0} - (coded & 1)));
}

// Both read one signed number from [at, end) and return where it ends; nullptr when it is cut off
// or has too many bytes. Like Kafka they take a number with needless leading zero groups, and drop
// bits above the type's width.
inline const std::uint8_t* read_varint(const std::uint8_t* at, const std::uint8_t* end,
                                       std::int32_t& number) {
  if (at == end) return nullptr;
  std::uint32_t coded = *at++;
  if (coded >= 0x80) [[unlikely]] {
    coded &= 0x7f;
    for (int shift = 7;; shift += 7) {
      if (at == end || shift > 28) return nullptr;
      const std::uint32_t byte = *at++;
      coded |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  number = unzigzag(coded);
  return at;
}

inline const std::uint8_t* read_varlong(const std::uint8_t* at, const std::uint8_t* end,
                                        std::int64_t& number) {
  if (at == end) return nullptr;
  std::uint64_t coded = *at++;
  if (coded >= 0x80) [[unlikely]] {
    coded &= 0x7f;
    for (int shift = 7;; shift += 7) {
      if (at == end || shift > 63) return nullptr;
      const std::uint64_t byte = *at++;
      coded |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  number = unzigzag(coded);
  return at;
}

// Bytes that `coded` (after zig-zag) takes.
constexpr std::size_t varint_size(std::uint64_t coded) {
  std::size_t size = 1;
  while (coded >= 0x80) {
    coded >>= 7;
    ++size;
  }
  return size;
}

// Writes `coded` at `at` and returns where it ends. REQUIRES: room for varint_size(coded).
inline std::uint8_t* write_varint(std::uint8_t* at, std::uint64_t coded) {
  while (coded >= 0x80) {
    *at++ = static_cast<std::uint8_t>(coded) | 0x80;
    coded >>= 7;
  }
  *at++ = static_cast<std::uint8_t>(coded);
  return at;
}

}  // namespace ottla::wire
