// Where `consume` begins: start | end | N | -N (the last N) | @MS (first record at or after that
// time, in milliseconds since 1970). Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace ottla::cli {

struct OffsetSpec {
  enum class Kind { start, end, absolute, last, timestamp };
  Kind kind = Kind::start;
  std::int64_t number = 0;  // the offset, the count or the time
  bool operator==(const OffsetSpec&) const = default;
};

// The error is a sentence that lists what there is.
std::expected<OffsetSpec, std::string> parse_offset_spec(std::string_view text);

}  // namespace ottla::cli
