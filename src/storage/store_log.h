// StoredLog: the PartitionLog there is. Private to storage; see partition_log.h for what it does.
//
// Where a batch stands: first in the tail's memory (tail_), and in the journal's until its flush;
// then also in its segment's file, then only there. Its segment and position are decided when it is
// appended. Files:
//   store_log.cc        appending, durability, truncation, deletion
//   store_log_files.cc  segments: writing, sealing, syncing
//   store_log_read.cc   reading
//
// Invariants:
//   1. segments_ are never empty; bases rise; the last one is active
//   2. tail_ holds every batch that its file does not make readable yet, and is contiguous to the
//   end
//   3. written_end_ <= durable_end_ <= end_; synced_end_ <= written_end_
//   4. files are touched only by whoever holds the store's file lock
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/env.h"
#include "storage/compaction.h"
#include "storage/journal.h"
#include "storage/partition_log.h"
#include "storage/producer_snapshot.h"
#include "storage/segment.h"
#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_sums.h"
#include "storage/store_loaded_partition.h"
#include "storage/store_segment_writer.h"
#include "storage/tail_memory.h"

namespace ottla::storage {

class ShardStore;

// A segment and its files.
struct StoredSegment {
  explicit StoredSegment(Segment facts) : segment(std::move(facts)) {}
  Segment segment;
  std::unique_ptr<SegmentWriter>
      writer;                        // while batches are missing in the file or the file is active
  std::uint64_t readable_bytes = 0;  // of the file
  bool is_on_disk = false;           // sealed: cut, synced, with its indexes
  std::shared_ptr<io::File> reader;  // see ShardStore::reader_of
  std::uint64_t reader_use = 0;
  SegmentSums sums;  // of what was appended, if from the beginning
  bool sums_are_whole = false;
  std::uint64_t handed_bytes = 0;  // to the writer
  std::uint32_t handed_sum = 0;    // of the last block of that
  SavedIndexes saved_indexes;      // while it is active
  io::Instant scrub_at;            // not before
  std::uint32_t seals = 0;         // how often it was made whole: it may be cut and go on
  bool is_leaving = false;         // its names are going: what fails to open there is no fault
  TimestampMs written_at = -1;     // our clock at the last append in this life, or at the start
};

class StoredLog final : public PartitionLog {
 public:
  StoredLog(ShardStore& store, LoadedPartition loaded, const LogConfig& config);
  ~StoredLog() override;

  const TopicPartition& name() const override { return name_; }
  TopicIdPartition id() const override { return id_; }
  void configure(const LogConfig& config) override { config_ = config; }

  Offset log_start_offset() const override { return log_start_; }
  Offset log_end_offset() const override { return end_; }
  Offset durable_end_offset() const override { return durable_end_; }
  Offset high_watermark() const override { return high_watermark_; }
  Offset last_stable_offset() const override;
  LeaderEpoch latest_epoch() const override;
  bool is_deleted() const override { return is_deleted_; }
  bool is_fenced() const override;

  LogResult<AppendResult> append(ByteView batch, const wire::BatchHeader& header,
                                 const AppendOptions& options) override;
  io::Task<LogResult<>> wait_durable(Offset end) override;
  bool wait_durable(DurableWaiter& waiter) override;
  void set_high_watermark(Offset offset) override;
  void watch(LogWatcher& watcher) override;
  io::Task<LogResult<Offset>> delete_records(Offset offset) override;
  io::Task<LogResult<>> truncate_to(Offset offset) override;
  void roll() override;

  std::optional<LogResult<ReadResult>> try_read_tail(const ReadRequest& request) override;
  io::Task<LogResult<ReadResult>> read(ReadRequest request) override;
  std::size_t bytes_available(Offset from, Offset upper_bound, std::size_t enough) override;
  io::Task<LogResult<TimestampFound>> find_timestamp(TimestampMs timestamp,
                                                     Offset upper_bound) override;
  io::Task<LogResult<TimestampFound>> find_max_timestamp() override;
  io::Task<LogResult<std::vector<AbortedTransaction>>> aborted_transactions(
      Offset from, Offset upper_bound) override;
  EpochEnd end_offset_for_epoch(LeaderEpoch requested) const override;
  const LeaderEpochCache& epochs() const override { return epochs_; }
  const ProducerState& producers() const override { return producers_; }
  ProducerState& producers() override { return producers_; }
  LogDescription describe() const override;

