// Reads and writes the index files of a segment. Thin: what the bytes mean is said by the indexes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "io/disk.h"
#include "io/task.h"
#include "storage/format_error.h"
#include "storage/segment.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

// Writes `.index`, `.timeindex` and, where there is something in it, `.txnindex` (else removes a
// stale one), each synced. The names are durable once the caller has synced the directory. They
// are derived files: a crash in between leaves what recovery rebuilds, since they are trusted only
// with the clean marker or with sums that fit.
io::Task<io::Result<>> save_indexes(io::Disk& disk, std::string directory, const Segment& segment);

// How much of an active segment's index files is on disk already, and valid.
struct SavedIndexes {
  std::uint64_t offsets_bytes = 0;
  std::uint64_t times_bytes = 0;
  std::uint64_t aborted_bytes = 0;
};

// Appends what `indexes` has beyond `saved` to the files, synced. Nothing that stood below changes,
// so a crash in between leaves them good for the sums that were written before.
io::Task<io::Result<>> extend_indexes(io::Disk& disk, std::string directory,
                                      const SegmentIndexes& indexes, SavedIndexes& saved);

// Reads them. With `sums`, only as much as those are about, which must fit them. The inner error:
// one is missing or is not what the format allows; rebuild all three.
// `.txnindex` may be missing. `next_offset` bounds the entries where it is known.
io::Task<io::Result<Parsed<std::unique_ptr<SegmentIndexes>>>> load_indexes(
    io::Disk& disk, std::string directory, Offset base_offset, std::uint64_t log_size_bytes,
    std::optional<Offset> next_offset, const SegmentSums* sums = nullptr);

}  // namespace ottla::storage
