// The assignors: exact cases, and what holds for every input.
#include "coordinator/assignor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <set>

namespace ottla::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Uuid kT{1, 1};
constexpr Uuid kU{1, 2};

AssignmentMember member(std::string id, std::vector<Uuid> topics, PartitionSet current = {}) {
  return {.id = std::move(id),
          .instance_id = {},
          .topics = std::move(topics),
          .current = std::move(current)};
}
TopicIdPartition t(PartitionIndex index) { return {kT, index}; }
TopicIdPartition u(PartitionIndex index) { return {kU, index}; }

TEST(Range, GivesContiguousRangesOfEachTopic) {
  const auto assignment =
      assign_range({.members = {member("a", {kT, kU}), member("b", {kT, kU}), member("c", {kT})},
                    .partitions = {{kT, 4}, {kU, 3}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(t(0), t(1), u(0), u(1)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(t(2), u(2)));
  EXPECT_THAT(assignment.at("c"), ElementsAre(t(3)));
}

TEST(Range, PairsTheSamePartitionsOfLikeTopics) {
  const auto assignment = assign_range({.members = {member("b", {kT, kU}), member("a", {kT, kU})},
                                        .partitions = {{kT, 3}, {kU, 3}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(t(0), t(1), u(0), u(1)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(t(2), u(2)));
}

TEST(Range, StaticMembersComeFirstWhateverTheirIds) {
  auto fixed = member("z", {kT});
  fixed.instance_id = "S";
  const auto assignment =
      assign_range({.members = {member("a", {kT}), fixed}, .partitions = {{kT, 3}}});
  EXPECT_THAT(assignment.at("z"), ElementsAre(t(0), t(1)));
}

TEST(Uniform, NewcomersTakeNoMoreThanTheirShare) {
  const auto assignment =
      assign_uniform({.members = {member("a", {kT}, {t(0), t(1), t(2), t(3)}), member("b", {kT})},
                      .partitions = {{kT, 4}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(t(0), t(1)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(t(2), t(3)));
}

TEST(Uniform, TheLargerSharesStayWhereTheyAre) {
  const auto assignment =
      assign_uniform({.members = {member("a", {kT}, {t(0)}), member("b", {kT}, {t(1), t(2)})},
                      .partitions = {{kT, 3}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(t(0)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(t(1), t(2)));
}

TEST(Uniform, WhoMayHaveLessGetsItFirst) {
  const auto assignment = assign_uniform(
      {.members = {member("a", {kT, kU}), member("b", {kT})}, .partitions = {{kT, 2}, {kU, 2}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(u(0), u(1)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(t(0), t(1)));
}

TEST(Uniform, TopicsThatAreGoneAndPartitionsThatNeverWereAreLeftOut) {
  const auto assignment = assign_uniform(
      {.members = {member("a", {kT, kU}, {t(7), {kU, 0}, {kT, -1}})}, .partitions = {{kT, 1}}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(t(0)));
}

TEST(Assignors, NobodyGetsNothing) {
  EXPECT_THAT(assign_uniform({.members = {}, .partitions = {{kT, 2}}}), IsEmpty());
  EXPECT_THAT(assign_range({.members = {member("a", {})}, .partitions = {{kT, 2}}}).at("a"),
              IsEmpty());
}

// Random groups: some subscribe alike, some do not.
class RandomGroups : public ::testing::TestWithParam<int> {
 protected:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  AssignmentInput make() {
    AssignmentInput input;
    const std::size_t topics = 1 + below(5);
    for (std::size_t i = 0; i < topics; ++i)
      input.partitions[{3, i}] = static_cast<std::int32_t>(below(12));
    const bool is_alike = below(2) == 0;
    const std::size_t members = 1 + below(8);
    for (std::size_t i = 0; i < members; ++i) {
      auto& each = input.members.emplace_back(member("m" + std::to_string(i), {}));
      if (below(3) == 0) each.instance_id = "i" + std::to_string(below(1000));
      for (const auto& [topic, count] : input.partitions) {
        if (is_alike || below(2) == 0) each.topics.push_back(topic);
      }
    }
    return input;
  }

  static void expect_each_partition_has_one_owner(const AssignmentInput& input,
                                                  const Assignment& assignment) {
    std::set<TopicIdPartition> given;
    for (const AssignmentMember& each : input.members) {
      const PartitionSet& partitions = assignment.at(each.id);
      EXPECT_TRUE(std::ranges::is_sorted(partitions));
      for (const TopicIdPartition& partition : partitions) {
        EXPECT_TRUE(given.insert(partition).second) << "two owners";
        EXPECT_TRUE(std::ranges::binary_search(each.topics, partition.topic_id));
        EXPECT_LT(partition.partition, input.partitions.at(partition.topic_id));
      }
    }
    std::size_t wanted = 0;
    for (const auto& [topic, count] : input.partitions) {
      const bool has_reader = std::ranges::any_of(input.members, [&](const auto& each) {
        return std::ranges::binary_search(each.topics, topic);
      });
      if (has_reader) wanted += static_cast<std::size_t>(count);
    }
    EXPECT_EQ(given.size(), wanted);
  }

  // No partition can go to somebody who has two less.
  static void expect_balance(const AssignmentInput& input, const Assignment& assignment) {
    for (const AssignmentMember& giver : input.members) {
      for (const AssignmentMember& taker : input.members) {
        if (assignment.at(giver.id).size() < assignment.at(taker.id).size() + 2) continue;
        for (const TopicIdPartition& partition : assignment.at(giver.id)) {
          EXPECT_FALSE(std::ranges::binary_search(taker.topics, partition.topic_id))
              << giver.id << " has more than " << taker.id << ", which may have one of them";
        }
      }
    }
  }

  std::mt19937_64 random_{static_cast<std::uint64_t>(GetParam())};
};

TEST_P(RandomGroups, AreAssignedWhollyAndEvenly) {
  for (int round = 0; round < 100; ++round) {
    AssignmentInput input = make();
    expect_each_partition_has_one_owner(input, assign_range(input));
    Assignment before = assign_uniform(input);
    expect_each_partition_has_one_owner(input, before);
    expect_balance(input, before);
    for (AssignmentMember& each : input.members) each.current = before.at(each.id);
    EXPECT_EQ(assign_uniform(input), before) << "moved without a reason";

    // Somebody goes: what the others have stays theirs.
    const std::string gone = input.members.back().id;
    const bool is_alike = std::ranges::all_of(input.members, [&](const AssignmentMember& each) {
      return each.topics == input.members[0].topics;
    });
    input.members.pop_back();
    const Assignment after = assign_uniform(input);
    expect_each_partition_has_one_owner(input, after);
    expect_balance(input, after);
    if (!is_alike) continue;
    for (const auto& [id, partitions] : before) {
      if (id == gone) continue;
      EXPECT_THAT(without(partitions, after.at(id)), IsEmpty()) << "taken from " << id;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGroups, ::testing::Range(0, 10));

}  // namespace
}  // namespace ottla::coordinator
