#include "metadata/config_definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::metadata {
namespace {

bool accepts(std::string_view name, std::string_view value) {
  return validate_config(*find_topic_config(name), value).has_value();
}

TEST(ConfigDefinitions, DefaultsPassTheirOwnValidation) {
  for (const auto table : {topic_configs(), broker_configs(), group_configs()}) {
    for (const ConfigDefinition& definition : table) {
      if (definition.default_is_null) continue;
      const auto valid = validate_config(definition, definition.default_value);
      EXPECT_TRUE(valid.has_value()) << definition.name << ": " << valid.error();
      EXPECT_FALSE(definition.documentation.empty()) << definition.name;
    }
  }
}

TEST(ConfigDefinitions, NamesOfATableAreUniqueAndFindThemselves) {
  for (const ConfigDefinition& definition : topic_configs())
    EXPECT_EQ(find_topic_config(definition.name), &definition);
  for (const ConfigDefinition& definition : broker_configs())
    EXPECT_EQ(find_broker_config(definition.name), &definition);
  EXPECT_EQ(find_topic_config("no.such"), nullptr);
  EXPECT_EQ(find_topic_config(""), nullptr);
}

// What a topic may set, a broker has a default for; both must be read by the same rule.
TEST(ConfigDefinitions, ATopicConfigAndItsBrokerSettingAgree) {
  for (const ConfigDefinition& topic : topic_configs()) {
    if (topic.node_name.empty()) continue;
    const ConfigDefinition* broker = find_broker_config(topic.node_name);
    ASSERT_NE(broker, nullptr) << topic.name;
    EXPECT_EQ(broker->type, topic.type) << topic.name;
    if (!broker->default_is_null) {
      EXPECT_EQ(broker->default_value, topic.default_value) << topic.name;
    }
    EXPECT_EQ(broker->one_of, topic.one_of) << topic.name;
    EXPECT_EQ(broker->at_least, topic.at_least) << topic.name;
    EXPECT_EQ(broker->at_most, topic.at_most) << topic.name;
  }
}

TEST(ConfigDefinitions, EveryTopicConfigOfKafkaIsThere) {
  for (const std::string_view name : {"cleanup.policy",
                                      "retention.ms",
                                      "retention.bytes",
                                      "segment.bytes",
                                      "segment.ms",
                                      "segment.jitter.ms",
                                      "segment.index.bytes",
                                      "index.interval.bytes",
                                      "max.message.bytes",
                                      "compression.type",
                                      "compression.gzip.level",
                                      "compression.lz4.level",
                                      "compression.zstd.level",
                                      "min.insync.replicas",
                                      "unclean.leader.election.enable",
                                      "message.timestamp.type",
                                      "message.timestamp.before.max.ms",
                                      "message.timestamp.after.max.ms",
                                      "min.cleanable.dirty.ratio",
                                      "min.compaction.lag.ms",
                                      "max.compaction.lag.ms",
                                      "delete.retention.ms",
                                      "file.delete.delay.ms",
                                      "flush.messages",
                                      "flush.ms",
                                      "preallocate",
                                      "leader.replication.throttled.replicas",
                                      "follower.replication.throttled.replicas",
                                      "remote.storage.enable",
                                      "local.retention.ms",
                                      "local.retention.bytes",
                                      "remote.log.copy.disable",
                                      "remote.log.delete.on.disable"}) {
    EXPECT_NE(find_topic_config(name), nullptr) << name;
  }
  EXPECT_EQ(find_topic_config("message.format.version"), nullptr);  // gone since 4.0
}

TEST(ConfigDefinitions, NumbersAreRead) {
  EXPECT_TRUE(accepts("retention.ms", "-1"));
  EXPECT_FALSE(accepts("retention.ms", "-2"));
  EXPECT_TRUE(accepts("retention.ms", "9223372036854775807"));
  EXPECT_FALSE(accepts("retention.ms", "9223372036854775808"));
  EXPECT_FALSE(accepts("segment.bytes", "2147483648"));
  EXPECT_FALSE(accepts("segment.bytes", "1048575"));
  EXPECT_TRUE(accepts("segment.bytes", "1048576"));
  for (const std::string_view text : {"", " ", "1x", "0x10", "1.5", "one"})
    EXPECT_FALSE(accepts("retention.ms", text)) << text;
  EXPECT_TRUE(accepts("min.cleanable.dirty.ratio", "0.25"));
  EXPECT_FALSE(accepts("min.cleanable.dirty.ratio", "1.5"));
  EXPECT_FALSE(accepts("min.cleanable.dirty.ratio", "nan"));
  EXPECT_FALSE(accepts("min.cleanable.dirty.ratio", "inf"));
  EXPECT_TRUE(accepts("compression.gzip.level", "-1"));
  EXPECT_TRUE(accepts("compression.gzip.level", "9"));
  EXPECT_FALSE(accepts("compression.gzip.level", "0"));
  EXPECT_FALSE(accepts("compression.gzip.level", "10"));
}

TEST(ConfigDefinitions, WordsAreRead) {
  EXPECT_TRUE(accepts("cleanup.policy", "compact,delete"));
  EXPECT_TRUE(accepts("cleanup.policy", "compact, delete"));
  EXPECT_TRUE(accepts("cleanup.policy", ""));  // keep for ever
  EXPECT_FALSE(accepts("cleanup.policy", "delete,"));
  EXPECT_FALSE(accepts("cleanup.policy", ",delete"));
  EXPECT_FALSE(accepts("cleanup.policy", "shred"));
  EXPECT_TRUE(accepts("compression.type", "zstd"));
  EXPECT_FALSE(accepts("compression.type", "zst"));
  EXPECT_FALSE(accepts("compression.type", ""));
  EXPECT_TRUE(accepts("unclean.leader.election.enable", "true"));
  EXPECT_FALSE(accepts("unclean.leader.election.enable", "yes"));
}

TEST(ConfigDefinitions, OneValueIsWrittenInOneWay) {
  const auto canonical = [](std::string_view name, std::string_view value) {
    return canonical_config(*find_topic_config(name), value);
  };
  EXPECT_EQ(canonical("retention.ms", " 5 "), "5");
  EXPECT_EQ(canonical("preallocate", " True"), "true");
  EXPECT_EQ(canonical("cleanup.policy", " delete , compact,delete"), "delete,compact");
  EXPECT_EQ(canonical("cleanup.policy", "  "), "");
  EXPECT_EQ(canonical("cleanup.policy", "delete,"), "delete,");  // refused, not mended
  EXPECT_EQ(canonical("compression.type", "ZSTD "), "ZSTD");
}

TEST(ConfigDefinitions, WhatIsNotDoneIsRefused) {
  EXPECT_TRUE(accepts("preallocate", "false"));
  EXPECT_FALSE(accepts("preallocate", "true"));
  EXPECT_FALSE(accepts("remote.storage.enable", "true"));
  EXPECT_FALSE(accepts("leader.replication.throttled.replicas", "*"));
  const auto refused = validate_config(*find_broker_config("log.preallocate"), "true");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(),
            "Invalid value true for configuration log.preallocate: a segment takes its space as it "
            "grows");
}

TEST(ConfigDefinitions, ARefusalNamesConfigValueAndRule) {
  const auto refused = validate_config(*find_topic_config("segment.bytes"), "14");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(),
            "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576");
}

TEST(ConfigDefinitions, AMisspeltNameHasAnEar) {
  EXPECT_EQ(nearest_config(topic_configs(), "retention.mss"), "retention.ms");
  EXPECT_EQ(nearest_config(topic_configs(), "cleanup.polcy"), "cleanup.policy");
  EXPECT_EQ(nearest_config(topic_configs(), "something.else.entirely"), "");
  EXPECT_EQ(nearest_config(topic_configs(), std::string(30'000, 'a')), "");
}

}  // namespace
}  // namespace ottla::metadata
