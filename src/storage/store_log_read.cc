#include <algorithm>

#include "base/check.h"
#include "base/planted_bug.h"
#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/segment_search.h"
#include "storage/store_log.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

constexpr io::Duration kComplaintPause = std::chrono::seconds(10);

std::string log_path(const std::string& directory, Offset base) {
  return directory + "/" + segment_file_name(base, SegmentFile::log);
}

// The last entry at or before `position`; the segment's beginning if there is none.
std::uint64_t indexed_position(const OffsetIndex& index, std::uint64_t position) {
  std::size_t low = 0;
  std::size_t high = index.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (index.entry(middle).position <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? 0 : index.entry(low - 1).position;
}

}  // namespace

const DamagedOffsets* StoredLog::damage_in(Offset from, Offset to) const {
  for (const DamagedOffsets& damage : damages_) {
    if (damage.from < to && from < damage.to) return &damage;
  }
  return nullptr;
}

bool StoredLog::has_sealed(const StoredSegment& segment) const {
  if (is_gone() || !segment.is_on_disk) return false;
  return segments_[segment_of(segment.segment.base_offset())].get() == &segment;
}

bool StoredLog::note_damage(DamagedOffsets damage) {
  const bool is_known = std::ranges::any_of(damages_, [&](const DamagedOffsets& known) {
    return known.from <= damage.from && damage.to <= known.to;
  });
  if (is_known || damage.from >= damage.to) return false;
  const auto behind = std::ranges::upper_bound(damages_, damage.from, {}, &DamagedOffsets::from);
  damages_.insert(behind, std::move(damage));
  return true;
}

std::optional<LogResult<ReadResult>> StoredLog::try_read_tail(const ReadRequest& request) {
  if (is_gone()) return std::unexpected(gone());
  if (request.from < log_start_ || request.from > end_) {
    return std::unexpected(LogError::offset_out_of_range);
  }
  Offset bound = bound_of(request.upper_bound);
  ReadResult result{.records = {}, .next_offset = request.from};
  if (request.from >= bound) return result;
  if (request.from < tail_begin()) return std::nullopt;
  if (const DamagedOffsets* damage = damage_in(request.from, bound)) {
    if (damage->from <= request.from) return std::unexpected(LogError::corrupt);
    bound = damage->from;
  }
  for (std::size_t at = tail_find(request.from); at < tail_size(); ++at) {
    const TailBatch& batch = tail_at(at);
    if (batch.last_offset >= bound) break;
    const bool is_first = result.records.empty();
    if (result.records.size_bytes() + batch.bytes.size() > request.max_bytes &&
        !(is_first && request.at_least_one_batch)) {
      break;
    }
    result.records.append(batch.bytes);
    result.next_offset = batch.last_offset + 1;
  }
  return result;
}

// The segment that holds `offset`, or the first one behind it. REQUIRES: offset >= the first base.
std::size_t StoredLog::segment_of(Offset offset) const {
  const auto behind = std::upper_bound(
      segments_.begin(), segments_.end(), offset,
      [](Offset at, const auto& stored) { return at < stored->segment.base_offset(); });
  return behind == segments_.begin() ? 0 : static_cast<std::size_t>(behind - segments_.begin()) - 1;
}

// Who fetches tries again at once and for ever: the log is told now and then.
void StoredLog::complain(Offset base, std::string_view cause) {
  const io::Instant now = store_.env().clock.now();
  if (next_complaint_ > now) return;
  next_complaint_ = now + kComplaintPause;
  store_.env().logger.error(
      "{}: segment {} can't be read: {}; clients that fetch there get an error. Look at the disk, "
      "and run `ottla log verify` on the folder",
      directory_, base, cause);
}