  // --- for the store

  // Before the first entry of a log whose names may not be on disk. REQUIRES: room for it.
  void journal_creation();
  std::size_t creation_bytes() const;

  // All below `end` is in the journal, synced.
  void on_flushed(Offset end);
  // Everybody who waits hears of it, once.
  void on_fenced();
  void on_removed();

  const std::string& directory() const { return directory_; }
  Offset recovery_point() const { return synced_end_; }
  const std::vector<std::shared_ptr<StoredSegment>>& segments() const { return segments_; }
  // Whether that segment is there, whole, and not being written.
  bool has_sealed(const StoredSegment& segment) const;
  // These answer `corrupt` from now on. False if they did already.
  bool note_damage(DamagedOffsets damage);
  Offset first_segment_base() const { return segments_.front()->segment.base_offset(); }
  std::size_t unwritten_bytes() const { return unwritten_bytes_; }
  // Whether the files lack something that is durable only in the journal.
  bool needs_sync() const;

  // REQUIRES for these: the store's file lock.
  // Hands durable batches to the files, as long as `enough` bytes are missing there; seals segments
  // that are complete.
  io::Task<io::Result<>> write_out(std::size_t enough);
  // And makes them readable there, so that memory may be given back.
  io::Task<io::Result<>> settle();
  // After settle(): makes that durable, with names, epochs and what a restart needs. Writes no
  // batches, so that several logs may sync at a time.
  io::Task<io::Result<>> sync();
  // And leaves the directory as Kafka expects it after a clean stop.
  io::Task<io::Result<>> close_clean();
  // Cuts segments and what is derived from them, and takes the state in memory from what is left.
  io::Task<io::Result<>> cut_files(Offset end);
  // Takes segments that lie wholly below the log start away: renames them to `.deleted`, durably.
  // The names are put into `renamed`; who called removes them later.
  io::Task<io::Result<>> remove_old_segments(std::vector<std::string>& renamed);

  // Moves the log start up to where retention lets segments stay, if there is anything to move.
  // REQUIRES: not the file lock.
  io::Task<LogResult<>> apply_retention(TimestampMs now);
  const LogConfig& config() const { return config_; }

  // What compaction has to do here.
  Cleanable assess_compaction(TimestampMs now) const;
  void note_compacted(Offset first_dirty);
  Offset first_dirty() const { return first_dirty_; }
  // `fresh`, whose files are there under `.cleaned` names, takes the place of `old`. False, and
  // nothing has changed, if they are not here any more or the journal has no room. Old files are
  // put into `renamed`. Errors: the disk's. REQUIRES: the file lock.
  io::Task<io::Result<bool>> replace_segments(std::vector<std::shared_ptr<StoredSegment>> old,
                                              std::shared_ptr<StoredSegment> fresh,
                                              std::vector<std::string>& renamed);
  bool is_uncleanable = false;  // compaction found it damaged

  // Lets go of batches in memory that end at or before `end` and are readable in files.
  void drop_tail(Offset end);
  // Puts nothing more into this slab of the tail's memory.
  void leave_slab(std::uint64_t number);
  Offset readable_end() const { return readable_end_; }

  JournalMarks& marks() { return marks_; }
  std::uint64_t drain_mark = 0;  // of the store's rounds: whether it is listed already
  bool is_in_write_queue = false;
  Offset journaled_log_start = 0;  // what the checkpoint file does not know yet, if above it
  Offset checkpointed_log_start = 0;

 private:
  struct TailBatch {
    Slice bytes;
    Offset last_offset = 0;
    std::uint32_t sum = 0;  // of the segment's last block up to its end, if it was summed
    bool begins_chunk = false;
    bool is_loaded = false;  // stands in a journal's memory
  };

  bool has_old_segments() const;
  bool holds(const std::vector<std::shared_ptr<StoredSegment>>& sealed) const;
  io::Task<io::Result<>> rename_all(Offset base, SegmentFileState from, SegmentFileState to);
  io::Task<io::Result<>> rename_to_deleted(Offset base, std::vector<std::string>& renamed);
  LogResult<AppendResult> refuse(const ProducerCheck& check) const;
  void complain(Offset base, std::string_view cause);
  void roll_if_full(const wire::BatchHeader& batch);
  void begin_segment();
  void begin_sums();
  StoredSegment& active() { return *segments_.back(); }
  Offset bound_of(Offset upper_bound) const { return std::min(upper_bound, durable_end_); }
  void advance_high_watermark(Offset to);
  void tell_watchers();
  void release_waiters(LogResult<> result, Offset up_to);
  LogError gone() const { return is_deleted_ ? LogError::deleted : LogError::fenced; }
  bool is_gone() const { return is_deleted_ || is_fenced(); }

