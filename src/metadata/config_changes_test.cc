// What changes of configs do to each kind of resource, and what is refused.
#include "metadata/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/metadata_testing.h"
#include "metadata/topic_config.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

constexpr std::int8_t kSet = 0;
constexpr std::int8_t kRemove = 1;
constexpr std::int8_t kAppend = 2;
constexpr std::int8_t kSubtract = 3;

class ConfigChangesTest : public ::testing::Test {
 protected:
  using Result = std::expected<std::vector<Record>, Refusal>;

  Result change(ResourceType type, std::string name, std::vector<ConfigChange> configs,
                bool replaces_all = false) {
    auto records = change_configs(*image, {.type = static_cast<std::int8_t>(type),
                                           .name = std::move(name),
                                           .configs = std::move(configs),
                                           .replaces_all = replaces_all});
    if (records) image = image_of(*records, image);
    return records;
  }
  Result topic(std::vector<ConfigChange> configs) {
    return change(ResourceType::topic, "t", std::move(configs));
  }
  ErrorCode code(const Result& result) { return result ? ErrorCode::none : result.error().code; }
  std::string message(const Result& result) { return result ? "" : result.error().message; }
  const ConfigMap& configs(ResourceType type = ResourceType::topic, std::string_view name = "t") {
    return image->configs->of(type, name);
  }

  ImagePtr image = image_of({feature_record("metadata.version", 30), topic_record("t", {1, 1}),
                             partition_record({1, 1}, 0, {1}, {1}, 1), broker_record(1, 5)});
};

TEST_F(ConfigChangesTest, SetsAndRemoves) {
  EXPECT_THAT(topic({{"retention.ms", kSet, "5"}, {"segment.ms", kSet, " 77 "}}).value(),
              SizeIs(2));
  EXPECT_EQ(configs(), (ConfigMap{{"retention.ms", "5"}, {"segment.ms", "77"}}));
  EXPECT_THAT(topic({{"retention.ms", kRemove, std::nullopt}, {"never.set", kRemove, "x"}}).value(),
              SizeIs(1));
  EXPECT_EQ(configs(), (ConfigMap{{"segment.ms", "77"}}));
  EXPECT_THAT(topic({{"segment.ms", kSet, "77"}}).value(), IsEmpty());  // it is so already
  EXPECT_THAT(topic({}).value(), IsEmpty());
}

TEST_F(ConfigChangesTest, AppendsToAndTakesFromLists) {
  ASSERT_TRUE(topic({{"cleanup.policy", kAppend, "compact"}}));
  EXPECT_EQ(configs().at("cleanup.policy"), "delete,compact");  // from the default
  ASSERT_TRUE(topic({{"cleanup.policy", kAppend, "compact, delete"}}));
  EXPECT_EQ(configs().at("cleanup.policy"), "delete,compact");
  ASSERT_TRUE(topic({{"cleanup.policy", kSubtract, "delete,never"}}));
  EXPECT_EQ(configs().at("cleanup.policy"), "compact");
  ASSERT_TRUE(topic({{"cleanup.policy", kSubtract, "compact"}}));
  EXPECT_EQ(configs().at("cleanup.policy"), "");
  ASSERT_TRUE(topic({{"cleanup.policy", kAppend, "delete"}}));
  EXPECT_EQ(configs().at("cleanup.policy"), "delete");  // from what was set, which was nothing
  EXPECT_EQ(code(topic({{"cleanup.policy", kAppend, "shred"}})), ErrorCode::invalid_config);
  EXPECT_EQ(message(topic({{"retention.ms", kAppend, "1"}})),
            "Can't APPEND to key retention.ms because its type is not LIST.");
  EXPECT_EQ(message(topic({{"no.such", kSubtract, "1"}})),
            "Can't SUBTRACT to key no.such because its type is not LIST.");
  EXPECT_EQ(configs().at("cleanup.policy"), "delete");
}

TEST_F(ConfigChangesTest, ReplacesAllThatIsNotNamed) {
  ASSERT_TRUE(topic({{"retention.ms", kSet, "5"}, {"segment.ms", kSet, "77"}}));
  ASSERT_TRUE(change(ResourceType::topic, "t", {{"retention.ms", kSet, "6"}}, true));
  EXPECT_EQ(configs(), (ConfigMap{{"retention.ms", "6"}}));
  ASSERT_TRUE(change(ResourceType::topic, "t", {}, true));
  EXPECT_EQ(configs(), ConfigMap{});
}

