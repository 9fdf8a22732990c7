// The controller's server over the simulated network: what it answers to whom, and that an answer
// means committed, whatever dies and whenever.
#include "metadata/controller_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <set>

#include "metadata/shells_test_support.h"
#include "rpc/rpc_test_support.h"
#include "wire/header.h"
#include "wire/messages/allocate_producer_ids_request.h"
#include "wire/messages/allocate_producer_ids_response.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/describe_quorum_request.h"
#include "wire/messages/describe_quorum_response.h"
#include "wire/messages/envelope_request.h"
#include "wire/messages/envelope_response.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/fetch_snapshot_request.h"
#include "wire/messages/fetch_snapshot_response.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using rpc::testing::Answer;
using wire::ErrorCode;

std::int16_t number(ErrorCode code) { return static_cast<std::int16_t>(code); }

// A connection of the broker's machine on which the test asks one question at a time.
class ControllerServerTest : public ShellTest {
 protected:
  explicit ControllerServerTest(io::sim::WorldOptions options = {.seed = 5}) : ShellTest(options) {}

  void start_all(ControllerSettings settings = {}) {
    start_controller(settings);
    asker.connect();
  }
  template <class Response, class Request>
  io::Result<Response> ask(Request request, std::int16_t version) {
    return asker.ask<Response>(std::move(request), version);
  }
  BrokerEpoch enlist(NodeId id, std::uint64_t incarnation = 1) {
    const auto answer =
        ask<wire::BrokerRegistrationResponse>(registration(id, incarnation), 4).value();
    EXPECT_EQ(answer.error_code, 0);
    return answer.broker_epoch;
  }
  wire::BrokerHeartbeatResponse heartbeat(NodeId id, BrokerEpoch epoch, bool want_fence = false) {
    wire::BrokerHeartbeatRequest beat;
    beat.broker_id = id;
    beat.broker_epoch = epoch;
    beat.current_metadata_offset = 1'000'000;
    beat.want_fence = want_fence;
    return ask<wire::BrokerHeartbeatResponse>(beat, 2).value();
  }
  BrokerEpoch enter(NodeId id) {
    const BrokerEpoch epoch = enlist(id);
    EXPECT_FALSE(heartbeat(id, epoch).is_fenced);
    return epoch;
  }
  wire::FetchRequest fetch_request(Offset from, std::int32_t wait_ms = 0) {
    wire::FetchRequest request;
    request.cluster_id = kClusterId;
    request.replica_state.replica_id = 7;
    request.max_wait_ms = wait_ms;
    auto& topic = request.topics.emplace_back();
    topic.topic_id = kMetadataTopicId;
    auto& partition = topic.partitions.emplace_back();
    partition.current_leader_epoch = 1;
    partition.fetch_offset = from;
    partition.last_fetched_epoch = from > 0 ? 1 : 0;
    partition.replica_directory_id = {1, 7};
    return request;
  }

  static io::Task<int> join_there(io::Env& env) {
    auto other = co_await connect(env);
    EXPECT_TRUE((co_await join(*other, 9)).has_value());
    co_await other->close();
    co_return 0;
  }
  // A header that is right, and a body that is none.
  static io::Task<void> send_garbage(rpc::Client& to,
                                     Answer<wire::DescribeQuorumResponse>& pending) {
    wire::DescribeQuorumRequest request;
    auto frame = wire::request_frame(to.next_correlation(), "test", request, 2);
    Slice bytes = Slice::copy_of(frame->flatten());
    bytes.mutable_view().back() = 0xff;
    auto answer = co_await to.exchange(Gather(std::move(bytes)), 55, 2, 20s);
    pending.emplace(std::unexpected(answer ? io::Error{io::ErrorKind::invalid, "it was answered"}
                                           : answer.error()));
  }

  rpc::testing::Asker asker{world, broker, {kControllerHost, kControllerPort}};
};

