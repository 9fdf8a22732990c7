#include "storage/retention.h"

namespace ottla::storage {

std::size_t count_expired(std::span<const SegmentAge> segments, const RetentionRules& rules,
                          Offset high_watermark, TimestampMs now) {
  std::uint64_t bytes = 0;
  for (const SegmentAge& segment : segments) bytes += segment.bytes;
  const auto is_removable = [&](const SegmentAge& segment) {
    const bool is_active_and_empty = &segment == &segments.back() && segment.bytes == 0;
    return !is_active_and_empty && segment.end_offset <= high_watermark;
  };

  std::size_t count = 0;
  if (rules.retention_bytes >= 0) {
    const auto kept = static_cast<std::uint64_t>(rules.retention_bytes);
    while (count < segments.size() && is_removable(segments[count]) &&
           bytes >= kept + segments[count].bytes) {
      bytes -= segments[count++].bytes;
    }
  }
  if (rules.retention_ms >= 0) {
    while (count < segments.size() && is_removable(segments[count]) &&
           now - segments[count].largest_timestamp > rules.retention_ms) {
      ++count;
    }
  }
  return count;
}

}  // namespace ottla::storage