io::Task<LogResult<ReadResult>> StoredLog::read(ReadRequest request) {
  const auto alive = shared_from_this();
  // What is read may move from memory to a file meanwhile, or to the next segment: look again.
  constexpr int kAttempts = 8;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto answer = try_read_tail(request)) co_return std::move(*answer);
    Offset bound = bound_of(request.upper_bound);
    if (const DamagedOffsets* damage = damage_in(request.from, bound)) {
      if (damage->from <= request.from) co_return std::unexpected(LogError::corrupt);
      bound = damage->from;
    }
    std::size_t at = segment_of(request.from);
    while (at + 1 < segments_.size() && segments_[at]->segment.next_offset() <= request.from) ++at;
    if (is_planted(PlantedBug::segment_border_skipped) && at + 1 < segments_.size() && at > 0 &&
        segments_[at]->segment.base_offset() == request.from) {
      request.from = segments_[++at]->segment.base_offset();
    }
    auto answer = co_await read_file(segments_[at], request, bound);
    if (!answer) co_return answer;
    // Nothing there below the bound, but something behind: a gap at the segment's end.
    if (answer->records.empty() && answer->next_offset > request.from &&
        answer->next_offset < bound) {
      request.from = answer->next_offset;
      continue;
    }
    if (answer->records.empty() && request.at_least_one_batch && request.from < bound &&
        answer->next_offset <= request.from && !is_gone()) {
      continue;  // it became readable, or was removed, while we looked
    }
    co_return answer;
  }
  co_return ReadResult{.records = {}, .next_offset = request.from};
}

io::Task<LogResult<std::shared_ptr<const SegmentIndexes>>> StoredLog::indexes_of(
    std::shared_ptr<StoredSegment> stored) {
  const Offset base = stored->segment.base_offset();
  if (auto cached = store_.index_cache().find(id_, base)) co_return cached;
  auto loaded = co_await load_indexes(store_.env().disk, directory_, base,
                                      stored->segment.size_bytes(), stored->segment.next_offset());
  if (stored->is_leaving) co_return std::unexpected(LogError::unreadable);  // others have its name
  if (!loaded) co_return std::unexpected(LogError::fenced);
  if (*loaded) co_return store_.index_cache().insert(id_, std::move(**loaded));
  store_.env().logger.warning("{}: index of segment {}: {}; building it anew", directory_, base,
                              loaded->error().message);
  co_return co_await rebuild_indexes(stored);
}

io::Task<LogResult<std::shared_ptr<const SegmentIndexes>>> StoredLog::rebuild_indexes(
    std::shared_ptr<StoredSegment> stored) {
  const Offset base = stored->segment.base_offset();
  store_.index_cache().erase(id_, base);
  auto reader = co_await store_.reader_of(stored, log_path(directory_, base));
  if (!reader) co_return std::unexpected(LogError::unreadable);
  Segment fresh(base, stored->segment.settings());
  // Transactions are kept as they are: only who knows the producers could build them.
  auto old = co_await load_indexes(store_.env().disk, directory_, base,
                                   stored->segment.size_bytes(), stored->segment.next_offset());
  auto rebuilt = co_await rebuild_segment(*reader, stored->segment.size_bytes(), fresh, {},
                                          {.base_offset = base, .next_offset = base},
                                          store_.env().clock.wall_ms());
  if (!rebuilt) {
    complain(base, rebuilt.error().message);
    co_return std::unexpected(LogError::unreadable);
  }
  if (rebuilt->damage) {
    store_.env().logger.error(
        "{}: segment {} is damaged: {}; its records from offset {} on answer "
        "CORRUPT_MESSAGE",
        directory_, base, rebuilt->damage->to_string(), rebuilt->damage->offset);
    note_damage(
        {rebuilt->damage->offset, stored->segment.next_offset(), rebuilt->damage->to_string()});
    co_return std::unexpected(LogError::corrupt);
  }
  auto indexes = fresh.detach_indexes();
  if (old && *old) indexes->aborted = (**old)->aborted;
  co_return store_.index_cache().insert(id_, std::move(indexes));
}

