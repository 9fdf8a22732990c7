// The controller's rules, decision by decision; each decision is applied as the server does it.
#include "metadata/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/config_definitions.h"
#include "metadata/metadata_testing.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

class CountedIds final : public IdSource {
 public:
  Uuid next() override { return {100, ++last_}; }

 private:
  std::uint64_t last_ = 0;
};

class ControllerTest : public ::testing::Test {
 protected:
  static std::int16_t number(ErrorCode code) { return static_cast<std::int16_t>(code); }

  void apply(const std::vector<Record>& records) {
    if (records.empty()) return;
    end += static_cast<Offset>(records.size());
    rules.apply(records, {.offset = end - 1, .epoch = 1, .timestamp = 1});
  }

  wire::BrokerRegistrationRequest registration(NodeId id, std::uint64_t incarnation = 1) {
    wire::BrokerRegistrationRequest request;
    request.broker_id = id;
    request.cluster_id = "cluster";
    request.incarnation_id = {static_cast<std::uint64_t>(id), incarnation};
    request.log_dirs = {{1000, static_cast<std::uint64_t>(id)}};
    for (const auto& [name, high] :
         std::map<std::string, std::int16_t>{{"metadata.version", 30},
                                             {"kraft.version", 1},
                                             {"eligible.leader.replicas.version", 1}}) {
      auto& feature = request.features.emplace_back();
      feature.name = name;
      feature.min_supported_version = 0;
      feature.max_supported_version = high;
    }
    return request;
  }
  ErrorCode try_register(const wire::BrokerRegistrationRequest& request) {
    auto decision = rules.register_broker(request, end, now);
    epoch = decision.response.broker_epoch;
    if (decision.response.error_code != 0) EXPECT_THAT(decision.records, IsEmpty());
    apply(decision.records);
    return static_cast<ErrorCode>(decision.response.error_code);
  }
  BrokerEpoch enlist(NodeId id, std::uint64_t incarnation = 1) {
    EXPECT_EQ(try_register(registration(id, incarnation)), ErrorCode::none);
    return epoch;
  }

  struct Beat {
    bool want_fence = false;
    bool want_shut_down = false;
    std::optional<Offset> applied = std::nullopt;  // everything
  };
  wire::BrokerHeartbeatResponse heartbeat(NodeId id, BrokerEpoch of, Beat beat) {
    wire::BrokerHeartbeatRequest request;
    request.broker_id = id;
    request.broker_epoch = of;
    request.current_metadata_offset = beat.applied.value_or(end - 1);
    request.want_fence = beat.want_fence;
    request.want_shut_down = beat.want_shut_down;
    auto decision = rules.heartbeat(request, end - 1, now);
    last_records = decision.records;
    apply(decision.records);
    return decision.response;
  }
  BrokerEpoch join(NodeId id) {
    const BrokerEpoch of = enlist(id);
    EXPECT_FALSE(heartbeat(id, of, {}).is_fenced);
    return of;
  }

  static wire::CreateTopicsRequest::CreatableTopic topic(std::string name,
                                                         std::int32_t partitions = 1,
                                                         std::int16_t replicas = -1) {
    wire::CreateTopicsRequest::CreatableTopic made;
    made.name = std::move(name);
    made.num_partitions = partitions;
    made.replication_factor = replicas;
    return made;
  }
  static void add_config(wire::CreateTopicsRequest::CreatableTopic& to, std::string name,
                         std::optional<std::string> value) {
    auto& config = to.configs.emplace_back();
    config.name = std::move(name);
    config.value = std::move(value);
  }
  static void assign(wire::CreateTopicsRequest::CreatableTopic& to, std::int32_t index,
                     std::vector<NodeId> brokers) {
    to.num_partitions = -1;
    auto& assignment = to.assignments.emplace_back();
    assignment.partition_index = index;
    assignment.broker_ids = std::move(brokers);
  }
  wire::CreateTopicsResponse create(std::vector<wire::CreateTopicsRequest::CreatableTopic> topics,
                                    bool validate_only = false, std::int16_t version = 7) {
    wire::CreateTopicsRequest request;
    request.topics = std::move(topics);
    request.validate_only = validate_only;
    auto decision = rules.create_topics(request, version, ids);
    apply(decision.records);
    return decision.response;
  }
  // Error and message of one refused topic, which must not be there afterwards.
  std::pair<ErrorCode, std::string> refusal(wire::CreateTopicsRequest::CreatableTopic wanted) {
    const std::string name = wanted.name;
    const auto before = rules.image();
    const auto response = create({std::move(wanted)});
    EXPECT_EQ(rules.image(), before) << name;
    return {static_cast<ErrorCode>(response.topics.at(0).error_code),
            response.topics.at(0).error_message.value_or("")};
  }
  const PartitionImage& partition(const std::string& name, std::size_t index = 0) {
    return rules.image()->topics->find(name)->partitions.at(index);
  }

