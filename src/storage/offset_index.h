// OffsetIndex: the sparse map from offsets to positions of one segment, Kafka's `.index` file.
// Pure; 8 bytes an entry, in memory and on disk: int32 last offset of a batch minus the segment's
// base, int32 position of that batch. Both strictly rise. The first batch has no entry.
// Grammar: docs/formats/segment.md.
//
// The format has no checksum. An entry is proved by its use: the batch at its position must end
// at its offset (segment_search.h); a sealed segment's index file is summed by segment_sums.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

inline constexpr std::size_t kOffsetIndexEntryBytes = 8;
// segment.index.bytes: an active file of Kafka's is this long, mostly zeros.
inline constexpr std::size_t kIndexFileBytesMax = 64u << 20;

struct OffsetPosition {
  Offset offset = 0;           // the last offset of the batch at `position`
  std::uint32_t position = 0;  // in the .log file
  bool operator==(const OffsetPosition&) const = default;
};

class OffsetIndex {
 public:
  explicit OffsetIndex(Offset base_offset) : base_offset_(base_offset) {}

  // The entries of a file. A zero tail (Kafka pre-sizes active files) is dropped. Refused: a length
  // that is no multiple of 8, entries that do not rise, a position at or behind `log_size_bytes`.
  static Parsed<OffsetIndex> parse(Offset base_offset, ByteView file, std::uint64_t log_size_bytes);
  Bytes serialize() const;

  // REQUIRES: offset > that of the last entry and within 2^31 of the base, position too.
  void append(Offset offset, std::uint32_t position);

  // The last entry whose offset is <= target; {base offset, 0} if there is none. Every batch that
  // holds offsets >= target begins at that position or behind it.
  OffsetPosition lookup(Offset target) const;
  // The first entry whose position is >= `position`: an upper bound for a range; nullopt if none.
  std::optional<OffsetPosition> at_or_behind(std::uint32_t position) const;
  std::optional<OffsetPosition> last() const;

  // Drops entries whose offset is >= `end_offset`.
  void truncate_to(Offset end_offset);

  Offset base_offset() const { return base_offset_; }
  std::size_t size() const { return entries_.size(); }
  OffsetPosition entry(std::size_t at) const;
  std::size_t memory_bytes() const;
  bool operator==(const OffsetIndex&) const = default;

 private:
  struct Entry {
    std::int32_t relative_offset;
    std::uint32_t position;
    bool operator==(const Entry&) const = default;
  };
  Offset base_offset_;
  std::vector<Entry> entries_;
};

}  // namespace ottla::storage
