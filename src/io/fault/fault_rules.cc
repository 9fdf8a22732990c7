#include "io/fault/fault_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace ottla::io::fault {
namespace {

constexpr std::array<std::string_view, 14> kOperations{
    "open",   "read", "write",  "sync",           "truncate",       "reserve", "rename",
    "remove", "list", "status", "make_directory", "sync_directory", "lock",    "any"};

std::string_view take_until(std::string_view& text, std::string_view stops) {
  const std::size_t at = std::min(text.find_first_of(stops), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::string_view word = take_until(text, " \t\r");
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<ErrorKind> parse_error_kind(std::string_view text) {
  if (text == "input_output" || text == "EIO") return ErrorKind::input_output;
  if (text == "no_space" || text == "ENOSPC") return ErrorKind::no_space;
  if (text == "permission" || text == "EACCES") return ErrorKind::permission;
  if (text == "exhausted" || text == "EMFILE") return ErrorKind::exhausted;
  if (text == "not_found" || text == "ENOENT") return ErrorKind::not_found;
  return std::nullopt;
}

// False if the key is unknown or the value makes no sense.
bool set_key(FaultRule& rule, std::string_view key, std::string_view value) {
  const auto store = [](auto parsed, auto& into) {
    if (parsed) into = *parsed;
    return parsed.has_value();
  };
  if (key == "path") {
    rule.path_part = value;
    return !value.empty();
  }
  if (key == "from") return store(parse_number<std::uint64_t>(value), rule.from) && rule.from > 0;
  if (key == "count") return store(parse_number<std::uint64_t>(value), rule.count);
  if (key == "after") return store(parse_number<std::uint64_t>(value), rule.after_bytes);
  if (key == "error") return store(parse_error_kind(value), rule.error);
  if (key == "ms") {
    const auto ms = parse_number<double>(value);
    if (ms) rule.delay = Duration(static_cast<std::int64_t>(*ms * 1e6));
    return ms.has_value() && *ms < 3.6e6;
  }
  return false;
}

std::expected<FaultRule, std::string> parse_rule(const std::vector<std::string_view>& words) {
  FaultRule rule;
  if (words.size() < 2) return std::unexpected("a rule wants an effect and an operation");
  if (words[0] == "short") {
    rule.effect = Effect::cut_short;
  } else if (words[0] == "delay") {
    rule.effect = Effect::delay;
  } else if (words[0] != "fail") {
    return std::unexpected(fmt::format("unknown effect {}: fail, short or delay", words[0]));
  }
  rule.operation = words[1];
  if (std::ranges::find(kOperations, words[1]) == kOperations.end()) {
    return std::unexpected(
        fmt::format("unknown operation {}: one of {}", words[1], fmt::join(kOperations, ", ")));
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    std::string_view value = words[i];
    const std::string_view key = take_until(value, "=");
    if (!set_key(rule, key, value))
      return std::unexpected(fmt::format("can't make sense of {}", words[i]));
  }
  if (rule.effect == Effect::cut_short && rule.operation != "write") {
    return std::unexpected("only a write can be cut short");
  }
  if (rule.effect == Effect::delay && rule.delay <= Duration(0))
    return std::unexpected("a delay wants ms=");
  if (rule.after_bytes != UINT64_MAX &&
      (rule.operation != "write" || rule.effect != Effect::fail)) {
    return std::unexpected("after= goes with: fail write");
  }
  return rule;
}

}  // namespace

std::expected<std::vector<FaultRule>, std::string> parse_fault_rules(std::string_view text) {
  std::vector<FaultRule> rules;
  while (!text.empty()) {
    std::string_view line = take_until(text, "\n");
    line = line.substr(0, line.find('#'));
    while (!line.empty()) {
      const std::string_view part = take_until(line, ";");
      const auto words = words_of(part);
      if (words.empty()) continue;
      auto rule = parse_rule(words);
      if (!rule)
        return std::unexpected(
            fmt::format("fault rule \"{}\": {}", fmt::join(words, " "), rule.error()));
      rules.push_back(std::move(*rule));
    }
  }
  return rules;
}

}  // namespace ottla::io::fault
