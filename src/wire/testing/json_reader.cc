#include "wire/testing/json_reader.h"

#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"

namespace ottla::wire {
namespace {

using Json = nlohmann::json;

const Json& json(const void* node) { return *static_cast<const Json*>(node); }

}  // namespace

void JsonNode::fail(std::string_view what) const {
  if (error_->empty()) *error_ = what;
}

std::optional<JsonNode> JsonNode::member(std::string_view name) const {
  if (!json(node_).is_object()) {
    fail("not an object");
    return std::nullopt;
  }
  const auto found = json(node_).find(name);
  if (found == json(node_).end()) return std::nullopt;
  return JsonNode(&*found, error_);
}

bool JsonNode::is_null() const { return json(node_).is_null(); }

bool JsonNode::boolean() const {
  if (!json(node_).is_boolean()) fail("not a boolean");
  return json(node_).is_boolean() && json(node_).get<bool>();
}

std::int64_t JsonNode::integer() const {
  if (!json(node_).is_number_integer()) fail("not an integer");
  return json(node_).is_number_integer() ? json(node_).get<std::int64_t>() : 0;
}

double JsonNode::number() const {
  if (!json(node_).is_number()) fail("not a number");
  return json(node_).is_number() ? json(node_).get<double>() : 0;
}

std::string JsonNode::text() const {
  if (!json(node_).is_string()) fail("not a string");
  return json(node_).is_string() ? json(node_).get<std::string>() : std::string();
}

Bytes JsonNode::bytes() const {
  auto bytes = from_base64(text());
  if (!bytes) fail("not base64");
  return bytes ? std::move(*bytes) : Bytes();
}

std::size_t JsonNode::size() const {
  if (!json(node_).is_array()) fail("not an array");
  return json(node_).is_array() ? json(node_).size() : 0;
}

JsonNode JsonNode::at(std::size_t index) const { return {&json(node_)[index], error_}; }

JsonDocument::JsonDocument(std::string_view text)
    : document_(new Json(Json::parse(text, nullptr, false))) {
  if (json(document_).is_discarded()) error_ = "not JSON";
}

JsonDocument::~JsonDocument() { delete static_cast<Json*>(document_); }

bool same_json(std::string_view left, std::string_view right) {
  if (left == right) return true;
  const Json a = Json::parse(left, nullptr, false);
  const Json b = Json::parse(right, nullptr, false);
  return !a.is_discarded() && !b.is_discarded() && a == b;
}

std::optional<JsonNode> JsonReader::member(const FieldInfo& info) const {
  std::string name = info.name;
  name.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
  return node_.member(name);
}

void JsonReader::read(Uuid& value, JsonNode node) {
  const auto uuid = Uuid::parse(node.text());
  if (!uuid) node.fail("not a uuid");
  value = uuid.value_or(Uuid());
}

}  // namespace ottla::wire
