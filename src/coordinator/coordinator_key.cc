#include "coordinator/coordinator_key.h"

#include <limits>

#include "base/check.h"

namespace ottla::coordinator {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd;

// The code point at `at`, which moves behind it.
std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(at++);
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : 0;
  if (more == 0 || first > 0xf4 || at + more > text.size()) return kReplacement;
  std::uint32_t point = first & (0x3fu >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return kReplacement;
    point = point << 6 | (byte(at + i) & 0x3fu);
  }
  const std::uint32_t least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
  if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return kReplacement;
  at += more;
  return point;
}

}  // namespace

std::int32_t java_string_hash(std::string_view utf8) {
  std::uint32_t hash = 0;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::uint32_t point = next_code_point(utf8, at);
    if (point < 0x10000) {
      hash = hash * 31 + point;
    } else {
      hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
      hash = hash * 31 + (0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return static_cast<std::int32_t>(hash);
}

PartitionIndex coordinator_partition(std::string_view key, std::int32_t partitions) {
  OTTLA_CHECK(partitions > 0);
  const std::int32_t hash = java_string_hash(key);
  // Kafka's Utils.abs: the smallest number has no counterpart.
  const std::int32_t positive = hash == std::numeric_limits<std::int32_t>::min() ? 0
                                : hash < 0                                       ? -hash
                                                                                 : hash;
  return positive % partitions;
}

}  // namespace ottla::coordinator
