// Finds the batch for an offset or a timestamp: index first, then from header to header in the
// file. Only what is in the file is found; the tail in memory is the partition log's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "io/disk.h"
#include "io/task.h"
#include "storage/file_batches.h"
#include "storage/segment.h"

namespace ottla::storage {

// An index and the file disagree: the batch at an entry's position does not end at its offset, or
// the batch that the time index names has another largest timestamp. Whoever gets it rebuilds the
// indexes (segment_recovery.h) and asks again.
struct IndexDamage {
  std::uint64_t position = 0;
};

struct SearchError {
  std::optional<IndexDamage> index;
  ScanError scan;  // where the index is not to blame
  std::string to_string() const;
};

template <class T>
using Found = std::expected<T, SearchError>;

// The first batch in [0, end_position) that holds an offset >= target, header only; nullopt if
// there is none. REQUIRES: target >= base offset of the index.
io::Task<Found<std::optional<FileBatch>>> find_offset(std::shared_ptr<io::File> file,
                                                      const OffsetIndex& index, Offset target,
                                                      std::uint64_t end_position);

// The same without walking there, where a garbled header may stand in the way and mislead: if the
// batch at the next index entry holds the target it is found, else nullopt.
io::Task<Found<std::optional<FileBatch>>> find_behind_damage(std::shared_ptr<io::File> file,
                                                             const OffsetIndex& index,
                                                             Offset target,
                                                             std::uint64_t end_position);

struct TimestampFound {
  TimestampMs timestamp = -1;
  Offset offset = -1;
  LeaderEpoch leader_epoch = -1;
  bool operator==(const TimestampFound&) const = default;
};

// The first record at or behind `start_offset` whose timestamp is >= target; nullopt if there is
// none in [0, end_position). Compressed batches are opened, with at most
// wire::kDecompressedBytesMax. A batch is held whole: `batch_bytes_max` bounds it.
io::Task<Found<std::optional<TimestampFound>>> find_timestamp(
    std::shared_ptr<io::File> file, const SegmentIndexes& indexes, TimestampMs target,
    Offset start_offset, std::uint64_t end_position, std::size_t batch_bytes_max);

// The same inside one batch, for the tail in memory too. Errors: those of the records or their
// compression.
std::expected<std::optional<TimestampFound>, wire::BatchError> find_timestamp_in(
    const wire::Batch& batch, TimestampMs target, Offset start_offset);

}  // namespace ottla::storage
