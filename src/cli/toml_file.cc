#include "cli/toml_file.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <utility>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace ottla::cli {
namespace {

// nullopt: a date, a time, a table inside a list.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  return std::nullopt;
}

std::optional<std::string> value_text(const toml::node& node) {
  const auto* list = node.as_array();
  if (!list) return scalar_text(node);
  std::string joined;
  for (const toml::node& item : *list) {
    const auto text = scalar_text(item);
    if (!text) return std::nullopt;
    if (!joined.empty()) joined += ',';
    joined += *text;
  }
  return joined;
}

void flatten(const toml::table& table, const std::string& prefix, std::string_view file_name,
             TomlContent& into) {
  for (const auto& [name, node] : table) {
    const std::string key =
        prefix.empty() ? std::string(name.str()) : fmt::format("{}.{}", prefix, name.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, key, file_name, into);
      continue;
    }
    const unsigned line = node.source().begin.line;
    if (auto text = value_text(node)) {
      into.entries.push_back({key, std::move(*text), line});
    } else {
      into.faults.push_back({fmt::format("{}:{}", file_name, line), key,
                             "a value of this kind fits no setting",
                             "Write a text, a number, true, false, or a list of these"});
    }
  }
}

}  // namespace

std::expected<TomlContent, SettingFault> read_toml(std::string_view file_name,
                                                   std::string_view text) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return std::unexpected(
        SettingFault{fmt::format("{}:{}", file_name, error.source().begin.line), "",
                     fmt::format("not TOML: {}", error.description()),
                     "Text stands in quotes: listeners = \"PLAINTEXT://:9092\""});
  }
  TomlContent content;
  flatten(parsed.table(), "", file_name, content);
  std::ranges::sort(content.entries, {}, [](const FileEntry& entry) {
    return std::pair(entry.line, std::string_view(entry.key));
  });
  return content;
}

}  // namespace ottla::cli
