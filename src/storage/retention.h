// Which segments of a log are too old, or too many (retention.ms, retention.bytes). Pure: times and
// sizes are arguments. The rules are Kafka's:
//   - whole segments go, the oldest first, up to the first that has to stay; the active one too
//   - nothing at or above the high watermark goes
//   - by time: the segment's largest timestamp is more than retention.ms ago. One far in the future
//     keeps its segment, and so all behind it. A segment without timestamps counts from when its
//     file was written, as far as that is known.
//   - by size: as many as can go while the rest is not smaller than retention.bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.h"

namespace ottla::storage {

struct RetentionRules {
  std::int64_t retention_ms = -1;     // -1: by time nothing goes
  std::int64_t retention_bytes = -1;  // -1: by size nothing goes
};

struct SegmentAge {
  Offset end_offset = 0;  // where the next one begins; of the active one the log's end
  std::uint64_t bytes = 0;
  TimestampMs largest_timestamp = -1;  // or else when it was written
};

// How many of `segments`, which are in order, go.
std::size_t count_expired(std::span<const SegmentAge> segments, const RetentionRules& rules,
                          Offset high_watermark, TimestampMs now);

}  // namespace ottla::storage