  Controller rules{ControllerOptions{.cluster_id = "cluster", .num_partitions = 3},
                   image_of({feature_record("metadata.version", 30)})};
  CountedIds ids;
  Offset end = 100;
  std::int64_t now = 1000;
  BrokerEpoch epoch = -1;
  std::vector<Record> last_records;
};

// --- registration (interop notes, A.3)

TEST_F(ControllerTest, ABrokersEpochIsTheOffsetOfItsRegistration) {
  EXPECT_EQ(enlist(1), 100);
  EXPECT_EQ(enlist(2), 101);
  EXPECT_TRUE(rules.image()->brokers.at(1).is_fenced);
}

TEST_F(ControllerTest, RegistrationsThatAreRefused) {
  auto request = registration(1);
  request.cluster_id = "other";
  EXPECT_EQ(try_register(request), ErrorCode::inconsistent_cluster_id);
  request = registration(1);
  request.is_migrating_zk_broker = true;
  EXPECT_EQ(try_register(request), ErrorCode::broker_id_not_registered);
  request = registration(1);
  request.features.clear();
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  for (auto& feature : (request = registration(1)).features) {
    if (feature.name == "metadata.version") feature.max_supported_version = 29;
  }
  EXPECT_EQ(try_register(request), ErrorCode::unsupported_version);
  for (auto& feature : (request = registration(1)).features) {
    if (feature.name == "kraft.version") feature.max_supported_version = 0;
  }
  EXPECT_EQ(try_register(request), ErrorCode::unsupported_version);
  request = registration(1);
  request.log_dirs.clear();
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  request = registration(1);
  request.log_dirs.push_back(request.log_dirs[0]);
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  request = registration(1);
  request.log_dirs = {{0, 99}};
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  enlist(2);
  request = registration(1);
  request.log_dirs = {{1000, 2}};
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  request = registration(1);
  auto& extra = request.features.emplace_back();
  extra.name = "ottla.version";  // unknown ones are welcome
  EXPECT_EQ(try_register(request), ErrorCode::none);
}

TEST_F(ControllerTest, AnotherIncarnationWaitsForTheEndOfTheSession) {
  const BrokerEpoch first = enlist(1);
  EXPECT_EQ(try_register(registration(1, 2)), ErrorCode::none);  // no heartbeat yet: no session
  EXPECT_EQ(heartbeat(1, first, {}).error_code, number(ErrorCode::stale_broker_epoch));
  heartbeat(1, epoch, {});
  EXPECT_EQ(try_register(registration(1, 3)), ErrorCode::duplicate_broker_registration);
  now += 8999;
  EXPECT_EQ(try_register(registration(1, 3)), ErrorCode::duplicate_broker_registration);
  now += 1;
  EXPECT_EQ(try_register(registration(1, 3)), ErrorCode::none);
}

TEST_F(ControllerTest, TheBrokerOfThisProcessIsNeverADuplicate) {
  rules = Controller({.cluster_id = "cluster", .own_broker = 1}, rules.image());
  heartbeat(1, enlist(1), {});
  EXPECT_EQ(try_register(registration(1, 2)), ErrorCode::none);
}

TEST_F(ControllerTest, TheSameIncarnationKeepsEpochStateAndSessionButMustCatchUpAnew) {
  const BrokerEpoch of = join(1);
  EXPECT_EQ(try_register(registration(1)), ErrorCode::none);
  EXPECT_EQ(epoch, of);
  EXPECT_FALSE(rules.image()->brokers.at(1).is_fenced);
  EXPECT_FALSE(heartbeat(1, of, {.applied = end - 2}).is_caught_up);
  EXPECT_TRUE(heartbeat(1, of, {.applied = end - 1}).is_caught_up);
  enlist(1);  // and is still fenced when it falls silent
  now += 9000;
  apply(rules.tick(now));
  EXPECT_TRUE(rules.image()->brokers.at(1).is_fenced);
}

// --- heartbeats (A.4)

TEST_F(ControllerTest, ABrokerIsUnfencedWhenItHasSeenItsRegistration) {
  const BrokerEpoch of = enlist(1);
  auto answer = heartbeat(1, of, {.applied = of - 1});
  EXPECT_FALSE(answer.is_caught_up);
  EXPECT_TRUE(answer.is_fenced);
  answer = heartbeat(1, of, {.want_fence = true});
  EXPECT_TRUE(answer.is_caught_up);
  EXPECT_TRUE(answer.is_fenced);
  EXPECT_THAT(last_records, IsEmpty());
  EXPECT_FALSE(heartbeat(1, of, {}).is_fenced);
  EXPECT_FALSE(rules.image()->brokers.at(1).is_fenced);
  EXPECT_FALSE(heartbeat(1, of, {}).is_fenced);
  EXPECT_THAT(last_records, IsEmpty());
}

