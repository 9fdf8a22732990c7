#include "cli/partitioner.h"

namespace ottla::cli {
namespace {

constexpr std::uint32_t kSeed = 0x9747b28c;
constexpr std::uint32_t kMultiplier = 0x5bd1e995;
constexpr unsigned kShift = 24;

}  // namespace

std::uint32_t murmur2(ByteView bytes) {
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(bytes.size());
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t word = bytes[at] | static_cast<std::uint32_t>(bytes[at + 1]) << 8 |
                         static_cast<std::uint32_t>(bytes[at + 2]) << 16 |
                         static_cast<std::uint32_t>(bytes[at + 3]) << 24;
    word *= kMultiplier;
    word ^= word >> kShift;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  const std::size_t left = bytes.size() - at;
  for (std::size_t i = left; i > 0; --i)
    hash ^= static_cast<std::uint32_t>(bytes[at + i - 1]) << (8 * (i - 1));
  if (left > 0) hash *= kMultiplier;
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count) {
  return static_cast<PartitionIndex>((murmur2(key) & 0x7fffffffu) %
                                     static_cast<std::uint32_t>(partition_count));
}

}  // namespace ottla::cli
