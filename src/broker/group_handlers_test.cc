// The group APIs on a whole node of two shards in the simulator: what they refuse and how, and what
// depends on the version. What groups do is asserted by coordinator's tests and by other projects'
// clients.
#include <gmock/gmock.h>

#include "broker/node_test_support.h"
#include "wire/messages/delete_groups_request.h"
#include "wire/messages/delete_groups_response.h"
#include "wire/messages/describe_configs_request.h"
#include "wire/messages/describe_configs_response.h"
#include "wire/messages/describe_groups_request.h"
#include "wire/messages/describe_groups_response.h"
#include "wire/messages/find_coordinator_request.h"
#include "wire/messages/find_coordinator_response.h"
#include "wire/messages/heartbeat_request.h"
#include "wire/messages/heartbeat_response.h"
#include "wire/messages/join_group_request.h"
#include "wire/messages/join_group_response.h"
#include "wire/messages/leave_group_request.h"
#include "wire/messages/leave_group_response.h"
#include "wire/messages/list_groups_request.h"
#include "wire/messages/list_groups_response.h"
#include "wire/messages/metadata_request.h"
#include "wire/messages/metadata_response.h"
#include "wire/messages/offset_commit_request.h"
#include "wire/messages/offset_commit_response.h"
#include "wire/messages/offset_delete_request.h"
#include "wire/messages/offset_delete_response.h"
#include "wire/messages/offset_fetch_request.h"
#include "wire/messages/offset_fetch_response.h"
#include "wire/messages/sync_group_request.h"
#include "wire/messages/sync_group_response.h"

namespace ottla::broker {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using wire::ErrorCode;

constexpr Uuid kNoSuchId{6, 6};
constexpr std::int16_t kUnknownPlace =
    static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
constexpr std::int32_t kSessionMs = 10'000;

class GroupHandlersTest : public NodeTest {
 protected:
  GroupHandlersTest() {
    config.offsets_topic_partitions = 4;
    config.groups.classic.initial_rebalance_delay_ms = 0;
  }

  wire::FindCoordinatorResponse find_coordinator(std::int16_t version = 1) {
    wire::FindCoordinatorRequest request;
    request.key = "g";
    return ask<wire::FindCoordinatorResponse>(request, version);
  }
  void make_coordinator() {
    EXPECT_EQ(find_coordinator().error_code, 0);
    await_groups();
  }
  // Until every partition of the offsets is loaded.
  void await_groups() {
    for (int tries = 0; tries < 1000; ++tries) {
      if (list().error_code == 0) return;
    }
    FAIL() << world.report();
  }

  // --- offsets

  using Places = std::vector<std::pair<std::int32_t, std::int16_t>>;
  static wire::OffsetCommitRequest commit_of(const std::string& group, const std::string& topic,
                                             const std::vector<std::int32_t>& partitions,
                                             Offset offset = 5) {
    wire::OffsetCommitRequest request;
    request.group_id = group;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    for (const std::int32_t index : partitions) {
      auto& partition = wanted.partitions.emplace_back();
      partition.partition_index = index;
      partition.committed_offset = offset;
      partition.committed_leader_epoch = 3;
      partition.committed_metadata = "note";
    }
    return request;
  }
  wire::OffsetCommitResponse commit(const wire::OffsetCommitRequest& request,
                                    std::int16_t version = 9) {
    return ask<wire::OffsetCommitResponse>(request, version);
  }
  template <class Topic>
  static Places errors_of(const Topic& topic) {
    Places errors;
    for (const auto& partition : topic.partitions)
      errors.emplace_back(partition.partition_index, partition.error_code);
    return errors;
  }
  // Up to version 7, one group; null for all topics.
  wire::OffsetFetchResponse fetch_one(const std::string& group, std::optional<std::string> topic,
                                      std::int16_t version) {
    wire::OffsetFetchRequest request;
    request.group_id = group;
    request.topics.reset();
    if (topic) {
      auto& wanted = request.topics.emplace().emplace_back();
      wanted.name = *topic;
      wanted.partition_indexes = {0, 1};
    }
    return ask<wire::OffsetFetchResponse>(request, version);
  }
  static wire::OffsetFetchRequest::OffsetFetchRequestGroup all_of(const std::string& group) {
    wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = group;
    request.topics.reset();
    return request;
  }
  wire::OffsetFetchResponse fetch_many(
      std::vector<wire::OffsetFetchRequest::OffsetFetchRequestGroup> groups, std::int16_t version) {
    wire::OffsetFetchRequest request;
    request.groups = std::move(groups);
    return ask<wire::OffsetFetchResponse>(request, version);
  }