TEST_F(ControllerServerTest, SaysWhatItServes) {
  start_all();
  wire::ApiVersionsRequest request;
  request.client_software_name = "test";
  request.client_software_version = "1";
  const auto answer = ask<wire::ApiVersionsResponse>(request, 4).value();
  std::map<int, std::pair<int, int>> ranges;
  for (const auto& api : answer.api_keys) ranges[api.api_key] = {api.min_version, api.max_version};
  EXPECT_EQ(ranges.at(62), (std::pair{0, 4}));
  EXPECT_EQ(ranges.at(63), (std::pair{0, 2}));
  EXPECT_EQ(ranges.at(1).second, 18);
  EXPECT_FALSE(ranges.contains(0));  // it takes no records of clients
  EXPECT_EQ(answer.finalized_features_epoch, state().provenance.offset);
  std::map<std::string, int> levels;
  for (const auto& feature : answer.finalized_features)
    levels[feature.name] = feature.max_version_level;
  EXPECT_EQ(levels["metadata.version"], 30);
}

TEST_F(ControllerServerTest, RegistersOnceAndAmends) {
  start_all();
  const BrokerEpoch epoch = enlist(1);
  EXPECT_EQ(epoch, state().provenance.offset);  // the offset of the registration
  EXPECT_EQ(enlist(1), epoch);                  // the same process again
  EXPECT_EQ(state().provenance.offset, epoch + 1);
  EXPECT_FALSE(heartbeat(1, epoch).is_fenced);
  EXPECT_EQ(enlist(1), epoch);
  EXPECT_FALSE(state().brokers.at(1).is_fenced);  // an amendment fences nobody
  const auto other = ask<wire::BrokerRegistrationResponse>(registration(1, 2), 4).value();
  EXPECT_EQ(other.error_code, number(ErrorCode::duplicate_broker_registration));
  EXPECT_EQ(heartbeat(1, epoch + 7).error_code, number(ErrorCode::stale_broker_epoch));
  EXPECT_EQ(heartbeat(2, epoch).error_code, number(ErrorCode::stale_broker_epoch));
  world.run_for(10s);
  EXPECT_TRUE(state().brokers.at(1).is_fenced);
  EXPECT_GT(enlist(1, 2), epoch);
  EXPECT_EQ(heartbeat(1, epoch).error_code, number(ErrorCode::stale_broker_epoch));
}

// Each of the three fences of a broker is seen by whoever follows the log, and takes its
// leadership.
TEST_F(ControllerServerTest, FencesAndUnfences) {
  start_all();
  const BrokerEpoch epoch = enter(1);
  const auto made = ask<wire::CreateTopicsResponse>(create_request("led", 3), 7).value();
  ASSERT_EQ(made.topics[0].error_code, 0);
  const auto leader = [&] { return state().topics->find("led")->partitions.at(2).leader; };
  EXPECT_EQ(leader(), 1);
  EXPECT_TRUE(heartbeat(1, epoch, true).is_fenced);  // by its own wish
  EXPECT_EQ(leader(), -1);
  EXPECT_FALSE(heartbeat(1, epoch).is_fenced);
  EXPECT_EQ(leader(), 1);
  world.run_for(8900ms);
  EXPECT_EQ(leader(), 1);
  world.run_for(200ms);  // by its silence
  EXPECT_EQ(leader(), -1);
  EXPECT_FALSE(heartbeat(1, epoch).is_fenced);
  EXPECT_EQ(leader(), 1);
}

