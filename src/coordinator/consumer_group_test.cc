// Groups of the consumer protocol, heartbeat by heartbeat, as Kafka 4.3 answers them; and invariant
// (1) under random members, topics and losses.
#include "coordinator/consumer_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "coordinator/cluster_view_testing.h"
#include "coordinator/group_machine.h"

namespace ottla::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

using Request = wire::ConsumerGroupHeartbeatRequest;
using Response = wire::ConsumerGroupHeartbeatResponse;

template <class Topics>
std::vector<PartitionIndex> indexes(const Topics& topics) {
  std::vector<PartitionIndex> all;
  for (const auto& topic : topics)
    all.insert(all.end(), topic.partitions.begin(), topic.partitions.end());
  return all;
}

GroupLimits limits_with(std::int32_t assignment_interval_ms) {
  GroupLimits limits;
  limits.consumer.assignment_interval_ms = assignment_interval_ms;
  return limits;
}

class ConsumerGroupTest : public ::testing::Test {
 protected:
  explicit ConsumerGroupTest(std::int32_t assignment_interval_ms = 0)
      : limits(limits_with(assignment_interval_ms)), machine(limits, topics) {
    topic = topics.add("t", 4);
    machine.loaded(now);
  }

  static Request join_as(const std::string& member, std::vector<std::string> names = {"t"}) {
    Request request;
    request.group_id = "g";
    request.member_id = member;
    request.rebalance_timeout_ms = 60'000;
    request.subscribed_topic_names = std::move(names);
    request.topic_partitions.emplace();
    return request;
  }
  static Request beat_of(const std::string& member, std::int32_t epoch) {
    Request request;
    request.group_id = "g";
    request.member_id = member;
    request.member_epoch = epoch;
    return request;
  }
  Request owning(const std::string& member, std::int32_t epoch, std::vector<PartitionIndex> owned) {
    Request request = beat_of(member, epoch);
    request.topic_partitions.emplace();
    if (!owned.empty()) {
      auto& each = request.topic_partitions->emplace_back();
      each.topic_id = topic;
      each.partitions = std::move(owned);
    }
    return request;
  }

  Response send(const Request& request, std::int16_t version = 1) {
    Output output;
    machine.consumer_heartbeat(
        {.token = 1, .version = version, .client = {"c", "/h"}, .fresh_member_id = "fresh"},
        request, now, output);
    records = output.records;
    for (const GroupRecord& record : output.records) log.push_back(record);
    EXPECT_THAT(output.replies, SizeIs(1));
    return std::get<Response>(output.replies.at(0).body);
  }
  static ErrorCode error_of(const Response& response) {
    return static_cast<ErrorCode>(response.error_code);
  }
  static std::vector<PartitionIndex> given(const Response& response) {
    EXPECT_TRUE(response.assignment.has_value());
    return response.assignment ? indexes(response.assignment->topic_partitions)
                               : std::vector<PartitionIndex>{-1};
  }
  void pass(TimestampMs ms) {
    now.monotonic_ms += ms;
    now.wall_ms += ms;
    Output output;
    if (machine.deadline() <= now.monotonic_ms) machine.tick(now, output);
    for (const GroupRecord& record : output.records) log.push_back(record);
  }
  std::string state() const { return machine.describe_consumer("g").group_state; }
  ErrorCode commit(const std::string& member, std::int32_t epoch, std::int16_t version = 9) {
    wire::OffsetCommitRequest request;
    request.group_id = "g";
    request.member_id = member;
    request.generation_id_or_member_epoch = epoch;
    auto& each = request.topics.emplace_back();
    each.name = "t";
    each.partitions.emplace_back().partition_index = 3;
    Output output;
    machine.commit({.token = 1, .version = version, .topic_id = [&](const auto&) { return topic; }},
                   request, now, output);
    return static_cast<ErrorCode>(std::get<wire::OffsetCommitResponse>(output.replies.at(0).body)
                                      .topics.at(0)
                                      .partitions.at(0)
                                      .error_code);
  }

