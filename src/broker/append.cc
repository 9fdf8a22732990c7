#include "broker/append.h"

#include <algorithm>
#include <set>
#include <utility>

#include "wire/record_batch.h"

namespace ottla::broker {
namespace {

using Done = std::move_only_function<void(AppendOutcome)>;

AppendOutcome refuse(wire::ErrorCode error, std::string message) {
  AppendOutcome outcome;
  outcome.error = error;
  outcome.message = std::move(message);
  return outcome;
}

AppendOutcome refuse(storage::LogError error) {
  return refuse(storage::to_error_code(error), std::string(storage::describe(error)));
}

// Waits for one batch; deletes itself when it has been told.
class DurableAppend final : public storage::DurableWaiter {
 public:
  DurableAppend(AppendOutcome outcome, Done done, Offset wait_for)
      : outcome_(std::move(outcome)), done_(std::move(done)) {
    end = wait_for;
  }
  void on_durable(storage::LogResult<> result) override {
    Done done = std::move(done_);
    AppendOutcome outcome = result ? std::move(outcome_) : refuse(result.error());
    delete this;
    done(std::move(outcome));
  }
  void on_abandoned() override { delete this; }

 private:
  AppendOutcome outcome_;
  Done done_;
};

// What was validated, and who waits for it.
struct Pending {
  TopicIdPartition id;
  wire::ValidatedBatch batch;
  io::Instant deadline;
  Done done;
};

void append_validated(Shard& shard, Pending pending);

HeldBack hold_back(Shard& shard, Pending pending) {
  const io::Instant deadline = pending.deadline;
  return {deadline, pending.batch.header.producer_id,
          [&shard, held = std::move(pending)](std::optional<storage::LogError> error) mutable {
            if (error) return held.done(refuse(*error));
            append_validated(shard, std::move(held));
          }};
}

// And what their producers have sent behind them: their order is kept.
void refuse_late_ones(Shard& shard, HostedPartition& partition) {
  std::deque<HeldBack> late;
  std::set<ProducerId> producers;
  const io::Instant now = shard.env.clock.now();
  for (auto at = partition.held_back.begin(); at != partition.held_back.end();) {
    if (!shard.is_stopping() && now < at->deadline && !producers.contains(at->producer)) {
      ++at;
      continue;
    }
    if (at->producer >= 0) producers.insert(at->producer);
    late.push_back(std::move(*at));
    at = partition.held_back.erase(at);
  }
  for (HeldBack& append : late) append.go_on(storage::LogError::no_room);
}

// Lets the batches that found the journal full go in, in their order, or ends them at their
// deadlines.
io::Task<void> let_in_held_back(Shard& shard, TopicIdPartition id) {
  while (true) {
    HostedPartition* partition = shard.find(id);
    if (!partition) co_return;
    refuse_late_ones(shard, *partition);
    partition = shard.find(id);
    if (!partition) co_return;
    if (partition->held_back.empty()) {
      partition->is_letting_in = false;
      co_return;
    }
    const io::Instant next_deadline =
        std::ranges::min_element(partition->held_back, {}, &HeldBack::deadline)->deadline;
    if (!co_await shard.wait_for_room(next_deadline) || shard.is_stopping()) continue;
    partition = shard.find(id);
    if (!partition || partition->held_back.empty()) continue;
    HeldBack first = std::move(partition->held_back.front());
    partition->held_back.pop_front();
    first.go_on(std::nullopt);
  }
}

void append_validated(Shard& shard, Pending pending) {
  HostedPartition* partition = shard.find(pending.id);
  if (!partition) return pending.done(refuse(storage::LogError::deleted));
  const auto appended = partition->log->append(pending.batch.bytes, pending.batch.header,
                                               {.leader_epoch = partition->leader_epoch});
  if (!appended) {
    if (appended.error() != storage::LogError::no_room || shard.is_stopping())
      return pending.done(refuse(appended.error()));
    const TopicIdPartition id = pending.id;
    partition->held_back.push_front(hold_back(shard, std::move(pending)));
    if (!std::exchange(partition->is_letting_in, true))
      shard.tasks.spawn(let_in_held_back(shard, id));
    return;
  }
  AppendOutcome outcome;
  outcome.base_offset = appended->first_offset;
  outcome.log_append_time_ms = appended->log_append_time;
  outcome.log_start_offset = appended->log_start_offset;
  auto* waiter =
      new DurableAppend(std::move(outcome), std::move(pending.done), appended->end_offset());
  if (!partition->log->wait_durable(*waiter)) waiter->on_durable({});
}

}  // namespace

void append(Shard& shard, AppendRequest request, Done done) {
  HostedPartition* partition = shard.find(request.partition);
  if (!partition) {
    return done(
        refuse(wire::ErrorCode::not_leader_or_follower, "this node does not lead the partition"));
  }
  auto batch = wire::validate_batch(std::move(request.records), partition->settings->validation,
                                    request.produce_version, shard.env.clock.wall_ms(),
                                    shard.validation_scratch);
  if (!batch) {
    AppendOutcome outcome = refuse(batch.error().code, std::move(batch.error().message));
    outcome.faults = std::move(batch.error().records);
    return done(std::move(outcome));
  }
  if (batch->header.is_transactional()) {
    // Without a coordinator nobody would ever end the transaction.
    return done(refuse(wire::ErrorCode::invalid_txn_state,
                       "transactions are not served by this broker yet"));
  }
  Pending pending{request.partition, std::move(*batch), request.deadline, std::move(done)};
  if (!partition->held_back.empty()) {
    partition->held_back.push_back(hold_back(shard, std::move(pending)));
    return;
  }
  append_validated(shard, std::move(pending));
}

}  // namespace ottla::broker
