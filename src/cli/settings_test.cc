#include "cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/node_settings.h"
#include "cli/toml_file.h"

namespace ottla::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Settings from_toml(std::string_view text) {
  Settings settings;
  auto content = read_toml("node.toml", text);
  if (!content) {
    settings.add_fault(content.error());
  } else {
    settings.add_file("node.toml", content->entries);
    for (const SettingFault& fault : content->faults) settings.add_fault(fault);
  }
  return settings;
}

std::vector<std::string> faults_of(const Settings& settings) {
  std::vector<std::string> texts;
  if (auto node = resolve_node(settings); !node) {
    for (const SettingFault& fault : node.error()) texts.push_back(fault.to_string());
  }
  return texts;
}

TEST(Settings, NothingSetIsANodeOnKafkasPortWithDataHere) {
  const auto node = resolve_node(Settings());
  ASSERT_TRUE(node);
  EXPECT_EQ(node->node.node_id, 1);
  EXPECT_EQ(node->node.log_dir, "data");
  ASSERT_THAT(node->node.listeners, SizeIs(1));
  EXPECT_EQ(node->node.listeners[0].bind, (io::Endpoint{"", 9092}));
  EXPECT_FALSE(node->node.listeners[0].advertised);
  EXPECT_THAT(node->node.broker_configs, IsEmpty());
  EXPECT_TRUE(node->process.direct_io);
}

TEST(Settings, DottedQuotedAndNestedKeysAreOne) {
  for (const std::string_view text :
       {"log.dirs = 'x'", "\"log.dirs\" = \"x\"", "[log]\ndirs = 'x'", "log.\"dirs\" = ['x']"}) {
    const Settings settings = from_toml(text);
    EXPECT_EQ(settings.value_or_default("log.dirs"), "x") << text;
    EXPECT_THAT(settings.faults(), IsEmpty()) << text;
  }
}

TEST(Settings, ListsNumbersAndTruthsBecomeKafkasText) {
  const Settings settings = from_toml(
      "listeners = ['PLAINTEXT://:1', 'TWO://:2']\n"
      "num.partitions = 4\n"
      "auto.create.topics.enable = false\n"
      "log.cleaner.min.cleanable.ratio = 0.25\n");
  EXPECT_EQ(settings.value_or_default("listeners"), "PLAINTEXT://:1,TWO://:2");
  EXPECT_EQ(settings.value_or_default("num.partitions"), "4");
  EXPECT_EQ(settings.value_or_default("auto.create.topics.enable"), "false");
  EXPECT_EQ(settings.value_or_default("log.cleaner.min.cleanable.ratio"), "0.25");
}

TEST(Settings, LaterLayersWinAndSayWhereAValueComesFrom) {
  Settings settings = from_toml("num.partitions = 2\nnode.id = 7\nbroker.rack = 'r'");
  settings.add_environment({{"OTTLA_NODE_ID", "8"}, {"OTTLA_NUM_PARTITIONS", "3"}});
  settings.add_flag("--node-id", "node.id", "9");
  settings.add_assignment("num.partitions=5");
  EXPECT_EQ(*settings.find("num.partitions"), (Setting{"5", "--set"}));
  EXPECT_EQ(*settings.find("node.id"), (Setting{"9", "--node-id"}));
  EXPECT_EQ(*settings.find("broker.rack"), (Setting{"r", "node.toml:3"}));
  EXPECT_EQ(settings.place_of("log.dirs"), "default");
}

TEST(Settings, EnvironmentNamesFollowTheKeys) {
  EXPECT_EQ(environment_name("log.dirs"), "OTTLA_LOG_DIRS");
  EXPECT_EQ(environment_name("ottla.disk.direct"), "OTTLA_DISK_DIRECT");
  Settings settings;
  settings.add_environment({{"OTTLA_LOG_DIRS", "/x"}, {"OTTLA_SHARDS", "2"}});
  EXPECT_EQ(settings.value_or_default("log.dirs"), "/x");
  EXPECT_EQ(settings.value_or_default("ottla.shards"), "2");
}

TEST(Settings, OtherVariablesAreLeftAloneUnlessTheyLookMisspelt) {
  Settings settings;
  settings.add_environment({{"OTTLA_BOOTSTRAP", "x"}, {"OTTLA_UNRELATED_THING", "1"}});
  EXPECT_THAT(settings.faults(), IsEmpty());
  settings.add_environment({{"OTTLA_LOG_DIR5", "/x"}});
  ASSERT_THAT(settings.faults(), SizeIs(1));
  EXPECT_THAT(settings.faults()[0].to_string(), HasSubstr("OTTLA_LOG_DIRS"));
}

TEST(Settings, EachFaultNamesPlaceKeyCauseAndRemedy) {
  const Settings settings = from_toml(
      "num.partition = 4\n"
      "num.partitions = 'many'\n"
      "\n"
      "retention.ms = 5\n"
      "broker.id = 3\n"
      "node.id = -3\n"
      "default.replication.factor = 99999\n"
      "log.dirs = 2026-01-01\n");
  EXPECT_THAT(
      faults_of(settings),
      ElementsAre("node.toml:1: num.partition: no such setting. Did you mean num.partitions?",
                  "node.toml:2: num.partitions: \"many\" is refused: Not a number of type INT. "
                  "Correct it or leave it out; the default is 1.",
                  "node.toml:4: retention.ms: no such setting. It is a topic's config; its default "
                  "for all topics is log.retention.ms.",
                  "node.toml:5: broker.id: no such setting. Write node.id.",
                  "node.toml:6: node.id: \"-3\" is refused: Value must be at least 0. Correct it "
                  "or leave it out; the default is 1.",
                  "node.toml:8: log.dirs: a value of this kind fits no setting. Write a text, a "
                  "number, true, false, or a list of these.",
                  "node.toml:7: default.replication.factor: \"99999\" is out of range. Choose "
                  "another number."));
}

