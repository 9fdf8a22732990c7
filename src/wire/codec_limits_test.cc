// What decode() refuses, and what encode() refuses.
#include <gtest/gtest.h>

#include "wire/codec.h"
#include "wire/messages/consumer_group_member_metadata_value.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/metadata_request.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/sasl_authenticate_request.h"
#include "wire/messages/topic_record.h"

namespace ottla::wire {
namespace {

using Code = DecodeError::Code;

template <class M>
DecodeError error_of(const Writer& filled, std::int16_t version, const DecodeLimits& limits = {}) {
  auto copy = filled;
  const auto result = decode<M>(std::move(copy).finish().flatten(), version, limits);
  return result ? DecodeError{} : result.error();
}

TEST(DecodeLimits, AnArrayIsNeverLongerThanTheFrame) {
  Writer writer;
  writer.integer(std::int32_t{900'000});  // topics
  writer.bytes(Bytes(100, 0));
  const DecodeError error = error_of<MetadataRequest>(writer, 1);
  EXPECT_EQ(error.code, Code::kTooManyElements);
  EXPECT_STREQ(error.message, "MetadataRequest");
  EXPECT_STREQ(error.field, "Topics");
  EXPECT_EQ(error.position, 4u);
}

TEST(DecodeLimits, AnArrayHasAtMostSoManyElements) {
  Writer writer;
  writer.integer(std::int32_t{11});
  for (int i = 0; i < 11; ++i) writer.integer(std::int16_t{0});
  EXPECT_EQ(error_of<MetadataRequest>(writer, 1).code, Code::kNone);
  EXPECT_EQ(error_of<MetadataRequest>(writer, 1, {.array_elements_max = 10}).code,
            Code::kTooManyElements);
  EXPECT_EQ(error_of<MetadataRequest>(writer, 1, {.decoded_bytes_max = 300}).code,
            Code::kTooManyElements);
}

TEST(DecodeLimits, LengthsBelowNullAreErrors) {
  Writer negative_array;
  negative_array.integer(std::int32_t{-2});
  EXPECT_EQ(error_of<MetadataRequest>(negative_array, 1).code, Code::kNegativeLength);

  Writer negative_string;
  negative_string.integer(std::int32_t{1});
  negative_string.integer(std::int16_t{-5});
  EXPECT_EQ(error_of<MetadataRequest>(negative_string, 1).code, Code::kNegativeLength);
}

TEST(DecodeLimits, NullOnlyWhereTheVersionHasIt) {
  Writer null_array;
  null_array.integer(std::int32_t{-1});
  EXPECT_EQ(error_of<MetadataRequest>(null_array, 1).code, Code::kNone);
  EXPECT_EQ(error_of<MetadataRequest>(null_array, 0).code, Code::kNullNotAllowed);
}

TEST(DecodeLimits, AStringHasAtMost32767Bytes) {
  for (const std::size_t size : {kStringBytesMax, kStringBytesMax + 1}) {
    Writer writer;
    writer.unsigned_varint(static_cast<std::uint32_t>(size + 1));  // the topic's name
    writer.bytes(Bytes(size, 'x'));
    writer.uuid({});
    writer.unsigned_varint(0);
    EXPECT_EQ(error_of<TopicRecord>(writer, 0).code,
              size > kStringBytesMax ? Code::kTooLong : Code::kNone);
  }
}

Writer topic_record_with_tags() {
  Writer writer;
  writer.unsigned_varint(2);
  writer.bytes(as_bytes("t"));
  writer.uuid({.high = 1, .low = 2});
  return writer;
}

TEST(DecodeLimits, TagsAreCountedBeforeTheyAreRead) {
  Writer writer = topic_record_with_tags();
  writer.unsigned_varint(kTaggedFieldsMax + 1);
  writer.bytes(Bytes(3 * kTaggedFieldsMax, 0));
  EXPECT_EQ(error_of<TopicRecord>(writer, 0).code, Code::kTooManyTags);

  Writer promise = topic_record_with_tags();
  promise.unsigned_varint(100);
  promise.bytes(Bytes(20, 0));
  EXPECT_EQ(error_of<TopicRecord>(promise, 0).code, Code::kTooManyTags);
}

TEST(UnknownTags, AreKeptInAnyOrderAndWrittenInTheirs) {
  Writer writer = topic_record_with_tags();
  writer.unsigned_varint(2);
  writer.unsigned_varint(900);
  writer.unsigned_varint(1);
  writer.integer(std::uint8_t{9});
  writer.unsigned_varint(5);
  writer.unsigned_varint(0);
  const auto record = decode<TopicRecord>(std::move(writer).finish().flatten(), 0);
  ASSERT_TRUE(record) << record.error().to_string();
  const UnknownTags expected = {{.tag = 5, .data = {}}, {.tag = 900, .data = {9}}};
  EXPECT_EQ(record->unknown_tags, expected);
  EXPECT_EQ(decode<TopicRecord>(*encode_to_slice(*record, 0), 0)->unknown_tags, expected);
}

TEST(KnownTags, MustHaveTheSizeThatTheySay) {
  FetchRequest request;
  request.cluster_id = "c";
  const Slice good = *encode_to_slice(request, 12);
  // The last bytes: one tag, number 0, size 2, length 1 + 1, 'c'.
  for (const std::uint8_t size : {1, 3}) {
    Bytes bytes(good.view().begin(), good.view().end());
    ASSERT_EQ(bytes[bytes.size() - 3], 2);
    bytes[bytes.size() - 3] = size;
    bytes.push_back(0);
    const auto result = decode<FetchRequest>(Slice::copy_of(bytes), 12);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, size == 1 ? Code::kTruncated : Code::kTaggedFieldSize);
    EXPECT_STREQ(result.error().field, "ClusterId");
  }
}

TEST(KnownTags, ANullStructDiffersFromItsDefault) {
  ConsumerGroupMemberMetadataValue value;
  EXPECT_TRUE(value.classic_member_metadata.has_value());  // Kafka's default
  value.classic_member_metadata.reset();
  const auto decoded = decode<ConsumerGroupMemberMetadataValue>(*encode_to_slice(value, 0), 0);
  ASSERT_TRUE(decoded);
  EXPECT_FALSE(decoded->classic_member_metadata.has_value());
}

template <class M>
EncodeError encode_error_of(const M& message, std::int16_t version) {
  Writer writer;
  const auto done = encode(message, version, writer);
  EXPECT_FALSE(done.has_value());
  return done ? EncodeError{} : done.error();
}

TEST(Encode, RefusesWhatTheVersionCannotSay) {
  FetchRequest request;
  request.forgotten_topics_data.emplace_back();
  EXPECT_TRUE(encode_to_slice(request, 7));
  const EncodeError error = encode_error_of(request, 6);
  EXPECT_EQ(error.code, EncodeError::Code::kFieldNotInVersion);
  EXPECT_EQ(error.to_string(),
            "FetchRequest.ForgottenTopicsData: is set, but this version does not have it");
}

TEST(Encode, DropsWhatMayBeIgnored) {
  FetchRequest request;
  request.rack_id = "rack";
  EXPECT_TRUE(encode_to_slice(request, 4));
}

TEST(Encode, ReplacesNothingByNull) {
  MetadataRequest request;
  request.topics.reset();
  EXPECT_TRUE(encode_to_slice(request, 1));
  EXPECT_EQ(encode_error_of(request, 0).code, EncodeError::Code::kNullNotAllowed);
}

TEST(Encode, RefusesTagsBeforeFlexibleVersions) {
  MetadataRequest request;
  request.unknown_tags.push_back({.tag = 3, .data = {1}});
  EXPECT_TRUE(encode_to_slice(request, 9));
  EXPECT_EQ(encode_error_of(request, 8).code, EncodeError::Code::kTagsNotInVersion);
}

TEST(Encode, RefusesTagsOutOfOrder) {
  FetchRequest request;
  request.unknown_tags = {{.tag = 9, .data = {}}, {.tag = 7, .data = {}}};
  EXPECT_EQ(encode_error_of(request, 12).code, EncodeError::Code::kTagsOutOfOrder);
  request.unknown_tags = {{.tag = 0, .data = {}}};  // the number of ClusterId
  request.cluster_id = "c";
  EXPECT_EQ(encode_error_of(request, 12).code, EncodeError::Code::kTagsOutOfOrder);
}

TEST(Encode, RefusesStringsThatAreTooLong) {
  TopicRecord record;
  record.name = std::string(kStringBytesMax + 1, 'x');
  EXPECT_EQ(encode_error_of(record, 0).code, EncodeError::Code::kTooLong);
}

TEST(Print, HidesSecretsAndCutsWhatIsLong) {
  SaslAuthenticateRequest sasl;
  sasl.auth_bytes = {'h', 'u', 'n', 't', 'e', 'r', '2'};
  EXPECT_EQ(print(sasl, 2), R"({"authBytes":"***"})");

  CreateTopicsRequest create;
  for (int i = 0; i < 30; ++i) create.topics.emplace_back().name = "t";
  const std::string line = print(create, 7);
  EXPECT_NE(line.find("\"... 10 more\""), std::string::npos) << line;

  ProduceRequest produce;
  produce.topic_data.emplace_back().partition_data.emplace_back().records =
      Records(Slice::allocate(77));
  EXPECT_NE(print(produce, 9).find(R"("records":"<77 bytes>")"), std::string::npos);
}

}  // namespace
}  // namespace ottla::wire
