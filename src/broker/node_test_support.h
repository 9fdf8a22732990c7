// What the tests of a whole node share: one of two shards in the simulator, a client that asks it,
// and the requests that most tests make. Not part of the library.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "broker/node.h"
#include "io/sim/world.h"
#include "rpc/rpc_test_support.h"
#include "wire/errors.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::broker::testing {

using namespace std::chrono_literals;

inline std::int16_t number(wire::ErrorCode code) { return static_cast<std::int16_t>(code); }

class NodeTest : public ::testing::Test {
 protected:
  explicit NodeTest(std::uint64_t seed = 3) : world({.seed = seed}) {
    config.listeners = {{.name = "PLAINTEXT", .bind = {"", 9092}}};
    config.log_dir = "data";
    config.num_partitions = 2;
  }
  void SetUp() override { start(); }

  void start() {
    meeting = make_meeting_point(config, {.on_ready = [this](const NodeReady&) { ready = true; }});
    node.start(2, [this](io::Env& env) { return run_node(env, meeting); });
    ASSERT_TRUE(world.run_until([&] { return ready; }, 60s)) << world.report();
    asker.connect();
  }
  static io::Task<void> send_only(rpc::Client& to, Gather frame, bool& sent) {
    (void)co_await to.send_only(std::move(frame));
    sent = true;
  }
  // The answer, or why there is none.
  template <class Response, class Request>
  io::Result<Response> try_ask(Request request, std::int16_t version) {
    return asker.ask<Response>(std::move(request), version);
  }
  template <class Response, class Request>
  Response ask(Request request, std::int16_t version) {
    auto answer = try_ask<Response>(std::move(request), version);
    EXPECT_TRUE(answer.has_value()) << answer.error().message << world.report();
    return answer ? std::move(*answer) : Response{};
  }

  using Configs = std::map<std::string, std::string>;
  Uuid make_topic(const std::string& name, std::int32_t partitions = 2,
                  const Configs& configs = {}) {
    wire::CreateTopicsRequest request;
    request.timeout_ms = 10'000;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = -1;
    for (const auto& [key, value] : configs) {
      auto& entry = topic.configs.emplace_back();
      entry.name = key;
      entry.value = value;
    }
    const auto answer = ask<wire::CreateTopicsResponse>(request, 7);
    EXPECT_EQ(answer.topics.at(0).error_code, 0) << answer.topics[0].error_message.value_or("");
    return answer.topics.at(0).topic_id;
  }
  static Slice batch_of(std::size_t value_bytes) {
    wire::RecordBatchBuilder builder({});
    const Bytes value(value_bytes, 'v');
    builder.append({.timestamp = 1000, .value = ByteView(value)});
    return *builder.build();
  }
  wire::ProduceRequest produce_request(const std::string& topic, std::int32_t partition,
                                       std::int16_t acks = -1, Slice batch = batch_of(10)) {
    wire::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 5000;
    auto& data = request.topic_data.emplace_back();
    data.name = topic;
    auto& part = data.partition_data.emplace_back();
    part.index = partition;
    part.records = wire::Records(std::move(batch));
    return request;
  }
  wire::ProduceResponse::PartitionProduceResponse produce(const wire::ProduceRequest& request,
                                                          std::int16_t version = 12) {
    return ask<wire::ProduceResponse>(request, version).responses.at(0).partition_responses.at(0);
  }
  wire::FetchRequest fetch_request(const std::string& topic, std::int32_t partition, Offset from) {
    wire::FetchRequest request;
    request.session_epoch = -1;
    request.max_bytes = 1 << 20;
    request.min_bytes = 1;
    auto& wanted = request.topics.emplace_back();
    wanted.topic = topic;
    auto& part = wanted.partitions.emplace_back();
    part.partition = partition;
    part.fetch_offset = from;
    part.partition_max_bytes = 1 << 20;
    return request;
  }
  wire::FetchResponse::PartitionData fetch(const wire::FetchRequest& request,
                                           std::int16_t version = 12) {
    return ask<wire::FetchResponse>(request, version).responses.at(0).partitions.at(0);
  }

  io::sim::World world;
  io::sim::Node& node = world.add_node("b1");
  rpc::testing::Asker asker{world, world.add_node("c1"), {"b1", 9092}};
  NodeConfig config;
  std::shared_ptr<NodeMeetingPoint> meeting;
  bool ready = false;
};

}  // namespace ottla::broker::testing
