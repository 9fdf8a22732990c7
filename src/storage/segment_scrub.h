// Compares a sealed segment with its sums (segment_sums.h): at an unclean start, by the background
// scrub, and by `ottla log verify`. Reads in pieces; who scrubs in the background waits in between.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/disk.h"
#include "io/task.h"
#include "storage/segment_name.h"
#include "storage/segment_sums.h"

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

}  // namespace ottla::storage
