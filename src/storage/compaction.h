// The rules of compaction (cleanup.policy=compact). Pure: batches come in, in the order of the log,
// and it says what becomes of each. Offsets never change; a batch keeps its first and last offset
// and its sequences, whatever of it is left. The rules are Kafka's:
//   - of each key the last record below the end of the pass stays; records above that end stay
//   - a record without a value (tombstone) first gives its batch a delete horizon, now +
//     delete.retention.ms, in the base timestamp with attribute bit 6; a pass behind that drops it
//   - records of aborted transactions go; so do records without a key
//   - a marker stays until no batch of its transaction is left, and then for the same horizon
//   - the last batch of each producer that is remembered stays, as an empty one if need be, so that
//     its sequence survives; and the last batch of the pass, so that the log's end does
// A pass: KeyCollector over the dirty part, then BatchCompactor over the log from its first batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "storage/transaction_index.h"
#include "wire/record_batch.h"

namespace ottla::storage {

// --- what is to be done

struct CompactionRules {
  double dirty_ratio_min = 0.5;  // min.cleanable.dirty.ratio
  std::int64_t lag_min_ms = 0;   // min.compaction.lag.ms
  std::int64_t lag_max_ms = std::numeric_limits<std::int64_t>::max();
};

struct CleanableSegment {
  Offset base_offset = 0;
  Offset end_offset = 0;  // where the next one begins
  std::uint64_t bytes = 0;
  TimestampMs largest_timestamp = -1;
  TimestampMs first_timestamp = -1;
};

struct Cleanable {
  Offset first_dirty = 0;  // all below was compacted by an earlier pass
  Offset end = 0;          // of the pass; a segment's
  double dirty_ratio = 0;
  bool is_due = false;
};

// `sealed` segments, in order, below the last stable offset `stable_end`. Whole segments only.
Cleanable assess(std::span<const CleanableSegment> sealed, Offset first_dirty, Offset stable_end,
                 const CompactionRules& rules, TimestampMs now);

// --- keys

// The last offset of each key; whole keys, so that nothing is taken for something else. Bounded in
// bytes.
class KeyMap {
 public:
  // What an entry takes beside its key, with room for the allocator.
  static constexpr std::size_t kEntryBytes = 96;

  explicit KeyMap(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  bool put(ByteView key, Offset offset);  // false if it is full; nothing was put
  std::optional<Offset> find(ByteView key) const;
  std::size_t size() const { return offsets_.size(); }
  // All below it is in the map.
  Offset end_offset() const { return end_; }
  void set_end_offset(Offset end) { end_ = end; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  // Looked up, never walked: its order is nobody's business.
  std::unordered_map<std::string, Offset, Hash, std::equal_to<>> offsets_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Offset end_ = 0;
};

// Follows the transactions of a log from its beginning.
class TransactionTrail {
 public:
  explicit TransactionTrail(const std::vector<AbortedTransaction>& aborted);
  // Whether the batch is of a transaction that was aborted.
  bool pass_data(const wire::BatchHeader& batch);

  struct Marker {
    bool is_bare = false;                       // nothing of its transaction is left
    std::optional<AbortedTransaction> aborted;  // what the index goes on to say
  };
  Marker pass_marker(const wire::Batch& batch);

 private:
  void begin_up_to(Offset offset);

  struct Aborted {
    AbortedTransaction transaction;
    bool has_data = false;
  };
  std::multimap<Offset, AbortedTransaction> to_come_;  // by first offset
  std::map<ProducerId, Aborted> aborted_;
  std::set<ProducerId> committed_;  // or still open: with data
};

// Puts the keys of the dirty part into a map.
class KeyCollector {
 public:
  KeyCollector(KeyMap& map, Offset first_dirty, const std::vector<AbortedTransaction>& aborted)
      : map_(map), first_dirty_(first_dirty), trail_(aborted) {
    map_.set_end_offset(first_dirty);
  }
  // False if the map is full: the pass ends at map.end_offset(). Errors: records that can't be
  // read.
  std::expected<bool, wire::BatchError> add(const wire::Batch& batch);

 private:
  KeyMap& map_;
  Offset first_dirty_;
  TransactionTrail trail_;
};

// --- batches

struct LastOfProducer {
  std::optional<Offset> last_data_offset;
  ProducerEpoch epoch = -1;
};

struct CompactionPass {
  TimestampMs now = 0;
  std::int64_t delete_retention_ms = 0;
  Offset end = 0;
  std::map<ProducerId, LastOfProducer> producers;
};

struct CompactedBatch {
  bool is_kept = false;
  std::optional<Slice> rewritten;             // in place of the one that came, if kept
  std::optional<AbortedTransaction> aborted;  // of a kept abort marker: for the new segment's index
};

class BatchCompactor {
 public:
  BatchCompactor(const KeyMap& map, CompactionPass pass,
                 const std::vector<AbortedTransaction>& aborted)
      : map_(map), pass_(std::move(pass)), trail_(aborted) {}

  // REQUIRES: in the order of the log, from its first batch; the CRC holds.
  std::expected<CompactedBatch, wire::BatchError> next(const wire::Batch& batch);

 private:
  bool is_last_of_producer(const wire::BatchHeader& header) const;
  bool is_retained(const wire::BatchHeader& header, Offset offset, std::optional<ByteView> key,
                   bool has_value) const;
  std::expected<CompactedBatch, wire::BatchError> rewrite(const wire::Batch& batch,
                                                          bool drops_records, bool is_bare_marker);

  const KeyMap& map_;
  CompactionPass pass_;
  TransactionTrail trail_;
};

}  // namespace ottla::storage
