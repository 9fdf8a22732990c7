#include "storage/offset_index.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <limits>

#include "base/check.h"

namespace ottla::storage {

Parsed<OffsetIndex> OffsetIndex::parse(Offset base_offset, ByteView file,
                                       std::uint64_t log_size_bytes) {
  if (file.size() % kOffsetIndexEntryBytes != 0) {
    return format_error(fmt::format("{} bytes are not whole entries", file.size()));
  }
  std::size_t count = file.size() / kOffsetIndexEntryBytes;
  // No entry is all zeros: the batch at position 0 has none.
  while (count > 0 && load_big<std::uint64_t>(file.data() + (count - 1) * 8) == 0) --count;
  OffsetIndex index(base_offset);
  index.entries_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* at = file.data() + i * kOffsetIndexEntryBytes;
    const auto relative = load_big<std::int32_t>(at);
    const auto position = load_big<std::int32_t>(at + 4);
    const bool rises =
        i == 0 ? relative >= 0 && position > 0
               : relative > index.entries_.back().relative_offset &&
                     position > static_cast<std::int64_t>(index.entries_.back().position);
    if (!rises) return format_error(fmt::format("entry {} does not rise", i));
    if (static_cast<std::uint64_t>(position) >= log_size_bytes) {
      return format_error(fmt::format("entry {} points behind the end of the log", i));
    }
    index.entries_.push_back({relative, static_cast<std::uint32_t>(position)});
  }
  return index;
}

Bytes OffsetIndex::serialize() const {
  Bytes file(entries_.size() * kOffsetIndexEntryBytes);
  std::uint8_t* at = file.data();
  for (const Entry& entry : entries_) {
    store_big(at, entry.relative_offset);
    store_big(at + 4, entry.position);
    at += kOffsetIndexEntryBytes;
  }
  return file;
}

void OffsetIndex::append(Offset offset, std::uint32_t position) {
  const Offset relative = offset - base_offset_;
  OTTLA_CHECK(relative >= 0 && relative <= std::numeric_limits<std::int32_t>::max());
  OTTLA_CHECK(position > 0 && position <= 0x7fffffffu);
  OTTLA_CHECK(entries_.empty() ||
              (relative > entries_.back().relative_offset && position > entries_.back().position));
  entries_.push_back({static_cast<std::int32_t>(relative), position});
}

OffsetPosition OffsetIndex::lookup(Offset target) const {
  const Offset relative = target - base_offset_;
  const auto above = std::ranges::upper_bound(entries_, relative, {}, &Entry::relative_offset);
  if (above == entries_.begin()) return {base_offset_, 0};
  return entry(static_cast<std::size_t>(above - entries_.begin()) - 1);
}

std::optional<OffsetPosition> OffsetIndex::at_or_behind(std::uint32_t position) const {
  const auto found = std::ranges::lower_bound(entries_, position, {}, &Entry::position);
  if (found == entries_.end()) return std::nullopt;
  return entry(static_cast<std::size_t>(found - entries_.begin()));
}

std::optional<OffsetPosition> OffsetIndex::last() const {
  if (entries_.empty()) return std::nullopt;
  return entry(entries_.size() - 1);
}

void OffsetIndex::truncate_to(Offset end_offset) {
  const auto gone =
      std::ranges::lower_bound(entries_, end_offset - base_offset_, {}, &Entry::relative_offset);
  entries_.erase(gone, entries_.end());
}

OffsetPosition OffsetIndex::entry(std::size_t at) const {
  return {base_offset_ + entries_[at].relative_offset, entries_[at].position};
}

std::size_t OffsetIndex::memory_bytes() const {
  return sizeof *this + entries_.capacity() * sizeof(Entry);
}

}  // namespace ottla::storage
