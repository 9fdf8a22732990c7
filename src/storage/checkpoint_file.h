// Kafka's text checkpoints, byte for byte: a version line `0`, the number of entries, one entry a
// line. Pure; the files are written with atomic_file.h. Grammar: docs/formats/checkpoints.md.
//
//   recovery-point-offset-checkpoint   below it all is in the segments, synced
//   replication-offset-checkpoint      high watermarks
//   log-start-offset-checkpoint        where it is above the first segment's base offset
//   cleaner-offset-checkpoint          first dirty offset of compacted logs
//   leader-epoch-checkpoint            of one partition: `epoch startOffset` (see leader_epochs.h)
//
// Text has no checksum. What a flipped bit can do is bounded by the parser's rules here, and by
// whoever reads: a recovery point above the segments, or epochs that the batches contradict, are
// refused there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

// Largest number of entries that a parser accepts, and largest file worth reading.
inline constexpr std::size_t kCheckpointEntriesMax = 1'000'000;
inline constexpr std::size_t kCheckpointFileBytesMax = 300ull * kCheckpointEntriesMax;

inline constexpr std::string_view kRecoveryPointFile = "recovery-point-offset-checkpoint";
inline constexpr std::string_view kHighWatermarkFile = "replication-offset-checkpoint";
inline constexpr std::string_view kLogStartFile = "log-start-offset-checkpoint";
inline constexpr std::string_view kCleanerOffsetFile = "cleaner-offset-checkpoint";
inline constexpr std::string_view kLeaderEpochFile = "leader-epoch-checkpoint";

struct PartitionOffset {
  TopicPartition partition;
  Offset offset = 0;
  bool operator==(const PartitionOffset&) const = default;
};

// Entries in the order given. REQUIRES: offsets >= 0, topics without white space.
std::string serialize_offset_checkpoint(const std::vector<PartitionOffset>& entries);

// Entries in the order of the file; none for an empty file, which Kafka makes and later fills.
// Refuses another version, a count that is not that of the lines,
// a line that is not three fields, negative numbers, the same partition twice.
Parsed<std::vector<PartitionOffset>> parse_offset_checkpoint(std::string_view text);

struct EpochEntry {
  LeaderEpoch epoch = 0;
  Offset start_offset = 0;
  bool operator==(const EpochEntry&) const = default;
};

std::string serialize_epoch_checkpoint(const std::vector<EpochEntry>& entries);

// As above; epochs strictly rise and start offsets strictly rise too, as no leader appends nothing
// and is remembered.
Parsed<std::vector<EpochEntry>> parse_epoch_checkpoint(std::string_view text);

}  // namespace ottla::storage
