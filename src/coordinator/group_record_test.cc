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

TEST(GroupRecord, OtherKindsAreLeftAlone) {
  for (const int type : {3, 5, 8, 11, 16, 17, 999}) {
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