TEST_F(ControllerTest, AHeartbeatOfNobodyOrOfAnOldEpochIsStale) {
  EXPECT_EQ(heartbeat(9, 1, {}).error_code, number(ErrorCode::stale_broker_epoch));
  const BrokerEpoch of = enlist(1);
  EXPECT_EQ(heartbeat(1, of - 1, {}).error_code, number(ErrorCode::stale_broker_epoch));
}

TEST_F(ControllerTest, AFencedBrokerThatLeavesMayGoAtOnce) {
  const BrokerEpoch of = enlist(1);
  EXPECT_TRUE(heartbeat(1, of, {.want_shut_down = true}).should_shut_down);
}

TEST_F(ControllerTest, SilenceFencesAndTheLeaderlessAreLedAgainOnReturn) {
  const BrokerEpoch of = join(1);
  create({topic("t", 2)});
  ASSERT_TRUE(rules.deadline_ms());
  EXPECT_EQ(*rules.deadline_ms(), now + 9000);
  now += 8999;
  EXPECT_THAT(rules.tick(now), IsEmpty());
  now += 1;
  apply(rules.tick(now));
  EXPECT_EQ(rules.deadline_ms(), std::nullopt);
  EXPECT_TRUE(rules.image()->brokers.at(1).is_fenced);
  EXPECT_EQ(partition("t").leader, -1);
  EXPECT_EQ(partition("t").isr, (std::vector<NodeId>{1}));  // the last that has everything
  EXPECT_EQ(partition("t").leader_epoch, 1);
  EXPECT_FALSE(heartbeat(1, of, {}).is_fenced);
  for (const std::size_t index : {0u, 1u}) {
    EXPECT_EQ(partition("t", index).leader, 1);
    EXPECT_EQ(partition("t", index).leader_epoch, 2);
    EXPECT_EQ(partition("t", index).partition_epoch, 2);
  }
}

TEST_F(ControllerTest, LeadershipGoesToAnotherActiveMemberOfTheIsr) {
  const BrokerEpoch first = join(1);
  join(2);
  auto wanted = topic("t");
  assign(wanted, 0, {1, 2});
  create({wanted});
  EXPECT_EQ(partition("t").leader, 1);
  EXPECT_TRUE(heartbeat(1, first, {.want_fence = true}).is_fenced);
  EXPECT_EQ(partition("t").leader, 2);
  EXPECT_EQ(partition("t").isr, (std::vector<NodeId>{2}));
}

TEST_F(ControllerTest, ASingleNodeIsShutDownInOneStep) {
  const BrokerEpoch of = join(1);
  create({topic("t")});
  const auto answer = heartbeat(1, of, {.want_shut_down = true});
  EXPECT_TRUE(answer.should_shut_down);
  EXPECT_TRUE(answer.is_fenced);
  EXPECT_TRUE(rules.image()->brokers.at(1).is_fenced);
  EXPECT_EQ(partition("t").leader, -1);
  // the next incarnation comes at once, and leads again
  const BrokerEpoch next = enlist(1, 2);
  EXPECT_FALSE(heartbeat(1, next, {}).is_fenced);
  EXPECT_EQ(partition("t").leader, 1);
}

TEST_F(ControllerTest, AControlledShutdownWaitsUntilTheOthersKnow) {
  const BrokerEpoch first = join(1);
  const BrokerEpoch second = join(2);
  auto wanted = topic("t");
  assign(wanted, 0, {1, 2});
  create({wanted});
  const Offset before = end - 1;
  heartbeat(2, second, {});
  auto answer = heartbeat(1, first, {.want_shut_down = true});
  EXPECT_FALSE(answer.should_shut_down);
  EXPECT_FALSE(answer.is_fenced);
  EXPECT_TRUE(rules.image()->brokers.at(1).is_shutting_down);
  EXPECT_EQ(partition("t").leader, 2);
  heartbeat(2, second, {.applied = before});
  EXPECT_FALSE(heartbeat(1, first, {.want_shut_down = true}).should_shut_down);
  heartbeat(2, second, {});
  // from here on there is no way back, whatever it asks for
  EXPECT_TRUE(heartbeat(1, first, {}).should_shut_down);
  EXPECT_TRUE(rules.image()->brokers.at(1).is_fenced);
}

