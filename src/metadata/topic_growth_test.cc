// What CreatePartitions makes of one topic, and what it refuses.
#include "metadata/topic_growth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/metadata_testing.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

class TopicGrowthTest : public ::testing::Test {
 protected:
  using Assignments = std::optional<std::vector<std::vector<NodeId>>>;
  std::expected<std::vector<Record>, Refusal> grow(std::int32_t partitions,
                                                   Assignments assignments = {},
                                                   std::string topic = "t") {
    auto records = grow_topic(
        *image, {.topic = std::move(topic), .partitions = partitions, .assignments = assignments});
    if (records) image = image_of(*records, image);
    return records;
  }
  ErrorCode code(std::int32_t partitions, Assignments assignments = {}, std::string topic = "t") {
    const auto before = image;
    const auto result = grow(partitions, std::move(assignments), std::move(topic));
    if (!result) {
      EXPECT_EQ(image, before);
    }
    return result ? ErrorCode::none : result.error().code;
  }
  const std::vector<PartitionImage>& partitions() { return image->topics->find("t")->partitions; }

  ImagePtr image = image_of({feature_record("metadata.version", 30), topic_record("t", {1, 1}),
                             partition_record({1, 1}, 0, {1, 2}, {1, 2}, 1),
                             partition_record({1, 1}, 1, {2, 1}, {2, 1}, 2), broker_record(1, 5),
                             broker_record(2, 6), broker_record(3, 7, true)});
};

TEST_F(TopicGrowthTest, BrokersTakeTurns) {
  EXPECT_THAT(grow(5).value(), SizeIs(3));
  ASSERT_THAT(partitions(), SizeIs(5));
  for (std::size_t index = 2; index < 5; ++index) {
    const PartitionImage& made = partitions()[index];
    EXPECT_THAT(made.replicas, SizeIs(2)) << index;  // as many as the others have
    EXPECT_EQ(made.isr, made.replicas);              // the fenced one is not needed
    EXPECT_EQ(made.leader, made.replicas.front());
    EXPECT_EQ(made.leader_epoch, 0);
    EXPECT_EQ(made.directories.front().high, 1000U);
  }
  EXPECT_NE(partitions()[2].leader, partitions()[3].leader);
}

TEST_F(TopicGrowthTest, ByHand) {
  EXPECT_THAT(grow(4, {{{2, 1}, {1, 3}}}).value(), SizeIs(2));
  EXPECT_THAT(partitions()[2].replicas, ElementsAre(2, 1));
  EXPECT_EQ(partitions()[2].leader, 2);
  EXPECT_THAT(partitions()[3].replicas, ElementsAre(1, 3));
  EXPECT_THAT(partitions()[3].isr, ElementsAre(1));  // 3 is fenced
}

TEST_F(TopicGrowthTest, NeverFewerNorTheSame) {
  for (const std::int32_t count : {2, 1, 0, -1})
    EXPECT_EQ(code(count), ErrorCode::invalid_partitions);
  EXPECT_EQ(grow(2).error().message, "Topic already has 2 partition(s).");
  EXPECT_EQ(grow(1).error().message,
            "The topic t currently has 2 partition(s); 1 would not be an increase.");
}

TEST_F(TopicGrowthTest, Refusals) {
  EXPECT_EQ(code(3, {}, "none"), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(code(3, {}, ""), ErrorCode::unknown_topic_or_partition);
  const ErrorCode assignment = ErrorCode::invalid_replica_assignment;
  using List = std::vector<std::vector<NodeId>>;
  EXPECT_EQ(code(4, List{}), assignment);
  EXPECT_EQ(code(4, List{{1, 2}}), assignment);
  EXPECT_EQ(code(3, List{{1, 2}, {2, 1}}), assignment);
  EXPECT_EQ(code(3, List{{1}}), assignment);  // the others have two
  EXPECT_EQ(code(3, List{{}}), assignment);
  EXPECT_EQ(code(3, List{{1, 1}}), assignment);
  EXPECT_EQ(code(3, List{{1, 9}}), assignment);
  EXPECT_EQ(code(4, List{{1, 2}, {1, -1}}), assignment);
  image = image_of({broker_record(1, 5, true), broker_record(2, 6, true)}, image);
  EXPECT_EQ(code(3, List{{1, 2}}), assignment);
  EXPECT_EQ(code(3), ErrorCode::invalid_replication_factor);
}

TEST_F(TopicGrowthTest, HasABound) {
  EXPECT_EQ(code(10'003), ErrorCode::policy_violation);
  EXPECT_EQ(code(2'147'483'647), ErrorCode::policy_violation);
  const auto tight = grow_topic(*image, {.topic = "t", .partitions = 5, .new_partitions_max = 2});
  EXPECT_EQ(tight.error().code, ErrorCode::policy_violation);
  EXPECT_EQ(code(10'002), ErrorCode::none);
}

}  // namespace
}  // namespace ottla::metadata
