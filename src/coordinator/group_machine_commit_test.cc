// GroupMachine: the edges of committed offsets. When exactly they expire, what open transactions
// keep, and what each answer says beside its error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cluster_view_testing.h"
#include "coordinator/group_machine.h"

namespace ottla::coordinator {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

constexpr Uuid kTopicId{1, 2};
constexpr ProducerId kOne{5};
constexpr ProducerId kOther{6};
constexpr TimestampMs kRetentionMs = 1'000'000;
constexpr TimestampMs kCheckMs = 1000;

std::int16_t code(ErrorCode error) { return static_cast<std::int16_t>(error); }

OffsetRecord offset_of(const std::string& group, Offset offset, PartitionIndex partition = 0) {
  OffsetRecord record{group, "t", partition, wire::OffsetCommitValue()};
  record.value->offset = offset;
  return record;
}

wire::OffsetCommitRequest commit_of(const std::string& group, Offset offset,
                                    const std::string& topic = "t") {
  wire::OffsetCommitRequest request;
  request.group_id = group;
  auto& wanted = request.topics.emplace_back();
  wanted.name = topic;
  wanted.topic_id = kTopicId;
  wanted.partitions.emplace_back().committed_offset = offset;
  return request;
}

class GroupMachineCommitTest : public ::testing::Test {
 protected:
  GroupMachineCommitTest() { machine.loaded(now); }

  void pass(TimestampMs ms) {
    now.monotonic_ms += ms;
    now.wall_ms += ms;
  }
  Output tick() {
    Output output;
    machine.tick(now, output);
    return output;
  }
  Output commit(const wire::OffsetCommitRequest& request) {
    Output output;
    machine.commit(
        {.token = 1, .version = 8, .topic_id = [](const std::string&) { return kTopicId; }},
        request, now, output);
    return output;
  }
  static const wire::OffsetCommitResponse& response_of(const Output& output) {
    return std::get<wire::OffsetCommitResponse>(output.replies.at(0).body);
  }
  wire::OffsetFetchResponse::OffsetFetchResponsePartitions fetch(const std::string& group,
                                                                 bool stable = false,
                                                                 PartitionIndex partition = 0,
                                                                 const std::string& topic = "t") {
    wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = group;
    auto& wanted = request.topics.emplace().emplace_back();
    wanted.name = topic;
    wanted.partition_indexes = {partition};
    return machine.fetch(request, stable).topics.at(0).partitions.at(0);
  }

