#include "broker/partition_read.h"

#include <algorithm>

#include "broker/partition_checks.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

// Whether the fetcher's log has left ours behind it (KIP-595, from Fetch v12 on).
std::optional<DivergingEpoch> find_divergence(const storage::PartitionLog& log,
                                              const FetchTarget& fetch, ErrorCode& error) {
  if (fetch.last_fetched_epoch < 0) return std::nullopt;
  const storage::EpochEnd end = log.end_offset_for_epoch(fetch.last_fetched_epoch);
  if (!end.is_known()) {
    error = ErrorCode::offset_out_of_range;
    return std::nullopt;
  }
  if (end.epoch < fetch.last_fetched_epoch || end.end_offset < fetch.fetch_offset) {
    return DivergingEpoch{end.epoch, end.end_offset};
  }
  return std::nullopt;
}

}  // namespace

io::Task<ReadPass> read_partitions(Shard& owner, std::vector<ReadTarget> targets,
                                   Isolation isolation, ReadBudget budget) {
  ReadPass pass{.reads = {}, .budget = budget};
  pass.reads.reserve(targets.size());
  for (const ReadTarget& target : targets) {
    PartitionRead& read = pass.reads.emplace_back();
    read.place = target.place;
    const auto partition = find_led(owner, target.id, target.fetch.current_leader_epoch);
    if (!partition) {
      read.error = partition.error();
      continue;
    }
    const std::shared_ptr<storage::PartitionLog> log = (*partition)->log;
    const Offset from = target.fetch.fetch_offset;
    const Offset bound =
        isolation == Isolation::read_committed ? log->last_stable_offset() : log->high_watermark();
    read.high_watermark = log->high_watermark();
    read.last_stable_offset = log->last_stable_offset();
    read.log_start_offset = log->log_start_offset();
    read.diverging = find_divergence(*log, target.fetch, read.error);
    if (read.diverging || read.error != ErrorCode::none) continue;
    if (from < read.log_start_offset || from > log->log_end_offset()) {
      read.error = ErrorCode::offset_out_of_range;
      continue;
    }
    if (from >= bound) continue;
    const auto partition_max = static_cast<std::size_t>(std::max(target.fetch.max_bytes, 0));
    const storage::ReadRequest request{.from = from,
                                       .max_bytes = std::min(partition_max, pass.budget.bytes),
                                       .upper_bound = bound,
                                       .at_least_one_batch = !pass.budget.gave_any};
    if (request.max_bytes == 0 && !request.at_least_one_batch) continue;
    auto result = log->try_read_tail(request);
    if (!result) result = co_await log->read(request);
    if (!*result) {
      read.error = storage::to_error_code(result->error());
      continue;
    }
    read.records = std::move((*result)->records);
    const std::size_t got = read.records.size_bytes();
    pass.budget.bytes -= std::min(got, pass.budget.bytes);
    pass.budget.gave_any |= got > 0;
    if (isolation == Isolation::read_committed && got > 0) {
      auto aborted = co_await log->aborted_transactions(from, (*result)->next_offset);
      if (aborted) {
        read.aborted = std::move(*aborted);
      } else {
        read.records = {};
        read.error = storage::to_error_code(aborted.error());
      }
    }
  }
  co_return pass;
}

class FetchWatch {
 public:
  FetchWatch(Shard& owner, io::Env& home, std::shared_ptr<io::Event> changed)
      : owner_(owner), home_(home), changed_(std::move(changed)) {}

  void add(storage::PartitionLog& log) {
    log.watch(*watchers_.emplace_back(std::make_unique<One>(*this)));
  }

 private:
  struct One final : storage::LogWatcher {
    explicit One(FetchWatch& of) : all(of) {}
    void on_change(storage::PartitionLog&) override { all.fire(); }
    FetchWatch& all;
  };

  void fire() {
    if (home_.shard == owner_.env.shard) return changed_->set();
    owner_.env.shards.post(home_.shard, [changed = changed_] { changed->set(); });
  }

  Shard& owner_;
  io::Env& home_;
  std::shared_ptr<io::Event> changed_;
  std::vector<std::unique_ptr<One>> watchers_;
};

FetchWatchHandle watch_partitions(Shard& owner, const std::vector<TopicIdPartition>& partitions,
                                  io::Env& home, std::shared_ptr<io::Event> changed) {
  FetchWatchHandle handle{std::make_shared<FetchWatch>(owner, home, std::move(changed))};
  for (const TopicIdPartition& id : partitions) {
    if (HostedPartition* partition = owner.find(id)) handle.watch->add(*partition->log);
  }
  return handle;
}

}  // namespace ottla::broker
