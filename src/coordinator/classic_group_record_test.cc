// What is kept of a group and what it becomes again; who may commit; forged input.
#include <gtest/gtest.h>

#include "coordinator/classic_group.h"
#include "coordinator/classic_group_test_support.h"
#include "wire/codec.h"
#include "wire/messages/consumer_protocol_subscription.h"

namespace ottla::coordinator {
namespace {

using namespace testing;

TEST(ClassicGroupRecord, LoadedGroupThatIsTooLargeIsRebalanced) {
  expect_trace(kStablePair, R"(
limits max=1
restore
+0
  @0
  = PreparingRebalance 2
join b m=b-2
join a m=a-1
  a <- join GROUP_MAX_SIZE_REACHED member=
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupRecord, LoadedGroupHasItsMembersAndAllSessionsStartAnew) {
  expect_trace(kStablePair, R"(
+9000
restore
describe
  Stable consumer/range
  a-1/null a/127.0.0.1 x=p0
  b-2/null b/127.0.0.1 x=p1
+9999
beat a m=a-1 g=2
  a <- beat NONE
beat b m=b-2 g=2
  b <- beat NONE
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join b m=b-2
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
commit m=b-2 g=2
  commit NONE
+9999
+1
  @28999
  record gen=3 consumer/null leader=null since=1028999
  = Empty 3
)");
}

TEST(ClassicGroupRecord, LoadedGroupThatWasEmptyIsEmpty) {
  expect_trace(kStablePair, R"(
leave a m=a-1
  a <- leave NONE
  = PreparingRebalance 2
leave b m=b-2
  record gen=3 consumer/null leader=null since=1000000
  b <- leave NONE
  = Empty 3
restore
check_delete
  NONE
join c
  c <- join NONE member=c-3 gen=4 consumer/range leader=c-3 c-3:x
  = CompletingRebalance 4
)");
}

TEST(ClassicGroupRecord, LoadedStaticMemberIsFoundByItsInstance) {
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
restore
join a i=A v=9
  record gen=1 consumer/range leader=A-2 since=1000000 A-2/A:x=p0
  a <- join NONE member=A-2 gen=1 consumer/range leader=A-2 skip A-2/A:x
)");
}

TEST(ClassicGroupRecord, LoadedGroupIsRebalancedForItsSizeOnce) {
  // B is away, so that they are still too many: its session or its sync will end that.
  expect_trace("limits delay=0", R"(
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b i=B session=100000
  = PreparingRebalance 1
join a m=A-1 i=A
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x B-2/B:x
  b <- join NONE member=B-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,B-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 B-2/B:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=B-2 g=2
  b <- sync NONE consumer/range assignment=p1
limits max=1
restore
+0
  @0
  = PreparingRebalance 2
join a m=A-1 i=A
+60000
  @60000
  a <- join NONE member=A-1 gen=3 consumer/range leader=A-1 A-1/A:x B-2/B:x
  = CompletingRebalance 3
sync a m=A-1 g=3 a=A-1:p0
  record gen=3 consumer/range leader=A-1 since=1060000 A-1/A:x=p0 B-2/B:x=
  a <- sync NONE consumer/range assignment=p0
  = Stable 3
+5000
beat a m=A-1 g=3
  a <- beat NONE
+5000
beat a m=A-1 g=3
  a <- beat NONE
)");
}

TEST(ClassicGroupRecord, CommitIsChecked) {
  expect_trace("limits delay=0", R"(
commit g=-1
  commit NONE
commit g=0 m=nobody
  commit UNKNOWN_MEMBER_ID
commit g=-1 m=nobody
  commit NONE
join a i=A
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
commit g=1 m=A-1
  commit REBALANCE_IN_PROGRESS
commit g=1 m=A-1 txn=1
  commit NONE
commit g=-1 txn=1
  commit NONE
sync a m=A-1 g=1 a=A-1:p0
  record gen=1 consumer/range leader=A-1 since=1000000 A-1/A:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
commit g=1 m=A-1
  commit NONE
commit g=1 m=A-1 i=A
  commit NONE
commit g=1 m=A-0 i=A
  commit FENCED_INSTANCE_ID
commit g=1 m=A-1 i=B
  commit UNKNOWN_MEMBER_ID
commit g=2 m=A-1
  commit ILLEGAL_GENERATION
commit g=-1 m=A-1
  commit ILLEGAL_GENERATION
commit g=1 m=nobody
  commit UNKNOWN_MEMBER_ID
commit g=-1
  commit UNKNOWN_MEMBER_ID
commit g=-1 i=A
  commit FENCED_INSTANCE_ID
commit g=-1 txn=1
  commit NONE
join b
  = PreparingRebalance 1
commit g=1 m=A-1
  commit NONE
remove
  record tombstone
  b <- join UNKNOWN_MEMBER_ID member=b-2
  = Dead 1
commit g=1 m=A-1
  commit COORDINATOR_NOT_AVAILABLE
commit g=-1
  commit COORDINATOR_NOT_AVAILABLE
)");
}

TEST(ClassicGroupRecord, DeletedGroupAnswersNobody) {
  expect_trace("limits delay=0", R"(
check_delete
  NONE
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
check_delete
  NON_EMPTY_GROUP
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
check_delete
  NON_EMPTY_GROUP
join b
  = PreparingRebalance 1
check_delete
  NON_EMPTY_GROUP
remove
  record tombstone
  b <- join UNKNOWN_MEMBER_ID member=b-2
  = Dead 1
check_delete
  GROUP_ID_NOT_FOUND
join a m=a-1
  a <- join COORDINATOR_NOT_AVAILABLE member=a-1
join a
  a <- join COORDINATOR_NOT_AVAILABLE member=
sync a m=a-1 g=1
  a <- sync COORDINATOR_NOT_AVAILABLE
leave a members=a-1
  a <- leave COORDINATOR_NOT_AVAILABLE
leave a m=a-1
  a <- leave COORDINATOR_NOT_AVAILABLE
)");
}

TEST(ClassicGroupRecord, DeletedInItsFirstDelayItHasNothingDue) {
  expect_trace("", R"(
join a
  = PreparingRebalance 0
remove
  record tombstone
  a <- join UNKNOWN_MEMBER_ID member=a-1
  = Dead 0
deadline
  nothing is due
+100000
)");
}

TEST(ClassicGroupRecord, DeadGroupHasNothingDue) {
  expect_trace("limits delay=0", R"(
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b v=4
  b <- join MEMBER_ID_REQUIRED member=b-2
remove
  record tombstone
  = Dead 1
deadline
  nothing is due
+100000
)");
}

TEST(ClassicGroupRecord, CoordinatorThatLetsGoAnswersWhatWaits) {
  expect_trace(kCompletingPair, R"(
sync b m=b-2 g=2
refuse_waiting
  b <- sync NOT_COORDINATOR
join c
  = PreparingRebalance 2
refuse_waiting
  c <- join NOT_COORDINATOR member=c-3
)");
}

wire::GroupMetadataValue::MemberMetadata member_of_record(std::string id) {
  wire::GroupMetadataValue::MemberMetadata member;
  member.member_id = std::move(id);
  member.client_id = "client";
  member.session_timeout = 10'000;
  member.rebalance_timeout = 60'000;
  return member;
}

wire::GroupMetadataValue record_of(std::vector<wire::GroupMetadataValue::MemberMetadata> members) {
  wire::GroupMetadataValue value;
  value.protocol_type = "consumer";
  value.generation = 7;
  value.protocol = "range";
  value.leader = members.empty() ? std::nullopt : std::optional(members[0].member_id);
  value.current_state_timestamp = 99;
  value.members = std::move(members);
  return value;
}

// As a consumer writes it: the version, then the message in that version.
Bytes subscription(std::int16_t version, std::vector<std::string> topics) {
  wire::ConsumerProtocolSubscription message;
  message.topics = std::move(topics);
  if (version >= 1) message.owned_partitions.push_back({.topic = "owned", .partitions = {1, 2}});
  const Slice body = wire::encode_to_slice(message, version).value();
  Bytes bytes(2);
  store_big(bytes.data(), version);
  bytes.insert(bytes.end(), body.view().begin(), body.view().end());
  return bytes;
}

TEST(ClassicGroupRecord, WhatWasLoadedIsRecordedAlike) {
  auto first = member_of_record("a-1");
  auto second = member_of_record("B-2");
  second.group_instance_id = "B";
  second.subscription = bytes_of("topics");
  second.assignment = bytes_of("p0");
  auto value = record_of({first, second});
  value.leader = "B-2";
  ClassicGroup group = ClassicGroup::restore("g", value, Scenario::now_at(5));
  EXPECT_EQ(group.leader(), "B-2");
  EXPECT_EQ(group.generation(), 7);
  EXPECT_EQ(group.size(), 2u);

  wire::JoinGroupRequest request;
  request.group_instance_id = "B";
  request.protocol_type = "consumer";
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 60'000;
  auto& protocol = request.protocols.emplace_back();
  protocol.name = "range";
  protocol.metadata = second.subscription;
  ClassicGroup::JoinContext context;
  context.client.client_id = "client";
  context.fresh_member_suffix = "3";
  Output output;
  group.join(context, request, {}, Scenario::now_at(6), output);
  value.leader = value.members[1].member_id = "B-3";
  ASSERT_EQ(output.records.size(), 1u);
  EXPECT_EQ(std::get<ClassicGroupRecord>(output.records[0]).value, value);
}

TEST(ClassicGroupRecord, EmptyGroupKnowsSinceWhen) {
  auto value = record_of({});
  EXPECT_EQ(ClassicGroup::restore("g", value, {}).empty_since_wall_ms(), 99);
  value.current_state_timestamp = -1;
  EXPECT_EQ(ClassicGroup::restore("g", value, {}).empty_since_wall_ms(), -1);
  EXPECT_EQ(ClassicGroup("g", {.monotonic_ms = 1, .wall_ms = 2}).empty_since_wall_ms(), 2);
  value.members = {member_of_record("a-1")};
  value.current_state_timestamp = 99;
  EXPECT_EQ(ClassicGroup::restore("g", value, {}).empty_since_wall_ms(), -1);
}

TEST(ClassicGroupRecord, OldRecordHasNoRebalanceTimeout) {
  auto value = record_of({member_of_record("a-1"), member_of_record("b-2")});
  for (auto& member : value.members) {
    member.rebalance_timeout = -1;
    member.session_timeout = 6'000;
  }
  value.members[0].session_timeout = 20'000;
  ClassicGroup group = ClassicGroup::restore("g", value, {});
  Output output;
  wire::LeaveGroupRequest leave;
  leave.member_id = "a-1";
  group.leave(1, leave, false, {}, output);
  wire::HeartbeatRequest beat;
  beat.member_id = "b-2";
  beat.generation_id = 7;
  group.heartbeat(2, beat, {.monotonic_ms = 5'000, .wall_ms = 0}, output);
  group.tick({.monotonic_ms = 5'999, .wall_ms = 0}, {}, output);
  EXPECT_EQ(group.state(), ClassicGroupState::preparing_rebalance);
  group.tick({.monotonic_ms = 6'000, .wall_ms = 0}, {}, output);
  EXPECT_EQ(group.state(), ClassicGroupState::empty);
}

TEST(ClassicGroupRecord, TopicsAreTakenFromEveryVersionOfTheConsumerProtocol) {
  auto value = record_of({member_of_record("a-1"), member_of_record("b-2")});
  value.members[0].subscription = subscription(0, {"orders"});
  value.members[1].subscription = subscription(3, {"orders", "bills"});
  const ClassicGroup group = ClassicGroup::restore("g", value, {});
  EXPECT_TRUE(group.is_subscribed_to("orders"));
  EXPECT_TRUE(group.is_subscribed_to("bills"));
  EXPECT_FALSE(group.is_subscribed_to("letters"));
  EXPECT_FALSE(group.is_subscribed_to("owned"));
}

TEST(ClassicGroupRecord, WhoDoesNotTellItsTopicsReadsAll) {
  auto value = record_of({member_of_record("a-1"), member_of_record("b-2")});
  value.members[0].subscription = subscription(0, {"orders"});
  for (const Bytes& unreadable :
       {Bytes(), Bytes{0}, Bytes{0xff, 0xff, 0, 0, 0, 0}, Bytes{0, 0, 0x7f, 0xff, 0xff, 0xff}}) {
    value.members[1].subscription = unreadable;
    EXPECT_TRUE(ClassicGroup::restore("g", value, {}).is_subscribed_to("letters"));
  }
  value.members.pop_back();
  EXPECT_FALSE(ClassicGroup::restore("g", value, {}).is_subscribed_to("letters"));
  value.protocol_type = "connect";
  EXPECT_TRUE(ClassicGroup::restore("g", value, {}).is_subscribed_to("letters"));
  value.members.clear();
  EXPECT_FALSE(ClassicGroup::restore("g", value, {}).is_subscribed_to("letters"));
}

TEST(ClassicGroupRecord, TopicsFollowTheGeneration) {
  Scenario scenario;
  scenario.limits.initial_rebalance_delay_ms = 0;
  const std::string orders = text_of(subscription(1, {"orders"}));
  const std::string bills = text_of(subscription(1, {"bills"}));
  const auto join = [&](const std::string& member, const std::string& metadata) {
    wire::JoinGroupRequest request;
    request.member_id = member;
    request.group_instance_id = "A";
    request.protocol_type = "consumer";
    request.session_timeout_ms = request.rebalance_timeout_ms = 10'000;
    auto& protocol = request.protocols.emplace_back();
    protocol.name = "range";
    protocol.metadata = bytes_of(metadata);
    Output output;
    ClassicGroup::JoinContext context;
    context.fresh_member_suffix = std::to_string(scenario.group.generation()) + metadata;
    scenario.group.join(context, request, scenario.limits, {}, output);
    return std::get<wire::JoinGroupResponse>(output.replies.back().body).member_id;
  };
  const std::string member = join("", orders);
  EXPECT_TRUE(scenario.group.is_subscribed_to("orders"));
  EXPECT_FALSE(scenario.group.is_subscribed_to("bills"));
  join(member, bills);
  EXPECT_FALSE(scenario.group.is_subscribed_to("orders"));
  EXPECT_TRUE(scenario.group.is_subscribed_to("bills"));
  // Back under a new id in stable: the generation stays, the topics are its new ones.
  wire::SyncGroupRequest sync;
  sync.member_id = member;
  sync.generation_id = 2;
  Output output;
  scenario.group.sync(1, sync, {}, output);
  join("", orders);
  EXPECT_EQ(scenario.group.generation(), 2);
  EXPECT_TRUE(scenario.group.is_subscribed_to("orders"));
  EXPECT_FALSE(scenario.group.is_subscribed_to("bills"));
}

TEST(ClassicGroupRecord, ForgedRecordsAreReadAsFarAsTheyMakeSense) {
  auto twice = record_of({member_of_record("a-1"), member_of_record("a-1")});
  EXPECT_EQ(ClassicGroup::restore("g", twice, {}).size(), 1u);

  auto one_instance = record_of({member_of_record("a-1"), member_of_record("b-2")});
  for (auto& member : one_instance.members) member.group_instance_id = "A";
  EXPECT_EQ(ClassicGroup::restore("g", one_instance, {}).size(), 1u);

  auto no_leader = record_of({member_of_record("a-1"), member_of_record("b-2")});
  for (const auto& leader : {std::optional<std::string>(), std::optional<std::string>("c-3")}) {
    no_leader.leader = leader;
    EXPECT_EQ(ClassicGroup::restore("g", no_leader, {}).leader(), "a-1");
  }

  auto nothing_said = record_of({member_of_record("")});
  nothing_said.protocol_type = "";
  nothing_said.protocol = std::nullopt;
  nothing_said.generation = std::numeric_limits<std::int32_t>::min();
  nothing_said.members[0].session_timeout = std::numeric_limits<std::int32_t>::min();
  nothing_said.members[0].rebalance_timeout = std::numeric_limits<std::int32_t>::min();
  ClassicGroup group = ClassicGroup::restore("g", nothing_said, {});
  EXPECT_EQ(group.describe().members.size(), 1u);
  EXPECT_EQ(group.generation(), 0);
  Output output;
  group.tick({.monotonic_ms = 1, .wall_ms = 1}, {}, output);
  EXPECT_EQ(group.state(), ClassicGroupState::empty);
  EXPECT_EQ(group.generation(), 1);
}

TEST(ClassicGroupRecord, GenerationsBeginAnewAfterTheLastNumber) {
  auto value = record_of({member_of_record("a-1")});
  value.generation = std::numeric_limits<std::int32_t>::max();
  ClassicGroup group = ClassicGroup::restore("g", value, {});
  Output output;
  group.tick({.monotonic_ms = 10'000, .wall_ms = 1}, {}, output);
  EXPECT_EQ(group.generation(), 1);
}

wire::JoinGroupRequest plain_join() {
  wire::JoinGroupRequest request;
  request.protocol_type = "consumer";
  request.session_timeout_ms = request.rebalance_timeout_ms = 10'000;
  request.protocols.emplace_back().name = "range";
  return request;
}

TEST(ClassicGroupRecord, IdsGivenOutAreBounded) {
  ClassicGroup group("g", {});
  ClassicGroup::JoinContext context;
  context.requires_known_member_id = true;
  Output output;
  for (std::size_t i = 0; i <= kPendingMembersMax; ++i) {
    context.fresh_member_suffix = std::to_string(i);
    output.replies.clear();
    group.join(context, plain_join(), {}, {}, output);
    ASSERT_EQ(told(std::get<wire::JoinGroupResponse>(output.replies.at(0).body)),
              i < kPendingMembersMax ? "join MEMBER_ID_REQUIRED member=-" + std::to_string(i)
                                     : "join COORDINATOR_NOT_AVAILABLE member=");
  }
}

TEST(ClassicGroupRecord, LongClientIdIsCutBetweenCharacters) {
  for (const std::size_t before : {0, 1, 2}) {
    std::string client_id(before, 'x');
    while (client_id.size() < 32'000) client_id += "\xe2\x82\xac";  // three bytes each
    ClassicGroup group("g", {});
    ClassicGroup::JoinContext context;
    context.requires_known_member_id = true;
    context.client.client_id = client_id;
    context.fresh_member_suffix = "1";
    Output output;
    group.join(context, plain_join(), {}, {}, output);
    const auto id = std::get<wire::JoinGroupResponse>(output.replies.at(0).body).member_id;
    const std::size_t characters = (kMemberIdPrefixBytesMax - before) / 3;
    EXPECT_EQ(id, client_id.substr(0, before + 3 * characters) + "-1");
  }
}

TEST(ClassicGroupRecord, OfProtocolsWithOneNameTheFirstCounts) {
  expect_trace("limits delay=0", R"(
join a p=range:1,range:2,sticky:3
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:1
  = CompletingRebalance 1
join b p=sticky:4
  = PreparingRebalance 1
join a m=a-1 p=range:1,range:9,sticky:3
  a <- join NONE member=a-1 gen=2 consumer/sticky leader=a-1 a-1:3 b-2:4
  b <- join NONE member=b-2 gen=2 consumer/sticky leader=a-1
  = CompletingRebalance 2
)");
}

// No writer leaves the protocol of members out; who does is not believed, and nobody falls over it.
TEST(ClassicGroupRecord, MembersWithoutAProtocol) {
  auto value = record_of({member_of_record("a-1")});
  value.protocol.reset();
  ClassicGroup group = ClassicGroup::restore("g", value, Scenario::now_at(0));
  const auto described = group.describe();
  EXPECT_EQ(described.group_state, "Stable");
  EXPECT_EQ(described.protocol_data, "");
}

}  // namespace
}  // namespace ottla::coordinator
