#include "coordinator/group_record.h"

#include <fmt/format.h>

#include "base/check.h"
#include "wire/codec.h"
#include "wire/messages/consumer_group_current_member_assignment_key.h"
#include "wire/messages/consumer_group_member_metadata_key.h"
#include "wire/messages/consumer_group_metadata_key.h"
#include "wire/messages/consumer_group_regular_expression_key.h"
#include "wire/messages/consumer_group_target_assignment_member_key.h"
#include "wire/messages/consumer_group_target_assignment_metadata_key.h"
#include "wire/messages/group_metadata_key.h"
#include "wire/messages/offset_commit_key.h"

namespace ottla::coordinator {
namespace {

constexpr std::int16_t kLegacyOffsetType = 0;
constexpr std::int16_t kOffsetType = 1;
constexpr std::int16_t kClassicGroupType = 2;
constexpr std::int16_t kConsumerGroupType = 3;
constexpr std::int16_t kConsumerMemberType = 5;
constexpr std::int16_t kTargetEpochType = 6;
constexpr std::int16_t kTargetAssignmentType = 7;
constexpr std::int16_t kCurrentAssignmentType = 8;
constexpr std::int16_t kRegularExpressionType = 16;
constexpr std::int16_t kKeyVersion = 0;
constexpr std::int16_t kOffsetValueVersion = 4;
constexpr std::int16_t kClassicGroupValueVersion = 3;
constexpr std::int16_t kConsumerValueVersion = 0;

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

template <class Key, class Value>
EncodedRecord encoded(std::int16_t type, const Key& key, const std::optional<Value>& value,
                      std::int16_t value_version) {
  EncodedRecord record{numbered(type, key, kKeyVersion), std::nullopt};
  if (value) record.value = numbered(value_version, *value, value_version);
  return record;
}

template <class Key>
Key key_of(const std::string& group) {
  Key key;
  key.group_id = group;
  return key;
}
template <class Key>
Key key_of(const std::string& group, const std::string& member) {
  Key key;
  key.group_id = group;
  key.member_id = member;
  return key;
}

struct Encode {
  EncodedRecord operator()(const OffsetRecord& record) const {
    wire::OffsetCommitKey key;
    key.group = record.group;
    key.topic = record.topic;
    key.partition = record.partition;
    return encoded(kOffsetType, key, record.value, kOffsetValueVersion);
  }
  EncodedRecord operator()(const ClassicGroupRecord& record) const {
    wire::GroupMetadataKey key;
    key.group = record.group;
    return encoded(kClassicGroupType, key, record.value, kClassicGroupValueVersion);
  }
  EncodedRecord operator()(const ConsumerGroupRecord& record) const {
    return encoded(kConsumerGroupType, key_of<wire::ConsumerGroupMetadataKey>(record.group),
                   record.value, kConsumerValueVersion);
  }
  EncodedRecord operator()(const ConsumerMemberRecord& record) const {
    return encoded(kConsumerMemberType,
                   key_of<wire::ConsumerGroupMemberMetadataKey>(record.group, record.member),
                   record.value, kConsumerValueVersion);
  }
  EncodedRecord operator()(const TargetEpochRecord& record) const {
    return encoded(kTargetEpochType,
                   key_of<wire::ConsumerGroupTargetAssignmentMetadataKey>(record.group),
                   record.value, kConsumerValueVersion);
  }
  EncodedRecord operator()(const TargetAssignmentRecord& record) const {
    return encoded(
        kTargetAssignmentType,
        key_of<wire::ConsumerGroupTargetAssignmentMemberKey>(record.group, record.member),
        record.value, kConsumerValueVersion);
  }
  EncodedRecord operator()(const CurrentAssignmentRecord& record) const {
    return encoded(
        kCurrentAssignmentType,
        key_of<wire::ConsumerGroupCurrentMemberAssignmentKey>(record.group, record.member),
        record.value, kConsumerValueVersion);
  }
  EncodedRecord operator()(const RegularExpressionRecord& record) const {
    wire::ConsumerGroupRegularExpressionKey key;
    key.group_id = record.group;
    key.regular_expression = record.expression;
    return encoded(kRegularExpressionType, key, record.value, kConsumerValueVersion);
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

using Decoded = std::expected<std::optional<GroupRecord>, std::string>;

// `make` gives the record without its value.
template <class Key, class Value>
Decoded decoded(ByteView key, std::optional<ByteView> value, auto make) {
  auto names = decode_key<Key>(key);
  if (!names) return std::unexpected(std::move(names.error()));
  auto record = make(std::move(*names));
  if (value) {
    auto content = decode_value<Value>(*value);
    if (!content) return std::unexpected(std::move(content.error()));
    record.value = std::move(*content);
  }
  return GroupRecord(std::move(record));
}

template <class Record, class Key, class Value>
Decoded decoded_of_group(ByteView key, std::optional<ByteView> value) {
  return decoded<Key, Value>(
      key, value, [](Key names) { return Record{std::move(names.group_id), std::nullopt}; });
}

template <class Record, class Key, class Value>
Decoded decoded_of_member(ByteView key, std::optional<ByteView> value) {
  return decoded<Key, Value>(key, value, [](Key names) {
    return Record{std::move(names.group_id), std::move(names.member_id), std::nullopt};
  });
}

}  // namespace

EncodedRecord encode_record(const GroupRecord& record) { return std::visit(Encode{}, record); }

Decoded decode_record(std::optional<ByteView> key, std::optional<ByteView> value) {
  if (!key || key->size() < 2) return std::unexpected("a record without key");
  switch (load_big<std::int16_t>(key->data())) {
    case kLegacyOffsetType:
    case kOffsetType:
      return decoded<wire::OffsetCommitKey, wire::OffsetCommitValue>(
          *key, value, [](wire::OffsetCommitKey names) {
            return OffsetRecord{
                std::move(names.group), std::move(names.topic), names.partition, {}};
          });
    case kClassicGroupType:
      return decoded<wire::GroupMetadataKey, wire::GroupMetadataValue>(
          *key, value, [](wire::GroupMetadataKey names) {
            return ClassicGroupRecord{std::move(names.group), {}};
          });
    case kConsumerGroupType:
      return decoded_of_group<ConsumerGroupRecord, wire::ConsumerGroupMetadataKey,
                              wire::ConsumerGroupMetadataValue>(*key, value);
    case kConsumerMemberType:
      return decoded_of_member<ConsumerMemberRecord, wire::ConsumerGroupMemberMetadataKey,
                               wire::ConsumerGroupMemberMetadataValue>(*key, value);
    case kTargetEpochType:
      return decoded_of_group<TargetEpochRecord, wire::ConsumerGroupTargetAssignmentMetadataKey,
                              wire::ConsumerGroupTargetAssignmentMetadataValue>(*key, value);
    case kTargetAssignmentType:
      return decoded_of_member<TargetAssignmentRecord, wire::ConsumerGroupTargetAssignmentMemberKey,
                               wire::ConsumerGroupTargetAssignmentMemberValue>(*key, value);
    case kCurrentAssignmentType:
      return decoded_of_member<CurrentAssignmentRecord,
                               wire::ConsumerGroupCurrentMemberAssignmentKey,
                               wire::ConsumerGroupCurrentMemberAssignmentValue>(*key, value);
    case kRegularExpressionType:
      return decoded<wire::ConsumerGroupRegularExpressionKey,
                     wire::ConsumerGroupRegularExpressionValue>(
          *key, value, [](wire::ConsumerGroupRegularExpressionKey names) {
            return RegularExpressionRecord{
                std::move(names.group_id), std::move(names.regular_expression), {}};
          });
    default:
      return std::optional<GroupRecord>();
  }
}

}  // namespace ottla::coordinator
