// PartitionLog: one partition's records, from append to read. Belongs to one Store, and so to one
// shard; all calls on that shard. The broker holds it by shared_ptr, since a partition may be
// removed while a request waits: after that every call answers `deleted`.
//
// Offsets:   log start <= high watermark <= durable end <= log end
//   log end        the next offset to be assigned
//   durable end    all below is on disk (in the journal or in segments). The leader counts itself
//                  as having a record only below it.
//   high watermark what consumers see. With one replica it follows the durable end by itself;
//                  with several the replication sets it.
//
// Bytes: an append copies the batch twice while it is in the processor's cache: into the journal's
// staging memory, and to the tail's, which readers of the tail get slices of. Segments are written
// from there in the background.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/gather.h"
#include "base/ids.h"
#include "io/error.h"
#include "io/list.h"
#include "io/task.h"
#include "storage/leader_epochs.h"
#include "storage/log_error.h"
#include "storage/producer_state.h"
#include "storage/segment_search.h"
#include "storage/transaction_index.h"
#include "wire/record_batch.h"

namespace ottla::storage {

class PartitionLog;
class Store;

// Of a topic; Kafka's names and defaults. May be changed at any time by PartitionLog::configure.
struct LogConfig {
  std::int32_t segment_bytes = 1 << 30;
  std::int64_t segment_ms = 7ll * 24 * 3600 * 1000;
  std::int32_t segment_index_bytes = 10 << 20;
  std::int32_t index_interval_bytes = 4096;
  std::int64_t producer_id_expiration_ms = 24ll * 3600 * 1000;
  // cleanup.policy; neither: records stay for ever.
  bool is_deleted_when_old = true;
  bool is_compacted = false;
  // Where nobody says otherwise (the metadata log), nothing goes.
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
  std::int64_t file_delete_delay_ms = 60'000;
  // Of compacted ones.
  double min_cleanable_dirty_ratio = 0.5;
  std::int64_t min_compaction_lag_ms = 0;
  std::int64_t max_compaction_lag_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t delete_retention_ms = 24ll * 3600 * 1000;
};

struct AppendOptions {
  LeaderEpoch leader_epoch = 0;
  AppendOrigin origin = AppendOrigin::client;
  std::optional<VerificationGuard> guard;       // see ProducerState::check
  std::int16_t marker_transaction_version = 0;  // of WriteTxnMarkers, for control batches
};

struct AppendResult {
  Offset first_offset = -1;
  Offset last_offset = -1;
  TimestampMs log_append_time = -1;  // -1 with create time
  Offset log_start_offset = 0;
  bool is_duplicate = false;  // nothing was appended; the offsets are the original's
  // What the answer has to wait for: wait_durable(end_offset()).
  Offset end_offset() const { return last_offset + 1; }
};

// Told once when everything below `end` is durable, or when that can't happen any more. Linked
// while waiting; destroying or unlinking it withdraws it.
class DurableWaiter : public io::ListNode {
 public:
  virtual ~DurableWaiter() = default;
  // Called inside the flush's completion, on the log's shard: short work only, or post it.
  virtual void on_durable(LogResult<> result) = 0;
  // The log goes without having told: its process was killed in the simulator. Who owns itself
  // frees its memory here, and does nothing else.
  virtual void on_abandoned() {}
  Offset end = 0;
};

// Told each time the high watermark, the last stable offset or the log start has moved, and when
// the log was removed or fenced. For long polls: look at the log anew. Linked until unlinked; may
// unlink itself or others inside the call.
class LogWatcher : public io::ListNode {
 public:
  virtual ~LogWatcher() = default;
  virtual void on_change(PartitionLog& log) = 0;
};

struct ReadRequest {
  Offset from = 0;
  std::size_t max_bytes = 0;
  // Exclusive; whole batches below it are served. Cut to the durable end by the log.
  Offset upper_bound = std::numeric_limits<Offset>::max();
  // The first batch comes even if it is larger than max_bytes (KIP-74).
  bool at_least_one_batch = true;
};

// Whole batches, back to back. The first holds `from`, or is the first behind it; it may begin
// before it. Empty (no records) when nothing lies between `from` and the bound.
struct ReadResult {
  Gather records;
  Offset next_offset = 0;  // where the next read goes on: behind the last batch, or `from` if empty
};

struct SegmentDescription {
  Offset base_offset = 0;
  std::uint64_t size_bytes = 0;
  TimestampMs max_timestamp = -1;
  bool is_active = false;
};

struct LogDescription {
  std::uint64_t size_bytes = 0;  // of all records; what DescribeLogDirs says
  Offset log_start_offset = 0;
  Offset log_end_offset = 0;
  std::vector<SegmentDescription> segments;
};

class PartitionLog : public std::enable_shared_from_this<PartitionLog> {
 public:
  virtual ~PartitionLog() = default;

