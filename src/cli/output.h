// What commands print: text for people, JSON for programs. Data goes to stdout; progress, hints and
// errors to stderr.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace ottla::cli {

enum class OutputFormat { text, json, jsonl };

// Writes one JSON value; commas come by themselves. Bytes that are no UTF-8 are the caller's to
// avoid (see is_utf8).
class JsonWriter {
 public:
  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth);
  JsonWriter& value(double number);
  template <class T>
    requires std::is_integral_v<T>
  JsonWriter& value(T number) {
    return raw(std::to_string(number));
  }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& raw(std::string_view json);  // a value that is JSON already
  template <class T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }
  // `name` as text if the bytes are UTF-8, else `name`_base64; null where there is nothing.
  JsonWriter& bytes_field(std::string_view name, std::optional<ByteView> bytes);

  const std::string& text() const { return text_; }
  std::string take() && { return std::move(text_); }

 private:
  void separate();
  std::string text_;
  bool needs_comma_ = false;
};

bool is_utf8(ByteView bytes);

// Rows under a header, as wide as their content; the last column is not padded.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Prints objects as they come: a line each for jsonl, one array for json. `end()` closes it.
class JsonStream {
 public:
  explicit JsonStream(OutputFormat format) : format_(format) {}
  void add(std::string_view object);
  void end();

 private:
  OutputFormat format_;
  bool is_first_ = true;
};

}  // namespace ottla::cli
