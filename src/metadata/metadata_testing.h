// What the tests of this folder share: records in a line each. Not part of the library.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "metadata/image_builder.h"
#include "metadata/record.h"

namespace ottla::metadata::testing {

inline Record topic_record(std::string name, Uuid id) {
  wire::TopicRecord record;
  record.name = std::move(name);
  record.topic_id = id;
  return record;
}

inline Record partition_record(Uuid topic, std::int32_t index, std::vector<NodeId> replicas,
                               std::vector<NodeId> isr, NodeId leader) {
  wire::PartitionRecord record;
  record.topic_id = topic;
  record.partition_id = index;
  record.directories.assign(replicas.size(), kDirectoryUnassigned);
  record.replicas = std::move(replicas);
  record.isr = std::move(isr);
  record.leader = leader;
  record.leader_epoch = 0;
  record.partition_epoch = 0;
  return record;
}

inline Record config_record(ResourceType type, std::string resource, std::string name,
                            std::optional<std::string> value) {
  wire::ConfigRecord record;
  record.resource_type = static_cast<std::int8_t>(type);
  record.resource_name = std::move(resource);
  record.name = std::move(name);
  record.value = std::move(value);
  return record;
}

inline Record feature_record(std::string name, std::int16_t level) {
  wire::FeatureLevelRecord record;
  record.name = std::move(name);
  record.feature_level = level;
  return record;
}

inline wire::RegisterBrokerRecord broker_record(NodeId id, BrokerEpoch epoch, bool fenced = false) {
  wire::RegisterBrokerRecord record;
  record.broker_id = id;
  record.broker_epoch = epoch;
  record.incarnation_id = {1, static_cast<std::uint64_t>(id)};
  record.log_dirs = {{1000, static_cast<std::uint64_t>(id)}};
  record.fenced = fenced;
  auto& endpoint = record.end_points.emplace_back();
  endpoint.name = "PLAINTEXT";
  endpoint.host = "host";
  endpoint.port = 9092;
  auto& feature = record.features.emplace_back();
  feature.name = "metadata.version";
  feature.min_supported_version = 25;
  feature.max_supported_version = 30;
  return record;
}

inline std::expected<ImagePtr, std::string> fold(const std::vector<Record>& records,
                                                 ImagePtr base = empty_image("cluster")) {
  ImageBuilder builder(std::move(base));
  for (const Record& record : records) {
    if (auto applied = builder.apply(record); !applied) return std::unexpected(applied.error());
  }
  return builder.publish({.offset = 1, .epoch = 1, .timestamp = 1});
}

inline ImagePtr image_of(const std::vector<Record>& records,
                         ImagePtr base = empty_image("cluster")) {
  auto image = fold(records, base);
  EXPECT_TRUE(image.has_value()) << image.error();
  return image.value_or(base);
}

// Two images that say the same have the same records.
inline std::vector<Bytes> bytes_of(const Image& image) {
  std::vector<Bytes> bytes;
  for (const Record& record : records_of(image)) bytes.push_back(encode_record(record));
  return bytes;
}

}  // namespace ottla::metadata::testing