TEST_F(ControllerServerTest, AFetchWaitsForNewsAndNoLonger) {
  start_all();
  const Offset end = state().provenance.offset + 1;
  Answer<wire::FetchResponse> quiet;
  io::Instant asked = world.now();
  asker.ask_later(fetch_request(end, 300), 18, quiet);
  ASSERT_TRUE(wait([&] { return quiet.has_value(); }));
  EXPECT_GE(world.now() - asked, 300ms);
  EXPECT_LT(world.now() - asked, 320ms);
  const auto& nothing = quiet->value().responses[0].partitions[0];
  EXPECT_EQ(nothing.error_code, 0);
  EXPECT_TRUE(nothing.records.empty());
  EXPECT_EQ(nothing.high_watermark, end);

  // a longer wait than the controller grants is cut, and a commit ends it early
  Answer<wire::FetchResponse> woken;
  asker.ask_later(fetch_request(end, 60'000), 18, woken);
  world.run_for(1s);
  EXPECT_FALSE(woken.has_value());
  io::sim::Node& other = world.add_node("other");
  other.start(1, [](io::Env& env) { return join_there(env); });
  ASSERT_TRUE(wait([&] { return woken.has_value(); }, 500ms)) << world.report();
  EXPECT_FALSE(woken->value().responses[0].partitions[0].records.empty());
}

TEST_F(ControllerServerTest, TellsAFetchOfTheWrongThing) {
  start_all();
  auto request = fetch_request(0);
  request.cluster_id = "another";
  EXPECT_EQ(ask<wire::FetchResponse>(request, 18)->error_code,
            number(ErrorCode::inconsistent_cluster_id));
  request = fetch_request(0);
  request.topics[0].topic_id = {5, 5};
  EXPECT_EQ(ask<wire::FetchResponse>(request, 18)->error_code, number(ErrorCode::invalid_request));
  request = fetch_request(0);
  request.topics.push_back(request.topics[0]);
  EXPECT_EQ(ask<wire::FetchResponse>(request, 18)->error_code, number(ErrorCode::invalid_request));
  for (const auto& [epoch, code] :
       {std::pair{0, ErrorCode::fenced_leader_epoch}, {2, ErrorCode::unknown_leader_epoch}}) {
    request = fetch_request(0, 1000);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    const io::Instant asked = world.now();
    const auto answer = ask<wire::FetchResponse>(request, 18).value();
    const auto& part = answer.responses[0].partitions[0];
    EXPECT_EQ(part.error_code, number(code));
    EXPECT_EQ(part.current_leader.leader_id, 1);
    EXPECT_EQ(part.current_leader.leader_epoch, 1);
    ASSERT_EQ(answer.node_endpoints.size(), 1U);
    EXPECT_EQ(answer.node_endpoints[0].port, kControllerPort);
    EXPECT_LT(world.now() - asked, 100ms);  // at once, however long it would wait
  }
  request = fetch_request(1'000'000);
  request.topics[0].partitions[0].last_fetched_epoch = 1;
  const auto diverging = ask<wire::FetchResponse>(request, 18).value();
  EXPECT_EQ(diverging.responses[0].partitions[0].diverging_epoch.epoch, 1);
  EXPECT_EQ(diverging.responses[0].partitions[0].diverging_epoch.end_offset,
            state().provenance.offset + 1);
  for (const auto& [offset, fetched_epoch] : {std::pair{-1, 0}, {3, -1}, {3, 2}}) {
    request = fetch_request(offset, 1000);
    request.topics[0].partitions[0].last_fetched_epoch = fetched_epoch;
    const auto senseless = ask<wire::FetchResponse>(request, 18).value();
    EXPECT_EQ(senseless.responses[0].partitions[0].error_code, number(ErrorCode::invalid_request));
  }
}

TEST_F(ControllerServerTest, TellsAFetchSnapshotOfTheWrongThing) {
  start_all({.snapshot_bytes = 1500});
  enter(1);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(ask<wire::CreateTopicsResponse>(create_request(fmt::format("t{}", i), 4), 7));
  world.run_for(1s);  // the last snapshot is written
  const auto offered = ask<wire::FetchResponse>(fetch_request(0), 18).value();
  const auto snapshot = offered.responses[0].partitions[0].snapshot_id;
  ASSERT_GT(snapshot.end_offset, 0);
  EXPECT_TRUE(offered.responses[0].partitions[0].records.empty());

  wire::FetchSnapshotRequest good;
  good.cluster_id = kClusterId;
  good.max_bytes = 100;
  auto& topic = good.topics.emplace_back();
  topic.name = std::string(kMetadataTopic);
  auto& partition = topic.partitions.emplace_back();
  partition.current_leader_epoch = 1;
  partition.snapshot_id.end_offset = snapshot.end_offset;
  partition.snapshot_id.epoch = snapshot.epoch;
  const auto error_of = [&](const std::function<void(wire::FetchSnapshotRequest&)>& change) {
    auto request = good;
    change(request);
    const auto answer = ask<wire::FetchSnapshotResponse>(request, 1).value();
    return answer.error_code != 0 ? answer.error_code
                                  : answer.topics.at(0).partitions.at(0).error_code;
  };
  const auto part = ask<wire::FetchSnapshotResponse>(good, 1).value();
  EXPECT_EQ(part.topics[0].partitions[0].unaligned_records.size_bytes(), 100U);
  EXPECT_GT(part.topics[0].partitions[0].size, 100);
  EXPECT_EQ(error_of([](auto& request) { request.cluster_id = "another"; }),
            number(ErrorCode::inconsistent_cluster_id));
  EXPECT_EQ(error_of([](auto& request) { request.topics[0].name = "other"; }),
            number(ErrorCode::unknown_topic_or_partition));
  const auto with = [&](auto member, auto value) {
    return error_of([&](auto& request) { request.topics[0].partitions[0].*member = value; });
  };
  using Part = std::remove_reference_t<decltype(partition)>;
  EXPECT_EQ(with(&Part::partition, 1), number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(with(&Part::current_leader_epoch, 0), number(ErrorCode::fenced_leader_epoch));
  EXPECT_EQ(with(&Part::current_leader_epoch, 2), number(ErrorCode::unknown_leader_epoch));
  EXPECT_EQ(with(&Part::position, -1), number(ErrorCode::position_out_of_range));
  EXPECT_EQ(with(&Part::position, 1 << 20), number(ErrorCode::position_out_of_range));
  EXPECT_EQ(
      error_of([](auto& request) { ++request.topics[0].partitions[0].snapshot_id.end_offset; }),
      number(ErrorCode::snapshot_not_found));
}

TEST_F(ControllerServerTest, AnEnvelopeCarriesWhatClientsMaySendAndNothingElse) {
  start_all();
  enter(1);
  Bytes principal = {0, 0, 5, 'U', 's', 'e', 'r', 2, 'x', 0, 0};
  const auto envelope = [&](Slice frame) {
    wire::EnvelopeRequest request;
    request.request_data = std::move(frame);
    request.client_host_address = {10, 0, 0, 1};
    request.request_principal = principal;
    return ask<wire::EnvelopeResponse>(request, 0).value();
  };
  const auto frame_of = [](const auto& request, std::int16_t version) {
    const Slice whole = wire::request_frame(77, "client", request, version)->flatten();
    return whole.subslice(4, whole.size() - 4);
  };
  const auto made = envelope(frame_of(create_request("made"), 7));
  ASSERT_EQ(made.error_code, 0);
  ASSERT_TRUE(made.response_data.has_value());
  EXPECT_EQ(load_big<std::int32_t>(made.response_data->data()), 77);
  const auto header = wire::parse_response_header(*made.response_data, *wire::find_api(19), 7);
  ASSERT_TRUE(header.has_value());
  const auto inner = wire::decode<wire::CreateTopicsResponse>(
      made.response_data->subslice(header->body_offset,
                                   made.response_data->size() - header->body_offset),
      7);
  EXPECT_EQ(inner->topics.at(0).error_code, 0);
  EXPECT_NE(state().topics->find("made"), nullptr);

  const Offset before = state().provenance.offset;
  EXPECT_EQ(envelope(frame_of(registration(5), 4)).error_code, number(ErrorCode::invalid_request));
  EXPECT_EQ(envelope(Slice::copy_of(Bytes{1, 2, 3})).error_code,
            number(ErrorCode::unsupported_version));
  EXPECT_EQ(envelope({}).error_code, number(ErrorCode::unsupported_version));
  Slice cut = frame_of(create_request("cut"), 7);
  EXPECT_EQ(envelope(cut.subslice(0, cut.size() - 6)).error_code,
            number(ErrorCode::unsupported_version));
  principal = {0, 0, 99};
  EXPECT_EQ(envelope(frame_of(create_request("cut"), 7)).error_code,
            number(ErrorCode::principal_deserialization_failure));
  EXPECT_EQ(state().provenance.offset, before);
  EXPECT_EQ(state().topics->find("cut"), nullptr);
}

TEST_F(ControllerServerTest, DescribesTheQuorum) {
  start_all();
  (void)ask<wire::FetchResponse>(fetch_request(2), 18);
  wire::DescribeQuorumRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic_name = std::string(kMetadataTopic);
  topic.partitions.emplace_back();
  for (std::int16_t version = 0; version <= 2; ++version) {
    const auto answer = ask<wire::DescribeQuorumResponse>(request, version).value();
    const auto& known = answer.topics.at(0).partitions.at(0);
    EXPECT_EQ(known.error_code, 0);
    EXPECT_EQ(known.leader_id, 1);
    EXPECT_EQ(known.leader_epoch, 1);
    EXPECT_EQ(known.high_watermark, state().provenance.offset + 1);
    ASSERT_EQ(known.current_voters.size(), 1U);
    EXPECT_EQ(known.current_voters[0].log_end_offset, known.high_watermark);
    ASSERT_EQ(known.observers.size(), 1U);
    EXPECT_EQ(known.observers[0].replica_id, 7);
    EXPECT_EQ(known.observers[0].log_end_offset, 2);
    EXPECT_EQ(known.observers[0].last_caught_up_timestamp, -1);
    ASSERT_EQ(answer.nodes.size(), version < 2 ? 0U : 1U);
    if (version >= 2) {
      EXPECT_EQ(answer.nodes[0].listeners.at(0).port, kControllerPort);
    }
  }
  // whoever asks for anything else as well is told nothing
  topic.partitions.emplace_back().partition_index = 1;
  const auto both = ask<wire::DescribeQuorumResponse>(request, 2).value();
  for (const auto& part : both.topics.at(0).partitions)
    EXPECT_EQ(part.error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_TRUE(both.nodes.empty());
}

// As each Kafka controller does at its start: without it, no Kafka would let features rise.
TEST_F(ControllerServerTest, RegistersItselfAtEachStart) {
  start_controller();
  const ControllerImage first = state().controllers.at(1);
  EXPECT_EQ(first.endpoints.at(0).listener, "CONTROLLER");
  EXPECT_EQ(first.endpoints.at(0).port, kControllerPort);
  EXPECT_EQ(first.features.at("metadata.version"), (std::pair<std::int16_t, std::int16_t>{25, 30}));
  crash_controller(io::sim::CrashKind::power_loss);
  restart_controller();
  ASSERT_TRUE(wait([&] { return is_serving(); }));
  EXPECT_NE(state().controllers.at(1).incarnation_id, first.incarnation_id);
}

// Requests are answered in their order; those that wait when the controller is told to stop are
// answered, not dropped.
TEST_F(ControllerServerTest, AnswersWhatItHasBegunWhenItStops) {
  start_all();
  Answer<wire::FetchResponse> poll;
  asker.ask_later(fetch_request(state().provenance.offset + 1, 2000), 18, poll);
  world.run_for(100ms);
  const io::Instant asked = world.now();
  controller.stop();
  ASSERT_TRUE(wait([&] { return !controller.is_running(); }));
  EXPECT_LT(world.now() - asked, 500ms);
  ASSERT_TRUE(wait([&] { return poll.has_value(); }));
  EXPECT_TRUE(poll->has_value()) << poll->error().message;
}

TEST_F(ControllerServerTest, BytesThatAreNoRequestEndTheConnectionOnly) {
  start_all();
  enter(1);
  const auto answer = [&] {
    Answer<wire::DescribeQuorumResponse> pending;
    asker.spawn([&pending](rpc::Client& client) { return send_garbage(client, pending); });
    EXPECT_TRUE(wait([&] { return pending.has_value(); }));
    return std::move(*pending);
  }();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, io::ErrorKind::closed);
  broker.stop();
  ASSERT_TRUE(wait([&] { return !broker.is_running(); }));
  asker.connect();
  EXPECT_EQ(ask<wire::CreateTopicsResponse>(create_request("after"), 7)->topics[0].error_code, 0);
}

// A disk that fails ends the connection without an answer: nothing may be believed after it.
TEST_F(ControllerServerTest, AFailedDiskGetsNoAnswer) {
  start_all();
  enter(1);
  bool fails = false;
  controller.disk().on_fault(
      [&](io::sim::OperationKind kind, std::string_view) -> std::optional<io::ErrorKind> {
        if (fails && kind == io::sim::OperationKind::sync) return io::ErrorKind::input_output;
        return std::nullopt;
      });
  fails = true;
  const auto answer = ask<wire::CreateTopicsResponse>(create_request("lost"), 7);
  ASSERT_FALSE(answer.has_value());
  fails = false;
  crash_controller(io::sim::CrashKind::power_loss);
  restart_controller();
  ASSERT_TRUE(wait([&] { return is_serving(); })) << seat.failure << world.report();
}

using ControllerServerSeedsTest = SeededTest<ShellTest>;

// What one writer knows of what it asked for.
struct Writer {
  std::vector<ProducerId> blocks;
  std::set<std::string> made;     // answered, not deleted since
  std::set<std::string> unknown;  // asked, and never answered
};

// Until it is told to stop; errors are what this world is for.
io::Task<int> write(io::Env& env, NodeId id, Writer& writer) {
  for (int i = 0; !env.stop.is_set();) {
    auto client = co_await connect(env);
    const auto epoch = co_await join(*client, id);
    while (epoch && !env.stop.is_set()) {
      const std::string name = fmt::format("w{}-{}", id, i++);
      writer.unknown.insert(name);
      auto made = co_await client->call<wire::CreateTopicsResponse>(create_request(name), 7, 3s);
      if (!made) break;
      if (made->topics[0].error_code == 0) writer.made.insert(name);
      writer.unknown.erase(name);
      wire::AllocateProducerIdsRequest ids;
      ids.broker_id = id;
      ids.broker_epoch = *epoch;
      auto block = co_await client->call<wire::AllocateProducerIdsResponse>(ids, 0, 3s);
      if (!block) break;
      if (block->error_code == 0) writer.blocks.push_back(block->producer_id_start);
      if (i % 3 != 0 || writer.made.empty()) continue;
      const std::string gone = *writer.made.begin();
      writer.made.erase(gone);
      writer.unknown.insert(gone);
      wire::DeleteTopicsRequest remove;
      remove.topics.emplace_back().name = gone;
      auto removed = co_await client->call<wire::DeleteTopicsResponse>(remove, 6, 3s);
      if (!removed) break;
      EXPECT_EQ(removed->responses[0].error_code, 0);
      writer.unknown.erase(gone);
    }
    co_await client->close();
    co_await io::sleep_for(env.clock, 20ms);
  }
  co_return 0;
}

// Two writers, a controller that dies at disk operations drawn by the seed (before, in the middle
// or after), by kill or power loss. Every block of producer ids that was answered is a writer's
// own; every topic that was answered is there, every one whose deletion was answered is not.
TEST_P(ControllerServerSeedsTest, AnAnswerMeansCommitted) {
  auto prng = world.prng("plan");
  seat.settings = {.snapshot_bytes = 3000 + prng.below(20'000), .session_timeout_ms = 600'000};
  restart_controller();
  std::array<Writer, 2> writers;
  std::vector<io::sim::Node*> nodes;
  for (int i = 0; i < 2; ++i) {
    nodes.push_back(&world.add_node(fmt::format("w{}", i)));
    nodes.back()->start(1, [i, &writers](io::Env& env) {
      return write(env, i + 1, writers.at(static_cast<std::size_t>(i)));
    });
  }
  std::optional<std::uint64_t> point;
  controller.disk().on_operation([&](const io::sim::DiskPoint& at) {
    if (point && at.index >= *point && prng.chance(0.4)) {
      point.reset();
      crash_controller(prng.chance(0.3) ? io::sim::CrashKind::process_kill
                                        : io::sim::CrashKind::power_loss);
    }
  });
  int crashes = 0;
  for (int round = 0; round < 8; ++round) {
    if (!controller.is_running()) restart_controller();
    point = controller.disk().counters().points + prng.below(60);
    if (wait([&] { return !controller.is_running(); }, 20s)) ++crashes;
    world.run_for(std::chrono::milliseconds(prng.below(200)));
  }
  point.reset();
  world.end_faults();
  if (!controller.is_running()) restart_controller();
  const auto blocks_of_all = [&] { return writers[0].blocks.size() + writers[1].blocks.size(); };
  const std::size_t before = blocks_of_all();
  ASSERT_TRUE(wait([&] { return blocks_of_all() > before + 4; })) << world.report();
  for (auto* node : nodes) node->stop();
  ASSERT_TRUE(wait([&] {
    return is_serving() && !nodes[0]->is_running() && !nodes[1]->is_running();
  })) << seat.failure
      << world.report();
  EXPECT_GT(crashes, 2);
  std::set<ProducerId> blocks;
  for (const Writer& writer : writers) {
    EXPECT_TRUE(std::ranges::is_sorted(writer.blocks));
    for (const ProducerId first : writer.blocks) {
      EXPECT_TRUE(blocks.insert(first).second) << first;
      EXPECT_LT(first, state().next_producer_id);
    }
    for (const std::string& name : writer.made)
      EXPECT_NE(state().topics->find(name), nullptr) << name << world.report();
  }
  for (const auto& [name, topic] : state().topics->by_name()) {
    const Writer& writer = writers.at(name[1] == '1' ? 0 : 1);
    EXPECT_TRUE(writer.made.contains(name) || writer.unknown.contains(name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ControllerServerSeedsTest, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace ottla::metadata
