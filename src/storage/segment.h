// Segment: one `.log` file and the indexes beside it, as facts in memory. Pure: it reads and
// writes nothing. The partition log owns the file, writes the batches behind one another and tells
// the segment of each; file_batches.h, segment_search.h and segment_recovery.h read.
//
// Sizes here are logical: they include batches that the journal has and the file does not have yet.
//
// Invariants:
//   1. base_offset() <= offsets of all batches < next_offset() <= base_offset() + 2^31
//   2. size_bytes() is the sum of the batches' sizes; less than 2^31
//   3. the index has an entry for a batch iff more than index_interval_bytes were appended since
//      the last entry (or the beginning) before it; so never for the first batch
//   4. max_timestamp() is the largest of all batches, and offset_of_max_timestamp() the last offset
//      of the first batch that has it
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/ids.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"
#include "wire/record_batch.h"

namespace ottla::storage {

// A position in a segment fits int32, in Kafka's index and in its code.
inline constexpr std::uint64_t kSegmentBytesMax = 0x7fffffff;

struct SegmentSettings {
  std::uint32_t index_interval_bytes = 4096;  // index.interval.bytes
  std::uint32_t index_bytes_max = 10u << 20;  // segment.index.bytes: a full index rolls
};

struct SegmentIndexes {
  explicit SegmentIndexes(Offset base_offset)
      : offsets(base_offset), times(base_offset), aborted(base_offset) {}
  OffsetIndex offsets;
  TimeIndex times;
  TransactionIndex aborted;

  std::size_t memory_bytes() const;
  bool operator==(const SegmentIndexes&) const = default;
};

// What is known of a segment without its indexes; enough to decide which segment to read.
struct SegmentFacts {
  Offset base_offset = 0;
  Offset next_offset = 0;  // behind its last batch; base_offset if it is empty
  std::uint64_t size_bytes = 0;
  TimestampOffset max_timestamp;  // {-1, -1} if there is none
  // Largest timestamp of its first batch: what segment.ms is counted from. -1 if unknown or empty.
  TimestampMs first_timestamp = -1;
  bool operator==(const SegmentFacts&) const = default;
};

class Segment {
 public:
  // A new, empty one.
  Segment(Offset base_offset, SegmentSettings settings);
  // One that is on disk, without indexes in memory (see attach_indexes).
  Segment(SegmentFacts facts, SegmentSettings settings);

  // Takes note of the batch that begins at size_bytes(). REQUIRES: has_room_for() it, its base
  // offset >= next_offset(), indexes in memory.
  void append(const wire::BatchHeader& batch);
  // Of the abort marker in the batch appended last. REQUIRES: indexes in memory.
  void append_aborted(const AbortedTransaction& transaction);

  // Whether a batch of `size_bytes` that ends at `last_offset` still fits: the limits of the
  // format, full indexes, and `segment_bytes_max` (segment.bytes). An empty segment takes every
  // batch that the format allows.
  bool has_room_for(std::uint64_t batch_bytes, Offset last_offset,
                    std::uint64_t segment_bytes_max) const;

  // Adds the last entry of the time index. Called when the segment is rolled, and before its index
  // files are written at a clean stop; more appends may follow. REQUIRES: indexes in memory.
  void finish_time_index();

  // The batches at and behind `end_offset`, of which the first begins at `position`, are gone;
  // `max_timestamp` is that of what is left. REQUIRES: indexes in memory.
  void truncate_to(Offset end_offset, std::uint64_t position, TimestampOffset max_timestamp);

  Offset base_offset() const { return facts_.base_offset; }
  Offset next_offset() const { return facts_.next_offset; }
  std::uint64_t size_bytes() const { return facts_.size_bytes; }
  bool is_empty() const { return facts_.size_bytes == 0; }
  TimestampMs max_timestamp() const { return facts_.max_timestamp.timestamp; }
  Offset offset_of_max_timestamp() const { return facts_.max_timestamp.offset; }
  TimestampMs first_timestamp() const { return facts_.first_timestamp; }
  const SegmentFacts& facts() const { return facts_; }
  const SegmentSettings& settings() const { return settings_; }
  // For what is appended from now on.
  void configure(SegmentSettings settings) { settings_ = settings; }

  // The active segment has its indexes in memory, a sealed one may let go of them (IndexCache).
  bool has_indexes() const { return indexes_ != nullptr; }
  const SegmentIndexes& indexes() const;  // REQUIRES: has_indexes()
  void attach_indexes(std::unique_ptr<SegmentIndexes> indexes);
  std::unique_ptr<SegmentIndexes> detach_indexes() { return std::move(indexes_); }

 private:
  SegmentSettings settings_;
  SegmentFacts facts_;
  std::uint64_t bytes_since_entry_ = 0;
  std::unique_ptr<SegmentIndexes> indexes_;
};

}  // namespace ottla::storage
