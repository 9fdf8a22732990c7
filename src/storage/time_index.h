// TimeIndex: from timestamps to offsets of one segment, Kafka's `.timeindex` file. Pure; 12 bytes
// an entry on disk: int64 largest timestamp so far, int32 last offset of the batch that has it
// minus the segment's base. Timestamps strictly rise, offsets do not fall. An entry comes with each
// entry of the offset index if the largest timestamp has grown, and one more when the segment is
// rolled or closed. Grammar: docs/formats/segment.md.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

inline constexpr std::size_t kTimeIndexEntryBytes = 12;

struct TimestampOffset {
  TimestampMs timestamp = -1;
  Offset offset = -1;  // last offset of the batch whose max timestamp it is
  bool operator==(const TimestampOffset&) const = default;
};

class TimeIndex {
 public:
  explicit TimeIndex(Offset base_offset) : base_offset_(base_offset) {}

  // As OffsetIndex::parse; `next_offset` is the end of the segment, or nullopt where not known yet.
  static Parsed<TimeIndex> parse(Offset base_offset, ByteView file,
                                 std::optional<Offset> next_offset);
  Bytes serialize() const;

  // Adds an entry if `timestamp` is larger than that of the last one (-1 where none); else nothing
  // happens. REQUIRES: if it is larger, offset >= that of the last entry and within 2^31 of the
  // base.
  void maybe_append(TimestampMs timestamp, Offset offset);

  // The last entry whose timestamp is <= target; {-1, base offset} if there is none. All batches
  // before the one that ends at its offset are older than target: the search goes on at that one.
  TimestampOffset lookup(TimestampMs target) const;
  // {-1, base offset} if empty.
  TimestampOffset last() const;

  void truncate_to(Offset end_offset);

  Offset base_offset() const { return base_offset_; }
  std::size_t size() const { return entries_.size(); }
  TimestampOffset entry(std::size_t at) const;
  std::size_t memory_bytes() const;
  bool operator==(const TimeIndex&) const = default;

 private:
  struct Entry {
    TimestampMs timestamp;
    std::int32_t relative_offset;
    bool operator==(const Entry&) const = default;
  };
  Offset base_offset_;
  std::vector<Entry> entries_;
};

}  // namespace ottla::storage
