#include "broker/append.h"

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

 private:
  AppendOutcome outcome_;
  Done done_;
};

void append_validated(Shard& shard, const TopicIdPartition& id, wire::ValidatedBatch batch,
                      Done done);

// Lets the batches that found the journal full go in, in their order.
io::Task<void> let_in_held_back(Shard& shard, TopicIdPartition id) {
  while (true) {
    co_await shard.store().wait_for_room();
    HostedPartition* partition = shard.find(id);
    if (!partition) co_return;
    if (partition->held_back.empty()) {
      partition->is_letting_in = false;
      co_return;
    }
    auto next = std::move(partition->held_back.front());
    partition->held_back.pop_front();
    next();
  }
}

void append_validated(Shard& shard, const TopicIdPartition& id, wire::ValidatedBatch batch,
                      Done done) {
  HostedPartition* partition = shard.find(id);
  if (!partition) return done(refuse(storage::LogError::deleted));
  const auto appended =
      partition->log->append(batch.bytes, batch.header, {.leader_epoch = partition->leader_epoch});
  if (!appended) {
    if (appended.error() != storage::LogError::no_room) return done(refuse(appended.error()));
    partition->held_back.push_front(
        [&shard, id, batch = std::move(batch), done = std::move(done)]() mutable {
          append_validated(shard, id, std::move(batch), std::move(done));
        });
    if (!std::exchange(partition->is_letting_in, true))
      shard.tasks.spawn(let_in_held_back(shard, id));
    return;
  }
  AppendOutcome outcome;
  outcome.base_offset = appended->first_offset;
  outcome.log_append_time_ms = appended->log_append_time;
  outcome.log_start_offset = appended->log_start_offset;
  auto* waiter = new DurableAppend(std::move(outcome), std::move(done), appended->end_offset());
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
  if (!partition->held_back.empty()) {
    partition->held_back.push_back([&shard, id = request.partition, batch = std::move(*batch),
                                    done = std::move(done)]() mutable {
      append_validated(shard, id, std::move(batch), std::move(done));
    });
    return;
  }
  append_validated(shard, request.partition, std::move(*batch), std::move(done));
}

}  // namespace ottla::broker
