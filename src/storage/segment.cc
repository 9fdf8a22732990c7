#include "storage/segment.h"

#include <limits>
#include <utility>

#include "base/check.h"

namespace ottla::storage {

std::size_t SegmentIndexes::memory_bytes() const {
  return offsets.memory_bytes() + times.memory_bytes() + aborted.memory_bytes();
}

Segment::Segment(Offset base_offset, SegmentSettings settings)
    : settings_(settings), indexes_(std::make_unique<SegmentIndexes>(base_offset)) {
  facts_.base_offset = base_offset;
  facts_.next_offset = base_offset;
}

Segment::Segment(SegmentFacts facts, SegmentSettings settings)
    : settings_(settings), facts_(facts) {}

void Segment::append(const wire::BatchHeader& batch) {
  OTTLA_CHECK(indexes_ != nullptr);
  OTTLA_CHECK(batch.base_offset >= facts_.next_offset);
  const std::uint64_t position = facts_.size_bytes;
  OTTLA_CHECK(position + batch.total_size() <= kSegmentBytesMax);
  if (is_empty()) facts_.first_timestamp = batch.max_timestamp;
  if (batch.max_timestamp > max_timestamp()) {
    facts_.max_timestamp = {batch.max_timestamp, batch.last_offset()};
  }
  if (bytes_since_entry_ > settings_.index_interval_bytes) {
    indexes_->offsets.append(batch.last_offset(), static_cast<std::uint32_t>(position));
    indexes_->times.maybe_append(max_timestamp(), offset_of_max_timestamp());
    bytes_since_entry_ = 0;
  }
  bytes_since_entry_ += batch.total_size();
  facts_.size_bytes += batch.total_size();
  facts_.next_offset = batch.next_offset();
}

void Segment::append_aborted(const AbortedTransaction& transaction) {
  OTTLA_CHECK(indexes_ != nullptr && transaction.last_offset < facts_.next_offset);
  indexes_->aborted.append(transaction);
}

bool Segment::has_room_for(std::uint64_t batch_bytes, Offset last_offset,
                           std::uint64_t segment_bytes_max) const {
  constexpr Offset kRelativeMax = std::numeric_limits<std::int32_t>::max();
  if (facts_.size_bytes + batch_bytes > kSegmentBytesMax) return false;
  if (last_offset - facts_.base_offset > kRelativeMax) return false;
  if (is_empty()) return true;
  if (facts_.size_bytes + batch_bytes > segment_bytes_max) return false;
  if (!indexes_) return true;
  // One place of the time index is kept for the entry at roll.
  return indexes_->offsets.size() < settings_.index_bytes_max / kOffsetIndexEntryBytes &&
         indexes_->times.size() + 1 < settings_.index_bytes_max / kTimeIndexEntryBytes;
}

void Segment::finish_time_index() {
  OTTLA_CHECK(indexes_ != nullptr);
  if (max_timestamp() >= 0) {
    indexes_->times.maybe_append(max_timestamp(), offset_of_max_timestamp());
  }
}

void Segment::truncate_to(Offset end_offset, std::uint64_t position,
                          TimestampOffset max_timestamp) {
  OTTLA_CHECK(indexes_ != nullptr);
  OTTLA_CHECK(position <= facts_.size_bytes && end_offset >= facts_.base_offset);
  indexes_->offsets.truncate_to(end_offset);
  indexes_->times.truncate_to(end_offset);
  indexes_->aborted.truncate_to(end_offset);
  facts_.size_bytes = position;
  facts_.next_offset = end_offset;
  facts_.max_timestamp = max_timestamp;
  if (position == 0) facts_.first_timestamp = -1;
  const auto last = indexes_->offsets.last();
  bytes_since_entry_ = position - (last ? last->position : 0);
}

const SegmentIndexes& Segment::indexes() const {
  OTTLA_CHECK(indexes_ != nullptr);
  return *indexes_;
}

void Segment::attach_indexes(std::unique_ptr<SegmentIndexes> indexes) {
  OTTLA_CHECK(indexes && indexes->offsets.base_offset() == facts_.base_offset);
  indexes_ = std::move(indexes);
  const auto last = indexes_->offsets.last();
  bytes_since_entry_ = facts_.size_bytes - (last ? last->position : 0);
}

}  // namespace ottla::storage
