// ShardStore: the Store there is. Private to storage; see store.h for what it does.
//
// Work in the background, on the store's own tasks:
//   writing     batches of a log that has drain_bytes of them go to its segment
//   eviction    memory of the tail above tail_bytes is given back, once files have what is in it
//   draining    half of the journal's files are old: all logs in them are synced, then they are
//   used
//               again
//   settling    what was left lying for drain_after_ms goes to the segments as well
//   retaining   segments that are too old or too many go (store_retention.h)
//   compacting  logs that keep the last record of each key (store_compaction.h)
//   scrubbing   sealed segments are compared with their sums (store_scrub.h)
// One thing at a time touches files: the file lock.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/env.h"
#include "storage/index_cache.h"
#include "storage/journal.h"
#include "storage/log_directory.h"
#include "storage/store.h"
#include "storage/store_log.h"

namespace ottla::storage {

// Lets one coroutine in at a time.
class AsyncLock {
 public:
  explicit AsyncLock(io::Executor& executor) : free_(executor) {}
  io::Task<> acquire() {
    while (is_held_) co_await free_.wait();
    is_held_ = true;
  }
  void release() {
    is_held_ = false;
    free_.pulse();
  }

 private:
  io::Event free_;
  bool is_held_ = false;
};

// What the checkpoint files say of a partition.
struct CheckpointEntry {
  TopicPartition name;
  TopicIdPartition id;
  Offset recovery_point = 0;
  Offset high_watermark = 0;
  Offset log_start = 0;
  Offset first_base = 0;
  Offset first_dirty = 0;  // 0: nothing was compacted
};

class ShardStore final : public Store, public std::enable_shared_from_this<ShardStore> {
 public:
  ShardStore(io::Env& env, std::string directory, JournalIdentity identity, StoreLimits limits,
             std::set<TopicIdPartition> lost_folders);
  ~ShardStore() override;

  // Opens the journal that recovery made. Before anything else.
  io::Task<io::Result<>> start(std::uint64_t journal_sequence);

  std::shared_ptr<PartitionLog> find(const TopicIdPartition& id) override;
  std::vector<std::shared_ptr<PartitionLog>> partitions() override;
  std::shared_ptr<PartitionLog> open(LoadedPartition loaded, const LogConfig& config) override;
  io::Task<io::Result<std::vector<std::shared_ptr<PartitionLog>>>> create(
      std::vector<NewPartition> wanted) override;
  io::Task<io::Result<>> remove(std::vector<TopicIdPartition> ids) override;
  io::Task<> wait_for_room() override;
  bool is_fenced() const override { return journal_.has_failed(); }
  const io::Error& fence_reason() const override { return journal_.failure(); }
  void on_fenced(std::function<void(const io::Error&)> callback) override {
    on_fenced_ = std::move(callback);
  }
  io::Task<io::Result<>> drain() override;
  io::Task<> stop() override;
  StoreStatistics statistics() const override;

  // --- for the folder

  // Drains, and leaves every partition's directory as Kafka expects it. Nothing works afterwards.
  io::Task<io::Result<>> close_clean();
  // Drains these partitions, leaves their directories complete under a name that ends in -stray,
  // and forgets them.
  io::Task<io::Result<>> set_aside(std::vector<TopicIdPartition> ids);
  std::vector<CheckpointEntry> checkpoint_entries() const;
  // The checkpoint files hold these now.
  void on_checkpointed(const std::vector<CheckpointEntry>& entries);
  // How much has been synced since the start; the folder checkpoints when it has grown.
  std::uint64_t synced_bytes() const { return synced_bytes_; }
  std::uint64_t changes() const { return changes_; }

  // --- for the logs

  io::Env& env() { return env_; }
  const StoreLimits& limits() const { return limits_; }
  Journal& journal() { return journal_; }
  IndexCache& index_cache() { return index_cache_; }
  AsyncLock& file_lock() { return file_lock_; }
  io::Event& closing() { return closing_; }  // set once background work has to end
  bool is_closing() const { return is_closing_; }
  // When a sealed segment that was there at the start is scrubbed.
  io::Instant first_scrub(bool was_clean);
  TailMemory& tail() { return tail_; }
  StoreStatistics& counters() { return counters_; }

