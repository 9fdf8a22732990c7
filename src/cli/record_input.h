// How `produce` reads a record: a line of text, cut at the key separator, or a JSON object as
// `consume --output jsonl` prints it. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace ottla::cli {

struct InputRecord {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::optional<PartitionIndex> partition;
  std::optional<TimestampMs> timestamp;
  bool operator==(const InputRecord&) const = default;
};

struct LineRules {
  std::string key_separator;   // empty: the line is the value
  bool empty_is_null = false;  // an empty value is a tombstone
};

// A line without the separator has no key.
InputRecord parse_line(std::string_view line, const LineRules& rules);

// Members: key, value (text, null, or key_base64, value_base64), headers, partition, timestamp;
// others (topic, offset) are passed over. A value that is an object or a list is sent as its JSON
// text.
std::expected<InputRecord, std::string> parse_json_line(std::string_view line);

}  // namespace ottla::cli