  testing::TestTopics topics;
  Uuid topic;
  const GroupLimits limits;
  Now now{.monotonic_ms = 1'000, .wall_ms = 1'000'000};
  GroupMachine machine;
  std::vector<GroupRecord> records;  // of the last step
  std::vector<GroupRecord> log;      // of all
};

TEST_F(ConsumerGroupTest, TheFirstMemberGetsAllAtOnce) {
  const Response response = send(join_as("a"));
  EXPECT_EQ(error_of(response), ErrorCode::none);
  EXPECT_EQ(response.member_epoch, 2);
  EXPECT_EQ(response.heartbeat_interval_ms, limits.consumer.heartbeat_interval_ms);
  EXPECT_THAT(given(response), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(state(), "Stable");
  EXPECT_THAT(records, SizeIs(5)) << "member, epoch, target, target's epoch, assignment";
  const Response again = send(beat_of("a", 2));
  EXPECT_FALSE(again.assignment.has_value());
  EXPECT_THAT(records, IsEmpty());
}

TEST_F(ConsumerGroupTest, ASecondMemberWaitsForTheFirstToGiveUp) {
  send(join_as("a"));
  Response b = send(join_as("b"));
  EXPECT_EQ(b.member_epoch, 3);
  EXPECT_THAT(given(b), IsEmpty());
  EXPECT_EQ(b.heartbeat_interval_ms, limits.consumer.unsettled_interval_ms);
  EXPECT_EQ(state(), "Reconciling");
  Response a = send(beat_of("a", 2));
  EXPECT_EQ(a.member_epoch, 2);
  EXPECT_THAT(given(a), ElementsAre(0, 1));
  EXPECT_FALSE(send(beat_of("b", 3)).assignment.has_value()) << "a has not said that it gave up";
  a = send(owning("a", 2, {0, 1}));
  EXPECT_EQ(a.member_epoch, 3);
  EXPECT_FALSE(a.assignment.has_value());
  EXPECT_THAT(given(send(beat_of("b", 3))), ElementsAre(2, 3));
  EXPECT_EQ(state(), "Stable");
  EXPECT_THAT(given(send(join_as("b"))), ElementsAre(2, 3)) << "a full request gets a full answer";
}

TEST_F(ConsumerGroupTest, WhoDoesNotGiveUpInTimeIsOut) {
  send(join_as("a"));
  send(join_as("b"));
  send(beat_of("a", 2));
  for (int i = 0; i < 5; ++i) {
    pass(10'000);
    send(beat_of("a", 2));
    send(beat_of("b", 3));
  }
  pass(10'000);
  EXPECT_EQ(error_of(send(beat_of("a", 2))), ErrorCode::unknown_member_id);
  EXPECT_THAT(given(send(beat_of("b", 3))), ElementsAre(0, 1, 2, 3));
}

TEST_F(ConsumerGroupTest, WhoIsSilentIsOut) {
  send(join_as("a"));
  pass(limits.consumer.session_timeout_ms - 1);
  EXPECT_EQ(state(), "Stable");
  send(beat_of("a", 2));
  pass(limits.consumer.session_timeout_ms);
  EXPECT_EQ(state(), "Empty");
  EXPECT_EQ(error_of(send(beat_of("a", 2))), ErrorCode::unknown_member_id);
  EXPECT_EQ(send(join_as("a")).member_epoch, 4);
}

TEST_F(ConsumerGroupTest, AGroupsOwnConfigsComeFirst) {
  topics.configs = {{"consumer.session.timeout.ms", 50'000},
                    {"consumer.heartbeat.interval.ms", 7'000}};
  EXPECT_EQ(send(join_as("a")).heartbeat_interval_ms, 7'000);
  pass(49'999);
  EXPECT_EQ(state(), "Stable");
  pass(1);
  EXPECT_EQ(state(), "Empty");
}

TEST_F(ConsumerGroupTest, EpochsAreChecked) {
  send(join_as("a"));
  EXPECT_EQ(error_of(send(beat_of("a", 3))), ErrorCode::fenced_member_epoch);
  EXPECT_EQ(error_of(send(beat_of("a", 1))), ErrorCode::fenced_member_epoch);
  send(join_as("b"));
  send(beat_of("a", 2));
  send(owning("a", 2, {0, 1}));  // a is at 3 now, and did not get the answer
  EXPECT_EQ(error_of(send(owning("a", 2, {0, 1, 2}))), ErrorCode::fenced_member_epoch);
  const Response again = send(owning("a", 2, {0, 1}));
  EXPECT_EQ(error_of(again), ErrorCode::none);
  EXPECT_EQ(again.member_epoch, 3);
  EXPECT_EQ(error_of(send(beat_of("a", 2))), ErrorCode::fenced_member_epoch) << "owns what?";
  send(beat_of("b", -1));
  EXPECT_EQ(send(beat_of("a", 3)).member_epoch, 4);
  EXPECT_EQ(error_of(send(owning("a", 2, {0, 1}))), ErrorCode::fenced_member_epoch) << "too old";
  EXPECT_EQ(error_of(send(owning("a", 3, {0, 1}))), ErrorCode::none);
}

TEST_F(ConsumerGroupTest, LeavingMakesRoomAtOnce) {
  send(join_as("a"));
  send(join_as("b"));
  EXPECT_EQ(send(beat_of("a", -1)).member_epoch, -1);
  EXPECT_THAT(given(send(beat_of("b", 3))), ElementsAre(0, 1, 2, 3));
  send(beat_of("b", -1));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(ConsumerGroupTest, AStaticMemberComesBackToWhatItHad) {
  Request s1 = join_as("s1");
  s1.instance_id = "S";
  send(s1);
  Request s2 = join_as("s2");
  s2.instance_id = "S";
  EXPECT_EQ(error_of(send(s2)), ErrorCode::unreleased_instance_id);
  Request zombie = beat_of("s2", 2);
  zombie.instance_id = "S";
  EXPECT_EQ(error_of(send(zombie)), ErrorCode::fenced_instance_id);
  Request away = beat_of("s1", -2);
  away.instance_id = "S";
  EXPECT_EQ(send(away).member_epoch, -2);
  EXPECT_EQ(error_of(send(beat_of("s1", 2))), ErrorCode::fenced_member_epoch);
  const Response back = send(s2);
  EXPECT_EQ(back.member_epoch, 2) << "nothing has changed for the others";
  EXPECT_THAT(given(back), ElementsAre(0, 1, 2, 3));
  zombie.member_id = "s1";
  EXPECT_EQ(error_of(send(zombie)), ErrorCode::fenced_instance_id);
  pass(limits.consumer.session_timeout_ms);
  EXPECT_EQ(state(), "Empty");
}

TEST_F(ConsumerGroupTest, WhoIsAwayForAWhileHoldsUpNobody) {
  Request fixed = join_as("s1");
  fixed.instance_id = "S";
  send(fixed);
  const std::int32_t epoch = send(join_as("other", {})).member_epoch;
  Request away = beat_of("s1", -2);
  away.instance_id = "S";
  send(away);
  EXPECT_EQ(send(beat_of("other", epoch)).heartbeat_interval_ms,
            limits.consumer.heartbeat_interval_ms);
}

TEST_F(ConsumerGroupTest, TopicsThatGrowAndComeAreAssigned) {
  send(join_as("a", {"t", "later"}));
  topics.put("t", {topic, 6});
  EXPECT_FALSE(send(beat_of("a", 2)).assignment.has_value()) << "nobody has said so";
  Output output;
  machine.topics_changed(nullptr, output);
  const Response grown = send(beat_of("a", 2));
  EXPECT_EQ(grown.member_epoch, 3);
  EXPECT_THAT(given(grown), SizeIs(6));
  topics.add("later", 1);
  machine.topics_changed(nullptr, output);
  EXPECT_THAT(given(send(beat_of("a", 3))), SizeIs(7));
  topics.remove("t");
  machine.topics_changed(nullptr, output);
  EXPECT_THAT(given(send(beat_of("a", 4))), SizeIs(1));
}

TEST_F(ConsumerGroupTest, RegularExpressionsFollowTheTopics) {
  Request request = join_as("a");
  request.subscribed_topic_names.reset();
  request.subscribed_topic_regex = "t|u.*";
  EXPECT_THAT(given(send(request)), SizeIs(4));
  topics.add("u1", 2);
  topics.add("xu1", 2);  // the whole name has to match
  Output output;
  machine.topics_changed(nullptr, output);
  EXPECT_THAT(given(send(beat_of("a", 2))), SizeIs(6));
  request.subscribed_topic_regex = "(";
  const Response bad = send(request);
  EXPECT_EQ(error_of(bad), ErrorCode::invalid_regular_expression);
  EXPECT_THAT(bad.error_message.value_or(""), HasSubstr("`(`"));
}

TEST_F(ConsumerGroupTest, RequestsThatMakeNoSenseAreRefused) {
  const auto refused = [&](auto change, std::int16_t version = 1) {
    Request request = join_as("a");
    change(request);
    return error_of(send(request, version));
  };
  const auto invalid = ErrorCode::invalid_request;
  EXPECT_EQ(refused([](Request& r) { r.group_id = ""; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.member_id = ""; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.member_id = ""; }, 0), ErrorCode::none);
  EXPECT_EQ(refused([](Request& r) { r.instance_id = ""; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.rack_id = ""; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.rebalance_timeout_ms = -1; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.topic_partitions.reset(); }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.topic_partitions->emplace_back(); }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.subscribed_topic_names.reset(); }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.member_epoch = -3; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.member_epoch = -2; }), invalid);
  EXPECT_EQ(refused([](Request& r) { r.server_assignor = "mine"; }),
            ErrorCode::unsupported_assignor);
  EXPECT_EQ(refused([](Request& r) { r.group_id = "nope", r.member_epoch = 5; }),
            ErrorCode::group_id_not_found);
  EXPECT_EQ(refused([](Request& r) { r.group_id = "nope", r.member_epoch = -1; }),
            ErrorCode::group_id_not_found);
}

TEST_F(ConsumerGroupTest, CommitsAreChecked) {
  EXPECT_EQ(commit("a", 2), ErrorCode::group_id_not_found);
  send(join_as("a"));
  EXPECT_EQ(commit("", -1), ErrorCode::unknown_member_id) << "somebody is in it";
  EXPECT_EQ(commit("a", 2), ErrorCode::none);
  EXPECT_EQ(commit("a", 2, 8), ErrorCode::unsupported_version);
  EXPECT_EQ(commit("a", 3), ErrorCode::stale_member_epoch);
  EXPECT_EQ(commit("b", 2), ErrorCode::unknown_member_id);
  send(join_as("b"));
  send(beat_of("a", 2));
  EXPECT_EQ(commit("a", 2), ErrorCode::none) << "partition 3 is still its, until it gives it up";
  send(owning("a", 2, {0, 1}));
  EXPECT_EQ(commit("a", 2), ErrorCode::stale_member_epoch);
  send(beat_of("b", 3));
  EXPECT_EQ(commit("b", 3), ErrorCode::none);
  EXPECT_EQ(commit("b", 2), ErrorCode::stale_member_epoch) << "it got partition 3 with epoch 3";
}

TEST_F(ConsumerGroupTest, AGroupIsOfOneKindWhileSomebodyIsInIt) {
  wire::JoinGroupRequest classic;
  classic.group_id = "g";
  classic.session_timeout_ms = 10'000;
  classic.rebalance_timeout_ms = 10'000;
  classic.protocol_type = "consumer";
  classic.protocols.emplace_back().name = "range";
  const auto join = [&] {
    Output output;
    machine.join({.token = 9, .client = {"c", "/h"}, .fresh_member_suffix = "x"}, classic, now,
                 output);
    records = output.records;
    return output.replies.empty()
               ? ErrorCode::none
               : static_cast<ErrorCode>(
                     std::get<wire::JoinGroupResponse>(output.replies[0].body).error_code);
  };
  send(join_as("a"));
  EXPECT_EQ(join(), ErrorCode::inconsistent_group_protocol);
  EXPECT_EQ(machine.describe("g", 6).error_code,
            static_cast<std::int16_t>(ErrorCode::group_id_not_found));
  send(beat_of("a", -1));
  EXPECT_EQ(join(), ErrorCode::none);
  EXPECT_THAT(records, SizeIs(2)) << "tombstones of what it was";
  EXPECT_EQ(error_of(send(join_as("a"))), ErrorCode::group_id_not_found);
  EXPECT_EQ(machine.list().at(0).group_type, "classic");
}

TEST_F(ConsumerGroupTest, TheLogTellsAll) {
  send(join_as("a"));
  send(join_as("b"));
  send(beat_of("a", 2));
  GroupMachine loaded(limits, topics);
  for (const GroupRecord& record : log) loaded.load(record, {}, now);
  loaded.loaded(now);
  EXPECT_EQ(loaded.describe_consumer("g"), machine.describe_consumer("g"));
  // b's are still a's.
  Output output;
  loaded.consumer_heartbeat({.token = 1, .version = 1, .client = {}, .fresh_member_id = ""},
                            beat_of("b", 3), now, output);
  EXPECT_FALSE(std::get<Response>(output.replies.at(0).body).assignment.has_value());
  now.monotonic_ms += 60'000;
  loaded.tick(now, output);
  EXPECT_EQ(loaded.describe_consumer("g").group_state, "Empty") << "sessions begin with the load";

  send(beat_of("a", -1));
  send(beat_of("b", -1));
  EXPECT_EQ(machine.delete_group("g", output), ErrorCode::none);
  for (const GroupRecord& record : output.records) log.push_back(record);
  GroupMachine empty(limits, topics);
  for (const GroupRecord& record : log) empty.load(record, {}, now);
  empty.loaded(now);
  EXPECT_EQ(empty.size(), 0u);
}

class UnhurriedConsumerGroupTest : public ConsumerGroupTest {
 protected:
  UnhurriedConsumerGroupTest() : ConsumerGroupTest(1'000) {}
};

TEST_F(UnhurriedConsumerGroupTest, MembersThatComeTogetherAreAssignedTogether) {
  EXPECT_THAT(given(send(join_as("a"))), SizeIs(4)) << "the first does not wait";
  send(join_as("b"));
  EXPECT_EQ(state(), "Assigning");
  pass(999);
  send(beat_of("a", 2));
  EXPECT_EQ(state(), "Assigning");
  pass(1);
  send(beat_of("a", 2));
  EXPECT_EQ(state(), "Reconciling");
}

// --- invariant (1)

// Clients that obey the answers; what they believe to own never overlaps.
class RandomConsumers : public ::testing::TestWithParam<int> {
 protected:
  struct Client {
    std::int32_t epoch = 0;
    PartitionSet owned;
    bool has_lost_answer = false;
  };

  std::size_t below(std::size_t bound) { return random_() % bound; }

  void restart() {
    auto loaded = std::make_unique<GroupMachine>(limits_, topics_);
    for (const GroupRecord& record : log_) loaded->load(record, {}, now_);
    loaded->loaded(now_);
    machine_ = std::move(loaded);
  }

  void beat(const std::string& id, Client& client) {
    Request request;
    request.group_id = "g";
    request.member_id = id;
    request.member_epoch = client.epoch;
    request.topic_partitions = by_topic<Request::TopicPartitions>(client.owned);
    if (client.epoch == 0) {
      request.topic_partitions->clear();
      request.rebalance_timeout_ms = 5'000;
      request.subscribed_topic_names = {"t", "u"};
      if (below(3) == 0) request.server_assignor = "range";
    } else if (client.has_lost_answer) {  // after an error, clients tell all
      request.rebalance_timeout_ms = 5'000;
      request.subscribed_topic_names = {"t", "u"};
    }
    Output output;
    machine_->consumer_heartbeat({.token = 1, .version = 1, .client = {}, .fresh_member_id = ""},
                                 request, now_, output);
    for (GroupRecord& record : output.records) log_.push_back(std::move(record));
    const auto& response = std::get<Response>(output.replies.at(0).body);
    client.has_lost_answer = below(10) == 0;
    if (client.has_lost_answer) return;
    if (response.error_code != 0) {
      client = {};
      return;
    }
    client.epoch = response.member_epoch;
    if (!response.assignment) return;
    const PartitionSet told = partitions_in(response.assignment->topic_partitions);
    client.owned = told;
  }

  void expect_one_owner() {
    std::map<TopicIdPartition, std::string> owners;
    for (const auto& [id, client] : clients_) {
      for (const TopicIdPartition& partition : client.owned) {
        const auto [other, is_alone] = owners.emplace(partition, id);
        EXPECT_TRUE(is_alone) << id << " and " << other->second << " own partition "
                              << partition.partition;
      }
    }
  }

  std::mt19937_64 random_{static_cast<std::uint64_t>(GetParam())};
  testing::TestTopics topics_;
  GroupLimits limits_;
  Now now_{.monotonic_ms = 1'000, .wall_ms = 1'000'000};
  std::vector<GroupRecord> log_;
  std::unique_ptr<GroupMachine> machine_ = std::make_unique<GroupMachine>(limits_, topics_);
  std::map<std::string, Client> clients_;
};

TEST_P(RandomConsumers, NeverShareAPartitionAndSettle) {
  limits_.consumer.assignment_interval_ms = 200;
  topics_.add("t", 6);
  restart();
  for (int step = 0; step < 400; ++step) {
    now_.monotonic_ms += 50;
    now_.wall_ms += 50;
    const std::string id = "m" + std::to_string(below(5));
    switch (below(12)) {
      case 0: {  // leaves
        if (!clients_.contains(id) || clients_[id].epoch == 0) break;
        Request leave;
        leave.group_id = "g";
        leave.member_id = id;
        leave.member_epoch = -1;
        Output output;
        machine_->consumer_heartbeat(
            {.token = 1, .version = 1, .client = {}, .fresh_member_id = ""}, leave, now_, output);
        for (GroupRecord& record : output.records) log_.push_back(std::move(record));
        clients_.erase(id);
        break;
      }
      case 1:  // dies: nobody hears of it
        clients_.erase(id);
        break;
      case 2:
        restart();
        break;
      case 3: {
        topics_.put("u", {Uuid{8, 8}, static_cast<std::int32_t>(1 + below(5))});
        Output output;
        machine_->topics_changed(nullptr, output);
        break;
      }
      default:
        beat(id, clients_[id]);
    }
    // A client that is not heard from gives up before the coordinator does.
    Output output;
    if (machine_->deadline() <= now_.monotonic_ms) machine_->tick(now_, output);
    for (GroupRecord& record : output.records) log_.push_back(std::move(record));
    for (auto& [name, client] : clients_) {
      const auto described = machine_->describe_consumer("g").members;
      const bool is_member =
          std::ranges::any_of(described, [&](const auto& each) { return each.member_id == name; });
      if (!is_member) client = {};
    }
    expect_one_owner();
    if (HasFailure()) return;
  }
  for (int round = 0; round < 20; ++round) {
    now_.monotonic_ms += 1'000;
    now_.wall_ms += 1'000;
    for (auto& [id, client] : clients_) {
      beat(id, client);
      expect_one_owner();
    }
    Output output;
    if (machine_->deadline() <= now_.monotonic_ms) machine_->tick(now_, output);
    for (GroupRecord& record : output.records) log_.push_back(std::move(record));
  }
  now_.monotonic_ms += 40'000;  // the dead are gone
  for (int round = 0; round < 12; ++round) {
    now_.monotonic_ms += 1'000;
    Output output;
    if (machine_->deadline() <= now_.monotonic_ms) machine_->tick(now_, output);
    for (GroupRecord& record : output.records) log_.push_back(std::move(record));
    for (auto& [id, client] : clients_) beat(id, client);
  }
  if (clients_.empty()) return;
  EXPECT_EQ(machine_->describe_consumer("g").group_state, "Stable");
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomConsumers, ::testing::Range(0, 30));

}  // namespace
}  // namespace ottla::coordinator
