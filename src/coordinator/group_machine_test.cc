#include "coordinator/group_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cluster_view_testing.h"

namespace ottla::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

constexpr Uuid kTopicId{1, 2};
constexpr TimestampMs kDay = 24ll * 3600 * 1000;

std::int16_t code(ErrorCode error) { return static_cast<std::int16_t>(error); }

class GroupMachineTest : public ::testing::Test {
 protected:
  GroupMachineTest() { machine.loaded(now); }

  void pass(TimestampMs ms) {
    now.monotonic_ms += ms;
    now.wall_ms += ms;
  }
  Output tick() {
    Output output;
    machine.tick(now, output);
    return output;
  }

  static wire::OffsetCommitRequest commit_of(const std::string& group, Offset offset,
                                             const std::string& topic = "t") {
    wire::OffsetCommitRequest request;
    request.group_id = group;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    auto& partition = wanted.partitions.emplace_back();
    partition.partition_index = 0;
    partition.committed_offset = offset;
    partition.committed_metadata = "m";
    return request;
  }
  Output commit(const wire::OffsetCommitRequest& request, std::int16_t version = 8) {
    Output output;
    machine.commit(
        {.token = 1, .version = version, .topic_id = [](const std::string&) { return kTopicId; }},
        request, now, output);
    return output;
  }
  static std::int16_t error_of(const Output& output) {
    return std::get<wire::OffsetCommitResponse>(output.replies.at(0).body)
        .topics.at(0)
        .partitions.at(0)
        .error_code;
  }
  wire::OffsetFetchResponse::OffsetFetchResponsePartitions fetch(const std::string& group,
                                                                 bool stable = false,
                                                                 const std::string& topic = "t") {
    wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = group;
    auto& wanted = request.topics.emplace().emplace_back();
    wanted.name = topic;
    wanted.partition_indexes = {0};
    return machine.fetch(request, stable).topics.at(0).partitions.at(0);
  }

