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

namespace ottla::storage {

// Writes `.index`, `.timeindex` and, where there is something in it, `.txnindex` (else removes a
// stale one), each synced. The names are durable once the caller has synced the directory. They
// are derived files: a crash in between leaves what recovery rebuilds, since they are trusted only
// with the clean marker or with sums that fit.
io::Task<io::Result<>> save_indexes(io::Disk& disk, std::string directory, const Segment& segment);

// Reads them. The inner error: one is missing or is not what the format allows; rebuild all three.
// `.txnindex` may be missing. `next_offset` bounds the entries where it is known.
io::Task<io::Result<Parsed<std::unique_ptr<SegmentIndexes>>>> load_indexes(
    io::Disk& disk, std::string directory, Offset base_offset, std::uint64_t log_size_bytes,
    std::optional<Offset> next_offset);

}  // namespace ottla::storage