  // tail
  std::size_t tail_size() const { return tail_.size() - tail_head_; }
  const TailBatch& tail_at(std::size_t at) const { return tail_[tail_head_ + at]; }
  Offset tail_begin() const;  // the first offset that is in memory; end_ if nothing is
  std::size_t tail_find(Offset offset) const;
  void push_tail(TailBatch batch);
  void clear_tail();

  // files
  io::Task<io::Result<>> open_writer(StoredSegment& segment);
  void catch_up_sums(StoredSegment& segment);
  io::Task<io::Result<>> keep_block(StoredSegment& segment);
  io::Task<io::Result<>> save_epochs();
  io::Task<io::Result<>> seal(StoredSegment& segment, Offset next_base);
  io::Task<io::Result<>> write_snapshots(Offset up_to);
  io::Task<> remove_spare_snapshots(std::size_t but);
  io::Task<io::Result<>> write_snapshot(Offset offset, ProducerSnapshotFiles files);
  io::Task<io::Result<>> sync_names();
  io::Task<io::Result<>> save_sums(StoredSegment& segment, const SegmentIndexes& indexes);
  io::Task<io::Result<>> save_indexes_up_to(StoredSegment& segment, Offset end);

  // reading
  std::size_t segment_of(Offset offset) const;
  const DamagedOffsets* damage_in(Offset from, Offset to) const;
  io::Task<LogResult<ReadResult>> read_file(std::shared_ptr<StoredSegment> segment,
                                            ReadRequest request, Offset bound);
  io::Task<LogResult<std::shared_ptr<const SegmentIndexes>>> indexes_of(
      std::shared_ptr<StoredSegment> segment);
  io::Task<LogResult<std::shared_ptr<const SegmentIndexes>>> rebuild_indexes(
      std::shared_ptr<StoredSegment> segment);

  ShardStore& store_;
  TopicPartition name_;
  TopicIdPartition id_;
  std::string directory_;
  LogConfig config_;

  // durable once the journal is flushed
  Offset log_start_ = 0;
  Offset first_dirty_ = 0;  // below it is compacted; in the checkpoint file only
  Offset end_ = 0;
  LeaderEpochCache epochs_;
  ProducerState producers_;
  std::vector<std::shared_ptr<StoredSegment>> segments_;
  std::vector<DamagedOffsets> damages_;  // rising
  io::Instant next_complaint_;           // about reads that fail
  bool is_deleted_ = false;

  // how far
  Offset durable_end_ = 0;
  Offset high_watermark_ = 0;
  bool follows_durable_end_ = true;
  Offset written_end_ = 0;   // handed to the segments' writers
  Offset readable_end_ = 0;  // readable in files
  Offset synced_end_ = 0;
  std::size_t unwritten_bytes_ = 0;
  bool is_truncating_ = false;

  // soft
  TailChunk chunk_;
  std::vector<TailBatch> tail_;
  std::size_t tail_head_ = 0;
  bool epochs_are_dirty_ = false;
  bool directory_is_dirty_ = false;  // names in it, and its own
  bool is_new_ = false;              // partition.metadata is not synced
  bool is_journaled_ = true;         // a lost folder would be made again
  // Producer state at offsets where one has to be on disk, until it is.
  struct PendingSnapshot {
    Offset offset = 0;
    ProducerSnapshotFiles files;
  };
  std::vector<PendingSnapshot> snapshots_;
  std::uint64_t bytes_since_snapshot_ = 0;
  // Those on disk that stand at no segment's base, rising: a start needs one that is not beyond
  // what it takes from the journal.
  std::vector<Offset> spare_snapshots_;
  std::uint64_t indexes_saved_bytes_ = 0;  // size of the active segment when its indexes were saved
  bool is_complete_on_disk_ = false;       // a clean stop has nothing to write
  JournalMarks marks_;
  io::List<DurableWaiter> waiters_;
  io::List<LogWatcher> watchers_;
};

}  // namespace ottla::storage