  std::string join(const std::string& group, Token token = 7) {
    wire::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = "consumer";
    auto& protocol = request.protocols.emplace_back();
    protocol.name = "range";
    protocol.metadata = Bytes{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    Output output;
    machine.join({.token = token, .client = {"c", "/1.2.3.4"}, .fresh_member_suffix = "1"}, request,
                 now, output);
    const auto& response = std::get<wire::JoinGroupResponse>(output.replies.at(0).body);
    EXPECT_EQ(response.error_code, 0);
    generation = response.generation_id;
    wire::SyncGroupRequest sync;
    sync.group_id = group;
    sync.generation_id = generation;
    sync.member_id = response.member_id;
    Output synced;
    machine.sync(token + 1, sync, now, synced);
    EXPECT_THAT(synced.records, SizeIs(1));
    return response.member_id;
  }
  void leave(const std::string& group, const std::string& member) {
    wire::LeaveGroupRequest request;
    request.group_id = group;
    request.members.emplace_back().member_id = member;
    Output output;
    machine.leave(9, request, true, now, output);
  }

  GroupLimits limits{.classic = {.initial_rebalance_delay_ms = 0}, .offset_metadata_bytes_max = 10};
  testing::TestTopics topics;
  GroupMachine machine{limits, topics};
  Now now{.monotonic_ms = 1000, .wall_ms = 1'700'000'000'000};
  std::int32_t generation = -1;
};

TEST_F(GroupMachineTest, AnOffsetIsCommittedAndFetched) {
  const Output output = commit(commit_of("g", 42));
  EXPECT_EQ(error_of(output), 0);
  ASSERT_THAT(output.records, SizeIs(1));
  const auto& record = std::get<OffsetRecord>(output.records[0]);
  EXPECT_EQ(record.value->offset, 42);
  EXPECT_EQ(record.value->commit_timestamp, now.wall_ms);
  EXPECT_EQ(record.value->topic_id, kTopicId);
  EXPECT_EQ(fetch("g").committed_offset, 42);
  EXPECT_EQ(fetch("g").metadata, "m");
  EXPECT_EQ(fetch("other").committed_offset, -1);
  EXPECT_EQ(fetch("other").error_code, 0);
}

TEST_F(GroupMachineTest, LongMetadataIsRefused) {
  auto request = commit_of("g", 1);
  request.topics[0].partitions[0].committed_metadata = "eleven chars";
  const Output output = commit(request);
  EXPECT_EQ(error_of(output), code(ErrorCode::offset_metadata_too_large));
  EXPECT_THAT(output.records, IsEmpty());
}

TEST_F(GroupMachineTest, AGenerationOfNoGroupIsRefused) {
  auto request = commit_of("g", 1);
  request.generation_id_or_member_epoch = 3;
  request.member_id = "m";
  EXPECT_EQ(error_of(commit(request, 8)), code(ErrorCode::illegal_generation));
  EXPECT_EQ(error_of(commit(request, 9)), code(ErrorCode::group_id_not_found));
  EXPECT_EQ(machine.size(), 0u);
}

TEST_F(GroupMachineTest, OnlyMembersCommitToALivingGroup) {
  const std::string member = join("g");
  EXPECT_EQ(error_of(commit(commit_of("g", 1))), code(ErrorCode::unknown_member_id));
  auto request = commit_of("g", 5);
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  EXPECT_EQ(error_of(commit(request)), 0);
  request.generation_id_or_member_epoch = generation - 1;
  EXPECT_EQ(error_of(commit(request)), code(ErrorCode::illegal_generation));
  EXPECT_EQ(fetch("g").committed_offset, 5);
}

TEST_F(GroupMachineTest, AllTopicsOfAGroup) {
  commit(commit_of("g", 1, "b"));
  commit(commit_of("g", 2, "a"));
  wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
  request.group_id = "g";
  request.topics.reset();
  const auto all = machine.fetch(request, false);
  ASSERT_THAT(all.topics, SizeIs(2));
  EXPECT_EQ(all.topics[0].name, "a");
  EXPECT_EQ(all.topics[1].partitions.at(0).committed_offset, 1);
}

TEST_F(GroupMachineTest, OffsetsOfASimpleConsumerExpireFromTheirCommit) {
  commit(commit_of("g", 1));
  pass(7 * kDay - 1000);
  EXPECT_THAT(tick().records, IsEmpty());
  pass(1000 + limits.offsets_retention_check_ms);
  const Output output = tick();
  ASSERT_THAT(output.records, SizeIs(1));
  EXPECT_FALSE(std::get<OffsetRecord>(output.records[0]).value);
  EXPECT_EQ(machine.size(), 0u);
}

TEST_F(GroupMachineTest, TheRetentionOfOldRequestsCounts) {
  auto request = commit_of("g", 1);
  request.retention_time_ms = 1000;
  commit(request, 4);
  pass(limits.offsets_retention_check_ms);
  EXPECT_THAT(tick().records, SizeIs(1));
}

TEST_F(GroupMachineTest, OffsetsOfAGroupExpireFromWhenItWasLeft) {
  const std::string member = join("g");
  auto request = commit_of("g", 5);
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  commit(request);
  for (int i = 0; i < 100; ++i) {  // far beyond the retention, and alive
    pass(9000);
    wire::HeartbeatRequest beat;
    beat.group_id = "g";
    beat.member_id = member;
    beat.generation_id = generation;
    Output output;
    machine.heartbeat(3, beat, now, output);
    tick();
  }
  now.wall_ms += 10 * kDay;
  leave("g", member);
  EXPECT_EQ(fetch("g").committed_offset, 5);
  pass(6 * kDay);
  EXPECT_THAT(tick().records, IsEmpty());
  pass(kDay + limits.offsets_retention_check_ms);
  const Output output = tick();
  ASSERT_THAT(output.records, SizeIs(2));  // the offset, and the group itself
  EXPECT_FALSE(std::get<OffsetRecord>(output.records[0]).value);
  EXPECT_FALSE(std::get<ClassicGroupRecord>(output.records[1]).value);
  EXPECT_EQ(machine.size(), 0u);
}

TEST_F(GroupMachineTest, DeletingAGroup) {
  Output output;
  EXPECT_EQ(machine.delete_group("g", output), ErrorCode::group_id_not_found);
  const std::string member = join("g");
  EXPECT_EQ(machine.delete_group("g", output), ErrorCode::non_empty_group);
  leave("g", member);
  commit(commit_of("g", 1));
  EXPECT_EQ(machine.delete_group("g", output), ErrorCode::none);
  EXPECT_THAT(output.records, SizeIs(2));
  EXPECT_EQ(machine.size(), 0u);
  EXPECT_EQ(fetch("g").committed_offset, -1);
}

TEST_F(GroupMachineTest, DeletingOffsets) {
  const std::string member = join("g");
  auto request = commit_of("g", 5);
  request.topics.push_back(commit_of("g", 6, "other").topics[0]);
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  commit(request);
  wire::OffsetDeleteRequest gone;
  gone.group_id = "g";
  for (const char* name : {"t", "other"}) {
    auto& topic = gone.topics.emplace_back();
    topic.name = name;
    topic.partitions.emplace_back();
  }
  Output output;
  machine.delete_offsets(4, gone, output);
  const auto& response = std::get<wire::OffsetDeleteResponse>(output.replies.at(0).body);
  EXPECT_EQ(response.topics[0].partitions[0].error_code,
            code(ErrorCode::group_subscribed_to_topic));
  EXPECT_EQ(response.topics[1].partitions[0].error_code, 0);
  EXPECT_THAT(output.records, SizeIs(1));
  EXPECT_EQ(fetch("g").committed_offset, 5);
  EXPECT_EQ(fetch("g", false, "other").committed_offset, -1);
}

TEST_F(GroupMachineTest, ATopicTakesItsOffsets) {
  commit(commit_of("g", 1, "gone"));
  commit(commit_of("g", 2, "kept"));
  commit(commit_of("g", 3, "remade"));
  OffsetRecord by_name{"old", "kept", 0, wire::OffsetCommitValue()};  // of a writer without ids
  machine.load(by_name, {}, now);
  by_name.topic = "gone";
  machine.load(by_name, {}, now);
  topics.put("kept", {kTopicId, 4});
  topics.put("remade", {Uuid{9, 9}, 4});
  Output output;
  const std::set<std::string> changed = {"kept", "another"};
  machine.topics_changed(&changed, output);
  EXPECT_THAT(output.records, IsEmpty());
  machine.topics_changed(nullptr, output);
  EXPECT_THAT(output.records, SizeIs(3));
  EXPECT_EQ(fetch("g", false, "gone").committed_offset, -1);
  EXPECT_EQ(fetch("g", false, "remade").committed_offset, -1);
  EXPECT_EQ(fetch("g", false, "kept").committed_offset, 2);
  EXPECT_EQ(fetch("old", false, "gone").committed_offset, -1);
  EXPECT_EQ(fetch("old", false, "kept").committed_offset, 0);
}

TEST_F(GroupMachineTest, WhatALogSaysIsLoaded) {
  GroupMachine loaded(limits, topics);
  const std::string member = join("g");
  auto request = commit_of("g", 5);
  request.member_id = member;
  request.generation_id_or_member_epoch = generation;
  for (const GroupRecord& record : commit(request).records) loaded.load(record, {}, now);
  loaded.load(OffsetRecord{"simple", "t", 0, wire::OffsetCommitValue()}, {}, now);
  loaded.load(OffsetRecord{"simple", "t", 0, std::nullopt}, {}, now);
  loaded.loaded(now);
  EXPECT_EQ(loaded.size(), 1u);
  EXPECT_EQ(loaded.describe("simple", 5).group_state, "Dead");
  EXPECT_EQ(loaded.describe("simple", 6).error_code, code(ErrorCode::group_id_not_found));
}

// KIP-98 in __consumer_offsets: pending until the marker; the newer record in the log wins.
TEST_F(GroupMachineTest, OffsetsInTransactions) {
  const auto offset = [](Offset value) {
    OffsetRecord record{"g", "t", 0, wire::OffsetCommitValue()};
    record.value->offset = value;
    return record;
  };
  machine.load(offset(1), {}, now);
  machine.load(offset(10), ProducerId{5}, now);
  EXPECT_EQ(fetch("g").committed_offset, 1);
  EXPECT_EQ(fetch("g", true).error_code, code(ErrorCode::unstable_offset_commit));
  machine.end_transaction(5, false);
  EXPECT_EQ(fetch("g", true).committed_offset, 1);
  machine.load(offset(20), ProducerId{5}, now);
  machine.end_transaction(5, true);
  EXPECT_EQ(fetch("g", true).committed_offset, 20);
  machine.load(offset(30), ProducerId{6}, now);
  machine.load(offset(40), {}, now);
  machine.end_transaction(6, true);
  EXPECT_EQ(fetch("g").committed_offset, 40) << "the commit behind the pending one is newer";
}

TEST_F(GroupMachineTest, WhoIsUnknownIsToldSo) {
  Output output;
  wire::HeartbeatRequest beat;
  machine.heartbeat(1, beat, now, output);
  beat.group_id = "none";
  machine.heartbeat(2, beat, now, output);
  wire::SyncGroupRequest sync;
  sync.group_id = "none";
  machine.sync(3, sync, now, output);
  wire::LeaveGroupRequest leave_request;
  leave_request.group_id = "none";
  leave_request.members.emplace_back().member_id = "m";
  machine.leave(4, leave_request, true, now, output);
  ASSERT_THAT(output.replies, SizeIs(4));
  EXPECT_EQ(std::get<wire::HeartbeatResponse>(output.replies[0].body).error_code,
            code(ErrorCode::invalid_group_id));
  EXPECT_EQ(std::get<wire::HeartbeatResponse>(output.replies[1].body).error_code,
            code(ErrorCode::unknown_member_id));
  EXPECT_EQ(std::get<wire::SyncGroupResponse>(output.replies[2].body).error_code,
            code(ErrorCode::unknown_member_id));
  const auto& left = std::get<wire::LeaveGroupResponse>(output.replies[3].body);
  EXPECT_EQ(left.error_code, 0);
  EXPECT_EQ(left.members.at(0).error_code, code(ErrorCode::unknown_member_id));
  EXPECT_EQ(machine.size(), 0u);
}

TEST_F(GroupMachineTest, ManyGroupsAreWokenWhenTheyAreDue) {
  std::vector<std::string> members;
  for (int i = 0; i < 200; ++i) members.push_back(join("g" + std::to_string(i), 100 + 2 * i));
  EXPECT_EQ(machine.size(), 200u);
  EXPECT_LE(machine.deadline(), now.monotonic_ms + 10'000);
  pass(10'000);
  tick();  // every session has ended
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(machine.describe("g" + std::to_string(i), 6).group_state, "Empty") << i;
}

}  // namespace
}  // namespace ottla::coordinator