  // Gives the id of the only member of a group in state CompletingRebalance, or what a new member
  // has to come back with.
  std::string join(const std::string& group, bool asks_twice = false,
                   const std::string& protocol_type = "consumer") {
    wire::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = protocol_type;
    auto& protocol = request.protocols.emplace_back();
    protocol.name = "range";
    protocol.metadata = Bytes{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    Output output;
    machine.join({.token = 7,
                  .client = {"c", "/1.2.3.4"},
                  .requires_known_member_id = asks_twice,
                  .fresh_member_suffix = "1"},
                 request, now, output);
    return std::get<wire::JoinGroupResponse>(output.replies.at(0).body).member_id;
  }
  void sync(const std::string& group, const std::string& member) {
    wire::SyncGroupRequest request;
    request.group_id = group;
    request.generation_id = 1;
    request.member_id = member;
    Output output;
    machine.sync(8, request, now, output);
    EXPECT_THAT(output.records, SizeIs(1));
  }
  void heartbeat(const std::string& group, const std::string& member) {
    wire::HeartbeatRequest request;
    request.group_id = group;
    request.generation_id = 1;
    request.member_id = member;
    Output output;
    machine.heartbeat(9, request, now, output);
    EXPECT_EQ(std::get<wire::HeartbeatResponse>(output.replies.at(0).body).error_code, 0);
  }

  GroupLimits limits{.classic = {.initial_rebalance_delay_ms = 0},
                     .offset_metadata_bytes_max = 10,
                     .offsets_retention_ms = kRetentionMs,
                     .offsets_retention_check_ms = kCheckMs};
  testing::TestTopics topics;
  GroupMachine machine{limits, topics};
  Now now{.monotonic_ms = 1000, .wall_ms = 1'700'000'000'000};
};

// --- answers

TEST_F(GroupMachineCommitTest, EachPartitionIsAnsweredForItself) {
  auto request = commit_of("g", 1);
  auto& second = request.topics[0].partitions.emplace_back();
  second.partition_index = 4;
  second.committed_offset = 2;
  second.committed_leader_epoch = 3;
  second.committed_metadata = "ten bytes!";  // as much as may be
  request.topics[0].partitions[0].committed_metadata = "ten bytes!!";
  request.topics.push_back(commit_of("g", 5, "other").topics[0]);
  const Output output = commit(request);
  const auto& topics = response_of(output).topics;
  ASSERT_THAT(topics, SizeIs(2));
  EXPECT_EQ(topics[0].name, "t");
  EXPECT_EQ(topics[0].topic_id, kTopicId);
  ASSERT_THAT(topics[0].partitions, SizeIs(2));
  EXPECT_EQ(topics[0].partitions[0].error_code, code(ErrorCode::offset_metadata_too_large));
  EXPECT_EQ(topics[0].partitions[1].error_code, 0);
  EXPECT_EQ(topics[0].partitions[1].partition_index, 4);
  EXPECT_EQ(topics[1].partitions.at(0).error_code, 0);
  EXPECT_THAT(output.records, SizeIs(2));
  EXPECT_EQ(fetch("g").committed_offset, -1);
  const auto found = fetch("g", false, 4);
  EXPECT_EQ(found.committed_offset, 2);
  EXPECT_EQ(found.committed_leader_epoch, 3);
  EXPECT_EQ(found.metadata, "ten bytes!");
  EXPECT_EQ(fetch("g", false, 0, "other").committed_offset, 5);
  EXPECT_EQ(fetch("g", false, 1, "other").committed_leader_epoch, -1);
}

TEST_F(GroupMachineCommitTest, ARefusedCommitMakesNoGroup) {
  auto request = commit_of("g", 1);
  request.topics[0].partitions[0].committed_metadata = "eleven chars";
  commit(request);
  EXPECT_EQ(machine.size(), 0u);
  EXPECT_EQ(machine.deadline(), INT64_MAX);
}

// --- expiry

TEST_F(GroupMachineCommitTest, OffsetsExpireToTheMillisecond) {
  limits.offsets_retention_check_ms = 1;
  GroupMachine exact(limits, topics);
  exact.load(
      [&] {
        auto record = offset_of("g", 1);
        record.value->commit_timestamp = now.wall_ms;
        return record;
      }(),
      {}, now);
  pass(kRetentionMs / 2);
  exact.loaded(now);  // which is no commit
  Output output;
  pass(kRetentionMs / 2 - 1);
  exact.tick(now, output);
  EXPECT_THAT(output.records, IsEmpty());
  pass(1);
  exact.tick(now, output);
  EXPECT_THAT(output.records, SizeIs(1));
}

TEST_F(GroupMachineCommitTest, ARetentionTimeCountsFromTheCommit) {
  auto request = commit_of("g", 1);
  request.retention_time_ms = 5000;
  const Output output = commit(request);
  const auto& value = std::get<OffsetRecord>(output.records.at(0)).value;
  EXPECT_EQ(value->expire_timestamp, now.wall_ms + 5000);
  for (TimestampMs passed = 0; passed < 4000; passed += kCheckMs) {
    pass(kCheckMs);
    EXPECT_THAT(tick().records, IsEmpty());
  }
  pass(kCheckMs);
  EXPECT_THAT(tick().records, SizeIs(1));
}

TEST_F(GroupMachineCommitTest, ARetentionTimeEndsInItsLastMillisecond) {
  auto request = commit_of("g", 1);
  request.retention_time_ms = kCheckMs;
  commit(request);
  pass(kCheckMs);
  EXPECT_THAT(tick().records, SizeIs(1));
  EXPECT_EQ(fetch("g").committed_offset, -1);
}

TEST_F(GroupMachineCommitTest, NoRetentionTimeIsTheBrokersOwn) {
  const Output output = commit(commit_of("g", 1));
  EXPECT_EQ(std::get<OffsetRecord>(output.records.at(0)).value->expire_timestamp, -1);
}

TEST_F(GroupMachineCommitTest, OffsetsAreLookedAtOncePerInterval) {
  commit(commit_of("g", 1));
  EXPECT_EQ(machine.deadline(), now.monotonic_ms + kCheckMs);
  pass(kCheckMs - 1);
  tick();
  EXPECT_EQ(machine.deadline(), now.monotonic_ms + 1);
  pass(1);
  tick();
  EXPECT_EQ(machine.deadline(), now.monotonic_ms + kCheckMs);
}

// A living group's topics keep their offsets, what nobody reads any more expires; and nothing
// expires while the members' wishes are not known.
TEST_F(GroupMachineCommitTest, WhatALivingGroupDoesNotReadExpires) {
  machine.load(offset_of("g", 1), {}, now);
  auto unread = offset_of("g", 2);
  unread.topic = "unread";
  machine.load(unread, {}, now);
  const std::string member = join("g");
  pass(kCheckMs);
  EXPECT_THAT(tick().records, IsEmpty()) << "expired in CompletingRebalance";
  sync("g", member);
  pass(kCheckMs);
  const Output output = tick();
  ASSERT_THAT(output.records, SizeIs(1));
  EXPECT_EQ(std::get<OffsetRecord>(output.records[0]).topic, "unread");
  for (int i = 0; i < 200; ++i) {
    pass(9000);
    heartbeat("g", member);
    EXPECT_THAT(tick().records, IsEmpty()) << i;
  }
  EXPECT_EQ(fetch("g").committed_offset, 1);
}

// An administrator sets the offsets of a group that was left long ago.
TEST_F(GroupMachineCommitTest, ALaterCommitToAGroupThatWasLeftCounts) {
  ClassicGroupRecord left{"g", wire::GroupMetadataValue()};
  left.value->protocol_type = "consumer";
  left.value->generation = 3;
  left.value->current_state_timestamp = now.wall_ms;
  machine.load(left, {}, now);
  machine.load(offset_of("g", 1, 1), {}, now);  // from before it was left
  machine.loaded(now);
  pass(kRetentionMs - 1);
  EXPECT_THAT(tick().records, IsEmpty());
  commit(commit_of("g", 2));
  pass(kCheckMs);
  const Output output = tick();
  ASSERT_THAT(output.records, SizeIs(1));
  EXPECT_EQ(std::get<OffsetRecord>(output.records[0]).partition, 1);
  pass(kRetentionMs - 1 - kCheckMs);
  EXPECT_THAT(tick().records, IsEmpty());
  pass(kCheckMs);
  EXPECT_THAT(tick().records, SizeIs(2)) << "the offset, and the group";
}

// --- transactions that a log left open

TEST_F(GroupMachineCommitTest, TwoTransactionsOnOnePartition) {
  machine.load(offset_of("g", 1), {}, now);
  machine.load(offset_of("g", 10), kOne, now);
  machine.load(offset_of("g", 20), kOther, now);
  machine.load(offset_of("g", 30, 1), kOther, now);
  machine.end_transaction(kOne, true);
  EXPECT_EQ(fetch("g").committed_offset, 10);
  EXPECT_EQ(fetch("g", true).error_code, code(ErrorCode::unstable_offset_commit));
  EXPECT_EQ(fetch("g", true).committed_offset, -1);
  EXPECT_EQ(fetch("g", true, 2).error_code, 0) << "a partition that no transaction holds";
  machine.end_transaction(kOther, false);
  EXPECT_EQ(fetch("g", true).committed_offset, 10);
  EXPECT_EQ(fetch("g", true, 1).committed_offset, -1) << "an aborted commit counts";
  machine.end_transaction(kOther, true);  // a marker of a transaction without offsets
  EXPECT_EQ(fetch("g", true, 1).committed_offset, -1);
}

// One transaction may commit a partition twice.
TEST_F(GroupMachineCommitTest, TheLastCommitOfATransactionCounts) {
  machine.load(offset_of("g", 10), kOne, now);
  machine.load(offset_of("g", 11), kOne, now);
  machine.end_transaction(kOne, true);
  EXPECT_EQ(fetch("g", true).committed_offset, 11);
}

TEST_F(GroupMachineCommitTest, AnOpenTransactionKeepsItsGroup) {
  machine.load(offset_of("g", 10), kOne, now);
  ClassicGroupRecord left{"left", wire::GroupMetadataValue()};
  left.value->protocol_type = "consumer";
  left.value->generation = 3;
  machine.load(left, {}, now);
  machine.load(offset_of("left", 11), kOther, now);
  machine.loaded(now);
  EXPECT_EQ(machine.size(), 2u);
  EXPECT_EQ(fetch("g", true).error_code, code(ErrorCode::unstable_offset_commit));
  EXPECT_EQ(machine.describe("g", 6).group_state, "Empty");
  pass(2 * kRetentionMs);
  EXPECT_THAT(tick().records, IsEmpty());
  machine.end_transaction(kOne, true);
  EXPECT_EQ(fetch("g", true).committed_offset, 10);
}

TEST_F(GroupMachineCommitTest, AnOpenTransactionKeepsTheOffsetBeforeIt) {
  machine.load(offset_of("g", 1), {}, now);
  machine.load(offset_of("g", 10), kOne, now);
  machine.load(offset_of("g", 2, 1), {}, now);
  pass(2 * kRetentionMs);
  const Output output = tick();
  ASSERT_THAT(output.records, SizeIs(1));
  EXPECT_EQ(std::get<OffsetRecord>(output.records[0]).partition, 1);
  EXPECT_EQ(fetch("g").committed_offset, 1);
}

// --- groups

TEST_F(GroupMachineCommitTest, AGroupOfOffsetsOnlyIsEmptyAfterLoading) {
  machine.load(offset_of("g", 1), {}, now);
  machine.loaded(now);
  EXPECT_EQ(machine.describe("g", 6).group_state, "Empty");
  EXPECT_EQ(machine.describe("g", 6).error_code, 0);
  const auto listed = machine.list();
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].group_state, "Empty");
  EXPECT_EQ(listed[0].group_type, "classic");
  EXPECT_EQ(listed[0].protocol_type, "");
}

