#include "coordinator/group_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::coordinator {
namespace {

using ::testing::HasSubstr;

Bytes hex(std::string_view text) {
  Bytes bytes;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
  return bytes;
}

OffsetRecord an_offset() {
  OffsetRecord record{"g", "topic", 3, wire::OffsetCommitValue()};
  record.value->offset = 42;
  record.value->leader_epoch = 7;
  record.value->metadata = "note";
  record.value->commit_timestamp = 1'700'000'000'000;
  record.value->topic_id = {0x0102030405060708, 0x090a0b0c0d0e0f10};
  return record;
}

// Key: type 1, "g", "topic", 3. Value: version 4, flexible, the topic id in tag 0.
TEST(GroupRecord, AnOffsetIsWrittenAsKafka43Does) {
  const EncodedRecord encoded = encode_record(an_offset());
  EXPECT_EQ(encoded.key, hex("0001"
                             "000167"
                             "0005746f706963"
                             "00000003"));
  EXPECT_EQ(encoded.value, hex("0004"
                               "000000000000002a"
                               "00000007"
                               "056e6f7465"
                               "0000018bcfe56800"
                               "01"
                               "00"
                               "10"
                               "0102030405060708090a0b0c0d0e0f10"));
}

TEST(GroupRecord, AnOffsetIsReadAgain) {
  const EncodedRecord encoded = encode_record(an_offset());
  const auto decoded = decode_record(ByteView(encoded.key), ByteView(*encoded.value));
  ASSERT_TRUE(decoded && *decoded);
  const auto& record = std::get<OffsetRecord>(**decoded);
  EXPECT_EQ(record.group, "g");
  EXPECT_EQ(record.topic, "topic");
  EXPECT_EQ(record.partition, 3);
  EXPECT_EQ(*record.value, *an_offset().value);
}

TEST(GroupRecord, OlderOffsetsAreRead) {
  // value version 1: offset, metadata, commit and expire timestamp
  const auto decoded = decode_record(ByteView(hex("0000"
                                                  "000167"
                                                  "000174"
                                                  "00000000")),
                                     ByteView(hex("0001"
                                                  "0000000000000005"
                                                  "0000"
                                                  "0000000000000064"
                                                  "00000000000000c8")));
  ASSERT_TRUE(decoded && *decoded);
  const auto& value = std::get<OffsetRecord>(**decoded).value;
  EXPECT_EQ(value->offset, 5);
  EXPECT_EQ(value->leader_epoch, -1);
  EXPECT_EQ(value->commit_timestamp, 100);
  EXPECT_EQ(value->expire_timestamp, 200);
}

TEST(GroupRecord, AGroupIsWrittenInVersion3) {
  ClassicGroupRecord record{"g", wire::GroupMetadataValue()};
  record.value->protocol_type = "consumer";
  record.value->generation = 1;
  record.value->protocol.reset();
  record.value->leader.reset();
  record.value->current_state_timestamp = 9;
  const EncodedRecord encoded = encode_record(record);
  EXPECT_EQ(encoded.key, hex("0002"
                             "000167"));
  EXPECT_EQ(encoded.value, hex("0003"
                               "0008636f6e73756d6572"
                               "00000001"
                               "ffff"
                               "ffff"
                               "0000000000000009"
                               "00000000"));
  const auto decoded = decode_record(ByteView(encoded.key), ByteView(*encoded.value));
  ASSERT_TRUE(decoded && *decoded);
  EXPECT_EQ(*std::get<ClassicGroupRecord>(**decoded).value, *record.value);
}

TEST(GroupRecord, NoValueIsATombstone) {
  const EncodedRecord encoded = encode_record(OffsetRecord{"g", "t", 0, std::nullopt});
  EXPECT_FALSE(encoded.value);
  const auto decoded = decode_record(ByteView(encoded.key), std::nullopt);
  ASSERT_TRUE(decoded && *decoded);
  EXPECT_FALSE(std::get<OffsetRecord>(**decoded).value);
}

// Written by Kafka 4.3.1: a member, its group and target; a revocation under way; an expression.
TEST(GroupRecord, ConsumerGroupsAreReadAndWrittenAsKafka43Does) {
  const std::pair<std::string, std::string> written[] = {
      {"000300026730", "000000000002010008a026b50520a5b626"},
      {"0005000267300016615637705274665752706542336c515a334d67344377",
       "000000000674657374730b2f3132372e302e302e31020274010000ea600001000100"},
      {"000600026730", "000000000002010008000001a200b2876f"},
      {"0007000267300016615637705274665752706542336c515a334d67344377",
       "00000257ceda7c5ecf49a2b0d144ee4b0deb8b05000000000000000100000002000000030000"},
      {"0008000167000161",
       "00000000000200000002010257ceda7c5ecf49a2b0d144ee4b0deb8b03000000000000000101"
       "00090300000002000000020257ceda7c5ecf49a2b0d144ee4b0deb8b03000000020000000301"
       "000903000000020000000200"},
      {"0010000367727800045b74755d", "000003027402750000000000000243000001a200b28d2900"},
  };
  for (const auto& [key_text, value_text] : written) {
    const Bytes key = hex(key_text);
    const Bytes value = hex(value_text);
    const auto decoded = decode_record(ByteView(key), ByteView(value));
    ASSERT_TRUE(decoded && *decoded) << key_text;
    const EncodedRecord again = encode_record(**decoded);
    EXPECT_EQ(again.key, key) << key_text;
    EXPECT_EQ(again.value, value) << key_text;
    const auto tombstone = decode_record(ByteView(key), std::nullopt);
    ASSERT_TRUE(tombstone && *tombstone) << key_text;
    EXPECT_FALSE(encode_record(**tombstone).value) << key_text;
  }
}

TEST(GroupRecord, OtherKindsAreLeftAlone) {
  for (const int type : {4, 9, 11, 15, 17, 999}) {
    Bytes key =
        hex("0000"
            "000167");
    key[0] = static_cast<std::uint8_t>(type >> 8);
    key[1] = static_cast<std::uint8_t>(type & 0xff);
    const auto decoded = decode_record(ByteView(key), ByteView(key));
    ASSERT_TRUE(decoded) << type;
    EXPECT_FALSE(*decoded) << type;
  }
}

TEST(GroupRecord, DamageIsNamed) {
  EXPECT_FALSE(decode_record(std::nullopt, std::nullopt));
  EXPECT_FALSE(decode_record(ByteView(hex("00")), std::nullopt));
  const EncodedRecord encoded = encode_record(an_offset());
  for (std::size_t size = 2; size < encoded.key.size(); ++size)
    EXPECT_FALSE(decode_record(ByteView(encoded.key).first(size), ByteView(*encoded.value)));
  for (std::size_t size = 0; size < encoded.value->size(); ++size)
    EXPECT_FALSE(decode_record(ByteView(encoded.key), ByteView(*encoded.value).first(size)));
  const auto newer = decode_record(ByteView(encoded.key), ByteView(hex("0063")));
  ASSERT_FALSE(newer);
  EXPECT_THAT(newer.error(), HasSubstr("version"));
}

}  // namespace
}  // namespace ottla::coordinator
