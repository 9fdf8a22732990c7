#include "shouter.h"

#include "wire/messages/produce_request.h"
#include "wire_client.h"

namespace ottla::sim_campaign {
namespace {

using namespace std::chrono_literals;
using verify::Operation;
using verify::Outcome;

constexpr io::Duration kTimeout = 3s;  // of the question for the topic

wire::ProduceRequest unanswered(const Uuid& topic_id, PartitionIndex partition, Slice batch) {
  wire::ProduceRequest request;
  request.acks = 0;
  request.timeout_ms = 1000;
  wire::ProduceRequest::PartitionProduceData data;
  data.index = partition;
  data.records = wire::Records(std::move(batch));
  wire::ProduceRequest::TopicProduceData topic;
  topic.topic_id = topic_id;
  topic.partition_data.push_back(std::move(data));
  request.topic_data.push_back(std::move(topic));
  return request;
}

}  // namespace

io::Task<void> shout(io::Env& env, Record& record, ShouterPlan plan) {
  io::sim::Prng prng(plan.seed);
  Link link(env, kTimeout);
  while (!record.finishing) {
    const auto topic =
        co_await link.open() ? co_await link.topic_id(plan.topic) : std::optional<Uuid>();
    if (topic) {
      const verify::Key key = record.key_of(*topic, plan.partition);
      // What an earlier connection has under way may come after what this one sends.
      const verify::Process process = record.next_process++;
      while (!record.finishing && link.is_open()) {
        Operation operation{.kind = Operation::Kind::send,
                            .process = process,
                            .outcome = Outcome::info,
                            .invoked_ns = record.now_ns()};
        const auto count = static_cast<std::int32_t>(
            prng.between(1, static_cast<std::uint64_t>(plan.records_max)));
        std::vector<verify::Value> values;
        Slice batch = make_records(record, prng, {}, -1, count, plan.value_bytes_max,
                                   env.clock.wall_ms(), values);
        for (const verify::Value value : values) {
          operation.sends.push_back({.key = key, .value = value, .offset = std::nullopt});
          record.unanswered.insert(value);
        }
        record.reached(Mark::unanswered_sent, values.size());
        co_await link.send_only(unanswered(*topic, plan.partition, std::move(batch)),
                                kProduceVersion);
        operation.completed_ns = record.now_ns();
        record.history.push_back(std::move(operation));
        co_await io::sleep_for(env.clock, prng.delay(plan.pause, 0.1));
      }
    }
    co_await link.close();
    if (!record.finishing) co_await io::sleep_for(env.clock, kRetryPause);
  }
  co_await link.close();
}

}  // namespace ottla::sim_campaign
