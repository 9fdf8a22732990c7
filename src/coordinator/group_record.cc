#include "coordinator/group_record.h"

#include <fmt/format.h>

#include "base/check.h"
#include "wire/codec.h"
#include "wire/messages/group_metadata_key.h"
#include "wire/messages/offset_commit_key.h"

namespace ottla::coordinator {
namespace {

constexpr std::int16_t kLegacyOffsetType = 0;
constexpr std::int16_t kOffsetType = 1;
constexpr std::int16_t kClassicGroupType = 2;
constexpr std::int16_t kKeyVersion = 0;
constexpr std::int16_t kOffsetValueVersion = 4;
constexpr std::int16_t kClassicGroupValueVersion = 3;

// A message behind the int16 that says which one it is.
template <class Message>
Bytes numbered(std::int16_t number, const Message& message, std::int16_t version) {
  const auto body = wire::encode_to_slice(message, version);
  OTTLA_CHECK(body.has_value());  // all that goes in came through a request's own bounds
  Bytes bytes(2 + body->size());
  store_big(bytes.data(), number);
  std::copy_n(body->data(), body->size(), bytes.data() + 2);
  return bytes;
}

struct Encode {
  EncodedRecord operator()(const OffsetRecord& record) const {
    wire::OffsetCommitKey key;
    key.group = record.group;
    key.topic = record.topic;
    key.partition = record.partition;
    EncodedRecord encoded{numbered(kOffsetType, key, kKeyVersion), std::nullopt};
    if (record.value)
      encoded.value = numbered(kOffsetValueVersion, *record.value, kOffsetValueVersion);
    return encoded;
  }
  EncodedRecord operator()(const ClassicGroupRecord& record) const {
    wire::GroupMetadataKey key;
    key.group = record.group;
    EncodedRecord encoded{numbered(kClassicGroupType, key, kKeyVersion), std::nullopt};
    if (record.value)
      encoded.value = numbered(kClassicGroupValueVersion, *record.value, kClassicGroupValueVersion);
    return encoded;
  }
};

template <class Message>
std::expected<Message, std::string> decode_value(ByteView value) {
  if (value.size() < 2) return std::unexpected("a value without version");
  const auto version = load_big<std::int16_t>(value.data());
  auto message = wire::decode<Message>(Slice::copy_of(value.subspan(2)), version);
  if (!message) return std::unexpected("a value: " + message.error().to_string());
  return std::move(*message);
}

template <class Message>
std::expected<Message, std::string> decode_key(ByteView key) {
  auto message = wire::decode<Message>(Slice::copy_of(key.subspan(2)), kKeyVersion);
  if (!message) return std::unexpected("a key: " + message.error().to_string());
  return std::move(*message);
}

}  // namespace

EncodedRecord encode_record(const GroupRecord& record) { return std::visit(Encode{}, record); }

std::expected<std::optional<GroupRecord>, std::string> decode_record(
    std::optional<ByteView> key, std::optional<ByteView> value) {
  if (!key || key->size() < 2) return std::unexpected("a record without key");
  const auto type = load_big<std::int16_t>(key->data());
  if (type == kLegacyOffsetType || type == kOffsetType) {
    auto names = decode_key<wire::OffsetCommitKey>(*key);
    if (!names) return std::unexpected(std::move(names.error()));
    OffsetRecord record{std::move(names->group), std::move(names->topic), names->partition, {}};
    if (value) {
      auto content = decode_value<wire::OffsetCommitValue>(*value);
      if (!content) return std::unexpected(std::move(content.error()));
      record.value = std::move(*content);
    }
    return GroupRecord(std::move(record));
  }
  if (type == kClassicGroupType) {
    auto names = decode_key<wire::GroupMetadataKey>(*key);
    if (!names) return std::unexpected(std::move(names.error()));
    ClassicGroupRecord record{std::move(names->group), {}};
    if (value) {
      auto content = decode_value<wire::GroupMetadataValue>(*value);
      if (!content) return std::unexpected(std::move(content.error()));
      record.value = std::move(*content);
    }
    return GroupRecord(std::move(record));
  }
  return std::optional<GroupRecord>();
}

}  // namespace ottla::coordinator
