// JsonReader: the visitor that fills a message from JSON as Kafka's own JSON converters write and
// read it. For tests only: the first thing that does not fit is kept in error(), and the rest is
// ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wire/message.h"

namespace ottla::wire {

// A place in a parsed document. What does not fit is reported to `error`, once.
class JsonNode {
 public:
  JsonNode(const void* node, std::string* error) : node_(node), error_(error) {}

  std::optional<JsonNode> member(std::string_view name) const;
  bool is_null() const;
  bool boolean() const;
  std::int64_t integer() const;
  double number() const;
  std::string text() const;
  Bytes bytes() const;  // from base64
  std::size_t size() const;
  JsonNode at(std::size_t index) const;
  void fail(std::string_view what) const;

 private:
  const void* node_;
  std::string* error_;
};

// Parses a document; it lives as long as this object.
class JsonDocument {
 public:
  explicit JsonDocument(std::string_view text);
  ~JsonDocument();
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;
  JsonNode root() { return {document_, &error_}; }
  const std::string& error() const { return error_; }  // empty if there was none

 private:
  void* document_;
  std::string error_;
};

// Whether both parse and say the same, whatever the order of members.
bool same_json(std::string_view left, std::string_view right);

class JsonReader {
 public:
  JsonReader(JsonNode node, std::int16_t version) : node_(node), version_(version) {}

  template <class M>
  void message(M& m) {
    M::walk(*this, m);
  }

  template <class T>
  void field(T& value, const FieldInfo& info, auto...) {
    if (!info.versions.contains(version_)) return;
    if (const auto node = member(info)) {
      read(value, *node);
    } else {
      node_.fail(info.name);
    }
  }
  template <class T>
  void tagged(T& value, const FieldInfo& info, auto...) {
    if (!info.versions.contains(version_)) return;
    if (const auto node = member(info)) read(value, *node);
  }
  void begin_tags(const UnknownTags&) {}
  void end_tags(const UnknownTags&) {}

 private:
  std::optional<JsonNode> member(const FieldInfo& info) const;

  void read(bool& value, JsonNode node) { value = node.boolean(); }
  template <class T>
    requires std::is_integral_v<T>
  void read(T& value, JsonNode node) {
    value = static_cast<T>(node.integer());
  }
  void read(double& value, JsonNode node) { value = node.number(); }
  void read(std::string& value, JsonNode node) { value = node.text(); }
  void read(Uuid& value, JsonNode node);
  void read(Bytes& value, JsonNode node) { value = node.bytes(); }
  void read(Slice& value, JsonNode node) { value = Slice::copy_of(node.bytes()); }
  void read(Records& value, JsonNode node) {
    value = node.is_null() ? Records() : Records(Slice::copy_of(node.bytes()));
  }
  template <class T>
    requires requires { T::kWireBytesMin; }
  void read(T& value, JsonNode node) {
    JsonReader(node, version_).message(value);
  }
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void read(std::vector<T>& value, JsonNode node) {
    value.clear();
    for (std::size_t i = 0; i < node.size(); ++i) {
      T element{};
      read(element, node.at(i));
      value.push_back(std::move(element));
    }
  }
  template <class T>
  void read(std::optional<T>& value, JsonNode node) {
    value.reset();
    if (!node.is_null()) read(value.emplace(), node);
  }

  JsonNode node_;
  const std::int16_t version_;
};

}  // namespace ottla::wire
