#include "wire/header.h"

#include <gtest/gtest.h>

#include "wire/messages/api_versions_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/metadata_request.h"

namespace ottla::wire {
namespace {

Slice after_length(const Gather& frame) {
  const Slice whole = frame.flatten();
  return whole.subslice(kFrameLengthBytes, whole.size() - kFrameLengthBytes);
}

TEST(ApiTable, HasNoGaps) {
  for (std::size_t i = 0; i < apis().size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(apis()[i].key), i);
    EXPECT_EQ(find_api(static_cast<std::int16_t>(i)), &apis()[i]);
  }
  EXPECT_EQ(find_api(-1), nullptr);
  EXPECT_EQ(find_api(static_cast<std::int16_t>(apis().size())), nullptr);
  EXPECT_EQ(find_api(0)->name, "Produce");
}

TEST(RequestHeader, TheClientIdIsNeverCompact) {
  const auto frame = request_frame(77, "kcat", MetadataRequest(), 12);
  ASSERT_TRUE(frame);
  const Bytes expected = {0, 3, 0, 12, 0, 0, 0, 77, 0, 4, 'k', 'c', 'a', 't', 0};
  const Slice bytes = after_length(*frame);
  EXPECT_EQ(Bytes(bytes.data(), bytes.data() + expected.size()), expected);

  const auto header = parse_request_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->client_id, "kcat");
  EXPECT_EQ(header->body_offset, expected.size());
  EXPECT_TRUE(header->is_version_known());
}

TEST(RequestHeader, ClientIdMayBeNull) {
  const auto header =
      parse_request_header(after_length(*request_frame(1, std::nullopt, MetadataRequest(), 4)));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->client_id, std::nullopt);
}

TEST(RequestHeader, AVersionFromTheFutureIsStillRead) {
  Writer writer;
  writer.integer(std::int16_t{18});
  writer.integer(std::int16_t{99});
  writer.integer(std::int32_t{5});
  writer.integer(std::int16_t{-1});
  writer.unsigned_varint(0);
  const auto header = parse_request_header(std::move(writer).finish().flatten());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->api->key, ApiKey::kApiVersions);
  EXPECT_FALSE(header->is_version_known());
  EXPECT_EQ(header->correlation_id, 5);
}

TEST(RequestHeader, AnUnknownApiIsNamed) {
  Writer writer;
  writer.integer(std::int16_t{1234});
  writer.integer(std::int16_t{0});
  writer.integer(std::int32_t{5});
  const auto header = parse_request_header(std::move(writer).finish().flatten());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->api, nullptr);
  EXPECT_EQ(header->api_key, 1234);
  EXPECT_FALSE(header->is_version_known());
}

TEST(RequestHeader, GarbageIsAnError) {
  // A TLS hello: the first bytes would be key 0x1603, so no API; shorter, and nothing can be said.
  EXPECT_FALSE(parse_request_header(Slice::copy_of(Bytes{0x16, 0x03, 0x01})));
  // Metadata with a client id that is longer than the frame.
  EXPECT_FALSE(
      parse_request_header(Slice::copy_of(Bytes{0, 3, 0, 4, 0, 0, 0, 1, 0x7f, 0xff, 'x'})));
}

TEST(ResponseHeader, ReadsWhatResponsesCarry) {
  const ApiInfo& fetch = *find_api(1);
  for (const std::int16_t version : {11, 12}) {
    const auto header = parse_response_header(
        after_length(*response_frame(3, FetchResponse(), version)), fetch, version);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->correlation_id, 3);
    EXPECT_EQ(header->body_offset, version >= 12 ? 5u : 4u);
  }
}

}  // namespace
}  // namespace ottla::wire
