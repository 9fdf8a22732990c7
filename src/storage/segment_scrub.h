// Compares a sealed segment with its sums (segment_sums.h): at an unclean start, by the background
// scrub, and by `ottla log verify`. Reads in pieces; who scrubs in the background waits in between.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/disk.h"
#include "io/task.h"
#include "storage/leader_epochs.h"
#include "storage/offset_index.h"
#include "storage/segment.h"
#include "storage/segment_name.h"
#include "storage/segment_sums.h"
#include "storage/store_loaded_partition.h"

namespace ottla::storage {

inline constexpr std::size_t kScrubPieceBytes = 4 * kSumBlockBytes;

// `<base>.sums.ottla` of `owner` in `directory`. The inner error: it is missing or is not what the
// format allows; nothing can be said about the segment then. Kafka may have been the one who wrote
// it: it knows no sums.
io::Task<io::Result<Parsed<SegmentSums>>> load_sums(io::Disk& disk, std::string directory,
                                                    SumsOwner owner);

// The damaged ranges of the `.log` in [from, to), which are widened to whole blocks. A file that is
// shorter than its sums say is damaged from its end on; bytes behind are not looked at here.
io::Task<io::Result<std::vector<ByteRange>>> scrub_log(std::shared_ptr<io::File> file,
                                                       const SegmentSums& sums, std::uint64_t from,
                                                       std::uint64_t to);

// The index files of the segment whose bytes are not those that were summed, or that are missing.
// They are rebuilt from the `.log` (segment_recovery.h).
io::Task<io::Result<std::vector<SegmentFile>>> scrub_indexes(io::Disk& disk, std::string directory,
                                                             const SegmentSums& sums);

// What is known of a segment whose `.log` has damaged ranges.
struct DamagedSegment {
  SegmentFacts facts;
  const OffsetIndex* index = nullptr;        // if it is good; else all is read from the beginning
  const LeaderEpochCache* epochs = nullptr;  // of the log
  // The ranges are those of scrub_log(), so something in each of them is wrong, and offsets have no
  // gaps. Otherwise they are where to look, and all may be well.
  bool are_summed = true;
};

// Whose records lie in the ranges, rising: of the batches there those that do not hold, and
// whatever stands behind one whose length is garbled, up to the next that is certain. If all hold
// where the sums say no, all are named. REQUIRES: the file is not direct. Errors: the disk's.
io::Task<io::Result<std::vector<DamagedOffsets>>> find_damaged_records(
    std::shared_ptr<io::File> file, DamagedSegment segment, std::vector<ByteRange> ranges);

}  // namespace ottla::storage
