#include "clients.h"

#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "wire/compression.h"
#include "wire/errors.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"
#include "wire/record.h"
#include "wire_client.h"

namespace ottla::sim_campaign {
namespace {

using namespace std::chrono_literals;
using io::sim::Prng;
using verify::Operation;
using verify::Outcome;
using wire::ErrorCode;

constexpr std::int16_t kFetchVersion = 13, kCreateVersion = 7, kDeleteVersion = 6;

class Producer {
 public:
  Producer(io::Env& env, Record& record, ProducerPlan plan)
      : env_(env),
        record_(record),
        plan_(std::move(plan)),
        prng_(plan_.seed),
        link_(env, plan_.timeout),
        changed_(env.executor),
        calls_(env.executor) {}

  io::Task<void> run() {
    while (!is_over()) {
      if (co_await link_.open() && co_await prepare()) co_await work();
      co_await link_.close();
      co_await calls_.join();
      settle();
      const bool is_late =
          !batches_.empty() && env_.clock.now() - batches_.front().begun > plan_.patience;
      if (refused_for_good_ || is_late || topic_is_gone_) give_up();
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
    bool acknowledged = false;
    std::optional<Offset> base_offset;
  };

  bool is_over() const { return record_.finishing && batches_.empty(); }

  // A topic and a producer id.
  io::Task<bool> prepare() {
    if (!topic_) {
      topic_ = co_await link_.topic_id(plan_.topic);
      if (!topic_) co_return false;
      record_.key_of(*topic_, plan_.partition);
    }
    if (producer_id_ >= 0) co_return true;
    const auto identity = co_await new_producer(link_, record_);
    if (!identity) co_return false;
    producer_id_ = identity->id;
    epoch_ = identity->epoch;
    next_sequence_ = 0;
    process_ = record_.next_process++;
    co_return true;
  }

  // Until the connection fails, or an answer asks for a retry.
  io::Task<void> work() {
    is_broken_ = false;
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      if (!batches_[i].acknowledged) calls_.spawn(send(*this, first_ + i));
    }
    while (!is_broken_ && !is_over()) {
      if (!record_.finishing && batches_.size() < plan_.in_flight_max) {
        batches_.push_back(make_batch());
        calls_.spawn(send(*this, first_ + batches_.size() - 1));
        if (prng_.chance(0.6)) co_await io::sleep_for(env_.clock, prng_.delay(plan_.pause, 0.1));
        continue;
      }
      changed_.reset();
      co_await changed_.wait_until(env_.clock, env_.clock.now() + plan_.timeout);
    }
  }

  Batch make_batch() {
    Batch batch{.invoked_ns = record_.now_ns(), .begun = env_.clock.now()};
    const auto count =
        static_cast<std::int32_t>(prng_.between(1, static_cast<std::uint64_t>(plan_.records_max)));
    batch.bytes = make_records(record_, prng_, {producer_id_, epoch_}, next_sequence_, count,
                               plan_.value_bytes_max, env_.clock.wall_ms(), batch.values);
    next_sequence_ = wire::sequence_plus(next_sequence_, count);
    return batch;
  }

  wire::ProduceRequest request_of(Slice batch) const {
    wire::ProduceRequest request;
    request.acks = plan_.acks;
    request.timeout_ms = static_cast<std::int32_t>(plan_.timeout / 1ms);
    wire::ProduceRequest::TopicProduceData topic;
    topic.topic_id = *topic_;
    wire::ProduceRequest::PartitionProduceData data;
    data.index = plan_.partition;
    data.records = wire::Records(std::move(batch));
    topic.partition_data.push_back(std::move(data));
    request.topic_data.push_back(std::move(topic));
    return request;
  }

  // What was left behind with the last epoch, after the new one has written: it must be refused.
  static io::Task<void> haunt(Producer& self, Slice batch) {
    auto answer = co_await self.link_.call<wire::ProduceResponse>(self.request_of(std::move(batch)),
                                                                  kProduceVersion);
    if (!answer || answer->responses.empty() || answer->responses[0].partition_responses.empty())
      co_return;
    self.record_.reached(Mark::old_epoch_sent);
    if (answer->responses[0].partition_responses[0].error_code != 0) co_return;
    self.record_.violated(fmt::format(
        "producer {} (id {}): a batch of an epoch before {}, which has written, was accepted",
        self.process_, self.producer_id_, self.epoch_));
  }

