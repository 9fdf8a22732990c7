// LoadedPartition: a partition as recovery found it, ready to be opened by a store. Plain data, so
// that it may travel from the shard that recovered to the shard that owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/leader_epochs.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/segment_files.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

// Offsets that the disk lost or garbled, below what was durable. Reads that need them answer
// CORRUPT_MESSAGE; what stands before and behind is served.
struct DamagedOffsets {
  Offset from = 0;
  Offset to = 0;  // exclusive
  std::string cause;
};

// A batch that only the journal has.
struct LoadedBatch {
  Slice bytes;
  std::optional<AbortedTransaction> aborted;  // if it is an abort marker
};

struct LoadedPartition {
  TopicIdPartition id;
  TopicPartition name;
  std::string directory;  // path
  Offset log_start_offset = 0;
  // What the files hold: their sizes are those of the facts, or larger by padding to be cut. The
  // last one has its indexes.
  std::vector<Segment> segments;
  // Of the last one as the facts say it is, if they are known.
  std::optional<SegmentSums> sums;
  SavedIndexes saved_indexes;  // of its index files, what stays as it is
  LeaderEpochCache epochs;     // including the tail's
  bool epochs_are_saved = true;
  std::vector<Offset> spare_snapshots;  // on disk, at no segment's base; rising
  ProducerState producers;              // at the end of the tail
  // Behind the segments, in order.
  std::vector<LoadedBatch> tail;
  std::vector<DamagedOffsets> damages;
  // Whether the folder and the names in it are known to be on disk, not just in a cache.
  bool names_are_durable = false;
  // Indexes and snapshots on disk are complete up to the end, as after a clean stop.
  bool is_complete_on_disk = false;
  // Below it the segments are known to be on disk.
  Offset recovery_point = 0;
  Offset first_dirty_offset = 0;  // compaction has done its work below it

  Offset segments_end() const {
    return segments.empty() ? log_start_offset : segments.back().next_offset();
  }
};

}  // namespace ottla::storage