  bool has_room(std::size_t bytes);
  bool can_ever_hold(std::size_t bytes) const;
  void fence(io::Error error) { journal_.fail(std::move(error)); }
  // A log has batches that its segments lack.
  void note_unwritten(StoredLog& log);
  // Journals of older runs are there until the folder says otherwise. A start takes the last batch
  // that a journal has for the log's end, so this run's files stay as long as those.
  void keep_journals() { has_older_journals_ = true; }
  void on_older_journals_gone();
  void note_change() { ++changes_; }
  void note_synced(std::uint64_t bytes) { synced_bytes_ += bytes; }
  // A log's segment opened for reading; few are kept open.
  io::Task<io::Result<std::shared_ptr<io::File>>> reader_of(std::shared_ptr<StoredSegment> segment,
                                                            std::string path);
  io::Task<io::Result<>> sync_root();
  void note_root_change() { root_is_dirty_ = true; }
  // Segments below the log's start go.
  void want_cleanup(std::shared_ptr<StoredLog> log);
  // Files that nobody opens any more, after file.delete.delay.ms.
  void remove_later(std::vector<std::string> paths, std::int64_t delay_ms);

 private:
  void on_flushed(std::vector<Touched>& group);
  void on_failed(const io::Error& error);
  void want_work();
  bool has_work() const;
  bool has_files_to_drain() const;
  io::Task<> work();
  io::Task<> try_again();
  io::Task<io::Result<>> write_ready();
  io::Task<io::Result<>> evict();
  io::Task<io::Result<>> drain_older_files();
  io::Task<io::Result<>> sync_logs(std::vector<std::shared_ptr<StoredLog>> logs);
  io::Task<> settle_later();
  io::Task<io::Result<>> settle_all();
  io::Task<io::Result<>> rename_away(std::vector<TopicIdPartition> ids,
                                     PartitionDirectoryState state,
                                     std::vector<std::string>& paths);
  io::Task<io::Result<std::shared_ptr<StoredLog>>> create_one(NewPartition wanted);
  io::Task<> remove_directory(std::string path);
  io::Task<> clean_up(std::shared_ptr<StoredLog> log);
  io::Task<> remove_after(std::vector<std::string> paths, std::int64_t delay_ms);
  using LogWork = io::Task<io::Result<>> (StoredLog::*)();
  io::Task<> log_worker(LogWork work, std::vector<std::shared_ptr<StoredLog>>& logs,
                        std::size_t& next, std::optional<io::Error>& error);
  io::Task<io::Result<>> settle_and(LogWork work, std::vector<std::shared_ptr<StoredLog>> logs);

  io::Env& env_;
  std::string directory_;
  StoreLimits limits_;
  // Topic ids that the journal has entries of, but no folder: creating them anew would hide a loss.
  std::set<TopicIdPartition> lost_folders_;
  Journal journal_;
  TailMemory tail_;
  IndexCache index_cache_;
  AsyncLock file_lock_;
  AsyncLock names_lock_;
  std::map<TopicIdPartition, std::shared_ptr<StoredLog>> logs_;
  std::function<void(const io::Error&)> on_fenced_;

  std::vector<std::weak_ptr<StoredLog>> unwritten_;  // in the order of their first batch
  std::vector<std::weak_ptr<StoredLog>> ready_;      // those with much of it
  std::uint64_t drain_rounds_ = 0;
  bool is_working_ = false;
  bool is_settling_ = false;
  bool has_older_journals_ = false;
  bool is_closing_ = false;
  bool drain_is_stalled_ = false;
  bool is_trying_again_ = false;
  bool root_is_dirty_ = false;
  io::Event evicted_;
  io::Event closing_;
  io::TaskGroup tasks_;

  struct OpenReader {
    std::weak_ptr<StoredSegment> segment;
    std::uint64_t use = 0;
  };
  std::vector<OpenReader> readers_;  // by use, oldest first
  std::uint64_t reader_uses_ = 0;

  StoreStatistics counters_;
  std::uint64_t synced_bytes_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace ottla::storage
