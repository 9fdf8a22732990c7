#include "sower.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <vector>

#include "wire/errors.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"
#include "wire/record.h"
#include "wire_client.h"

namespace ottla::sim_campaign {
namespace {

using namespace std::chrono_literals;
using verify::Operation;
using verify::Outcome;
using wire::ErrorCode;

class Sower {
 public:
  Sower(io::Env& env, Record& record, SowerPlan plan, bool is_once)
      : env_(env),
        record_(record),
        plan_(std::move(plan)),
        is_once_(is_once),
        prng_(plan_.seed),
        link_(env, plan_.timeout),
        rows_(static_cast<std::size_t>(plan_.partitions)) {}

  io::Task<void> run() {
    while (!is_over()) {
      if (co_await link_.open() && co_await prepare()) co_await work();
      co_await link_.close();
      if (is_refused_ || (!is_once_ && is_late())) give_up();
      if (!is_over()) co_await io::sleep_for(env_.clock, kRetryPause);
    }
    co_await link_.close();
  }

 private:
  struct Batch {
    std::vector<verify::Value> values;
    Slice bytes;
    std::int64_t invoked_ns = 0;
    io::Instant begun;
  };
  struct Row {  // a partition
    Sequence next_sequence = 0;
    std::optional<Batch> batch;
    bool was_sown = false;
  };

  bool has_batches() const {
    return std::ranges::any_of(rows_, [](const Row& row) { return row.batch.has_value(); });
  }
  bool is_late() const {
    return std::ranges::any_of(rows_, [&](const Row& row) {
      return row.batch && env_.clock.now() - row.batch->begun > plan_.patience;
    });
  }
  bool is_over() const {
    if (has_batches()) return false;
    return is_once_ ? std::ranges::all_of(rows_, &Row::was_sown) : record_.finishing;
  }

  io::Task<bool> prepare() {
    if (!topic_) {
      topic_ = co_await link_.topic_id(plan_.topic);
      if (!topic_) co_return false;
    }
    if (identity_.id >= 0) co_return true;
    const auto identity = co_await new_producer(link_, record_);
    if (!identity) co_return false;
    identity_ = *identity;
    for (Row& row : rows_) row.next_sequence = 0;
    process_ = record_.next_process++;
    co_return true;
  }

  // Until the connection fails, or an answer asks for a retry.
  io::Task<void> work() {
    while (!is_over()) {
      if (!has_batches()) fill();
      if (!co_await send()) co_return;
      if (!is_once_) co_await io::sleep_for(env_.clock, prng_.delay(plan_.pause, 0.1));
    }
  }

  void fill() {
    const auto count = prng_.between(1, std::min(plan_.partitions_max, rows_.size()));
    const auto first = prng_.below(rows_.size());
    for (std::size_t i = 0, filled = 0; i < rows_.size() && filled < count; ++i) {
      Row& row = rows_[(first + i) % rows_.size()];
      if (is_once_ && row.was_sown) continue;
      row.batch = make_batch(row);
      ++filled;
    }
  }

  Batch make_batch(Row& row) {
    Batch batch{
        .values = {}, .bytes = {}, .invoked_ns = record_.now_ns(), .begun = env_.clock.now()};
    const auto count =
        static_cast<std::int32_t>(prng_.between(1, static_cast<std::uint64_t>(plan_.records_max)));
    batch.bytes = make_records(record_, prng_, identity_, row.next_sequence, count,
                               plan_.value_bytes_max, env_.clock.wall_ms(), batch.values);
    row.next_sequence = wire::sequence_plus(row.next_sequence, count);
    return batch;
  }

