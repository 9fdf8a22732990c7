// What configs mean to the partitions of a topic.
#include "broker/topic_settings.h"

#include <gtest/gtest.h>
#include <limits>
#include <set>

namespace ottla::broker {
namespace {

using metadata::ResourceType;

metadata::ConfigsImage configs_of(
    std::map<std::pair<ResourceType, std::string>, metadata::ConfigMap> configs) {
  metadata::ConfigsImage image;
  image.by_resource = std::move(configs);
  return image;
}

TEST(TopicSettingsTest, DynamicConfigsOfBrokersCount) {
  const metadata::ConfigMap file{{"message.max.bytes", "100"}, {"log.roll.ms", "1000"}};
  const auto configs =
      configs_of({{{ResourceType::broker, ""}, {{"message.max.bytes", "200"}}},
                  {{ResourceType::broker, "1"}, {{"log.message.timestamp.type", "LogAppendTime"}}},
                  {{ResourceType::broker, "2"}, {{"message.max.bytes", "300"}}},
                  {{ResourceType::topic, "t"}, {{"message.timestamp.type", "CreateTime"}}}});
  const TopicSettings own = resolve_topic_settings(configs, file, 1, "t");
  EXPECT_EQ(own.validation.max_message_bytes, 200);
  EXPECT_EQ(own.log.segment_ms, 1000);
  EXPECT_EQ(own.validation.message_timestamp_type, wire::TimestampType::create_time);
  EXPECT_EQ(resolve_topic_settings(configs, file, 1, "u").validation.message_timestamp_type,
            wire::TimestampType::log_append_time);
  EXPECT_EQ(resolve_topic_settings(configs, file, 2, "t").validation.max_message_bytes, 300);
}

TEST(TopicSettingsTest, JitterMakesSegmentsEndApart) {
  TopicSettings settings;
  settings.log.segment_ms = 10'000;
  settings.segment_jitter_ms = 1000;
  std::set<std::int64_t> ages;
  for (std::int32_t partition = 0; partition < 50; ++partition) {
    const TopicIdPartition id{{7, 9}, partition};
    const std::int64_t age = log_config_of(settings, id).segment_ms;
    EXPECT_GE(age, 9000);
    EXPECT_LE(age, 10'000);
    EXPECT_EQ(age, log_config_of(settings, id).segment_ms);
    ages.insert(age);
  }
  EXPECT_GT(ages.size(), 25U);
  settings.segment_jitter_ms = std::numeric_limits<std::int64_t>::max();
  for (std::int32_t partition = 0; partition < 50; ++partition)
    EXPECT_GE(log_config_of(settings, {{7, 9}, partition}).segment_ms, 1);
  settings.segment_jitter_ms = 0;
  EXPECT_EQ(log_config_of(settings, {{7, 9}, 3}).segment_ms, 10'000);
}

}  // namespace
}  // namespace ottla::broker