// A group that was deleted is gone from the log too, if it was ever there.
TEST_F(GroupMachineCommitTest, ATombstoneEndsAGroupThatIsLoaded) {
  ClassicGroupRecord record{"g", wire::GroupMetadataValue()};
  record.value->generation = 3;
  machine.load(record, {}, now);
  machine.load(offset_of("kept", 1), {}, now);
  record.group = "kept";
  machine.load(record, {}, now);
  for (const char* name : {"g", "kept", "never was"})
    machine.load(ClassicGroupRecord{name, std::nullopt}, {}, now);
  machine.loaded(now);
  EXPECT_EQ(machine.size(), 1u);
  EXPECT_EQ(machine.describe("g", 6).error_code, code(ErrorCode::group_id_not_found));
  EXPECT_EQ(fetch("kept").committed_offset, 1);
}

// The id that a new member was told to come back with is due later; its group may be gone by then.
TEST_F(GroupMachineCommitTest, ADeletedGroupIsNotWokenAnyMore) {
  commit(commit_of("g", 1));
  EXPECT_NE(join("g", true), "");
  EXPECT_EQ(machine.list().at(0).group_state, "Empty");
  Output output;
  EXPECT_EQ(machine.delete_group("g", output), ErrorCode::none);
  EXPECT_EQ(machine.size(), 0u);
  EXPECT_EQ(machine.deadline(), INT64_MAX);
  pass(limits.classic.new_member_join_timeout_ms);
  tick();
}