TEST_F(ControllerTest, AFollowerThatLeavesIsTakenOutOfTheIsr) {
  join(1);
  const BrokerEpoch second = join(2);
  auto wanted = topic("t");
  assign(wanted, 0, {1, 2});
  create({wanted});
  EXPECT_TRUE(heartbeat(2, second, {.want_shut_down = true}).should_shut_down);
  EXPECT_EQ(partition("t").isr, (std::vector<NodeId>{1}));
  EXPECT_EQ(partition("t").leader_epoch, 0);  // a shrink is no new reign
}

TEST_F(ControllerTest, ANewControllerGivesTheUnfencedAFreshSession) {
  join(1);
  enlist(2);
  Controller next({.cluster_id = "cluster"}, rules.image());
  next.become_active(5000);
  EXPECT_EQ(next.deadline_ms(), 14000);
  EXPECT_THAT(next.tick(13999), IsEmpty());
  EXPECT_THAT(next.tick(14000), SizeIs(1));
}

TEST_F(ControllerTest, WithoutIsrAnEligibleReplicaLeads) {
  const BrokerEpoch of = enlist(1);
  auto record = std::get<wire::PartitionRecord>(partition_record({5, 5}, 0, {1}, {}, -1));
  record.eligible_leader_replicas = std::vector<NodeId>{1};
  apply({feature_record("eligible.leader.replicas.version", 1), topic_record("t", {5, 5}), record});
  heartbeat(1, of, {});
  EXPECT_EQ(partition("t").leader, 1);
  EXPECT_EQ(partition("t").isr, (std::vector<NodeId>{1}));
  EXPECT_THAT(partition("t").elr, IsEmpty());
}

// The last of two that are fenced at once must not find the first one in its way.
TEST_F(ControllerTest, SessionsThatEndTogetherAreEndedOneByOne) {
  join(1);
  join(2);
  auto wanted = topic("t");
  assign(wanted, 0, {1, 2});
  create({wanted});
  now += 9000;
  apply(rules.tick(now));
  EXPECT_EQ(partition("t").leader, 2);
  EXPECT_EQ(rules.deadline_ms(), now);  // at once again
  apply(rules.tick(now));
  EXPECT_EQ(partition("t").leader, -1);
  EXPECT_EQ(partition("t").isr, (std::vector<NodeId>{2}));  // without ELR the last one stays
  EXPECT_THAT(rules.tick(now), IsEmpty());
}

// KIP-966: who comes back without the epoch of its last life may have lost what it had.
TEST_F(ControllerTest, AnUncleanReturnCostsEligibility) {
  apply({feature_record("eligible.leader.replicas.version", 1)});
  const BrokerEpoch first = join(1);
  create({topic("t")});
  heartbeat(1, first, {.want_fence = true});
  EXPECT_EQ(partition("t").elr, (std::vector<NodeId>{1}));
  EXPECT_THAT(partition("t").isr, IsEmpty());

  now += 9000;
  apply(rules.tick(now));
  auto clean = registration(1, 2);
  clean.previous_broker_epoch = first;
  ASSERT_EQ(try_register(clean), ErrorCode::none);
  EXPECT_EQ(partition("t").elr, (std::vector<NodeId>{1}));
  const BrokerEpoch second = epoch;
  heartbeat(1, second, {});
  EXPECT_EQ(partition("t").leader, 1);
  EXPECT_EQ(partition("t").leader_recovery_state, 0);

  now += 9000;
  apply(rules.tick(now));
  auto unclean = registration(1, 3);
  unclean.previous_broker_epoch = first;  // of a life before the last
  ASSERT_EQ(try_register(unclean), ErrorCode::none);
  EXPECT_THAT(partition("t").elr, IsEmpty());
  EXPECT_EQ(partition("t").last_known_elr, (std::vector<NodeId>{1}));
  heartbeat(1, epoch, {});
  EXPECT_EQ(partition("t").leader, 1);  // nobody else can have more
  EXPECT_EQ(partition("t").leader_recovery_state, 1);
}

TEST_F(ControllerTest, RegistrationsThatNoKafkaCouldReadAreRefused) {
  auto request = registration(1);
  request.listeners.emplace_back().security_protocol = 4;
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  request.listeners[0].security_protocol = -1;
  EXPECT_EQ(try_register(request), ErrorCode::invalid_registration);
  request.listeners[0].security_protocol = 3;
  request.listeners[0].name = "X";
  request.listeners[0].port = 1;
  request.listeners.push_back(request.listeners[0]);
  request.listeners[1].port = 2;
  EXPECT_EQ(try_register(request), ErrorCode::none);
  EXPECT_THAT(rules.image()->brokers.at(1).endpoints, SizeIs(1));
  EXPECT_EQ(rules.image()->brokers.at(1).endpoints[0].port, 2);
}