// One config that can't be leaves all of its resource as it was.
TEST_F(ConfigChangesTest, RefusesTheWholeResource) {
  EXPECT_EQ(code(topic({{"retention.ms", kSet, "5"}, {"segment.ms", kSet, "soon"}})),
            ErrorCode::invalid_config);
  EXPECT_EQ(configs(), ConfigMap{});
}

TEST_F(ConfigChangesTest, RefusesWhatIsNoChange) {
  EXPECT_EQ(message(topic({{"a", kSet, "1"}, {"a", kRemove, "2"}})),
            "Error due to duplicate config keys");
  const auto without = topic({{"a", kSet, std::nullopt}, {"b", kAppend, std::nullopt}});
  EXPECT_EQ(code(without), ErrorCode::invalid_request);
  EXPECT_EQ(message(without), "Null value not supported for : a, b");
  for (const std::int8_t operation : {-1, 4, 127}) {
    EXPECT_EQ(code(topic({{"retention.ms", operation, "1"}})), ErrorCode::invalid_request);
  }
  for (const int type : {-1, 0, 1, 3, 8, 16, 99}) {
    EXPECT_EQ(code(change(static_cast<ResourceType>(type), "t", {{"retention.ms", kSet, "1"}})),
              ErrorCode::invalid_request)
        << type;
  }
}

