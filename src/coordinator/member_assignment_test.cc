// One member's steps; that no partition ever has two owners is consumer_group_property_test.cc.
#include "coordinator/member_assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::coordinator {
namespace {

constexpr Uuid kTopic{1, 1};

TopicIdPartition p(PartitionIndex index) { return {kTopic, index}; }
bool all_free(const TopicIdPartition&) { return true; }
bool none_free(const TopicIdPartition&) { return false; }

MemberAssignment at(std::int32_t epoch, MemberState state, OwnedPartitions assigned,
                    OwnedPartitions revoking = {}) {
  return {.epoch = epoch,
          .previous_epoch = epoch - 1,
          .state = state,
          .assigned = std::move(assigned),
          .revoking = std::move(revoking)};
}

TEST(Reconcile, WhoIsThereStays) {
  const auto current = at(5, MemberState::stable, {{p(0), 3}});
  EXPECT_EQ(reconcile(current, {5, {p(0)}}, nullptr, all_free), current);
}

TEST(Reconcile, WhatIsFreeIsGivenAtOnce) {
  const auto next =
      reconcile(at(3, MemberState::stable, {{p(0), 3}}), {5, {p(0), p(1)}}, nullptr, all_free);
  EXPECT_EQ(next.epoch, 5);
  EXPECT_EQ(next.previous_epoch, 3);
  EXPECT_EQ(next.state, MemberState::stable);
  EXPECT_EQ(next.assigned, (OwnedPartitions{{p(0), 3}, {p(1), 5}}));
}

TEST(Reconcile, WhatAnotherHasIsWaitedFor) {
  auto next = reconcile(at(3, MemberState::stable, {}), {5, {p(0), p(1)}}, nullptr,
                        [](const TopicIdPartition& each) { return each == p(1); });
  EXPECT_EQ(next.epoch, 5);
  EXPECT_EQ(next.state, MemberState::unreleased_partitions);
  EXPECT_EQ(next.assigned, (OwnedPartitions{{p(1), 5}}));
  EXPECT_EQ(reconcile(next, {5, {p(0), p(1)}}, nullptr, none_free), next);
  next = reconcile(next, {5, {p(0), p(1)}}, nullptr, all_free);
  EXPECT_EQ(next.state, MemberState::stable);
  EXPECT_EQ(next.assigned, (OwnedPartitions{{p(0), 5}, {p(1), 5}}));
}

TEST(Reconcile, WhatIsTakenAwayIsGivenUpFirst) {
  const auto current = at(3, MemberState::stable, {{p(0), 3}, {p(1), 3}});
  const Target target{5, {p(0), p(2)}};
  const auto giving_up = reconcile(current, target, nullptr, all_free);
  EXPECT_EQ(giving_up.epoch, 3) << "not before it has given up";
  EXPECT_EQ(giving_up.state, MemberState::unrevoked_partitions);
  EXPECT_EQ(giving_up.assigned, (OwnedPartitions{{p(0), 3}}));
  EXPECT_EQ(giving_up.revoking, (OwnedPartitions{{p(1), 3}}));

  const PartitionSet still{p(0), p(1)};
  EXPECT_EQ(reconcile(giving_up, target, nullptr, all_free), giving_up) << "it has not said so";
  EXPECT_EQ(reconcile(giving_up, target, &still, all_free), giving_up);
  const PartitionSet given_up{p(0)};
  const auto next = reconcile(giving_up, target, &given_up, all_free);
  EXPECT_EQ(next.state, MemberState::stable);
  EXPECT_EQ(next.assigned, (OwnedPartitions{{p(0), 3}, {p(2), 5}}));
  EXPECT_TRUE(next.revoking.empty());
}

TEST(Reconcile, WhoNeverHadItNeedNotGiveItUp) {
  const PartitionSet owned{};
  const auto next = reconcile(at(3, MemberState::stable, {{p(0), 3}}), {5, {}}, &owned, all_free);
  EXPECT_EQ(next.state, MemberState::stable);
  EXPECT_EQ(next.epoch, 5);
}

TEST(Reconcile, TargetsThatMoveOnMeanwhile) {
  const auto giving_up =
      at(3, MemberState::unrevoked_partitions, {{p(0), 3}, {p(1), 3}}, {{p(2), 3}});
  const PartitionSet owned{p(0), p(1)};
  const auto next = reconcile(giving_up, {9, {p(0)}}, &owned, all_free);
  EXPECT_EQ(next.state, MemberState::unrevoked_partitions) << "there is more to give up";
  EXPECT_EQ(next.epoch, 4);
  EXPECT_EQ(next.revoking, (OwnedPartitions{{p(1), 3}}));
}

}  // namespace
}  // namespace ottla::coordinator
