// GroupPartition: one partition of `__consumer_offsets` that this node leads, and the groups in it.
// The thin shell around GroupMachine: it loads the log, appends what steps give, in batches, holds
// replies until what came before them is committed, and wakes the machine when something is due.
// Belongs to the shard that owns the partition; all calls there.
//
// One leader epoch is one life of it: a new epoch is a new object. The machine is ahead of the log;
// what can't be appended yet, for want of room in the journal, waits in order. If an append fails
// for good, the disk has failed or the partition has gone: everybody is sent away, to find the
// coordinator anew.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "coordinator/group_machine.h"
#include "io/env.h"
#include "storage/partition_log.h"
#include "wire/errors.h"

namespace ottla::coordinator {

// Records that wait for room in the journal, at most; beyond it requests are refused
// (COORDINATOR_NOT_AVAILABLE, upon which clients ask again).
inline constexpr std::size_t kUnwrittenRecordsMax = 10'000;

class GroupPartition : public std::enable_shared_from_this<GroupPartition> {
 public:
  // What the shard does for it.
  struct Host {
    // Until an append may find room again, or the deadline.
    std::function<io::Task<bool>(io::Instant deadline)> wait_for_room;
    const ClusterView* cluster = nullptr;  // of the shard's image; outlives the partition
  };

  GroupPartition(io::Env& env, std::shared_ptr<storage::PartitionLog> log, LeaderEpoch leader_epoch,
                 const GroupLimits& limits, Host host);
  ~GroupPartition();

  // Loads, then serves until stop(). Once; ends soon after stop().
  io::Task<void> run();
  // Answers all who wait with NOT_COORDINATOR, and everybody after them.
  void stop();

  LeaderEpoch leader_epoch() const { return leader_epoch_; }
  const storage::PartitionLog& log() const { return *log_; }

  // A step of the machine that answers `token`, now or later, and the answer, once all that was
  // written before it is committed. Errors: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR,
  // COORDINATOR_NOT_AVAILABLE.
  using Step = std::move_only_function<void(GroupMachine&, Token, Now, Output&)>;
  io::Task<std::expected<ReplyBody, wire::ErrorCode>> ask(Step step);

  // A question, or a step whose answer is there at once: the result is given when all that was
  // written before and by it is committed.
  template <class T>
  io::Task<std::expected<T, wire::ErrorCode>> look(
      std::move_only_function<T(GroupMachine&, Output&)> question) {
    const auto alive = shared_from_this();
    if (const auto error = refusal(); error != wire::ErrorCode::none)
      co_return std::unexpected(error);
    Output output;
    T result = question(machine_, output);
    take(std::move(output));
    if (const auto error = co_await written_so_far(); error != wire::ErrorCode::none)
      co_return std::unexpected(error);
    co_return std::move(result);
  }

  // Topics of these names have come, gone, or have more partitions.
  void topics_changed(const std::set<std::string>& names);

 private:
  enum class State { loading, active, stopped };
  using Answer = std::expected<ReplyBody, wire::ErrorCode>;

  // Who waits until all before `end` is committed; `end` is known once the records are appended.
  struct Held {
    std::uint64_t entry = 0;  // all up to this one have to be appended first
    Offset end = -1;          // then: and committed up to here
    std::move_only_function<void(wire::ErrorCode)> go_on;
  };
  class Watcher;

  wire::ErrorCode refusal() const;
  Now now() const;
  void take(Output output);
  void look_at_topics(const std::set<std::string>* changed);
  void enter(std::vector<GroupRecord> entry);
  io::Task<wire::ErrorCode> written_so_far();
  void answer(Reply reply);
  void hold(std::move_only_function<void(wire::ErrorCode)> go_on);
  void want_write();
  io::Task<void> write();
  bool write_once();
  void release();
  void give_up(std::string_view why);
  using Loaded = std::expected<void, std::string>;  // or why it can't be
  io::Task<Loaded> load();
  Loaded load_batches(ByteView bytes);
  Loaded load_batch(const wire::Batch& batch);

  io::Env& env_;
  std::shared_ptr<storage::PartitionLog> log_;
  const LeaderEpoch leader_epoch_;
  const Host host_;
  GroupMachine machine_;
  State state_ = State::loading;

  Token last_token_ = 0;
  std::map<Token, std::shared_ptr<io::OneShot<Answer>>> waiting_;

  std::deque<std::vector<GroupRecord>> unwritten_;  // entries: what goes into one batch
  std::size_t unwritten_records_ = 0;
  std::uint64_t last_entry_ = 0;
  std::uint64_t written_entry_ = 0;  // up to here all are appended
  bool joins_none_ = false;          // the next batch is one entry
  Offset written_end_ = 0;
  std::deque<Held> held_;
  bool is_writing_ = false;
  std::uint64_t skipped_records_ = 0;  // while loading: of kinds that are not known
  std::unique_ptr<Watcher> watcher_;
  io::Event changed_;  // the machine's deadline may have moved, or stop() was called
  io::TaskGroup tasks_;
};

}  // namespace ottla::coordinator