TEST_F(ConfigChangesTest, RefusesTopicsThatAreNotThere) {
  const auto of = [&](std::string name, std::string value = "1") {
    return code(
        change(ResourceType::topic, std::move(name), {{"retention.ms", kSet, std::move(value)}}));
  };
  EXPECT_EQ(of("absent"), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(of("absent", "soon"), ErrorCode::invalid_config);
  EXPECT_EQ(of(""), ErrorCode::invalid_request);
  EXPECT_EQ(of("a/b"), ErrorCode::invalid_topic_exception);
}

TEST_F(ConfigChangesTest, RefusesValuesOfTopics) {
  EXPECT_EQ(message(topic({{"retention.mss", kSet, "1"}})),
            "Unknown topic config name: retention.mss (did you mean retention.ms?)");
  ASSERT_TRUE(topic({{"max.compaction.lag.ms", kSet, "10"}}));
  EXPECT_THAT(message(topic({{"min.compaction.lag.ms", kSet, "11"}})),
              HasSubstr("min.compaction.lag.ms (11) > max.compaction.lag.ms (10)"));
  for (const auto& [name, value] : {std::pair{"preallocate", "true"},
                                    {"remote.storage.enable", "TRUE"},
                                    {"leader.replication.throttled.replicas", "*"},
                                    {"follower.replication.throttled.replicas", "0:1"}}) {
    EXPECT_EQ(code(topic({{name, kSet, value}})), ErrorCode::invalid_config) << name;
  }
  EXPECT_TRUE(topic({{"preallocate", kSet, "False"}}));  // is what happens
  EXPECT_EQ(configs().at("preallocate"), "false");
}

TEST_F(ConfigChangesTest, Brokers) {
  const auto broker = [&](std::string name, std::string config, std::string value) {
    return change(ResourceType::broker, std::move(name), {{std::move(config), kSet, value}});
  };
  ASSERT_TRUE(broker("", "log.retention.ms", "5"));
  ASSERT_TRUE(broker("1", "log.retention.ms", "6"));
  EXPECT_EQ(configs(ResourceType::broker, "").at("log.retention.ms"), "5");
  EXPECT_EQ(configs(ResourceType::broker, "1").at("log.retention.ms"), "6");
  const auto read_only =
      change(ResourceType::broker, "1",
             {{"node.id", kSet, "2"}, {"message.max.bytes", kSet, "x"}, {"log.dirs", kSet, "x"}});
  EXPECT_EQ(code(read_only), ErrorCode::invalid_request);
  EXPECT_EQ(message(read_only), "Cannot update these configs dynamically: [node.id, log.dirs]");
  EXPECT_EQ(code(broker("", "message.max.bytes", "x")), ErrorCode::invalid_request);
  EXPECT_EQ(code(broker("", "no.such", "x")), ErrorCode::invalid_config);
  EXPECT_EQ(code(broker("", "retention.ms", "5")), ErrorCode::invalid_config);  // of topics
  EXPECT_EQ(code(broker("x", "message.max.bytes", "1")), ErrorCode::invalid_request);
  EXPECT_EQ(code(broker("-1", "message.max.bytes", "1")), ErrorCode::invalid_request);
  EXPECT_EQ(code(broker("9", "message.max.bytes", "1")), ErrorCode::broker_id_not_registered);
  EXPECT_EQ(code(broker("01", "message.max.bytes", "1")), ErrorCode::broker_id_not_registered);
  EXPECT_THAT(change(ResourceType::broker, "1", {{"node.id", kRemove, std::nullopt}}).value(),
              IsEmpty());
}

TEST_F(ConfigChangesTest, Groups) {
  const auto group = [&](std::string name, std::string config, std::string value) {
    return change(ResourceType::group, std::move(name), {{std::move(config), kSet, value}});
  };
  ASSERT_TRUE(group("g", "consumer.session.timeout.ms", "50000"));
  EXPECT_EQ(configs(ResourceType::group, "g").at("consumer.session.timeout.ms"), "50000");
  EXPECT_EQ(code(group("g", "consumer.session.timeout.ms", "1")), ErrorCode::invalid_config);
  EXPECT_EQ(code(group("g", "no.such", "1")), ErrorCode::invalid_config);
  EXPECT_EQ(code(group("", "no.such", "1")), ErrorCode::invalid_request);
}

TEST_F(ConfigChangesTest, GroupsWithConfigsHaveABound) {
  std::vector<Record> many;
  for (std::size_t i = 0; i < kResourcesWithConfigsMax; ++i) {
    many.push_back(config_record(ResourceType::group, std::to_string(i),
                                 "consumer.session.timeout.ms", "50000"));
  }
  image = image_of(many, image);
  EXPECT_EQ(code(change(ResourceType::group, "another",
                        {{"consumer.session.timeout.ms", kSet, "50001"}})),
            ErrorCode::policy_violation);
  EXPECT_TRUE(change(ResourceType::group, "7", {{"consumer.session.timeout.ms", kSet, "50001"}}));
}

// KIP-966: the least ISR decides who is eligible.
TEST_F(ConfigChangesTest, ALeastIsrClearsWhatWasEligible) {
  const auto clears = [](const std::vector<Record>& records) -> std::optional<std::string> {
    const auto* clear = std::get_if<wire::ClearElrRecord>(&records.back());
    return clear ? std::optional(clear->topic_name) : std::nullopt;
  };
  EXPECT_EQ(clears(topic({{"min.insync.replicas", kSet, "2"}}).value()), std::nullopt);
  image = image_of({feature_record("eligible.leader.replicas.version", 1)}, image);
  EXPECT_EQ(clears(topic({{"min.insync.replicas", kSet, "3"}}).value()), "t");
  EXPECT_EQ(clears(topic({{"retention.ms", kSet, "3"}}).value()), std::nullopt);
  const auto broker = [&](std::string name, std::int8_t operation, bool replaces_all = false) {
    return change(ResourceType::broker, std::move(name), {{"min.insync.replicas", operation, "2"}},
                  replaces_all);
  };
  EXPECT_EQ(clears(broker("", kSet).value()), "");
  EXPECT_EQ(code(broker("", kRemove)), ErrorCode::invalid_config);
  EXPECT_EQ(code(change(ResourceType::broker, "", {}, true)), ErrorCode::invalid_config);
  EXPECT_EQ(code(broker("1", kSet)), ErrorCode::invalid_config);
  EXPECT_EQ(code(broker("1", kRemove)), ErrorCode::invalid_config);
}

// --- which place counts

TEST(TopicConfigLayersTest, TheNearestPlaceCounts) {
  const ConfigMap file{{"log.segment.bytes", "5"}};
  std::vector<Record> records;
  const auto segment_bytes = [&] {
    const ImagePtr image = image_of(records);
    const auto found = TopicConfigLayers::of(*image->configs, file, 1, "t")
                           .get(*find_topic_config("segment.bytes"));
    return std::pair(std::string(found.value), found.source);
  };
  EXPECT_EQ(segment_bytes(), std::pair(std::string("5"), ConfigSource::static_broker));
  records.push_back(config_record(ResourceType::broker, "2", "log.segment.bytes", "6"));
  EXPECT_EQ(segment_bytes().first, "5");  // another broker's
  records.push_back(config_record(ResourceType::broker, "", "log.segment.bytes", "7"));
  EXPECT_EQ(segment_bytes(), std::pair(std::string("7"), ConfigSource::dynamic_default_broker));
  records.push_back(config_record(ResourceType::broker, "1", "log.segment.bytes", "8"));
  EXPECT_EQ(segment_bytes(), std::pair(std::string("8"), ConfigSource::dynamic_broker));
  records.push_back(config_record(ResourceType::topic, "t", "segment.bytes", "9"));
  EXPECT_EQ(segment_bytes(), std::pair(std::string("9"), ConfigSource::topic));
}

}  // namespace
}  // namespace ottla::metadata
