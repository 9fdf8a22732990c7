#include "cli/record_input.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "cli/output.h"

namespace ottla::cli {
namespace {

using Json = nlohmann::json;
using Text = std::expected<std::optional<std::string>, std::string>;

// Of `name` or `name`_base64; nullopt where neither is there, or it is null.
Text read_bytes(const Json& object, const std::string& name) {
  const std::string encoded_name = name + "_base64";
  if (const auto encoded = object.find(encoded_name); encoded != object.end()) {
    const auto bytes =
        encoded->is_string() ? from_base64(encoded->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return std::unexpected(fmt::format("{} is no base64", encoded_name));
    return std::string(as_text(*bytes));
  }
  const auto plain = object.find(name);
  if (plain == object.end() || plain->is_null()) return std::nullopt;
  if (plain->is_string()) return plain->get<std::string>();
  return plain->dump();
}

std::expected<void, std::string> read_headers(const Json& object, InputRecord& into) {
  const auto headers = object.find("headers");
  if (headers == object.end()) return {};
  if (!headers->is_array()) return std::unexpected("headers is no list");
  for (const Json& header : *headers) {
    const auto name = header.is_object() ? header.find("name") : header.end();
    if (!header.is_object() || name == header.end() || !name->is_string())
      return std::unexpected("a header has no name");
    auto value = read_bytes(header, "value");
    if (!value) return std::unexpected(std::move(value.error()));
    into.headers.emplace_back(name->get<std::string>(), std::move(*value));
  }
  return {};
}

}  // namespace

InputRecord parse_line(std::string_view line, const LineRules& rules) {
  InputRecord record;
  if (!rules.key_separator.empty()) {
    if (const std::size_t at = line.find(rules.key_separator); at != std::string_view::npos) {
      record.key = line.substr(0, at);
      line.remove_prefix(at + rules.key_separator.size());
    }
  }
  if (!line.empty() || !rules.empty_is_null) record.value = line;
  return record;
}

std::expected<InputRecord, std::string> parse_json_line(std::string_view line) {
  const Json object = Json::parse(line, nullptr, false);
  if (object.is_discarded()) return std::unexpected("not JSON");
  if (!object.is_object()) return std::unexpected("not a JSON object");
  InputRecord record;
  auto key = read_bytes(object, "key");
  auto value = read_bytes(object, "value");
  if (!key) return std::unexpected(std::move(key.error()));
  if (!value) return std::unexpected(std::move(value.error()));
  record.key = std::move(*key);
  record.value = std::move(*value);
  if (auto headers = read_headers(object, record); !headers)
    return std::unexpected(std::move(headers.error()));
  if (const auto partition = object.find("partition"); partition != object.end()) {
    if (!partition->is_number_integer()) return std::unexpected("partition is no number");
    record.partition = partition->get<PartitionIndex>();
  }
  if (const auto timestamp = object.find("timestamp"); timestamp != object.end()) {
    if (!timestamp->is_number_integer()) return std::unexpected("timestamp is no number");
    record.timestamp = timestamp->get<TimestampMs>();
  }
  return record;
}

}  // namespace ottla::cli
