#include "storage/log_directory.h"

#include <gtest/gtest.h>

namespace ottla::storage {
namespace {

const Uuid kUnique{0x0123456789abcdef, 0xfedcba9876543210};

TEST(TopicName, Rules) {
  for (const char* name : {"a", "A-b_c.9", "...", "__cluster_metadata", "-", "a.b"}) {
    EXPECT_TRUE(is_topic_name(name)) << name;
  }
  for (const char* name : {"", ".", "..", "a/b", "a b", "\xc3\xa4", "a\n", "a:b"}) {
    EXPECT_FALSE(is_topic_name(name)) << name;
  }
  EXPECT_TRUE(is_topic_name(std::string(249, 'x')));
  EXPECT_FALSE(is_topic_name(std::string(250, 'x')));
  EXPECT_TRUE(topic_names_collide("a.b", "a_b"));
  EXPECT_FALSE(topic_names_collide("a.b", "a-b"));
}

TEST(PartitionDirectory, NamesAreReadBack) {
  const TopicPartition partition{"my-topic.x", 12};
  EXPECT_EQ(partition_directory_name(partition), "my-topic.x-12");
  EXPECT_EQ(parse_partition_directory("my-topic.x-12"),
            (PartitionDirectory{partition, PartitionDirectoryState::live, {}}));
  using enum PartitionDirectoryState;
  for (const auto& [state, end] :
       {std::pair(deleted, "-delete"), std::pair(stray, "-stray"), std::pair(future, "-future")}) {
    const std::string name = partition_directory_name(partition, state, kUnique);
    EXPECT_EQ(name, std::string("my-topic.x-12.0123456789abcdeffedcba9876543210") + end);
    EXPECT_EQ(parse_partition_directory(name), (PartitionDirectory{partition, state, kUnique}));
  }
}

TEST(PartitionDirectory, LongTopicIsCutToAFileName) {
  const TopicPartition partition{std::string(249, 'x'), 1234};
  const std::string name =
      partition_directory_name(partition, PartitionDirectoryState::deleted, kUnique);
  EXPECT_EQ(name.size(), 255u);
  const auto parsed = parse_partition_directory(name);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->partition.partition, 1234);
  EXPECT_EQ(parsed->unique, kUnique);
}

TEST(PartitionDirectory, StrangersAreNotOurs) {
  for (const char* name :
       {"plain", "topic-", "topic-x", "-5", "topic-01", "to/pic-1", "topic-99999999999",
        "ottla-journal", "remote-log-index-cache", "topic-1.0123-delete",
        "topic-1.0123456789abcdeffedcba987654321X-delete"}) {
    EXPECT_EQ(parse_partition_directory(name), std::nullopt) << name;
  }
  EXPECT_EQ(parse_partition_directory("topic--1")->partition, (TopicPartition{"topic-", 1}));
  // As with Kafka: a topic may be called anything that is legal.
  EXPECT_TRUE(parse_partition_directory("topic-1.0123-delete-5"));
}

TEST(RootName, IsClassified) {
  using enum RootName;
  EXPECT_EQ(classify_root_name("meta.properties", false), kafka_file);
  EXPECT_EQ(classify_root_name(".kafka_cleanshutdown", false), kafka_file);
  EXPECT_EQ(classify_root_name("shard-0-1.journal.ottla", false), own_file);
  EXPECT_EQ(classify_root_name("meta.properties.tmp", false), leftover);
  EXPECT_EQ(classify_root_name("shard-0-1.journal.ottla.tmp", false), leftover);
  EXPECT_EQ(classify_root_name("holiday.tmp", false), unknown_file);
  EXPECT_EQ(classify_root_name("holiday.jpg", false), unknown_file);
  EXPECT_EQ(classify_root_name("orders-3", true), partition);
  EXPECT_EQ(classify_root_name("__cluster_metadata-0", true), metadata_log);
  EXPECT_EQ(classify_root_name("remote-log-index-cache", true), kafka_other);
  EXPECT_EQ(classify_root_name("lost+found", true), unknown_directory);
  EXPECT_EQ(classify_root_name("meta.properties", true), unknown_directory);
}

MetaProperties sample() {
  return {.cluster_id = "4L6g3nShT-eMCtK--X86sw", .node_id = 7, .directory_id = {1, 2}};
}

TEST(MetaProperties, SurvivesItsFile) {
  EXPECT_EQ(parse_meta_properties(serialize_meta_properties(sample())).value(), sample());
  EXPECT_EQ(
      parse_meta_properties(serialize_meta_properties(sample(), "Sat Nov 21 11:45:31 UTC 2026"))
          .value(),
      sample());
}

TEST(MetaProperties, JavasWaysToWriteALine) {
  const std::string id = Uuid{1, 2}.to_string();
  const auto parsed = parse_meta_properties(
      "! note\n\n  version = 1\r\nnode.id: 7\ncluster.id c\n"
      "directory.id=" +
      id + "\nnew.key=x\n");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->cluster_id, "c");
  EXPECT_EQ(parsed->node_id, 7);
}

TEST(MetaProperties, RefusesWhatIsMissingOrWrong) {
  const std::string good = serialize_meta_properties(sample());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return parse_meta_properties(text);
  };
  EXPECT_FALSE(with("version=1", "version=0"));
  EXPECT_FALSE(with("version=1", "version=2"));
  EXPECT_FALSE(with("node.id=7", "node.id=-7"));
  EXPECT_FALSE(with("node.id=7", "node.id=x"));
  EXPECT_FALSE(with("node.id=7\n", ""));
  EXPECT_FALSE(with("cluster.id=4L6g3nShT-eMCtK--X86sw", "cluster.id="));
  EXPECT_FALSE(with("directory.id=", "directory.id=x"));
  EXPECT_FALSE(with("node.id=7", "node.id=7\nnode.id=8"));
  EXPECT_FALSE(parse_meta_properties(""));
}

TEST(PartitionMetadata, IsKafkasText) {
  const Uuid id{3, 4};
  const std::string text = serialize_partition_metadata(id);
  EXPECT_EQ(text, "version: 0\ntopic_id: " + id.to_string());
  EXPECT_EQ(parse_partition_metadata(text).value(), id);
  EXPECT_EQ(parse_partition_metadata(text + "\n").value(), id);
  for (const std::string& bad :
       {std::string(), std::string("version: 1\ntopic_id: ") + id.to_string(),
        text.substr(0, text.size() - 1), text + "\nx", std::string("version: 0\n"),
        serialize_partition_metadata({})}) {
    EXPECT_FALSE(parse_partition_metadata(bad)) << bad;
  }
}

TEST(CleanShutdown, IsKafkasJson) {
  EXPECT_EQ(serialize_clean_shutdown(2923), "{\"version\":0,\"brokerEpoch\":2923}");
  EXPECT_EQ(parse_clean_shutdown("{\"version\":0,\"brokerEpoch\":2923}").value(), 2923);
  EXPECT_EQ(parse_clean_shutdown(" { \"brokerEpoch\" : -1 ,\n \"version\" : 0 } ").value(), -1);
  for (const char* bad : {"", "{}", "{\"version\":1,\"brokerEpoch\":5}", "{\"version\":0}", "[0]",
                          "{\"version\":0,\"brokerEpoch\":x}", "{\"version\":0,\"brokerEpoch\":5",
                          "{version:0,brokerEpoch:5}", "{\"version\":0,\"brokerEpoch\":}"}) {
    EXPECT_FALSE(parse_clean_shutdown(bad)) << bad;
  }
}

}  // namespace
}  // namespace ottla::storage
