#include "storage/time_index.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "base/check.h"

namespace ottla::storage {
namespace {

bool is_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

Parsed<TimeIndex> TimeIndex::parse(Offset base_offset, ByteView file,
                                   std::optional<Offset> next_offset) {
  if (file.size() % kTimeIndexEntryBytes != 0) {
    return format_error(fmt::format("{} bytes are not whole entries", file.size()));
  }
  std::size_t count = file.size() / kTimeIndexEntryBytes;
  // A single entry may be all zeros: time 0 in the first batch. A file pre-sized by Kafka has many.
  while (count > 0 && file.size() > kTimeIndexEntryBytes &&
         is_zero(file.subspan((count - 1) * kTimeIndexEntryBytes, kTimeIndexEntryBytes))) {
    --count;
  }
  TimeIndex index(base_offset);
  index.entries_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* at = file.data() + i * kTimeIndexEntryBytes;
    const auto timestamp = load_big<TimestampMs>(at);
    const auto relative = load_big<std::int32_t>(at + 8);
    const bool rises = i == 0 ? timestamp >= 0 && relative >= 0
                              : timestamp > index.entries_.back().timestamp &&
                                    relative >= index.entries_.back().relative_offset;
    if (!rises) return format_error(fmt::format("entry {} does not rise", i));
    if (next_offset && base_offset + relative >= *next_offset) {
      return format_error(fmt::format("entry {} points behind the end of the log", i));
    }
    index.entries_.push_back({timestamp, relative});
  }
  return index;
}

Bytes TimeIndex::serialize() const {
  Bytes file(entries_.size() * kTimeIndexEntryBytes);
  std::uint8_t* at = file.data();
  for (const Entry& entry : entries_) {
    store_big(at, entry.timestamp);
    store_big(at + 8, entry.relative_offset);
    at += kTimeIndexEntryBytes;
  }
  return file;
}

void TimeIndex::maybe_append(TimestampMs timestamp, Offset offset) {
  if (timestamp <= last().timestamp) return;
  const Offset relative = offset - base_offset_;
  OTTLA_CHECK(relative >= 0 && relative <= std::numeric_limits<std::int32_t>::max());
  OTTLA_CHECK(entries_.empty() || relative >= entries_.back().relative_offset);
  entries_.push_back({timestamp, static_cast<std::int32_t>(relative)});
}

TimestampOffset TimeIndex::lookup(TimestampMs target) const {
  const auto above = std::ranges::upper_bound(entries_, target, {}, &Entry::timestamp);
  if (above == entries_.begin()) return {-1, base_offset_};
  return entry(static_cast<std::size_t>(above - entries_.begin()) - 1);
}

TimestampOffset TimeIndex::last() const {
  if (entries_.empty()) return {-1, base_offset_};
  return entry(entries_.size() - 1);
}

void TimeIndex::truncate_to(Offset end_offset) {
  const auto gone =
      std::ranges::lower_bound(entries_, end_offset - base_offset_, {}, &Entry::relative_offset);
  entries_.erase(gone, entries_.end());
}

TimestampOffset TimeIndex::entry(std::size_t at) const {
  return {entries_[at].timestamp, base_offset_ + entries_[at].relative_offset};
}

std::size_t TimeIndex::memory_bytes() const {
  return sizeof *this + entries_.capacity() * sizeof(Entry);
}

}  // namespace ottla::storage
