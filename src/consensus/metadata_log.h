// The metadata log of a quorum of one: this node is its only voter and leads from its start. The
// rules that a larger quorum needs are kept: an epoch of its own for each reign, durable in
// quorum-state before anything is said in its name; a LeaderChange record first; nothing answered
// before the reign's own records are committed. Committed means durable here, which the partition's
// high watermark tells.
//
// After Kafka's KafkaRaftClient (KIP-595, KIP-630, KIP-853). All calls on the shard of the
// partition.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consensus/quorum_state.h"
#include "consensus/snapshot.h"
#include "io/env.h"
#include "storage/partition_log.h"
#include "wire/record_batch.h"

namespace ottla::consensus {

struct MetadataLogOptions {
  std::string directory;  // of the metadata partition
  NodeId node_id = 1;
  Uuid directory_id;
  std::vector<VoterEndpoint> endpoints;
  std::uint64_t snapshot_bytes = 20ull << 20;  // metadata.log.max.record.bytes.between.snapshots
  io::Duration snapshot_interval = std::chrono::hours(1);  // metadata.log.max.snapshot.interval.ms
};

// A data record as it stands in the log.
struct LogRecord {
  Offset offset = 0;
  LeaderEpoch epoch = 0;
  TimestampMs timestamp = 0;
  Slice value;  // framed
};

class MetadataLog {
 public:
  // Begins a reign over what the folder holds: loads quorum-state and the newest snapshot, writes
  // the new epoch, appends LeaderChange (and, into a log that lacks them, version and voters), and
  // waits until that is committed. Errors name the file and the cause.
  static io::Task<io::Result<std::unique_ptr<MetadataLog>>> open(
      io::Env& env, std::shared_ptr<storage::PartitionLog> log, MetadataLogOptions options);

  // Everything committed so far, in order: the snapshot's records first (their offset is the
  // snapshot's last), then the log's. `take` may refuse a record, which ends the replay with its
  // words.
  using Take = std::function<std::expected<void, std::string>(const LogRecord& record)>;
  io::Task<io::Result<>> replay(Take take);

  // Appends records as one batch, and gives the offset of the last; the batch is committed when
  // wait_committed() says so. Errors: `exhausted`, when the shard's journal is full: nothing has
  // happened, and the same call works a little later; any other means a failed disk.
  io::Result<Offset> append(const std::vector<Bytes>& records);
  io::Task<bool> wait_committed(Offset last);

  // Writes a snapshot of the state at `end` (exclusive; committed) and lets the log before it go.
  io::Task<io::Result<>> write_snapshot(SnapshotId id, TimestampMs last_timestamp,
                                        std::vector<Bytes> records);
  bool wants_snapshot() const;

  NodeId leader_id() const { return options_.node_id; }
  LeaderEpoch epoch() const { return state_.leader_epoch; }
  Offset epoch_start() const { return epoch_start_; }
  const VoterSet& voters() const { return voters_; }
  storage::PartitionLog& log() { return *log_; }
  Offset next_offset() const { return log_->log_end_offset(); }

  // The newest snapshot; none but the one of format counts as none.
  const std::optional<SnapshotId>& snapshot() const { return snapshot_; }
  // `max_bytes` of a snapshot's file from `position`, nothing if that is behind its end; nullopt if
  // there is no such snapshot.
  struct SnapshotPart {
    Slice bytes;
    std::uint64_t size_bytes = 0;  // of the whole file
  };
  io::Task<io::Result<std::optional<SnapshotPart>>> read_snapshot(SnapshotId id,
                                                                  std::uint64_t position,
                                                                  std::size_t max_bytes);

 private:
  MetadataLog(io::Env& env, std::shared_ptr<storage::PartitionLog> log, MetadataLogOptions options)
      : env_(env), log_(std::move(log)), options_(std::move(options)) {}
  io::Task<io::Result<>> load();
  io::Task<io::Result<>> load_quorum_state();
  io::Task<io::Result<>> load_voters_from_log();
  // Reads the committed log from `from` on, batch by batch; `take` may refuse one in words.
  using TakeBatch =
      std::function<std::expected<void, std::string>(const wire::Batch& batch, const Slice& owner)>;
  io::Task<io::Result<>> for_each_batch(Offset from, TakeBatch take);
  io::Task<io::Result<>> begin_reign();
  io::Result<storage::AppendResult> append_batch(const Slice& batch);
  std::string path_of(std::string_view name) const {
    return options_.directory + "/" + std::string(name);
  }

  // constant
  io::Env& env_;
  std::shared_ptr<storage::PartitionLog> log_;
  MetadataLogOptions options_;
  // durable
  QuorumState state_;
  VoterSet voters_{.kraft_version = 0, .voters = {}};  // 0 until a record says more
  std::optional<SnapshotId> snapshot_;
  // soft
  SnapshotContent loaded_snapshot_;
  Offset epoch_start_ = 0;
  std::uint64_t bytes_since_snapshot_ = 0;
  io::Instant last_snapshot_;
};

}  // namespace ottla::consensus