  virtual const TopicPartition& name() const = 0;
  virtual TopicIdPartition id() const = 0;
  virtual void configure(const LogConfig& config) = 0;

  // --- where it stands

  virtual Offset log_start_offset() const = 0;
  virtual Offset log_end_offset() const = 0;
  virtual Offset durable_end_offset() const = 0;
  virtual Offset high_watermark() const = 0;
  virtual Offset last_stable_offset() const = 0;
  virtual LeaderEpoch latest_epoch() const = 0;  // of the last batch, -1 if there is none
  virtual bool is_deleted() const = 0;
  virtual bool is_fenced() const = 0;

  // --- writing

  // Appends one batch that wire::validate_batch let through (its bytes are copied; the caller's are
  // not kept and not changed). Decides by the producer's rules in the same step; assigns offsets;
  // the batch is then readable by a replica, not yet by consumers, and not yet durable. No
  // suspension: the batch stands in the log when the call returns, behind all earlier ones.
  //
  // Answer the producer after wait_durable(result.end_offset()); also for a duplicate, whose
  // original may still be on its way. Errors: no_room, fenced, deleted, too_large, and the
  // producer's rules.
  virtual LogResult<AppendResult> append(ByteView batch, const wire::BatchHeader& header,
                                         const AppendOptions& options) = 0;

  // Whether all below `end` is durable; at once if it is. `fenced`, `deleted`.
  virtual io::Task<LogResult<>> wait_durable(Offset end) = 0;
  // The same without a coroutine: false if there is nothing to wait for (durable already: the
  // waiter is not linked and not called).
  virtual bool wait_durable(DurableWaiter& waiter) = 0;

  // For replication: from now on the high watermark moves only by this call. Never backwards
  // (ignored), never above the durable end (cut).
  virtual void set_high_watermark(Offset offset) = 0;

  virtual void watch(LogWatcher& watcher) = 0;

  // DeleteRecords: consumers see nothing below `offset` any more. Durable when it returns. -1 means
  // the high watermark. offset_out_of_range above the high watermark; at or below the present start
  // nothing happens. Gives the log start.
  virtual io::Task<LogResult<Offset>> delete_records(Offset offset) = 0;

  // Cuts the log's end. Durable when it returns. REQUIRES: offset >= high watermark.
  virtual io::Task<LogResult<>> truncate_to(Offset offset) = 0;

  // Begins a new segment, so that those before can go; for retention and snapshots of metadata.
  virtual void roll() = 0;

  // --- reading

  // Answers at once if the range is in memory (or empty); nullopt if it takes the disk: read().
  virtual std::optional<LogResult<ReadResult>> try_read_tail(const ReadRequest& request) = 0;
  // From memory or as file ranges for sendfile. Ranges are resident when it returns. Errors:
  // offset_out_of_range, corrupt, deleted, fenced.
  virtual io::Task<LogResult<ReadResult>> read(ReadRequest request) = 0;
  // How many bytes lie in [from, upper_bound), counted no further than `enough`; an estimate by
  // batches in memory and segment positions, for min.bytes of a long poll.
  virtual std::size_t bytes_available(Offset from, Offset upper_bound, std::size_t enough) = 0;

  // The first record with a timestamp >= `timestamp` below `upper_bound`; {-1, -1, -1} if none.
  virtual io::Task<LogResult<TimestampFound>> find_timestamp(TimestampMs timestamp,
                                                             Offset upper_bound) = 0;
  // The record with the greatest timestamp (ListOffsets -3).
  virtual io::Task<LogResult<TimestampFound>> find_max_timestamp() = 0;
  // Those that overlap [from, upper_bound), by first offset.
  virtual io::Task<LogResult<std::vector<AbortedTransaction>>> aborted_transactions(
      Offset from, Offset upper_bound) = 0;

  virtual EpochEnd end_offset_for_epoch(LeaderEpoch requested) const = 0;
  virtual const LeaderEpochCache& epochs() const = 0;
  virtual const ProducerState& producers() const = 0;
  virtual ProducerState& producers() = 0;  // for begin_verification() and expire()
  virtual LogDescription describe() const = 0;
};

}  // namespace ottla::storage