TEST_F(ControllerTest, FeaturesThatTheClusterDoesNotUseStandAtZero) {
  auto request = registration(1);
  auto& feature = request.features.emplace_back();
  feature.name = "other.version";
  feature.min_supported_version = 1;
  feature.max_supported_version = 2;
  EXPECT_EQ(try_register(request), ErrorCode::unsupported_version);
  request.features.back().min_supported_version = 0;
  EXPECT_EQ(try_register(request), ErrorCode::none);
}

// --- producer ids

TEST_F(ControllerTest, ProducerIdsComeInBlocksThatNeverOverlap) {
  wire::AllocateProducerIdsRequest request;
  request.broker_id = 1;
  EXPECT_EQ(rules.allocate_producer_ids(request).response.error_code,
            number(ErrorCode::stale_broker_epoch));
  request.broker_epoch = enlist(1);
  for (ProducerId first = 0; first < 5000; first += 1000) {
    const auto decision = rules.allocate_producer_ids(request);
    EXPECT_EQ(decision.response.producer_id_start, first);
    EXPECT_EQ(decision.response.producer_id_len, 1000);
    apply(decision.records);
  }
  request.broker_epoch -= 1;
  EXPECT_EQ(rules.allocate_producer_ids(request).response.error_code,
            number(ErrorCode::stale_broker_epoch));
}

// --- CreateTopics

TEST_F(ControllerTest, ALeastIsrOfItsOwnClearsWhatWasEligible) {
  apply({feature_record("eligible.leader.replicas.version", 1)});
  join(1);
  auto wanted = topic("t");
  add_config(wanted, "min.insync.replicas", "2");
  wire::CreateTopicsRequest request;
  request.topics = {wanted, topic("u")};
  const auto records = rules.create_topics(request, 7, ids).records;
  std::vector<std::string> names;
  for (const Record& record : records) names.emplace_back(record_name(record));
  EXPECT_EQ(names, (std::vector<std::string>{"TopicRecord", "ConfigRecord", "ClearElrRecord",
                                             "PartitionRecord", "TopicRecord", "PartitionRecord"}));
}

TEST_F(ControllerTest, ATopicIsMadeWithTheDefaults) {
  join(1);
  const auto response = create({topic("t", -1)});
  const auto& made = response.topics.at(0);
  EXPECT_EQ(made.error_code, 0);
  EXPECT_EQ(made.num_partitions, 3);
  EXPECT_EQ(made.replication_factor, 1);
  EXPECT_EQ(made.topic_id, rules.image()->topics->find("t")->id);
  ASSERT_TRUE(made.configs);
  EXPECT_EQ(made.configs->size(), topic_configs().size());
  ASSERT_EQ(rules.image()->topics->find("t")->partitions.size(), 3u);
  EXPECT_EQ(partition("t", 2).leader, 1);
  EXPECT_EQ(partition("t", 2).directories, (std::vector<Uuid>{{1000, 1}}));
}

TEST_F(ControllerTest, ValidateOnlyMakesNothing) {
  join(1);
  const auto before = rules.image();
  EXPECT_EQ(create({topic("t")}, true).topics.at(0).error_code, 0);
  EXPECT_EQ(rules.image(), before);
}

TEST_F(ControllerTest, ReplicasSpreadAndTheFencedComeLast) {
  join(1);
  join(2);
  enlist(3);
  EXPECT_EQ(create({topic("t", 2, 3)}).topics.at(0).error_code, 0);
  EXPECT_EQ(partition("t", 0).replicas, (std::vector<NodeId>{1, 2, 3}));
  EXPECT_EQ(partition("t", 1).replicas, (std::vector<NodeId>{2, 1, 3}));
  EXPECT_EQ(partition("t", 1).isr, (std::vector<NodeId>{2, 1}));
  EXPECT_EQ(partition("t", 1).leader, 2);
}