// Simple consumers without a group id commit too, and an administrator can be rid of it.
TEST_F(GroupMachineCommitTest, TheGroupWithoutNameIsAGroup) {
  commit(commit_of("", 1));
  EXPECT_EQ(fetch("").committed_offset, 1);
  Output output;
  EXPECT_EQ(machine.delete_group("", output), ErrorCode::none);
  EXPECT_EQ(fetch("").committed_offset, -1);
  EXPECT_EQ(machine.delete_group("", output), ErrorCode::group_id_not_found);
}

TEST_F(GroupMachineCommitTest, DeletingOffsetsOfOtherGroups) {
  const auto remove = [&](const std::string& group) {
    wire::OffsetDeleteRequest request;
    request.group_id = group;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.partitions.emplace_back();
    topic.partitions.emplace_back().partition_index = 9;  // never committed
    Output output;
    machine.delete_offsets(4, request, output);
    return output;
  };
  const auto response = [](const Output& output) {
    return std::get<wire::OffsetDeleteResponse>(output.replies.at(0).body);
  };
  EXPECT_EQ(response(remove("none")).error_code, code(ErrorCode::group_id_not_found));
  commit(commit_of("", 1));
  EXPECT_EQ(response(remove("")).error_code, code(ErrorCode::invalid_group_id));
  join("connect", false, "connect");
  EXPECT_EQ(machine.list().at(1).protocol_type, "connect");
  const auto refused = response(remove("connect"));
  EXPECT_EQ(refused.error_code, code(ErrorCode::non_empty_group));
  EXPECT_THAT(refused.topics, IsEmpty());

  commit(commit_of("simple", 1));
  const Output removed = remove("simple");
  EXPECT_EQ(response(removed).error_code, 0);
  EXPECT_THAT(response(removed).topics.at(0).partitions, SizeIs(2));
  EXPECT_THAT(removed.records, SizeIs(1)) << "a tombstone for what was never there";
  EXPECT_EQ(machine.describe("simple", 6).error_code, code(ErrorCode::group_id_not_found));
}

}  // namespace
}  // namespace ottla::coordinator
