#include "cli/record_format.h"

#include <charconv>
#include <fmt/format.h>

#include "cli/output.h"

namespace ottla::cli {
namespace {

constexpr std::string_view kTokens = "tpoTksKSh";

// Reads one sequence that begins behind the backslash at text[at - 1]; moves `at` behind it.
std::expected<char, std::string> read_escape(std::string_view text, std::size_t& at) {
  if (at == text.size()) return std::unexpected("a lone backslash at the end");
  const char letter = text[at++];
  switch (letter) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '\\':
      return '\\';
    case 'x': {
      unsigned byte = 0;
      const char* const from = text.data() + at;
      if (text.size() - at >= 2) {
        const auto [end, error] = std::from_chars(from, from + 2, byte, 16);
        if (error == std::errc() && end == from + 2) {
          at += 2;
          return static_cast<char>(byte);
        }
      }
      return std::unexpected("\\x needs two hexadecimal digits");
    }
    default:
      return std::unexpected(fmt::format("there is no \\{}", letter));
  }
}

std::string length_of(const std::optional<ByteView>& bytes) {
  return bytes ? std::to_string(bytes->size()) : "-1";
}

std::string headers_of(const PrintedRecord& record) {
  std::string text;
  for (const auto& [name, value] : record.headers) {
    if (!text.empty()) text += ',';
    text += name;
    text += '=';
    text += value ? as_text(*value) : "NULL";
  }
  return text;
}

}  // namespace

std::expected<std::string, std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      plain += text[at++];
      continue;
    }
    const auto letter = read_escape(text, ++at);
    if (!letter) return std::unexpected(letter.error());
    plain += *letter;
  }
  return plain;
}

std::expected<RecordPattern, std::string> RecordPattern::parse(std::string_view pattern) {
  RecordPattern parsed;
  const auto add_literal = [&](char letter) {
    if (parsed.pieces_.empty() || parsed.pieces_.back().token != 0) parsed.pieces_.push_back({});
    parsed.pieces_.back().literal += letter;
  };
  for (std::size_t at = 0; at < pattern.size();) {
    const char letter = pattern[at++];
    if (letter == '\\') {
      const auto escaped = read_escape(pattern, at);
      if (!escaped) return std::unexpected(escaped.error());
      add_literal(*escaped);
    } else if (letter != '%') {
      add_literal(letter);
    } else if (at == pattern.size()) {
      return std::unexpected("a lone % at the end");
    } else if (pattern[at] == '%') {
      add_literal(pattern[at++]);
    } else if (kTokens.find(pattern[at]) == std::string_view::npos) {
      return std::unexpected(
          fmt::format("there is no %{}; there are %t %p %o %T %k %s %K %S %h %%", pattern[at]));
    } else {
      parsed.pieces_.push_back({.token = pattern[at++]});
    }
  }
  return parsed;
}

void RecordPattern::print(const PrintedRecord& record, std::string& into) const {
  for (const Piece& piece : pieces_) {
    switch (piece.token) {
      case 0:
        into += piece.literal;
        break;
      case 't':
        into += record.topic;
        break;
      case 'p':
        into += std::to_string(record.partition);
        break;
      case 'o':
        into += std::to_string(record.offset);
        break;
      case 'T':
        into += std::to_string(record.timestamp);
        break;
      case 'k':
        if (record.key) into += as_text(*record.key);
        break;
      case 's':
        if (record.value) into += as_text(*record.value);
        break;
      case 'K':
        into += length_of(record.key);
        break;
      case 'S':
        into += length_of(record.value);
        break;
      case 'h':
        into += headers_of(record);
        break;
    }
  }
}

std::string record_as_json(const PrintedRecord& record) {
  JsonWriter json;
  json.begin_object().field("topic", record.topic).field("partition", record.partition);
  json.field("offset", record.offset).field("timestamp", record.timestamp);
  json.bytes_field("key", record.key).bytes_field("value", record.value);
  if (!record.headers.empty()) {
    json.key("headers").begin_array();
    for (const auto& [name, value] : record.headers)
      json.begin_object().field("name", name).bytes_field("value", value).end_object();
    json.end_array();
  }
  json.end_object();
  return std::move(json).take();
}

}  // namespace ottla::cli
