#include "metadata/record.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "consensus/snapshot.h"
#include "metadata/features.h"
#include "metadata/metadata_testing.h"

namespace ottla::metadata {
namespace {

using ::testing::HasSubstr;

std::string error_of(const Bytes& bytes) {
  const auto record = decode_record(Slice::copy_of(bytes));
  return record ? "decoded " + std::string(record_name(*record)) : record.error();
}

TEST(MetadataRecord, FrameIsVersionTypeAndVersion) {
  // as Kafka 4.3.1 wrote it: tests/vectors/format/bootstrap.checkpoint
  const Bytes expected = {0x01, 0x0c, 0x00, 0x11, 'm', 'e', 't', 'a', 'd',  'a',  't', 'a',
                          '.',  'v',  'e',  'r',  's', 'i', 'o', 'n', 0x00, 0x1e, 0x00};
  EXPECT_EQ(encode_record(testing::feature_record("metadata.version", 30)), expected);
  const auto record = decode_record(Slice::copy_of(expected));
  ASSERT_TRUE(record.has_value()) << record.error();
  EXPECT_EQ(std::get<wire::FeatureLevelRecord>(*record).feature_level, 30);
}

// The six features of a new cluster, in Kafka's order and bytes.
TEST(MetadataRecord, BootstrapRecordsAreKafkas) {
  std::ifstream file(std::string(OTTLA_FORMAT_VECTORS) + "/bootstrap.checkpoint", std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(file), {}};
  const auto kafkas = consensus::parse_snapshot(Slice::copy_of(bytes));
  ASSERT_TRUE(kafkas.has_value()) << kafkas.error();

  std::vector<Record> features;
  for (const FeatureRange& feature : supported_features()) {
    if (feature.name != kKraftVersion)
      features.push_back(testing::feature_record(std::string(feature.name), feature.initial_level));
  }
  const auto ours = testing::bytes_of(*testing::image_of(features));
  ASSERT_EQ(ours.size(), kafkas->records.size());
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_EQ(Slice::copy_of(ours[i]), kafkas->records[i]) << i;
}

TEST(MetadataRecord, VersionsAreThoseOfKafka43) {
  const auto version = [](const Record& record) { return encode_record(record)[2]; };
  EXPECT_EQ(version(testing::broker_record(1, 2)), 4);
  EXPECT_EQ(version(testing::partition_record({1, 1}, 0, {1}, {1}, 1)), 2);
  EXPECT_EQ(version(wire::PartitionChangeRecord{}), 2);
  EXPECT_EQ(version(testing::topic_record("t", {1, 1})), 0);
  wire::BrokerRegistrationChangeRecord change;
  change.fenced = 1;
  EXPECT_EQ(version(change), 0);
  change.in_controlled_shutdown = 1;
  EXPECT_EQ(version(change), 1);
  change.log_dirs = {{1, 1}};
  EXPECT_EQ(version(change), 2);
  change.cordoned_log_dirs.emplace();
  EXPECT_EQ(version(change), 3);
}

TEST(MetadataRecord, WhatIsNotKnownIsRefused) {
  EXPECT_THAT(error_of({0x01, 0x7f, 0x00}), HasSubstr("type 127 is not known"));
  EXPECT_THAT(error_of({0x01, 0x0c, 0x63}), HasSubstr("version 99 of FeatureLevelRecord"));
  EXPECT_THAT(error_of({0x02, 0x0c, 0x00}), HasSubstr("frame version 2"));
  EXPECT_THAT(error_of({0x01, 0x0c, 0xff, 0xff, 0xff, 0x0f}), HasSubstr("impossible version"));
  EXPECT_THAT(error_of({}), HasSubstr("shorter"));
}

TEST(MetadataRecord, EveryCutAndEveryTailIsRefused) {
  for (const Record& record :
       {Record(testing::broker_record(3, 17)), testing::topic_record("orders", {7, 8}),
        testing::partition_record({7, 8}, 2, {1, 2}, {1}, 1)}) {
    Bytes bytes = encode_record(record);
    const auto whole = decode_record(Slice::copy_of(bytes));
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(encode_record(*whole), bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_record(Slice::copy_of(ByteView(bytes).first(size)))) << size;
    }
    bytes.push_back(0);
    EXPECT_THAT(error_of(bytes), HasSubstr("belong to nothing"));
  }
}

}  // namespace
}  // namespace ottla::metadata