  static io::Task<void> send(Producer& self, std::size_t number) {
    auto request = self.request_of(self.batches_[number - self.first_].bytes);
    ++self.record_.in_flight;
    auto answer =
        co_await self.link_.call<wire::ProduceResponse>(std::move(request), kProduceVersion);
    --self.record_.in_flight;
    self.take(number, answer);
    self.changed_.set();
  }

  void take(std::size_t number, const std::optional<wire::ProduceResponse>& answer) {
    if (number < first_) return;
    Batch& batch = batches_[number - first_];
    if (!answer || answer->responses.empty() || answer->responses[0].partition_responses.empty()) {
      is_broken_ = true;
      return;
    }
    const auto& result = answer->responses[0].partition_responses[0];
    const auto code = static_cast<ErrorCode>(result.error_code);
    if (code == ErrorCode::none || code == ErrorCode::duplicate_sequence_number) {
      batch.acknowledged = was_ever_acknowledged_ = true;
      if (plan_.acks == 1) record_.reached(Mark::leader_acks);
      if (left_behind_) calls_.spawn(haunt(*this, *std::exchange(left_behind_, std::nullopt)));
      if (code == ErrorCode::none) batch.base_offset = result.base_offset;
      settle();
      return;
    }
    is_broken_ = true;
    if (code == ErrorCode::unknown_topic_id && record_.deleted.contains(*topic_)) {
      topic_is_gone_ = true;
      return;
    }
    if (wire::is_retriable(code) && code != ErrorCode::out_of_order_sequence_number) {
      first_may_be_overtaken_ = first_may_be_overtaken_ || !was_ever_acknowledged_;
      return;
    }
    const bool is_first = std::ranges::all_of(
        batches_.begin(), batches_.begin() + static_cast<std::ptrdiff_t>(number - first_),
        [](const Batch& earlier) { return earlier.acknowledged; });
    // behind one that was refused, a later sequence is out of order, and right so
    if (code == ErrorCode::out_of_order_sequence_number && !is_first) return;
    // As in Kafka, a producer that a partition does not know may begin with any sequence: where its
    // first batch was told to try again (no leader yet), the next one may have been the first.
    if (code == ErrorCode::out_of_order_sequence_number && first_may_be_overtaken_) {
      refused_for_good_ = true;
      return;
    }
    record_.violated(fmt::format(
        "producer {} (id {}): the batch of value {} was refused with error {}, though all before "
        "it were acknowledged",
        process_, producer_id_, batch.values.front(), result.error_code));
    refused_for_good_ = true;
  }

  // Acknowledged batches enter the history in the order of their sequences.
  void settle() {
    while (!batches_.empty() && batches_.front().acknowledged) {
      finish(batches_.front(), Outcome::ok);
      batches_.pop_front();
      ++first_;
    }
  }

  void finish(const Batch& batch, Outcome outcome) {
    Operation operation{.kind = Operation::Kind::send,
                        .process = process_,
                        .outcome = outcome,
                        .invoked_ns = batch.invoked_ns,
                        .completed_ns = record_.now_ns()};
    const verify::Key key = record_.key_of(*topic_, plan_.partition);
    for (std::size_t i = 0; i < batch.values.size(); ++i) {
      verify::Sent sent{.key = key, .value = batch.values[i]};
      if (outcome == Outcome::ok && batch.base_offset)
        sent.offset = *batch.base_offset + static_cast<Offset>(i);
      operation.sends.push_back(sent);
    }
    if (outcome == Outcome::ok) record_.acknowledged += batch.values.size();
    record_.history.push_back(std::move(operation));
  }

  // What is under way has an unknown outcome. Whoever comes now is another producer, or the same
  // one under its next epoch, which nothing of the old one may follow.
  void give_up() {
    settle();
    const bool is_raised =
        !refused_for_good_ && !topic_is_gone_ && epoch_ < INT16_MAX && prng_.chance(0.5);
    for (const Batch& batch : batches_) {
      // One that is acknowledged behind one that is not: it happened, and the order is known.
      finish(batch, batch.acknowledged ? Outcome::ok : Outcome::info);
    }
    left_behind_.reset();
    if (is_raised && !batches_.empty()) left_behind_ = batches_.back().bytes;
    first_ += batches_.size();
    batches_.clear();
    if (is_raised) {
      ++epoch_;
      next_sequence_ = 0;
      record_.reached(Mark::epoch_raised);
      return;
    }
    producer_id_ = -1;
    topic_.reset();
    was_ever_acknowledged_ = first_may_be_overtaken_ = false;
    refused_for_good_ = topic_is_gone_ = false;
  }