  // --- members

  static wire::JoinGroupRequest join_of(const std::string& group, const std::string& member = "") {
    wire::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = kSessionMs;
    request.rebalance_timeout_ms = kSessionMs;
    request.member_id = member;
    request.protocol_type = "tests";
    request.protocols.emplace_back().name = "p";
    return request;
  }
  wire::JoinGroupResponse join(const wire::JoinGroupRequest& request, std::int16_t version) {
    return ask<wire::JoinGroupResponse>(request, version);
  }
  wire::SyncGroupResponse sync(const std::string& group, const std::string& member,
                               std::int32_t generation) {
    wire::SyncGroupRequest request;
    request.group_id = group;
    request.member_id = member;
    request.generation_id = generation;
    return ask<wire::SyncGroupResponse>(request, 5);
  }
  // A stable group of one.
  std::string make_group(const std::string& group) {
    const std::string member = join(join_of(group), 3).member_id;
    EXPECT_EQ(sync(group, member, 1).error_code, 0);
    return member;
  }
  std::int16_t heartbeat(const std::string& group, const std::string& member,
                         std::int32_t generation) {
    wire::HeartbeatRequest request;
    request.group_id = group;
    request.member_id = member;
    request.generation_id = generation;
    return ask<wire::HeartbeatResponse>(request, 4).error_code;
  }

  // --- administration