io::Task<LogResult<ReadResult>> StoredLog::read_file(std::shared_ptr<StoredSegment> stored,
                                                     ReadRequest request, Offset bound) {
  const Offset base = stored->segment.base_offset();
  const std::uint64_t readable = stored->readable_bytes;
  ReadResult result{.records = {}, .next_offset = request.from};
  // What is not readable yet stands in memory; only behind a whole segment there may be a gap.
  const bool is_whole = readable >= stored->segment.size_bytes() && stored != segments_.back();
  if (readable == 0) {
    if (is_whole) result.next_offset = stored->segment.next_offset();
    co_return result;
  }
  auto reader = co_await store_.reader_of(stored, log_path(directory_, base));
  if (!reader) {
    if (is_gone()) co_return std::unexpected(gone());
    if (stored->is_leaving) co_return result;  // look again
    complain(base, reader.error().message);
    co_return std::unexpected(LogError::unreadable);
  }

  std::optional<FileBatch> first;
  std::uint64_t hop = 0;  // where a walk to the end of the range may begin
  for (int attempt = 0;; ++attempt) {
    // The search looks at the index before it suspends; an active one may change or go after that.
    std::shared_ptr<const SegmentIndexes> held;
    if (!stored->segment.has_indexes()) {
      auto loaded = co_await indexes_of(stored);
      if (!loaded && stored->is_leaving && !is_gone()) co_return result;  // look again
      if (!loaded) co_return std::unexpected(loaded.error());
      held = std::move(*loaded);
    }
    const auto index = [&]() -> const OffsetIndex* {
      if (held) return &held->offsets;
      return stored->segment.has_indexes() ? &stored->segment.indexes().offsets : nullptr;
    };
    Found<std::optional<FileBatch>> found;
    if (held && damage_in(base, stored->segment.next_offset())) {
      found = co_await find_behind_damage(*reader, held->offsets, request.from, readable);
    }
    if (!found || !*found) {
      found = co_await find_offset(*reader, *index(), std::max(request.from, base), readable);
    }
    if (found) {
      first = *found;
      if (first && index()) {
        const std::uint64_t wanted = first->position + request.max_bytes;
        hop = std::min<std::uint64_t>(indexed_position(*index(), std::min(wanted, readable - 1)),
                                      index()->lookup(std::max(base, bound - 1)).position);
      }
      break;
    }
    if (found.error().index && attempt == 0) {
      store_.env().logger.warning("{}: index of segment {}: {}; building it anew", directory_, base,
                                  found.error().to_string());
      if (stored->segment.has_indexes()) co_return std::unexpected(LogError::corrupt);
      auto rebuilt = co_await rebuild_indexes(stored);
      if (!rebuilt) co_return std::unexpected(rebuilt.error());
      continue;
    }
    complain(base, found.error().to_string());
    co_return std::unexpected(LogError::corrupt);
  }
  if (!first) {
    if (is_whole) {
      result.next_offset = std::max(request.from, stored->segment.next_offset());
    }
    co_return result;
  }
  if (first->header.last_offset() >= bound) co_return result;

  // The end of the range: the last batch that ends within the bytes wanted and below the bound.
  const std::uint64_t begin = first->position;
  std::uint64_t end = first->end_position();
  Offset next = first->header.next_offset();
  if (end - begin > request.max_bytes && !request.at_least_one_batch) co_return result;
  const std::uint64_t wanted = begin + request.max_bytes;
  hop = std::max(hop, end);
  if (bound >= stored->segment.next_offset() && wanted >= readable &&
      readable == stored->segment.size_bytes()) {
    end = readable;
    next = stored->segment.next_offset();
  } else if (end < wanted) {
    FileBatches walk(*reader, hop, readable, kHopPieceBytes);
    bool is_start = true;
    while (true) {
      auto batch = co_await walk.next_header();
      if (!batch) {
        break;  // what was found so far is served; the next read meets the damage
      }
      if (!*batch) break;
      const FileBatch& at = **batch;
      if (is_start && hop != first->end_position()) {
        end = hop;
        next = at.header.base_offset;
      }
      is_start = false;
      if (at.end_position() > wanted || at.header.last_offset() >= bound) break;
      end = at.end_position();
      next = at.header.next_offset();
    }
  }
  auto resident = co_await (*reader)->make_resident(begin, end - begin);
  if (!resident) {
    complain(base, resident.error().message);
    co_return std::unexpected(LogError::unreadable);
  }
  if (is_gone()) co_return std::unexpected(gone());
  if (request.from < log_start_) co_return std::unexpected(LogError::offset_out_of_range);
  result.records.append(FileRange{*reader, begin, end - begin});
  result.next_offset = next;
  co_return result;
}

std::size_t StoredLog::bytes_available(Offset from, Offset upper_bound, std::size_t enough) {
  if (is_gone()) return enough;  // so that whoever waits looks
  const Offset bound = bound_of(upper_bound);
  if (from >= bound) return 0;
  if (from < tail_begin()) {
    // An estimate: in files there is at least what the bound lies ahead by.
    return enough;
  }
  std::size_t bytes = 0;
  for (std::size_t at = tail_find(from); at < tail_size() && bytes < enough; ++at) {
    if (tail_at(at).last_offset >= bound) break;
    bytes += tail_at(at).bytes.size();
  }
  return bytes;
}