  // Everything that is not acknowledged. False: connect again.
  io::Task<bool> send() {
    wire::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = static_cast<std::int32_t>(plan_.timeout / 1ms);
    wire::ProduceRequest::TopicProduceData topic;
    topic.topic_id = *topic_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!rows_[i].batch) continue;
      wire::ProduceRequest::PartitionProduceData data;
      data.index = static_cast<PartitionIndex>(i);
      data.records = wire::Records(rows_[i].batch->bytes);
      topic.partition_data.push_back(std::move(data));
    }
    const std::size_t sent = topic.partition_data.size();
    if (sent >= 50) record_.reached(Mark::many_in_one_request);
    request.topic_data.push_back(std::move(topic));
    ++record_.in_flight;
    auto answer = co_await link_.call<wire::ProduceResponse>(std::move(request), kProduceVersion);
    --record_.in_flight;
    if (!answer || answer->responses.empty()) co_return false;
    if (answer->responses[0].partition_responses.size() != sent) {
      record_.violated(fmt::format("{} partitions were sent and {} answered", sent,
                                   answer->responses[0].partition_responses.size()));
    }
    bool is_good = true;
    for (const auto& result : answer->responses[0].partition_responses)
      is_good = take(result) && is_good;
    co_return is_good;
  }

  bool take(const wire::ProduceResponse::PartitionProduceResponse& result) {
    const auto index = static_cast<std::size_t>(result.index);
    if (index >= rows_.size() || !rows_[index].batch) {
      record_.violated(fmt::format("partition {} is answered and was not sent", result.index));
      return false;
    }
    const auto code = static_cast<ErrorCode>(result.error_code);
    if (code == ErrorCode::none || code == ErrorCode::duplicate_sequence_number) {
      finish(result.index, Outcome::ok,
             code == ErrorCode::none ? std::optional(result.base_offset) : std::nullopt);
      return true;
    }
    if (wire::is_retriable(code) && code != ErrorCode::out_of_order_sequence_number) return false;
    record_.violated(
        fmt::format("producer {} (id {}): the batch of value {} was refused with error {}, though "
                    "all before it were acknowledged",
                    process_, identity_.id, rows_[index].batch->values.front(), result.error_code));
    is_refused_ = true;
    return false;
  }

  void finish(PartitionIndex partition, Outcome outcome, std::optional<Offset> base_offset) {
    Row& row = rows_[static_cast<std::size_t>(partition)];
    Operation operation{.kind = Operation::Kind::send,
                        .process = process_,
                        .outcome = outcome,
                        .invoked_ns = row.batch->invoked_ns,
                        .completed_ns = record_.now_ns()};
    const verify::Key key = record_.key_of(*topic_, partition);
    for (std::size_t i = 0; i < row.batch->values.size(); ++i) {
      verify::Sent sent{.key = key, .value = row.batch->values[i]};
      if (base_offset) sent.offset = *base_offset + static_cast<Offset>(i);
      operation.sends.push_back(sent);
    }
    if (outcome == Outcome::ok) record_.acknowledged += row.batch->values.size();
    record_.history.push_back(std::move(operation));
    row.was_sown = true;
    row.batch.reset();
  }

  // What is under way has an unknown outcome; whoever comes now is another producer.
  void give_up() {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].batch) finish(static_cast<PartitionIndex>(i), Outcome::info, std::nullopt);
    }
    identity_ = {};
    is_refused_ = false;
  }

  io::Env& env_;
  Record& record_;
  const SowerPlan plan_;
  const bool is_once_;
  io::sim::Prng prng_;
  Link link_;
  std::vector<Row> rows_;
  std::optional<Uuid> topic_;
  ProducerIdentity identity_;
  verify::Process process_ = 0;
  bool is_refused_ = false;
};

}  // namespace

io::Task<void> sow(io::Env& env, Record& record, SowerPlan plan) {
  Sower sower(env, record, std::move(plan), false);
  co_await sower.run();
  --record.working;
}

io::Task<void> sow_once(io::Env& env, Record& record, SowerPlan plan) {
  Sower sower(env, record, std::move(plan), true);
  co_await sower.run();
}

}  // namespace ottla::sim_campaign