  wire::ListGroupsResponse list(std::vector<std::string> states = {},
                                std::vector<std::string> types = {}) {
    wire::ListGroupsRequest request;
    request.states_filter = std::move(states);
    request.types_filter = std::move(types);
    return ask<wire::ListGroupsResponse>(request, 5);
  }
  static std::vector<std::string> names_of(const wire::ListGroupsResponse& response) {
    EXPECT_EQ(response.error_code, 0);
    std::vector<std::string> names;
    for (const auto& group : response.groups) names.push_back(group.group_id);
    return names;
  }
  wire::DescribeGroupsResponse describe(std::vector<std::string> groups, std::int16_t version,
                                        bool with_operations = false) {
    wire::DescribeGroupsRequest request;
    request.groups = std::move(groups);
    request.include_authorized_operations = with_operations;
    return ask<wire::DescribeGroupsResponse>(request, version);
  }
  std::vector<std::pair<std::string, std::int16_t>> remove(std::vector<std::string> groups) {
    wire::DeleteGroupsRequest request;
    request.groups_names = std::move(groups);
    std::vector<std::pair<std::string, std::int16_t>> results;
    for (const auto& result : ask<wire::DeleteGroupsResponse>(request, 2).results)
      results.emplace_back(result.group_id, result.error_code);
    return results;
  }
  wire::OffsetDeleteResponse remove_offsets(
      const std::string& group,
      const std::vector<std::pair<std::string, std::vector<std::int32_t>>>& topics) {
    wire::OffsetDeleteRequest request;
    request.group_id = group;
    for (const auto& [name, partitions] : topics) {
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      for (const std::int32_t index : partitions)
        topic.partitions.emplace_back().partition_index = index;
    }
    return ask<wire::OffsetDeleteResponse>(request, 0);
  }
};

// Clients then ask FindCoordinator, which makes it.
TEST_F(GroupHandlersTest, WithoutOffsetsTopicNobodyCoordinates) {
  const std::int16_t refused = number(ErrorCode::not_coordinator);
  make_topic("t");
  const auto committed = commit(commit_of("g", "t", {0, 7}));
  EXPECT_EQ(errors_of(committed.topics.at(0)), (Places{{0, refused}, {7, kUnknownPlace}}));
  const auto first = fetch_one("g", "t", 1);
  EXPECT_EQ(errors_of(first.topics.at(0)), (Places{{0, refused}, {1, refused}}));
  EXPECT_EQ(first.topics[0].name, "t");
  EXPECT_EQ(first.topics[0].partitions[0].committed_offset, -1);
  EXPECT_EQ(fetch_one("g", "t", 2).error_code, refused);
  EXPECT_EQ(fetch_one("g", std::nullopt, 7).error_code, refused);
  const auto many = fetch_many({all_of("g"), all_of("h")}, 8);
  ASSERT_THAT(many.groups, SizeIs(2));
  EXPECT_EQ(many.groups[1].group_id, "h");
  EXPECT_EQ(many.groups[1].error_code, refused);

  const auto joined = join(join_of("g", "me"), 9);
  EXPECT_EQ(joined.error_code, refused);
  EXPECT_EQ(joined.member_id, "me");
  EXPECT_EQ(join(join_of("g", "me"), 6).protocol_name, "");
  EXPECT_EQ(sync("g", "me", 1).error_code, refused);
  EXPECT_EQ(heartbeat("g", "me", 1), refused);
  EXPECT_EQ(ask<wire::LeaveGroupResponse>(wire::LeaveGroupRequest{}, 5).error_code, refused);

  const auto described = describe({"g"}, 6, true).groups.at(0);
  EXPECT_EQ(described.group_id, "g");
  EXPECT_EQ(described.error_code, refused);
  EXPECT_EQ(described.authorized_operations, INT32_MIN);
  EXPECT_THAT(names_of(list()), IsEmpty());
  EXPECT_THAT(remove({"g"}), ElementsAre(Pair("g", refused)));
  const auto removed = remove_offsets("g", {{"t", {0}}, {"none", {0}}});
  EXPECT_EQ(removed.error_code, refused);
  EXPECT_THAT(removed.topics, IsEmpty());
}

// --- FindCoordinator

TEST_F(GroupHandlersTest, FindCoordinatorMakesTheTopic) {
  for (const std::int16_t version : {0, 1, 3}) {
    const auto found = find_coordinator(version);
    EXPECT_EQ(found.error_code, 0) << version;
    EXPECT_EQ(found.node_id, 1);
    EXPECT_EQ(found.host, "b1");
    EXPECT_EQ(found.port, 9092);
  }
  wire::MetadataRequest metadata;
  metadata.topics.emplace().emplace_back().name = "__consumer_offsets";
  EXPECT_THAT(ask<wire::MetadataResponse>(metadata, 12).topics.at(0).partitions, SizeIs(4));
  wire::DescribeConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = 2;
  resource.resource_name = "__consumer_offsets";
  resource.configuration_keys.emplace() = {"cleanup.policy", "compression.type", "segment.bytes"};
  std::map<std::string, std::string> settings;
  for (const auto& entry : ask<wire::DescribeConfigsResponse>(request, 4).results.at(0).configs)
    settings[entry.name] = entry.value.value_or("");
  EXPECT_THAT(settings,
              ElementsAre(Pair("cleanup.policy", "compact"), Pair("compression.type", "producer"),
                          Pair("segment.bytes", "104857600")));
}

TEST_F(GroupHandlersTest, OnlyGroupsHaveCoordinators) {
  wire::FindCoordinatorRequest request;
  wire::FindCoordinatorRequest batch;
  request.key = "tx";
  batch.coordinator_keys = {"tx"};
  for (const auto& [type, error] :
       {std::pair<std::int8_t, ErrorCode>{1, ErrorCode::coordinator_not_available},
        {2, ErrorCode::coordinator_not_available},
        {3, ErrorCode::invalid_request},
        {-1, ErrorCode::invalid_request}}) {
    request.key_type = batch.key_type = type;
    const auto many = ask<wire::FindCoordinatorResponse>(batch, 6).coordinators.at(0);
    EXPECT_EQ(many.error_code, number(error)) << int{type};
    EXPECT_EQ(many.key, "tx");
    EXPECT_EQ(many.node_id, -1);
    EXPECT_EQ(many.port, -1);
    EXPECT_NE(many.error_message.value_or(""), "");
    const auto one = ask<wire::FindCoordinatorResponse>(request, 3);
    EXPECT_EQ(one.error_code, number(error));
    EXPECT_EQ(one.node_id, -1);
    EXPECT_EQ(one.port, -1);
    EXPECT_NE(one.error_message.value_or(""), "");
  }
  wire::MetadataRequest metadata;  // none of them made the topic
  metadata.topics.emplace().emplace_back().name = "__consumer_offsets";
  metadata.allow_auto_topic_creation = false;
  EXPECT_EQ(ask<wire::MetadataResponse>(metadata, 12).topics.at(0).error_code, kUnknownPlace);
}

class FewBrokersTest : public GroupHandlersTest {
 protected:
  FewBrokersTest() { config.offsets_topic_replication_factor = 3; }
};

TEST_F(FewBrokersTest, FindCoordinatorTellsWhyThereAreNoGroups) {
  const auto found = find_coordinator();
  EXPECT_EQ(found.error_code, number(ErrorCode::coordinator_not_available));
  EXPECT_EQ(found.node_id, -1);
  EXPECT_THAT(found.error_message.value_or(""), HasSubstr("INVALID_REPLICATION_FACTOR"));
  EXPECT_THAT(world.report(), HasSubstr("set offsets.topic.replication.factor"));
}

// --- OffsetCommit, OffsetFetch

TEST_F(GroupHandlersTest, OffsetsByName) {
  make_topic("t");
  make_coordinator();
  auto request = commit_of("g", "none", {0});
  request.topics.push_back(commit_of("g", "t", {-1, 1, 2}).topics[0]);
  const auto committed = commit(request);
  ASSERT_THAT(committed.topics, SizeIs(2));
  EXPECT_EQ(committed.topics[0].name, "none");
  EXPECT_EQ(errors_of(committed.topics[0]), (Places{{0, kUnknownPlace}}));
  EXPECT_EQ(committed.topics[1].name, "t");
  EXPECT_EQ(errors_of(committed.topics[1]),
            (Places{{-1, kUnknownPlace}, {1, 0}, {2, kUnknownPlace}}));
  const auto nowhere = commit(commit_of("g", "none", {0}));  // the group is not asked
  EXPECT_EQ(errors_of(nowhere.topics.at(0)), (Places{{0, kUnknownPlace}}));
  request.member_id = "who";
  request.generation_id_or_member_epoch = 3;
  EXPECT_EQ(
      errors_of(commit(request).topics.at(1)),
      (Places{{-1, kUnknownPlace}, {1, number(ErrorCode::unknown_member_id)}, {2, kUnknownPlace}}));

  for (const std::int16_t version : {1, 5, 7}) {
    const auto found = fetch_one("g", "t", version);
    EXPECT_EQ(found.error_code, 0);
    ASSERT_THAT(found.topics, SizeIs(1));
    EXPECT_EQ(found.topics[0].name, "t");
    ASSERT_THAT(found.topics[0].partitions, SizeIs(2));
    EXPECT_EQ(found.topics[0].partitions[0].committed_offset, -1);
    const auto& one = found.topics[0].partitions[1];
    EXPECT_EQ(one.partition_index, 1);
    EXPECT_EQ(one.committed_offset, 5);
    EXPECT_EQ(one.committed_leader_epoch, version >= 5 ? 3 : -1);
    EXPECT_EQ(one.metadata, "note");
    EXPECT_EQ(one.error_code, 0);
  }
  const auto all = fetch_one("g", std::nullopt, 2);
  ASSERT_THAT(all.topics, SizeIs(1));
  EXPECT_EQ(errors_of(all.topics[0]), (Places{{1, 0}}));
  const auto none = fetch_one("g", "none", 7);  // a topic that is not there has no offsets
  EXPECT_EQ(errors_of(none.topics.at(0)), (Places{{0, 0}, {1, 0}}));
}

TEST_F(GroupHandlersTest, OffsetsById) {
  const std::int16_t unknown = number(ErrorCode::unknown_topic_id);
  const Uuid id = make_topic("t");
  make_coordinator();
  auto request = commit_of("g", "", {0});
  request.topics[0].topic_id = kNoSuchId;
  request.topics.push_back(commit_of("g", "", {1, 2}).topics[0]);
  request.topics[1].topic_id = id;
  const auto committed = commit(request, 10);
  ASSERT_THAT(committed.topics, SizeIs(2));
  EXPECT_EQ(committed.topics[0].topic_id, kNoSuchId);
  EXPECT_EQ(errors_of(committed.topics[0]), (Places{{0, unknown}}));
  EXPECT_EQ(committed.topics[1].topic_id, id);
  EXPECT_EQ(errors_of(committed.topics[1]), (Places{{1, 0}, {2, kUnknownPlace}}));
  EXPECT_EQ(fetch_one("g", "t", 7).topics.at(0).partitions.at(1).committed_offset, 5);

  auto wanted = all_of("g");
  wanted.topics.emplace();
  for (const Uuid& one : {kNoSuchId, id}) {
    auto& topic = wanted.topics->emplace_back();
    topic.topic_id = one;
    topic.partition_indexes = {1};
  }
  const auto found = fetch_many({wanted, all_of("g"), all_of("none")}, 10);
  ASSERT_THAT(found.groups, SizeIs(3));
  std::map<bool, Places> errors;
  for (const auto& topic : found.groups[0].topics) {
    EXPECT_TRUE(topic.topic_id == id || topic.topic_id == kNoSuchId);
    errors[topic.topic_id == id] = errors_of(topic);
    EXPECT_EQ(topic.partitions.at(0).committed_offset, topic.topic_id == id ? 5 : -1);
    EXPECT_EQ(topic.partitions.at(0).metadata, topic.topic_id == id ? "note" : "");
  }
  EXPECT_EQ(errors, (std::map<bool, Places>{{false, {{1, unknown}}}, {true, {{1, 0}}}}));
  ASSERT_THAT(found.groups[1].topics, SizeIs(1));
  EXPECT_EQ(found.groups[1].topics[0].topic_id, id);
  EXPECT_EQ(found.groups[2].group_id, "none");
  EXPECT_THAT(found.groups[2].topics, IsEmpty());

  const auto by_name = fetch_many({all_of("g")}, 9);
  EXPECT_EQ(by_name.groups.at(0).topics.at(0).name, "t");
}

// --- JoinGroup, LeaveGroup

TEST_F(GroupHandlersTest, NewMembersAskTwiceFromVersion4) {
  make_coordinator();
  const auto at_once = join(join_of("three"), 3);
  EXPECT_EQ(at_once.error_code, 0);
  EXPECT_THAT(at_once.member_id, StartsWith("test-"));
  EXPECT_EQ(at_once.leader, at_once.member_id);
  EXPECT_THAT(at_once.members, SizeIs(1));
  const auto first = join(join_of("four"), 4);
  EXPECT_EQ(first.error_code, number(ErrorCode::member_id_required));
  EXPECT_EQ(first.protocol_name, "");
  EXPECT_THAT(first.member_id, StartsWith("test-"));
  EXPECT_NE(join(join_of("four"), 4).member_id, first.member_id);
  EXPECT_EQ(join(join_of("four", first.member_id), 4).error_code, 0);
  const auto member = [&] {
    sync("three", at_once.member_id, 1);
    return describe({"three"}, 5).groups.at(0).members.at(0);
  }();
  EXPECT_EQ(member.client_id, "test");
  EXPECT_THAT(member.client_host, StartsWith("/"));
  EXPECT_THAT(member.client_host, SizeIs(::testing::Gt(1u)));
}

// Version 0 has no rebalance timeout: the others have as long as a session to come back.
TEST_F(GroupHandlersTest, Version0WaitsForASession) {
  make_coordinator();
  const std::string first = join(join_of("g"), 0).member_id;
  EXPECT_EQ(sync("g", first, 1).error_code, 0);
  // On a connection of its own: the requests of one are answered in order.
  rpc::testing::Asker other{world, world.add_node("c2"), {"b1", 9092}};
  other.connect();
  rpc::testing::Answer<wire::JoinGroupResponse> second;
  other.ask_later(join_of("g"), 0, second);
  EXPECT_FALSE(world.run_until([&] { return second.has_value(); }, 5s)) << "nobody was waited for";
  EXPECT_EQ(join(join_of("g", first), 0).generation_id, 2);
  ASSERT_TRUE(world.run_until([&] { return second.has_value(); }, 5s)) << world.report();
  EXPECT_EQ((*second)->error_code, 0);
  EXPECT_EQ((*second)->generation_id, 2);
}

TEST_F(GroupHandlersTest, AStaticLeaderNeedNotAssignFromVersion9) {
  make_coordinator();
  for (const std::int16_t version : {8, 9}) {
    const std::string group = "g" + std::to_string(version);
    auto request = join_of(group);
    request.group_instance_id = "one";
    const auto joined = join(request, version);
    EXPECT_EQ(joined.error_code, 0);
    wire::SyncGroupRequest assign;
    assign.group_id = group;
    assign.member_id = joined.member_id;
    assign.group_instance_id = "one";
    assign.generation_id = 1;
    EXPECT_EQ(ask<wire::SyncGroupResponse>(assign, 5).error_code, 0);
    const auto again = join(request, version);
    EXPECT_EQ(again.error_code, 0);
    EXPECT_EQ(again.generation_id, 1);
    EXPECT_NE(again.member_id, joined.member_id);
    EXPECT_EQ(again.leader, version >= 9 ? again.member_id : joined.member_id);
    EXPECT_EQ(again.skip_assignment, version >= 9);
  }
}

TEST_F(GroupHandlersTest, LeavingIsAnsweredForEachFromVersion3) {
  make_coordinator();
  const std::string member = make_group("g");
  const std::int16_t unknown = number(ErrorCode::unknown_member_id);
  wire::LeaveGroupRequest request;
  request.group_id = "g";
  request.member_id = "who";
  EXPECT_EQ(ask<wire::LeaveGroupResponse>(request, 2).error_code, unknown);
  request.member_id = "";
  for (const std::string& one : {std::string("who"), member})
    request.members.emplace_back().member_id = one;
  const auto left = ask<wire::LeaveGroupResponse>(request, 3);
  EXPECT_EQ(left.error_code, 0);
  ASSERT_THAT(left.members, SizeIs(2));
  EXPECT_EQ(left.members[0].member_id, "who");
  EXPECT_EQ(left.members[0].error_code, unknown);
  EXPECT_EQ(left.members[1].error_code, 0);
  EXPECT_EQ(heartbeat("g", member, 1), unknown);
  const std::string other = make_group("h");
  request = {};
  request.group_id = "h";
  request.member_id = other;
  EXPECT_EQ(ask<wire::LeaveGroupResponse>(request, 2).error_code, 0);
  EXPECT_EQ(heartbeat("h", other, 1), unknown);
}

// --- DescribeGroups, ListGroups, DeleteGroups, OffsetDelete

TEST_F(GroupHandlersTest, DescribeGroups) {
  make_coordinator();
  make_group("g");
  const auto old = describe({"none", "g"}, 5, true);
  ASSERT_THAT(old.groups, SizeIs(2));
  EXPECT_EQ(old.groups[0].group_id, "none");
  EXPECT_EQ(old.groups[0].group_state, "Dead");
  EXPECT_EQ(old.groups[0].error_code, 0);
  EXPECT_NE(old.groups[0].authorized_operations, INT32_MIN);
  EXPECT_EQ(old.groups[1].group_state, "Stable");
  EXPECT_EQ(old.groups[1].protocol_type, "tests");
  const auto asked = describe({"none", "g"}, 6, true);
  EXPECT_EQ(asked.groups.at(0).error_code, number(ErrorCode::group_id_not_found));
  EXPECT_EQ(asked.groups[0].error_message, "Group none not found.");
  EXPECT_EQ(asked.groups[0].authorized_operations, INT32_MIN);
  EXPECT_EQ(asked.groups.at(1).authorized_operations, 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11);
  EXPECT_EQ(describe({"g"}, 6).groups.at(0).authorized_operations, INT32_MIN);
}

TEST_F(GroupHandlersTest, ListGroups) {
  make_topic("t");
  make_coordinator();
  std::vector<std::string> simple;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "h"}) {
    EXPECT_EQ(errors_of(commit(commit_of(name, "t", {0})).topics.at(0)), (Places{{0, 0}}));
    simple.push_back(name);
  }
  make_group("g");
  std::vector<std::string> all = simple;
  all.insert(all.end() - 1, "g");
  EXPECT_EQ(names_of(list()), all);  // by name, of both shards
  EXPECT_THAT(names_of(list({"sTaBle"})), ElementsAre("g"));
  EXPECT_EQ(names_of(list({"Empty", "nonsense"})), simple);
  EXPECT_EQ(names_of(list({"Empty", "Stable"}, {"CLASSIC"})), all);
  EXPECT_THAT(names_of(list({"Stable"}, {"consumer"})), IsEmpty());
  EXPECT_THAT(names_of(list({}, {"consumer"})), IsEmpty());
  EXPECT_THAT(names_of(list({"Stabl"})), IsEmpty());
  const auto group = list({"Stable"}).groups.at(0);
  EXPECT_EQ(group.protocol_type, "tests");
  EXPECT_EQ(group.group_state, "Stable");
  EXPECT_EQ(group.group_type, "classic");

  // While a partition is loaded nobody knows all groups: there is no list with holes.
  node.crash(io::sim::CrashKind::power_loss);
  ready = false;
  start();
  for (int tries = 0; tries < 1000; ++tries) {
    const auto listed = list();
    if (listed.error_code == 0) break;
    EXPECT_EQ(listed.error_code, number(ErrorCode::coordinator_load_in_progress));
    EXPECT_THAT(listed.groups, IsEmpty());
  }
  EXPECT_EQ(names_of(list()), all);
}

