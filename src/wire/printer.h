// Printer: the visitor that turns a message into one line of JSON, in one of two styles.
//   kLog    for people: secrets are hidden, records, long arrays and long bytes cut to their size
//   kKafka  everything, exactly as Kafka's own JSON converters write it (bytes in base64, absent
//   fields left out)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wire/encoder.h"
#include "wire/message.h"

namespace ottla::wire {

class Printer {
 public:
  enum class Style : std::uint8_t { kLog, kKafka };

  static constexpr std::size_t kLogElementsMax = 20;
  static constexpr std::size_t kLogStringBytesMax = 256;

  explicit Printer(std::int16_t version, Style style = Style::kLog)
      : version_(version), style_(style) {}

  template <class M>
  void message(const M& m) {
    open('{');
    M::walk(*this, m);
    close('}');
  }
  std::string text() && { return std::move(text_); }

  template <class T, class D = EmptyDefault>
  void field(const T& value, const FieldInfo& info, D = {}) {
    if (!info.versions.contains(version_)) return;
    name(info.name);
    if (info.secret && style_ == Style::kLog) {
      put("\"***\"");
    } else {
      write(value);
    }
  }
  template <class T, class D = EmptyDefault>
  void tagged(const T& value, const FieldInfo& info, D default_value = {}) {
    if (info.versions.contains(version_) && !is_default(value, default_value)) field(value, info);
  }
  void begin_tags(const UnknownTags&) {}
  void end_tags(const UnknownTags& unknown);

 private:
  void put(std::string_view text) { text_.append(text); }
  void open(char bracket);
  void close(char bracket);
  void separate();  // a comma, unless this is the first in its brackets
  void name(std::string_view kafka_name);
  bool cut(std::size_t index, std::size_t count);

  void write(bool value) { put(value ? "true" : "false"); }
  void write(std::int64_t value);
  void write(double value);
  void write(const std::string& value);
  void write(const Uuid& value);
  void write(ByteView value);
  void write(const Bytes& value) { write(ByteView(value)); }
  void write(const Slice& value) { write(value.view()); }
  void write(const Records& value);
  template <class T>
    requires std::is_integral_v<T>
  void write(T value) {
    write(static_cast<std::int64_t>(value));
  }
  template <class T>
    requires requires { T::kWireBytesMin; }
  void write(const T& value) {
    message(value);
  }
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void write(const std::vector<T>& value) {
    open('[');
    for (std::size_t i = 0; i < value.size() && !cut(i, value.size()); ++i) {
      separate();
      write(value[i]);
    }
    close(']');
  }
  template <class T>
  void write(const std::optional<T>& value) {
    if (value) {
      write(*value);
    } else {
      put("null");
    }
  }

  const std::int16_t version_;
  const Style style_;
  std::string text_;
};

}  // namespace ottla::wire
