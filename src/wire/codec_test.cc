#include "wire/codec.h"

#include <gtest/gtest.h>

#include "wire/header.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/produce_request.h"

namespace ottla::wire {
namespace {

ProduceRequest one_partition(Slice records) {
  ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 30'000;
  request.topic_data.push_back(
      {.name = "letters", .topic_id = {}, .partition_data = {}, .unknown_tags = {}});
  request.topic_data[0].partition_data.push_back(
      {.index = 3, .records = Records(std::move(records)), .unknown_tags = {}});
  return request;
}

TEST(Codec, ProduceRequestFrameRoundTrip) {
  const Slice records = Slice::copy_of(as_bytes("not really a batch"));
  const ProduceRequest request = one_partition(records);
  for (std::int16_t version = 3; version <= 12; ++version) {
    auto frame = request_frame(7, "me", request, version);
    ASSERT_TRUE(frame) << frame.error().to_string();
    const Slice whole = frame->flatten();
    EXPECT_EQ(load_big<std::int32_t>(whole.data()), static_cast<std::int32_t>(whole.size() - 4));

    const Slice body = whole.subslice(4, whole.size() - 4);
    auto header = parse_request_header(body);
    ASSERT_TRUE(header) << header.error().to_string();
    EXPECT_EQ(header->correlation_id, 7);
    EXPECT_EQ(header->client_id, "me");
    ASSERT_NE(header->api, nullptr);
    EXPECT_EQ(header->api->key, ApiKey::kProduce);

    Reader reader = body_reader(body, header->body_offset);
    auto decoded = decode_next<ProduceRequest>(reader, header->api_version);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(reader.remaining(), 0u);
    EXPECT_EQ(*decoded, request);
    // Not copied: the records lie in the frame.
    const Slice found = decoded->topic_data[0].partition_data[0].records.flatten();
    EXPECT_GE(found.data(), whole.data());
    EXPECT_LT(found.data(), whole.data() + whole.size());
  }
}

TEST(Codec, RecordsAreHandedOnUntouched) {
  const Slice records = Slice::copy_of(as_bytes("0123456789"));
  FetchResponse response;
  response.responses.emplace_back().partitions.emplace_back().records = Records(records);
  auto frame = response_frame(1, response, 17);
  ASSERT_TRUE(frame);
  bool found = false;
  for (const Gather::Part& part : frame->parts()) {
    const auto* slice = std::get_if<Slice>(&part);
    found |= slice != nullptr && slice->data() == records.data();
  }
  EXPECT_TRUE(found);
}

TEST(Codec, ApiVersionsAnswerKeepsTheOldHeader) {
  ApiVersionsResponse response;
  auto frame = response_frame(9, response, 3);
  ASSERT_TRUE(frame);
  const Slice whole = frame->flatten();
  // length, correlation id, error code, no api keys, throttle time, no tags
  EXPECT_EQ(whole.size(), 4u + 4u + 2u + 1u + 4u + 1u);
}

TEST(Codec, SizeIsKnownBeforehand) {
  const ProduceRequest request = one_partition(Slice::copy_of(as_bytes("abc")));
  for (std::int16_t version = 3; version <= 13; ++version) {
    EXPECT_EQ(*encoded_size(request, version), encode_to_slice(request, version)->size());
  }
}

}  // namespace
}  // namespace ottla::wire
