// What recovery of a partition and the running log both need of its directory.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "io/disk.h"
#include "io/task.h"
#include "storage/producer_state.h"
#include "storage/segment.h"

namespace ottla::storage {

// The newest snapshot at or below `end` that parses, or nothing at the log's start. A disk that
// does not give one up is an error: an older one would forget what the deleted records said.
io::Task<io::Result<ProducerState>> load_snapshot(io::Disk& disk, std::string directory,
                                                  Offset log_start, Offset end, TimestampMs now);

// A segment, and a place in it where a batch begins.
struct SegmentFrom {
  SegmentFacts facts;
  std::uint64_t position = 0;
};

// Applies the batches of the segments from state.end_offset() up to `end`; a segment is read
// from its position, which is not behind that. The CRCs are not looked
// at. Stops, without an error, at the first batch that can't be read. Transactions that
// ended go to `completed` where it is not null.
io::Task<io::Result<ProducerState>> replay_producers(
    io::Disk& disk, std::string directory, std::vector<SegmentFrom> segments, ProducerState state,
    Offset end, TimestampMs now, std::vector<CompletedTransaction>* completed = nullptr);

// Removes what stands beside a segment's `.log`, for a segment that changes or goes.
io::Task<io::Result<>> remove_derived_files(io::Disk& disk, std::string directory, Offset base);

// Removes producer snapshots that stand above `end`.
io::Task<io::Result<>> remove_snapshots_above(io::Disk& disk, std::string directory, Offset end);

}  // namespace ottla::storage