  io::Env& env_;
  Record& record_;
  const ProducerPlan plan_;
  Prng prng_;
  Link link_;
  io::Event changed_;
  io::TaskGroup calls_;
  std::optional<Uuid> topic_;
  ProducerId producer_id_ = -1;
  ProducerEpoch epoch_ = -1;
  Sequence next_sequence_ = 0;
  verify::Process process_ = 0;
  std::deque<Batch> batches_;  // under way, by sequence
  std::size_t first_ = 0;      // number of the first of them
  std::optional<Slice> left_behind_;
  bool was_ever_acknowledged_ = false;  // of this producer id
  bool first_may_be_overtaken_ = false;
  bool is_broken_ = false;
  bool refused_for_good_ = false;
  bool topic_is_gone_ = false;
};

// Reads partitions of one topic from an offset on; also the last reader's eyes.
class Reader {
 public:
  Reader(io::Env& env, Record& record, ConsumerPlan plan)
      : record_(record), plan_(std::move(plan)), link_(env, plan_.timeout) {}

  io::Task<void> close() { return link_.close(); }
  Link& link() { return link_; }

  void assign(const Uuid& topic, std::vector<PartitionIndex> partitions) {
    topic_ = topic;
    process_ = record_.next_process++;
    positions_.clear();
    session_ = {};
    Operation operation{.kind = Operation::Kind::assign,
                        .process = process_,
                        .invoked_ns = record_.now_ns(),
                        .completed_ns = record_.now_ns()};
    for (const PartitionIndex partition : partitions) {
      positions_[partition] = {};
      operation.assigned.push_back(record_.key_of(topic, partition));
    }
    record_.history.push_back(std::move(operation));
  }
  bool is_assigned() const { return topic_.has_value(); }
  void unassign() { topic_.reset(); }

  // True if every partition was read up to the high watermark that was last heard of.
  bool is_at_end() const {
    return std::ranges::all_of(positions_, [](const auto& one) {
      return one.second.high_watermark >= 0 && one.second.next >= one.second.high_watermark;
    });
  }

  // One fetch. False: connect again.
  io::Task<bool> poll() {
    const std::int64_t invoked_ns = record_.now_ns();
    auto answer = co_await link_.call<wire::FetchResponse>(make_request(), kFetchVersion);
    const bool goes_on = std::exchange(is_reconnected_, false) && session_.epoch > 0;
    if (!answer && plan_.keeps_session) {
      // What the lost request told may be known there or not.
      for (auto& [index, position] : positions_) position.told = -1;
      is_reconnected_ = true;
      co_return false;
    }
    if (goes_on) {
      record_.reached(answer && answer->error_code == 0 ? Mark::session_went_on
                                                        : Mark::session_refused);
    }
    if (!answer || answer->error_code != 0) {
      const auto code = static_cast<ErrorCode>(answer ? answer->error_code : 0);
      if (goes_on && code != ErrorCode::fetch_session_id_not_found &&
          code != ErrorCode::invalid_fetch_session_epoch && !wire::is_retriable(code))
        record_.violated(fmt::format("a kept session: error {}", static_cast<int>(code)));
      session_ = {};
      co_return false;
    }
    if (plan_.uses_session) {
      session_.id = answer->session_id;
      session_.epoch = answer->session_id == 0 ? 0 : session_.epoch + 1;
    }
    Operation operation{
        .kind = Operation::Kind::poll, .process = process_, .invoked_ns = invoked_ns};
    bool is_good = true;
    for (const auto& topic : answer->responses) {
      for (const auto& partition : topic.partitions)
        is_good = take(partition, operation) && is_good;
    }
    operation.completed_ns = record_.now_ns();
    if (!operation.polls.empty()) record_.history.push_back(std::move(operation));
    if (!is_good) session_ = {};
    co_return is_good;
  }

 private:
  struct Position {
    Offset next = 0;
    Offset told = -1;  // what the session believes
    Offset high_watermark = -1;
  };
  struct Session {
    std::int32_t id = 0;
    std::int32_t epoch = 0;
  };

