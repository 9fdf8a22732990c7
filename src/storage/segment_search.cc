#include "storage/segment_search.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "wire/compression.h"
#include "wire/record.h"

namespace ottla::storage {
namespace {

std::unexpected<SearchError> search_error(ScanError error) {
  return std::unexpected(SearchError{.index = std::nullopt, .scan = std::move(error)});
}

std::unexpected<SearchError> index_damage(std::uint64_t position) {
  return std::unexpected(SearchError{.index = IndexDamage{position}, .scan = {}});
}

std::unexpected<SearchError> batch_damage(std::uint64_t position, wire::BatchError error) {
  return search_error(ScanError{.position = position, .batch = error, .io = {}});
}

// The first header at or behind an index entry that `is_wanted`. The batch at the entry must be the
// one that the index names.
template <class Wanted>
io::Task<Found<std::optional<FileBatch>>> first_header(FileBatches& batches, OffsetPosition entry,
                                                       Wanted is_wanted) {
  while (true) {
    auto batch = co_await batches.next_header();
    const bool is_at_entry = entry.position > 0 && batches.position() <= entry.position;
    if (!batch) {
      if (batch.error().is_damage() && is_at_entry) co_return index_damage(entry.position);
      co_return search_error(std::move(batch.error()));
    }
    if (!*batch) co_return std::nullopt;
    if (entry.position > 0 && (*batch)->position == entry.position &&
        (*batch)->header.last_offset() != entry.offset) {
      co_return index_damage(entry.position);
    }
    if (is_wanted((*batch)->header)) co_return **batch;
  }
}

}  // namespace

std::string SearchError::to_string() const {
  if (index) return fmt::format("the index entry for position {} is wrong", index->position);
  return scan.to_string();
}

io::Task<Found<std::optional<FileBatch>>> find_offset(std::shared_ptr<io::File> file,
                                                      const OffsetIndex& index, Offset target,
                                                      std::uint64_t end_position) {
  const OffsetPosition entry = index.lookup(target);
  if (entry.position >= end_position) co_return std::nullopt;
  FileBatches batches(std::move(file), entry.position, end_position, kHopPieceBytes);
  co_return co_await first_header(batches, entry, [target](const wire::BatchHeader& header) {
    return header.last_offset() >= target;
  });
}

io::Task<Found<std::optional<FileBatch>>> find_behind_damage(std::shared_ptr<io::File> file,
                                                             const OffsetIndex& index,
                                                             Offset target,
                                                             std::uint64_t end_position) {
  const auto next = index.at_or_behind(index.lookup(target).position + 1);
  if (!next || next->position >= end_position) co_return std::nullopt;
  FileBatches batches(std::move(file), next->position, end_position, kHopPieceBytes);
  auto batch = co_await batches.next_header();
  if (!batch) co_return search_error(std::move(batch.error()));
  if (!*batch || (*batch)->header.last_offset() != next->offset ||
      (*batch)->header.base_offset > target) {
    co_return std::nullopt;
  }
  co_return **batch;
}

std::expected<std::optional<TimestampFound>, wire::BatchError> find_timestamp_in(
    const wire::Batch& batch, TimestampMs target, Offset start_offset) {
  const auto codec = batch.header.codec();
  if (!codec) return std::unexpected(wire::BatchError::unknown_codec);
  ByteView records = batch.records();
  Slice opened;
  if (*codec != wire::Codec::none) {
    auto decompressed = wire::decompress(*codec, records, wire::kDecompressedBytesMax);
    if (!decompressed) return std::unexpected(decompressed.error());
    opened = std::move(*decompressed);
    records = opened.view();
  }
  wire::RecordCursor cursor(records, batch.header.record_count);
  for (wire::Record record; cursor.next(record);) {
    const TimestampMs timestamp = wire::record_timestamp(batch.header, record);
    const Offset offset = wire::record_offset(batch.header, record);
    if (timestamp >= target && offset >= start_offset) {
      return TimestampFound{timestamp, offset, batch.header.leader_epoch};
    }
  }
  if (cursor.error()) return std::unexpected(*cursor.error());
  return std::nullopt;
}

io::Task<Found<std::optional<TimestampFound>>> find_timestamp(
    std::shared_ptr<io::File> file, const SegmentIndexes& indexes, TimestampMs target,
    Offset start_offset, std::uint64_t end_position, std::size_t batch_bytes_max) {
  const TimestampOffset older = indexes.times.lookup(target);
  const OffsetPosition entry = indexes.offsets.lookup(std::max(older.offset, start_offset));
  if (entry.position >= end_position) co_return std::nullopt;
  FileBatches batches(file, entry.position, end_position, kHopPieceBytes);
  // The batch that the time index names is the first one with that timestamp, or the entry is
  // wrong.
  bool is_proved = older.timestamp < 0 || older.offset < start_offset;
  const auto is_next = [&](const wire::BatchHeader& header) {
    if (!is_proved) return header.last_offset() >= older.offset;
    return header.max_timestamp >= target && header.last_offset() >= start_offset;
  };
  while (true) {
    auto found = co_await first_header(batches, entry, is_next);
    if (!found) co_return std::unexpected(std::move(found.error()));
    if (!*found) co_return std::nullopt;
    const FileBatch& place = **found;
    if (!is_proved) {
      const bool is_right = place.header.last_offset() == older.offset &&
                            place.header.max_timestamp == older.timestamp;
      if (!is_right) co_return index_damage(place.position);
      is_proved = true;
      if (!is_next(place.header)) continue;
    }
    const std::size_t size = place.header.total_size();
    if (size > batch_bytes_max) {
      co_return batch_damage(place.position, wire::BatchError::too_large);
    }
    FileBatches whole(file, place.position, place.end_position(), size);
    auto batch = co_await whole.next();
    if (!batch) co_return search_error(std::move(batch.error()));
    if (!(*batch)->crc_matches) {
      co_return batch_damage(place.position, wire::BatchError::bad_crc);
    }
    auto record = find_timestamp_in({(*batch)->header, (*batch)->bytes}, target, start_offset);
    if (!record) co_return batch_damage(place.position, record.error());
    if (*record) co_return **record;
  }
}

}  // namespace ottla::storage