TEST_F(ControllerTest, TopicsThatAreRefused) {
  using Refused = std::pair<ErrorCode, std::string>;
  EXPECT_EQ(
      refusal(topic("t", 1, 1)),
      (Refused{ErrorCode::invalid_replication_factor,
               "Unable to replicate the partition 1 time(s): The target replication factor "
               "of 1 cannot be reached because only 0 broker(s) are registered or some brokers "
               "have all their log directories cordoned."}));
  enlist(2);
  EXPECT_EQ(refusal(topic("t", 1, 1)),
            (Refused{ErrorCode::invalid_replication_factor,
                     "Unable to replicate the partition 1 time(s): All brokers are currently "
                     "fenced."}));
  join(1);
  for (const std::string name : {"", ".", "..", "a b", "a/b", "\xc3\xa4"})
    EXPECT_EQ(refusal(topic(name)).first, ErrorCode::invalid_topic_exception) << name;
  EXPECT_EQ(refusal(topic(std::string(250, 'a'))).first, ErrorCode::invalid_topic_exception);
  EXPECT_EQ(refusal(topic("__cluster_metadata")).first, ErrorCode::invalid_request);
  EXPECT_EQ(refusal(topic("t", 0)).first, ErrorCode::invalid_partitions);
  EXPECT_EQ(refusal(topic("t", -2)).first, ErrorCode::invalid_partitions);
  EXPECT_EQ(refusal(topic("t", 1, 0)).first, ErrorCode::invalid_replication_factor);
  EXPECT_EQ(refusal(topic("t", 1, -2)).first, ErrorCode::invalid_replication_factor);
  EXPECT_EQ(refusal(topic("t", 1, 3)).first, ErrorCode::invalid_replication_factor);
  EXPECT_EQ(refusal(topic("t", 10'001)).first, ErrorCode::policy_violation);
  EXPECT_EQ(refusal(topic("t", 10'000)).first, ErrorCode::policy_violation);  // and its TopicRecord
  create({topic("a.b"), topic("t")});
  EXPECT_EQ(refusal(topic("t")),
            (Refused{ErrorCode::topic_already_exists, "Topic 't' already exists."}));
  EXPECT_EQ(refusal(topic("a_b")), (Refused{ErrorCode::invalid_topic_exception,
                                            "Topic 'a_b' collides with existing topic: a.b"}));
}

TEST_F(ControllerTest, ConfigsThatAreRefused) {
  join(1);
  const auto with = [&](const std::string& name, std::optional<std::string> value) {
    auto wanted = topic("t");
    add_config(wanted, name, std::move(value));
    return refusal(wanted);
  };
  EXPECT_EQ(with("retention.mss", "1").first, ErrorCode::invalid_config);
  EXPECT_THAT(with("retention.mss", "1").second,
              HasSubstr("Unknown topic config name: retention.mss (did you mean retention.ms?)"));
  EXPECT_THAT(with("retention.ms", std::nullopt).second, HasSubstr("Null value not supported"));
  EXPECT_EQ(with("retention.ms", "soon").first, ErrorCode::invalid_config);
  EXPECT_EQ(with("ottla.shards", "1").first, ErrorCode::invalid_config);  // of the broker only
  auto wanted = topic("t");
  add_config(wanted, "min.compaction.lag.ms", "10");
  add_config(wanted, "max.compaction.lag.ms", "9");
  EXPECT_THAT(refusal(wanted).second, HasSubstr("min.compaction.lag.ms (10)"));
  wanted = topic("t");
  add_config(wanted, "retention.ms", "1");
  add_config(wanted, "retention.ms", "2");
  EXPECT_EQ(refusal(wanted).first, ErrorCode::invalid_request);
  // more than one batch of the log can hold
  std::vector<wire::CreateTopicsRequest::CreatableTopic> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back(topic("big" + std::to_string(i)));
    add_config(many.back(), "cleanup.policy", "delete" + std::string(32'000, ' '));
  }
  const auto response = create(many);
  EXPECT_EQ(response.topics.front().error_code, 0);
  EXPECT_EQ(response.topics.back().error_code, number(ErrorCode::policy_violation));
}

TEST_F(ControllerTest, ConfigsAreKeptAndShown) {
  rules =
      Controller({.cluster_id = "cluster", .node_configs = {{"log.roll.ms", "77"}}}, rules.image());
  join(1);
  auto wanted = topic("t");
  add_config(wanted, "retention.ms", "5000");
  const auto response = create({wanted});
  std::map<std::string, std::pair<std::string, int>> shown;
  for (const auto& config : *response.topics.at(0).configs)
    shown[config.name] = {config.value.value_or("null"), config.config_source};
  EXPECT_EQ(shown.at("retention.ms"), (std::pair<std::string, int>{"5000", 1}));
  EXPECT_EQ(shown.at("segment.ms"), (std::pair<std::string, int>{"77", 4}));
  EXPECT_EQ(shown.at("segment.bytes"), (std::pair<std::string, int>{"1073741824", 5}));
  EXPECT_EQ(rules.image()->configs->of(ResourceType::topic, "t").at("retention.ms"), "5000");
  EXPECT_FALSE(create({topic("old")}, false, 4).topics.at(0).configs);
}

TEST_F(ControllerTest, ConfigsAreAlteredResourceByResource) {
  join(1);
  create({topic("t"), topic("u")});
  wire::IncrementalAlterConfigsRequest request;
  const auto add = [&](const std::string& name, const std::string& value) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = name;
    auto& config = resource.configs.emplace_back();
    config.name = "retention.ms";
    config.value = value;
  };
  add("t", "5");
  add("u", "soon");
  add("twice", "5");
  add("twice", "6");
  request.validate_only = true;
  EXPECT_THAT(rules.incremental_alter_configs(request).records, IsEmpty());
  request.validate_only = false;
  const auto decision = rules.incremental_alter_configs(request);
  EXPECT_THAT(decision.records, SizeIs(1));
  std::vector<int> codes;
  for (const auto& answer : decision.response.responses) codes.push_back(answer.error_code);
  EXPECT_THAT(codes, ::testing::ElementsAre(0, number(ErrorCode::invalid_config),
                                            number(ErrorCode::invalid_request),
                                            number(ErrorCode::invalid_request)));
  apply(decision.records);
  EXPECT_EQ(rules.image()->configs->of(ResourceType::topic, "t"),
            (ConfigMap{{"retention.ms", "5"}}));

  wire::AlterConfigsRequest all;  // what it does not name goes
  all.resources.emplace_back().resource_type = 2;
  all.resources[0].resource_name = "t";
  auto& config = all.resources[0].configs.emplace_back();
  config.name = "segment.ms";
  config.value = "7";
  apply(rules.alter_configs(all).records);
  EXPECT_EQ(rules.image()->configs->of(ResourceType::topic, "t"), (ConfigMap{{"segment.ms", "7"}}));
}

TEST_F(ControllerTest, PartitionsAreAddedTopicByTopic) {
  join(1);
  create({topic("t"), topic("u", 2), topic("v", 3)});
  wire::CreatePartitionsRequest request;
  for (const auto& [name, count] :
       std::vector<std::pair<std::string, int>>{{"t", 5}, {"u", 2}, {"v", 9}, {"v", 9}}) {
    auto& wanted = request.topics.emplace_back();
    wanted.name = name;
    wanted.count = count;
    wanted.assignments = std::nullopt;
  }
  request.validate_only = true;
  EXPECT_THAT(rules.create_partitions(request).records, IsEmpty());
  request.validate_only = false;
  const auto decision = rules.create_partitions(request);
  EXPECT_THAT(decision.records, SizeIs(4));
  ASSERT_THAT(decision.response.results, SizeIs(3));
  EXPECT_EQ(decision.response.results[0].error_code, 0);
  EXPECT_EQ(decision.response.results[1].error_code, number(ErrorCode::invalid_partitions));
  EXPECT_EQ(decision.response.results[2].error_code, number(ErrorCode::invalid_request));
  apply(decision.records);
  EXPECT_THAT(rules.image()->topics->find("t")->partitions, SizeIs(5));
  EXPECT_THAT(rules.image()->topics->find("v")->partitions, SizeIs(3));
}

// All that one request writes must fit one batch of the log.
TEST_F(ControllerTest, OneAlterationHasABound) {
  join(1);
  wire::IncrementalAlterConfigsRequest request;
  for (int i = 0; i < 100; ++i) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 32;
    resource.resource_name = std::to_string(i) + std::string(30'000, 'g');
    auto& config = resource.configs.emplace_back();
    config.name = "consumer.session.timeout.ms";
    config.value = "45001";
  }
  const auto decision = rules.incremental_alter_configs(request);
  EXPECT_EQ(decision.response.responses.front().error_code, 0);
  EXPECT_EQ(decision.response.responses.back().error_code, number(ErrorCode::policy_violation));
  EXPECT_LT(decision.records.size(), 80U);
}

TEST_F(ControllerTest, WhatBrokersAreToldIsShownOfNewTopics) {
  rules = Controller({.cluster_id = "cluster", .own_broker = 1}, rules.image());
  join(1);
  apply({config_record(ResourceType::broker, "", "log.roll.ms", "77"),
         config_record(ResourceType::broker, "1", "message.max.bytes", "88")});
  std::map<std::string, std::pair<std::string, int>> shown;
  for (const auto& config : *create({topic("t")}).topics.at(0).configs)
    shown[config.name] = {config.value.value_or("null"), config.config_source};
  EXPECT_EQ(shown.at("segment.ms"), (std::pair<std::string, int>{"77", 3}));
  EXPECT_EQ(shown.at("max.message.bytes"), (std::pair<std::string, int>{"88", 2}));
}

TEST_F(ControllerTest, AssignmentsThatAreRefused) {
  join(1);
  join(2);
  enlist(3);
  const auto with = [&](std::vector<std::pair<std::int32_t, std::vector<NodeId>>> all,
                        std::int32_t partitions = -1, std::int16_t factor = -1) {
    auto wanted = topic("t");
    for (auto& [index, brokers] : all) assign(wanted, index, brokers);
    wanted.num_partitions = partitions;
    wanted.replication_factor = factor;
    return refusal(wanted);
  };
  EXPECT_EQ(with({{0, {1}}}, 1).first, ErrorCode::invalid_request);
  EXPECT_EQ(with({{0, {1}}}, -1, 1).first, ErrorCode::invalid_request);
  EXPECT_EQ(with({{0, {1}}, {0, {2}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {1}}, {2, {2}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{1, {1}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {1, 1}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {1}}, {1, {1, 2}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {9}}}).first, ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(with({{0, {3}}}).first, ErrorCode::invalid_replica_assignment);
  auto wanted = topic("t");
  assign(wanted, 1, {2, 1});
  assign(wanted, 0, {3, 1});
  EXPECT_EQ(create({wanted}).topics.at(0).num_partitions, 2);
  EXPECT_EQ(partition("t", 0).replicas, (std::vector<NodeId>{3, 1}));
  EXPECT_EQ(partition("t", 0).isr, (std::vector<NodeId>{1}));
  EXPECT_EQ(partition("t", 1).leader, 2);
}

TEST_F(ControllerTest, OneTopicsRefusalIsNotAnothers) {
  join(1);
  const auto response =
      create({topic("twice"), topic("fine"), topic("twice"), topic("x.y"), topic("x_y")});
  std::map<std::string, std::int16_t> errors;
  for (const auto& each : response.topics) errors[each.name] = each.error_code;
  EXPECT_EQ(errors, (std::map<std::string, std::int16_t>{
                        {"twice", number(ErrorCode::invalid_request)},
                        {"fine", 0},
                        {"x.y", 0},
                        {"x_y", number(ErrorCode::invalid_topic_exception)}}));
  EXPECT_EQ(response.topics.size(), 4u);
  EXPECT_EQ(rules.image()->topics->find("twice"), nullptr);
}

// --- DeleteTopics

TEST_F(ControllerTest, DeletionCanBeSwitchedOff) {
  join(1);
  create({topic("a")});
  Controller keeper({.cluster_id = "cluster", .node_configs = {{"delete.topic.enable", "false"}}},
                    rules.image());
  wire::DeleteTopicsRequest request;
  request.topic_names = {"a", "none"};
  const auto error_of = [&](std::int16_t version) {
    const auto decision = keeper.delete_topics(request, version);
    EXPECT_THAT(decision.records, IsEmpty());
    EXPECT_EQ(decision.response.responses.size(), 2U);
    EXPECT_EQ(decision.response.responses[0].error_code, decision.response.responses[1].error_code);
    return decision.response.responses[0].error_code;
  };
  EXPECT_EQ(error_of(2), number(ErrorCode::invalid_request));
  EXPECT_EQ(error_of(3), number(ErrorCode::topic_deletion_disabled));
  EXPECT_EQ(error_of(5), number(ErrorCode::topic_deletion_disabled));
  request.topic_names.clear();
  request.topics.emplace_back().name = "a";
  request.topics.emplace_back().topic_id = {5, 5};
  EXPECT_EQ(error_of(6), number(ErrorCode::topic_deletion_disabled));
}

TEST_F(ControllerTest, TopicsAreDeletedByNameOrId) {
  join(1);
  create({topic("a"), topic("b"), topic("c"), topic("d")});
  const auto id_of = [&](const std::string& name) { return rules.image()->topics->find(name)->id; };
  wire::DeleteTopicsRequest request;
  const auto add = [&](std::optional<std::string> name, Uuid id) {
    auto& wanted = request.topics.emplace_back();
    wanted.name = std::move(name);
    wanted.topic_id = id;
  };
  add("a", {});
  add(std::nullopt, id_of("b"));
  add("c", {});
  add("c", {});                   // twice: neither
  add("d", {});                   // by name and
  add(std::nullopt, id_of("d"));  // by id: neither
  add("no", {});
  add(std::nullopt, {9, 9});
  add("both", {8, 8});
  add(std::nullopt, {});
  const auto decision = rules.delete_topics(request, 6);
  apply(decision.records);
  std::multiset<std::int16_t> codes;
  for (const auto& each : decision.response.responses) codes.insert(each.error_code);
  EXPECT_EQ(codes, (std::multiset<std::int16_t>{
                       0, 0, number(ErrorCode::invalid_request), number(ErrorCode::invalid_request),
                       number(ErrorCode::invalid_request), number(ErrorCode::invalid_request),
                       number(ErrorCode::unknown_topic_or_partition),
                       number(ErrorCode::unknown_topic_id)}));
  EXPECT_EQ(rules.image()->topics->find("a"), nullptr);
  EXPECT_EQ(rules.image()->topics->find("b"), nullptr);
  EXPECT_NE(rules.image()->topics->find("c"), nullptr);
  EXPECT_NE(rules.image()->topics->find("d"), nullptr);
}

}  // namespace
}  // namespace ottla::metadata