  wire::FetchRequest make_request() {
    wire::FetchRequest request;
    request.max_wait_ms = 300;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.session_id = session_.id;
    request.session_epoch = plan_.uses_session ? session_.epoch : -1;
    wire::FetchRequest::FetchTopic topic;
    topic.topic_id = *topic_;
    const bool is_full = !plan_.uses_session || session_.epoch == 0;
    for (auto& [index, position] : positions_) {
      if (!is_full && position.told == position.next) continue;
      wire::FetchRequest::FetchPartition one;
      one.partition = index;
      one.fetch_offset = position.next;
      one.partition_max_bytes = plan_.partition_bytes_max;
      topic.partitions.push_back(one);
      position.told = position.next;
    }
    if (!topic.partitions.empty()) request.topics.push_back(std::move(topic));
    return request;
  }

  bool take(const wire::FetchResponse::PartitionData& got, Operation& operation) {
    const auto found = positions_.find(got.partition_index);
    if (found == positions_.end()) return true;
    Position& position = found->second;
    const std::string where =
        fmt::format("partition {} at offset {}", got.partition_index, position.next);
    const auto code = static_cast<ErrorCode>(got.error_code);
    if (code != ErrorCode::none) {
      if (code == ErrorCode::unknown_topic_id && record_.deleted.contains(*topic_))
        topic_.reset();
      else if (!wire::is_retriable(code))
        record_.violated(fmt::format("reading {}: error {}", where, got.error_code));
      return false;
    }
    if (got.high_watermark < position.high_watermark) {
      record_.violated(fmt::format("reading {}: the high watermark went back from {} to {}", where,
                                   position.high_watermark, got.high_watermark));
    }
    position.high_watermark = got.high_watermark;
    if (got.records.is_null() || got.records.empty()) return true;
    const Slice bytes = got.records.flatten();
    std::vector<verify::Seen> seen;
    wire::BatchCursor cursor(bytes);
    for (wire::Batch batch; cursor.next(batch);) {
      if (!wire::crc_matches(batch.bytes)) {
        record_.violated(fmt::format("reading {}: the batch at {} has a wrong CRC", where,
                                     batch.header.base_offset));
        return false;
      }
      if (batch.header.last_offset() >= got.high_watermark) {
        record_.violated(fmt::format("reading {}: the batch at {} is beyond the high watermark {}",
                                     where, batch.header.base_offset, got.high_watermark));
      }
      take_batch(batch, position, seen, where);
      position.next = std::max(position.next, batch.header.next_offset());
    }
    if (!seen.empty())
      operation.polls[record_.key_of(*topic_, got.partition_index)] = std::move(seen);
    return true;
  }

  void take_batch(const wire::Batch& batch, const Position& position,
                  std::vector<verify::Seen>& seen, const std::string& where) {
    ByteView records = batch.records();
    Slice plain;
    if (batch.header.is_compressed()) {
      auto unpacked = wire::decompress(*batch.header.codec(), records, 1 << 24);
      if (!unpacked) {
        record_.violated(fmt::format("reading {}: a batch can't be decompressed", where));
        return;
      }
      plain = std::move(*unpacked);
      records = plain;
    }
    wire::RecordCursor cursor(records, batch.header.record_count);
    for (wire::Record record; cursor.next(record);) {
      const Offset offset = wire::record_offset(batch.header, record);
      if (offset < position.next) continue;
      if (!record.value || record.value->size() < kValueBytes) {
        record_.violated(fmt::format("reading {}: no value at {}", where, offset));
        continue;
      }
      const auto value = load_big<std::int64_t>(record.value->data());
      const ByteView rest = record.value->subspan(kValueBytes);
      if (std::ranges::any_of(rest, [&](std::uint8_t byte) { return byte != filling(value); }))
        record_.violated(fmt::format("reading {}: other bytes in value {}", where, value));
      seen.push_back({offset, value});
    }
  }

  Record& record_;
  const ConsumerPlan plan_;
  Link link_;
  std::optional<Uuid> topic_;
  verify::Process process_ = 0;
  std::map<PartitionIndex, Position> positions_;
  Session session_;
  bool is_reconnected_ = false;
};

class Administrator {
 public:
  Administrator(io::Env& env, Record& record, AdminPlan plan)
      : env_(env), record_(record), plan_(plan), prng_(plan.seed), link_(env, 3s) {}