io::Task<LogResult<TimestampFound>> StoredLog::find_timestamp(TimestampMs timestamp,
                                                              Offset upper_bound) {
  const auto alive = shared_from_this();
  if (is_gone()) co_return std::unexpected(gone());
  const Offset bound = bound_of(upper_bound);
  const TimestampFound nothing;
  const auto within = [&](const TimestampFound& found) {
    return found.offset < bound ? found : nothing;
  };
  const std::vector<std::shared_ptr<StoredSegment>> segments = segments_;
  for (const auto& stored : segments) {
    const Segment& segment = stored->segment;
    if (segment.is_empty() || segment.max_timestamp() < timestamp ||
        segment.next_offset() <= log_start_) {
      continue;
    }
    if (stored->readable_bytes > 0) {
      auto reader = co_await store_.reader_of(stored, log_path(directory_, segment.base_offset()));
      if (!reader && stored->is_leaving && !is_gone())
        co_return co_await find_timestamp(timestamp, upper_bound);
      if (!reader) co_return std::unexpected(is_gone() ? gone() : LogError::corrupt);
      std::shared_ptr<const SegmentIndexes> held;
      if (segment.has_indexes()) {
        held = std::make_shared<SegmentIndexes>(segment.indexes());
      } else {
        auto loaded = co_await indexes_of(stored);
        if (!loaded && stored->is_leaving && !is_gone())
          co_return co_await find_timestamp(timestamp, upper_bound);
        if (!loaded) co_return std::unexpected(loaded.error());
        held = std::move(*loaded);
      }
      auto found =
          co_await storage::find_timestamp(*reader, *held, timestamp, log_start_,
                                           stored->readable_bytes, store_.limits().batch_bytes_max);
      if (!found) co_return std::unexpected(LogError::corrupt);
      if (*found) co_return within(**found);
    }
  }
  for (std::size_t at = tail_find(std::max(readable_end_, log_start_)); at < tail_size(); ++at) {
    const auto batch = wire::parse_batch(tail_at(at).bytes);
    if (!batch || batch->header.max_timestamp < timestamp) continue;
    const auto found = find_timestamp_in(*batch, timestamp, log_start_);
    if (!found) co_return std::unexpected(LogError::corrupt);
    if (*found) co_return within(**found);
  }
  co_return nothing;
}

io::Task<LogResult<TimestampFound>> StoredLog::find_max_timestamp() {
  const auto alive = shared_from_this();
  if (is_gone()) co_return std::unexpected(gone());
  TimestampMs greatest = -1;
  for (const auto& stored : segments_) {
    if (stored->segment.next_offset() <= log_start_) continue;
    greatest = std::max(greatest, stored->segment.max_timestamp());
  }
  if (greatest < 0) co_return TimestampFound{};
  co_return co_await find_timestamp(greatest, std::numeric_limits<Offset>::max());
}

io::Task<LogResult<std::vector<AbortedTransaction>>> StoredLog::aborted_transactions(
    Offset from, Offset upper_bound) {
  const auto alive = shared_from_this();
  if (is_gone()) co_return std::unexpected(gone());
  std::vector<AbortedTransaction> found;
  const std::vector<std::shared_ptr<StoredSegment>> segments = segments_;
  for (std::size_t at = segment_of(std::max(from, segments.front()->segment.base_offset()));
       at < segments.size(); ++at) {
    const auto& stored = segments[at];
    bool is_done = false;
    if (stored->segment.has_indexes()) {
      is_done = stored->segment.indexes().aborted.collect(from, upper_bound, found);
    } else {
      auto loaded = co_await indexes_of(stored);
      if (!loaded && stored->is_leaving && !is_gone())
        co_return co_await aborted_transactions(from, upper_bound);
      if (!loaded) co_return std::unexpected(loaded.error());
      is_done = (*loaded)->aborted.collect(from, upper_bound, found);
    }
    if (is_done) break;
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first_offset, a.producer_id) < std::tie(b.first_offset, b.producer_id);
  });
  co_return found;
}

}  // namespace ottla::storage
