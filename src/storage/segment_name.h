// Names of files in a partition's directory: twenty digits of an offset and a suffix. Kafka's, and
// ours that end in `.ottla`. Pure. Docs: docs/formats/segment.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace ottla::storage {

enum class SegmentFile : std::uint8_t {
  log,                // .log             record batches
  offset_index,       // .index
  time_index,         // .timeindex
  transaction_index,  // .txnindex        only where a transaction was aborted
  snapshot,           // .snapshot        producer state up to the offset of its name
  snapshot_side,      // .snapshot.ottla  what Kafka's snapshot leaves out
  sums                // .sums.ottla      checksums of a sealed segment
};

// What a second suffix says of a file.
enum class SegmentFileState : std::uint8_t {
  live,
  deleted,  // .deleted: waits for file.delete.delay.ms, removed at start
  cleaned,  // .cleaned: compaction in work, removed at start
  swap      // .swap: compaction done, to be renamed into place at start
};

struct SegmentFileName {
  Offset offset = 0;
  SegmentFile file = SegmentFile::log;
  SegmentFileState state = SegmentFileState::live;
  bool operator==(const SegmentFileName&) const = default;
};

// For example "00000000000000000042.log". REQUIRES: offset >= 0.
std::string segment_file_name(Offset offset, SegmentFile file,
                              SegmentFileState state = SegmentFileState::live);

// nullopt for every other name (`partition.metadata`, checkpoints, strangers).
std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);

// Whether a Java broker that finds `name` takes it for a file of the log, and stops if it is none:
// it ends in .log, .index, .timeindex, .txnindex, .swap, .cleaned or .deleted without parsing.
bool would_stop_kafka(std::string_view name);

}  // namespace ottla::storage
