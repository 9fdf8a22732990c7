#include "cli/output.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/base64.h"
#include "cli/process.h"

namespace ottla::cli {
namespace {

void append_escaped(std::string& into, std::string_view text) {
  into += '"';
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      into += '\\';
      into += letter;
    } else if (letter == '\n') {
      into += "\\n";
    } else if (letter == '\t') {
      into += "\\t";
    } else if (letter == '\r') {
      into += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(into), "\\u{:04x}", byte);
    } else {
      into += letter;
    }
  }
  into += '"';
}

// Length of the UTF-8 sequence that `first` begins; 0 if none does.
std::size_t sequence_bytes(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

}  // namespace

void JsonWriter::separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = false;
}
JsonWriter& JsonWriter::begin_object() {
  separate();
  text_ += '{';
  return *this;
}
JsonWriter& JsonWriter::end_object() {
  text_ += '}';
  needs_comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::begin_array() {
  separate();
  text_ += '[';
  return *this;
}
JsonWriter& JsonWriter::end_array() {
  text_ += ']';
  needs_comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_escaped(text_, name);
  text_ += ':';
  return *this;
}
JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_escaped(text_, text);
  needs_comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::value(bool truth) { return raw(truth ? "true" : "false"); }
JsonWriter& JsonWriter::value(double number) { return raw(fmt::format("{}", number)); }
JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  text_ += json;
  needs_comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::bytes_field(std::string_view name, std::optional<ByteView> bytes) {
  if (!bytes) return key(name).null();
  if (is_utf8(*bytes)) return key(name).value(as_text(*bytes));
  return key(fmt::format("{}_base64", name)).value(to_base64(*bytes));
}

bool is_utf8(ByteView bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = sequence_bytes(bytes[at]);
    if (length == 0 || length > bytes.size() - at) return false;
    for (std::size_t i = 1; i < length; ++i) {
      if ((bytes[at + i] & 0xc0) != 0x80) return false;
    }
    if (length == 3 && bytes[at] == 0xe0 && bytes[at + 1] < 0xa0) return false;   // overlong
    if (length == 3 && bytes[at] == 0xed && bytes[at + 1] >= 0xa0) return false;  // surrogate
    if (length == 4 && bytes[at] == 0xf0 && bytes[at + 1] < 0x90) return false;   // overlong
    if (length == 4 && bytes[at] == 0xf4 && bytes[at + 1] >= 0x90) return false;  // too large
    at += length;
  }
  return true;
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i + 1 == row.size()) {
        text += row[i];
      } else {
        text += fmt::format("{:<{}}  ", row[i], widths[i]);
      }
    }
    text += '\n';
  }
  return text;
}

void JsonStream::add(std::string_view object) {
  if (format_ == OutputFormat::json) print(is_first_ ? "[\n" : ",\n");
  print(object);
  if (format_ != OutputFormat::json) print("\n");
  is_first_ = false;
}

void JsonStream::end() {
  if (format_ == OutputFormat::json) print(is_first_ ? "[]\n" : "\n]\n");
}

}  // namespace ottla::cli