TEST(Settings, BrokenTomlNamesTheLine) {
  const auto faults = faults_of(from_toml("node.id = 1\nlisteners = PLAINTEXT://:9092\n"));
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_THAT(faults[0], testing::StartsWith("node.toml:2: not TOML: "));
}

TEST(Settings, AnAssignmentNeedsAValue) {
  Settings settings;
  settings.add_assignment("node.id");
  settings.add_assignment("=3");
  settings.add_assignment("broker.rack=");
  EXPECT_THAT(settings.faults(), SizeIs(2));
  EXPECT_EQ(settings.value_or_default("broker.rack"), "");
}

TEST(Settings, FaultsOfListenersNameTheSettingThatIsToBlame) {
  Settings settings;
  settings.add_assignment("listeners=PLAINTEXT://:9092,SSL://:9093");
  settings.add_assignment("advertised.listeners=PLAINTEXT://0.0.0.0:9092");
  settings.add_assignment("log.dirs=a,b");
  const auto faults = faults_of(settings);
  ASSERT_THAT(faults, SizeIs(3));
  EXPECT_THAT(faults[0], testing::StartsWith("--set: log.dirs: it names 2 folders"));
  EXPECT_THAT(faults[1], HasSubstr("listeners: listener SSL would speak SSL"));
  EXPECT_THAT(faults[2], HasSubstr("advertised.listeners: clients can't connect"));
}

TEST(Settings, WhatIsSetReachesTheNode) {
  Settings settings;
  for (const char* assignment : {"node.id=4",
                                 "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://:9093",
                                 "log.dirs=/var/x",
                                 "broker.rack=r1",
                                 "auto.create.topics.enable=false",
                                 "num.partitions=6",
                                 "default.replication.factor=3",
                                 "fetch.max.bytes=2048",
                                 "max.connections=10",
                                 "max.incremental.fetch.session.cache.slots=5",
                                 "max.request.partition.size.limit=7",
                                 "queued.max.request.bytes=4096",
                                 "ottla.shutdown.grace.ms=8",
                                 "broker.heartbeat.interval.ms=11",
                                 "broker.session.timeout.ms=12",
                                 "socket.request.max.bytes=9999",
                                 "connections.max.idle.ms=123",
                                 "ottla.shards=2",
                                 "ottla.disk.backend=threads",
                                 "ottla.disk.direct=false",
                                 "log.retention.ms=77",
                                 "ottla.cluster.id=AAAAAAAAAAAAAAAAAAAAAQ"}) {
    settings.add_assignment(assignment);
  }
  const auto result = resolve_node(settings);
  ASSERT_TRUE(result) << result.error()[0].to_string();
  const broker::NodeConfig& node = result->node;
  EXPECT_EQ(node.node_id, 4);
  EXPECT_EQ(node.cluster_id, "AAAAAAAAAAAAAAAAAAAAAQ");
  ASSERT_THAT(node.listeners, SizeIs(2));
  EXPECT_FALSE(node.listeners[0].is_controller);
  EXPECT_TRUE(node.listeners[1].is_controller);
  EXPECT_EQ(node.log_dir, "/var/x");
  EXPECT_EQ(node.rack, "r1");
  EXPECT_FALSE(node.auto_create_topics);
  EXPECT_EQ(node.num_partitions, 6);
  EXPECT_EQ(node.default_replication_factor, 3);
  EXPECT_EQ(node.fetch_max_bytes, 2048);
  EXPECT_EQ(node.connections_max, 10u);
  EXPECT_EQ(node.fetch_sessions_max, 5u);
  EXPECT_EQ(node.describe_partitions_max, 7);
  EXPECT_EQ(node.queued_bytes_max, 4096u);
  EXPECT_EQ(node.shutdown_grace_ms, 8);
  EXPECT_EQ(node.heartbeat_interval_ms, 11);
  EXPECT_EQ(node.session_timeout_ms, 12);
  EXPECT_EQ(node.server.frame_bytes_max, 9999u);
  EXPECT_EQ(node.server.idle_ms_max, 123);
  EXPECT_EQ(result->process.shards, 2u);
  EXPECT_EQ(result->process.disk_backend, ProcessSettings::DiskBackend::threads);
  EXPECT_FALSE(result->process.direct_io);
  EXPECT_EQ(node.broker_configs.at("log.retention.ms"), "77");
}

TEST(Settings, TheEffectiveConfigurationIsTomlThatGivesItselfAgain) {
  Settings settings = from_toml("listeners = ['PLAINTEXT://:9092']\nnum.partitions = 4");
  settings.add_assignment("broker.rack=a\"b\\c");
  const std::string text = effective_as_toml(settings);
  EXPECT_THAT(text, HasSubstr("num.partitions = 4  # node.toml:2\n"));
  EXPECT_THAT(text, HasSubstr("log.dirs = \"data\"  # default\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("ottla.cluster.id")));
  const Settings again = from_toml(text);
  EXPECT_THAT(again.faults(), IsEmpty());
  EXPECT_EQ(again.value_or_default("broker.rack"), "a\"b\\c");
  EXPECT_EQ(again.value_or_default("listeners"), "PLAINTEXT://:9092");
}

}  // namespace
}  // namespace ottla::cli