  io::Task<void> run() {
    co_await until_there(kMainTopic, plan_.partitions);
    while (plan_.churns && !record_.finishing) {
      co_await until_there(kChurnTopic, 2);
      co_await io::sleep_for(env_.clock, prng_.delay(1500ms, 0.2));
      co_await remove(kChurnTopic);
    }
    co_await link_.close();
  }

 private:
  io::Task<void> until_there(std::string name, std::int32_t partitions) {
    while (!record_.finishing) {
      if (co_await link_.open()) {
        wire::CreateTopicsRequest request;
        wire::CreateTopicsRequest::CreatableTopic topic;
        topic.name = name;
        topic.num_partitions = partitions;
        topic.replication_factor = 1;
        request.topics.push_back(std::move(topic));
        ++record_.creating;
        auto answer =
            co_await link_.call<wire::CreateTopicsResponse>(std::move(request), kCreateVersion);
        --record_.creating;
        if (answer && !answer->topics.empty()) {
          const auto code = static_cast<ErrorCode>(answer->topics[0].error_code);
          if (code == ErrorCode::none || code == ErrorCode::topic_already_exists) co_return;
        }
      }
      co_await io::sleep_for(env_.clock, kRetryPause);
    }
  }

  io::Task<void> remove(std::string name) {
    if (!co_await link_.open()) co_return;
    const auto id = co_await link_.topic_id(name);
    if (!id) co_return;
    record_.deleted.insert(*id);
    wire::DeleteTopicsRequest request;
    request.topics.push_back({.name = std::nullopt, .topic_id = *id});
    request.timeout_ms = 3000;
    ++record_.deleting;
    (void)co_await link_.call<wire::DeleteTopicsResponse>(std::move(request), kDeleteVersion);
    --record_.deleting;
  }

  io::Env& env_;
  Record& record_;
  const AdminPlan plan_;
  Prng prng_;
  Link link_;
};

}  // namespace

verify::Key Record::key_of(const Uuid& topic, PartitionIndex partition) {
  return keys.try_emplace({topic, partition}, static_cast<verify::Key>(keys.size())).first->second;
}

void Record::violated(std::string what) {
  constexpr std::size_t kViolationsMax = 20;
  if (violations.size() < kViolationsMax)
    violations.push_back(fmt::format("at {} ms: {}", now_ns() / 1'000'000, what));
}

io::Task<void> produce(io::Env& env, Record& record, ProducerPlan plan) {
  Producer producer(env, record, std::move(plan));
  co_await producer.run();
  --record.working;
}

io::Task<void> consume(io::Env& env, Record& record, ConsumerPlan plan) {
  Prng prng(plan.seed);
  Reader reader(env, record, plan);
  while (!record.finishing) {
    bool is_good = co_await reader.link().open();
    if (is_good && !reader.is_assigned()) {
      const auto topic = co_await reader.link().topic_id(plan.topic);
      if (topic) reader.assign(*topic, plan.partitions);
      is_good = topic.has_value();
    }
    if (is_good) {
      is_good = co_await reader.poll();
      if (is_good && prng.chance(0.01)) reader.unassign();  // begins again at 0
    }
    if (!is_good) {
      co_await reader.close();
      co_await io::sleep_for(env.clock, kRetryPause);
    } else if (prng.chance(0.5)) {
      co_await io::sleep_for(env.clock, prng.delay(30ms, 0.3));
    }
  }
  co_await reader.close();
}

io::Task<void> administer(io::Env& env, Record& record, AdminPlan plan) {
  Administrator administrator(env, record, plan);
  co_await administrator.run();
}

io::Task<void> read_everything(io::Env& env, Record& record) {
  std::map<Uuid, std::vector<PartitionIndex>> wanted;
  for (const auto& [id, key] : record.keys) {
    if (!record.deleted.contains(id.first)) wanted[id.first].push_back(id.second);
  }
  for (const auto& [topic, partitions] : wanted) {
    Reader reader(env, record, {.partition_bytes_max = 1 << 18, .timeout = 20s});
    reader.assign(topic, partitions);
    while (!reader.is_at_end()) {
      if (co_await reader.link().open() && co_await reader.poll()) continue;
      co_await reader.close();
      co_await io::sleep_for(env.clock, kRetryPause);
    }
    co_await reader.close();
  }
}

}  // namespace ottla::sim_campaign