TEST_F(GroupHandlersTest, DeleteGroups) {
  make_topic("t");
  make_coordinator();
  make_group("g");
  for (const char* name : {"", "a"}) commit(commit_of(name, "t", {0}));
  EXPECT_THAT(remove({"a", "a", "g", "none", ""}),
              ElementsAre(Pair("a", 0), Pair("g", number(ErrorCode::non_empty_group)),
                          Pair("none", number(ErrorCode::group_id_not_found)), Pair("", 0)));
  EXPECT_THAT(names_of(list()), ElementsAre("g"));
}

TEST_F(GroupHandlersTest, OffsetDelete) {
  make_topic("t");
  make_topic("u");
  make_coordinator();
  auto request = commit_of("g", "t", {0, 1});
  request.topics.push_back(commit_of("g", "u", {0}).topics[0]);
  commit(request);
  EXPECT_EQ(remove_offsets("none", {{"t", {0}}, {"none", {0}}}).error_code,
            number(ErrorCode::group_id_not_found));
  EXPECT_EQ(remove_offsets("", {{"t", {0}}}).error_code, number(ErrorCode::invalid_group_id));
  const auto absent = remove_offsets("g", {{"none", {0, 1}}});
  EXPECT_EQ(absent.error_code, 0);
  EXPECT_EQ(errors_of(absent.topics.at(0)), (Places{{0, kUnknownPlace}, {1, kUnknownPlace}}));
  const auto removed = remove_offsets("g", {{"none", {0}}, {"t", {2, 0, -1}}, {"u", {0}}});
  EXPECT_EQ(removed.error_code, 0);
  std::map<std::string, Places> errors;
  for (const auto& topic : removed.topics) errors[topic.name] = errors_of(topic);
  EXPECT_THAT(removed.topics, SizeIs(3));
  EXPECT_EQ(errors["none"], (Places{{0, kUnknownPlace}}));
  EXPECT_EQ(errors["t"], (Places{{0, 0}, {2, kUnknownPlace}, {-1, kUnknownPlace}}));
  EXPECT_EQ(errors["u"], (Places{{0, 0}}));
  const auto left = fetch_one("g", std::nullopt, 7);
  ASSERT_THAT(left.topics, SizeIs(1));
  EXPECT_EQ(errors_of(left.topics[0]), (Places{{1, 0}}));
  EXPECT_THAT(remove({"g"}), ElementsAre(Pair("g", 0)));
}

}  // namespace
}  // namespace ottla::broker
