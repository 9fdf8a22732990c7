#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "storage/atomic_file.h"
#include "storage/log_directory.h"
#include "storage/retention.h"
#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/store_log.h"
#include "storage/store_recovery_files.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

// An active segment's indexes are saved each time it has grown by this, or by a part of its size:
// what a start after a crash reads again, against what is written again each time.
constexpr std::uint64_t kSaveIndexesEveryBytes = 8ull << 20;
constexpr std::uint64_t kSaveIndexesEveryPart = 32;
// With one every 8 MiB, as much as a journal may hold: 6 files of 16 MiB.
constexpr std::size_t kSpareSnapshots = 12;
// Handed to a writer at once.
constexpr std::size_t kWriteBytes = 1ull << 20;
constexpr std::size_t kWriteRuns = 256;
// Loaded batches are summed this far ahead of what is written.
constexpr std::size_t kSumAheadBytes = 4 * kWriteBytes;

std::string log_path(const std::string& directory, Offset base) {
  return directory + "/" + segment_file_name(base, SegmentFile::log);
}

}  // namespace

io::Task<io::Result<>> StoredLog::open_writer(StoredSegment& segment) {
  segment.writer = std::make_unique<SegmentWriter>(
      store_.env().disk, log_path(directory_, segment.segment.base_offset()));
  const bool is_new = segment.readable_bytes == 0;
  auto opened = co_await segment.writer->open(segment.readable_bytes);
  if (!opened) {
    segment.writer.reset();
    co_return opened;
  }
  if (is_new) directory_is_dirty_ = true;
  co_return io::Result<>();
}

// An epoch is on disk before the first batch that it wrote.
io::Task<io::Result<>> StoredLog::save_epochs() {
  if (!epochs_are_dirty_) co_return io::Result<>();
  epochs_are_dirty_ = false;
  const std::string text = epochs_.serialize();
  const ByteView bytes = as_bytes(text);
  co_return co_await write_file_atomically(store_.env().disk, directory_,
                                           std::string(kLeaderEpochFile),
                                           Bytes(bytes.begin(), bytes.end()));
}

// What is durable in the segment's last block goes into the journal before it is written over: a
// disk that loses power then may lose the old with the new.
io::Task<io::Result<>> StoredLog::keep_block(StoredSegment& stored) {
  if (!stored.writer->overwrites_durable()) co_return io::Result<>();
  Journal& journal = store_.journal();
  const ByteView rest = stored.writer->rest();
  // Without room the journal could never be drained: then the disk's own care for sectors must do.
  if (!journal.has_room_for_own(sizeof(std::uint64_t) + rest.size())) co_return io::Result<>();
  auto place = journal.stage(JournalKind::block, id_, stored.segment.base_offset(), -1,
                             sizeof(std::uint64_t) + rest.size());
  store_big<std::uint64_t>(place.body.mutable_data(), stored.writer->block_position());
  std::copy(rest.begin(), rest.end(), place.body.mutable_data() + sizeof(std::uint64_t));
  journal.seal(place, std::static_pointer_cast<StoredLog>(shared_from_this()), marks_, end_);
  stored.writer->note_journaled();
  if (!co_await journal.flushed()) co_return std::unexpected(journal.failure());
  co_return io::Result<>();
}

// What was appended is summed already; what a start has found is not.
void StoredLog::catch_up_sums(StoredSegment& stored) {
  const std::uint64_t size = stored.segment.size_bytes();
  if (!stored.sums_are_whole || stored.sums.log_bytes() == size) return;
  std::uint64_t position = stored.handed_bytes;
  const std::uint64_t far = std::min(size, position + kSumAheadBytes);
  for (std::size_t i = tail_find(written_end_); position < far; ++i) {
    TailBatch& batch = tail_[tail_head_ + i];
    if (position >= stored.sums.log_bytes()) {
      stored.sums.add(batch.bytes);
      batch.sum = stored.sums.last_block();
    }
    position += batch.bytes.size();
  }
}

io::Task<io::Result<>> StoredLog::write_out(std::size_t enough) {
  // Sealed ones are few at the end of the list; the first that is not on disk is where writing goes
  // on.
  while (!is_gone() && unwritten_bytes_ >= enough) {
    std::size_t at = segments_.size();
    while (at > 0 && !segments_[at - 1]->is_on_disk) --at;
    if (at == segments_.size()) break;
    const std::shared_ptr<StoredSegment> stored = segments_[at];
    const bool is_active = at + 1 == segments_.size();
    const Offset limit =
        is_active ? durable_end_ : std::min(durable_end_, segments_[at + 1]->segment.base_offset());

    catch_up_sums(*stored);
    std::vector<SegmentRun> runs;
    std::size_t bytes = 0;
    Offset end = written_end_;
    std::uint32_t sum = 0;
    Slice borrowed;  // for what a start has found
    for (std::size_t i = tail_find(written_end_); i < tail_size(); ++i) {
      const TailBatch& batch = tail_at(i);
      const std::size_t size = batch.bytes.size();
      if (batch.last_offset >= limit) break;
      if (bytes > 0 && bytes + size > kWriteBytes) break;
      if (bytes > kWriteBytes / 2 && batch.begins_chunk) break;
      if (batch.is_loaded) {
        if (bytes == 0) {
          const std::size_t head = stored->handed_bytes % io::kDirectAlignment;
          borrowed = store_.tail().borrow(head + std::max(kWriteBytes, size));
          runs.push_back({borrowed.subslice(head, borrowed.size() - head), 0, true});
        }
        std::memcpy(runs[0].begin.mutable_data() + bytes, batch.bytes.data(), size);
        runs[0].bytes += size;
      } else if (borrowed.empty() && !runs.empty() && !batch.begins_chunk) {
        runs.back().bytes += size;
      } else {
        if (!borrowed.empty() || runs.size() == kWriteRuns) break;
        runs.push_back({batch.bytes, size, batch.begins_chunk});
      }
      bytes += size;
      end = batch.last_offset + 1;
      sum = batch.sum;
    }
    if (runs.empty()) {
      if (is_active) break;
      const Offset next_base = segments_[at + 1]->segment.base_offset();
      if (written_end_ < stored->segment.next_offset()) break;  // not durable yet
      auto sealed = co_await seal(*stored, next_base);
      if (!sealed) co_return sealed;
      continue;
    }
    auto epochs = co_await save_epochs();
    if (!epochs) co_return epochs;
    if (!stored->writer) {
      auto opened = co_await open_writer(*stored);
      if (!opened) co_return opened;
    }
    auto kept = co_await keep_block(*stored);
    if (!kept) co_return kept;
    if (is_gone()) break;
    const std::uint64_t begin = stored->writer->size_bytes();
    auto appended = co_await stored->writer->append(std::move(runs));
    if (!borrowed.empty()) store_.tail().give_back(std::move(borrowed));
    if (!appended) co_return appended;
    store_.counters().segment_bytes += bytes;
    if (is_deleted_) break;
    unwritten_bytes_ -= std::min(unwritten_bytes_, bytes);
    stored->handed_bytes = begin + bytes;
    stored->handed_sum = sum;
    stored->readable_bytes = stored->writer->readable_bytes();
    std::uint64_t position = begin;
    for (std::size_t i = tail_find(written_end_); i < tail_size(); ++i) {
      position += tail_at(i).bytes.size();
      if (position > stored->readable_bytes) break;
      readable_end_ = tail_at(i).last_offset + 1;
    }
    written_end_ = end;
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> StoredLog::settle() {
  auto written = co_await write_out(0);
  if (!written) co_return written;
  // More than one if an append has begun a new one meanwhile.
  const std::vector<std::shared_ptr<StoredSegment>> segments = segments_;
  for (const auto& stored : segments) {
    if (stored->is_on_disk || !stored->writer || is_gone()) continue;
    auto settled = co_await stored->writer->settle();
    if (!settled) co_return settled;
    stored->readable_bytes = stored->writer->readable_bytes();
  }
  readable_end_ = written_end_;
  co_return io::Result<>();
}

io::Task<io::Result<>> StoredLog::seal(StoredSegment& stored, Offset next_base) {
  if (!stored.writer && stored.readable_bytes > 0) {
    auto opened = co_await open_writer(stored);
    if (!opened) co_return opened;
  }
  if (stored.writer) {
    auto finished = co_await stored.writer->finish();
    if (!finished) co_return finished;
    stored.readable_bytes = stored.writer->readable_bytes();
  }
  readable_end_ = written_end_;
  auto saved = co_await save_indexes(store_.env().disk, directory_, stored.segment);
  if (!saved) co_return saved;
  auto summed = co_await save_sums(stored, stored.segment.indexes());
  if (!summed) co_return summed;
  stored.sums = SegmentSums();
  auto snapshots = co_await write_snapshots(next_base);
  if (!snapshots) co_return snapshots;
  directory_is_dirty_ = true;
  auto names = co_await sync_names();
  if (!names) co_return names;
  stored.writer.reset();
  stored.is_on_disk = true;
  ++stored.seals;
  stored.scrub_at =
      store_.env().clock.now() + std::chrono::milliseconds(store_.limits().scrub_interval_ms);
  store_.index_cache().insert(id_, stored.segment.detach_indexes());
  synced_end_ = std::max(synced_end_, next_base);
  co_return io::Result<>();
}

io::Task<io::Result<>> StoredLog::write_snapshot(Offset offset, ProducerSnapshotFiles files) {
  io::Disk& disk = store_.env().disk;
  auto snapshot = co_await write_file_atomically(disk, directory_,
                                                 segment_file_name(offset, SegmentFile::snapshot),
                                                 std::move(files.snapshot));
  if (!snapshot) co_return snapshot;
  const std::string side = segment_file_name(offset, SegmentFile::snapshot_side);
  if (files.side.empty()) co_return co_await remove_file_durably(disk, directory_, side);
  co_return co_await write_file_atomically(disk, directory_, side, std::move(files.side));
}

// Those whose offset the synced log has reached.
io::Task<io::Result<>> StoredLog::write_snapshots(Offset up_to) {
  while (!snapshots_.empty() && snapshots_.front().offset <= up_to) {
    PendingSnapshot pending = std::move(snapshots_.front());
    snapshots_.erase(snapshots_.begin());
    auto written = co_await write_snapshot(pending.offset, std::move(pending.files));
    if (!written) co_return written;
    const bool is_base = std::any_of(segments_.begin(), segments_.end(), [&](const auto& stored) {
      return stored->segment.base_offset() == pending.offset;
    });
    if (!is_base) spare_snapshots_.push_back(pending.offset);
  }
  co_await remove_spare_snapshots(kSpareSnapshots);
  co_return io::Result<>();
}

// What cannot be removed harms nobody: a start finds it again, and lists it.
io::Task<> StoredLog::remove_spare_snapshots(std::size_t but) {
  while (spare_snapshots_.size() > but) {
    const Offset oldest = spare_snapshots_.front();
    spare_snapshots_.erase(spare_snapshots_.begin());
    for (const SegmentFile file : {SegmentFile::snapshot, SegmentFile::snapshot_side}) {
      (void)co_await store_.env().disk.remove(directory_ + "/" + segment_file_name(oldest, file));
    }
  }
}

io::Task<io::Result<>> StoredLog::sync_names() {
  if (!directory_is_dirty_) co_return io::Result<>();
  directory_is_dirty_ = false;
  io::Disk& disk = store_.env().disk;
  if (is_new_) {
    is_new_ = false;
    // A new file: a sync of the one that is there may have failed before the start, and would now
    // say yes and do nothing.
    const std::string text = serialize_partition_metadata(id_.topic_id);
    const ByteView bytes = as_bytes(text);
    auto written = co_await write_file_atomically(
        disk, directory_, std::string(kPartitionMetadataFile), Bytes(bytes.begin(), bytes.end()));
    if (!written) co_return written;
  }
  auto synced = co_await disk.sync_directory(directory_);
  if (!synced) co_return synced;
  co_return co_await store_.sync_root();
}

io::Task<io::Result<>> StoredLog::sync() {
  if (is_gone()) co_return io::Result<>();
  const Offset end = written_end_;
  auto epochs = co_await save_epochs();
  if (!epochs) co_return epochs;
  // More than one if an append has begun a new one meanwhile.
  const std::vector<std::shared_ptr<StoredSegment>> segments = segments_;
  for (const auto& stored : segments) {
    if (stored->is_on_disk || !stored->writer || stored->writer->is_synced()) continue;
    auto synced = co_await stored->writer->sync();
    if (!synced) co_return synced;
    ++store_.counters().segment_syncs;
  }
  auto names = co_await sync_names();
  if (!names) co_return names;
  if (is_gone()) co_return io::Result<>();
  if (end > synced_end_) {
    synced_end_ = end;
    store_.note_change();
  }
  auto snapshots = co_await write_snapshots(end);
  if (!snapshots) co_return snapshots;
  const std::shared_ptr<StoredSegment> stored = segments_.back();
  const std::uint64_t bytes = stored->readable_bytes;
  if (stored->segment.has_indexes() &&
      bytes >=
          indexes_saved_bytes_ + std::max(kSaveIndexesEveryBytes, bytes / kSaveIndexesEveryPart)) {
    indexes_saved_bytes_ = bytes;
    co_return co_await save_indexes_up_to(*stored, end);
  }
  co_return io::Result<>();
}

// The indexes in memory are ahead of the file; what is saved must not be.
io::Task<io::Result<>> StoredLog::save_indexes_up_to(StoredSegment& stored, Offset end) {
  SegmentIndexes indexes = stored.segment.indexes();
  indexes.offsets.truncate_to(end);
  indexes.times.truncate_to(end);
  indexes.aborted.truncate_to(end);
  auto saved =
      co_await extend_indexes(store_.env().disk, directory_, indexes, stored.saved_indexes);
  if (!saved) co_return saved;
  co_return co_await save_sums(stored, indexes);
}

// Of what is in the segment so far; binds the index files to it.
io::Task<io::Result<>> StoredLog::save_sums(StoredSegment& stored, const SegmentIndexes& indexes) {
  if (!stored.sums_are_whole) {
    co_return co_await remove_file_durably(
        store_.env().disk, directory_,
        segment_file_name(stored.segment.base_offset(), SegmentFile::sums));
  }
  SegmentSums sums = stored.sums.first(stored.handed_bytes, stored.handed_sum);
  sums.set_indexes(indexes.offsets.serialize(), indexes.times.serialize(),
                   indexes.aborted.serialize());
  co_return co_await write_file_atomically(
      store_.env().disk, directory_,
      segment_file_name(stored.segment.base_offset(), SegmentFile::sums), sums.serialize());
}

io::Task<io::Result<>> StoredLog::close_clean() {
  auto settled = co_await settle();
  if (!settled) co_return settled;
  auto synced = co_await sync();
  if (!synced || is_deleted_) co_return synced;
  const std::shared_ptr<StoredSegment> stored = segments_.back();
  OTTLA_CHECK(written_end_ == end_);
  if (is_complete_on_disk_) co_return io::Result<>();
  if (!stored->segment.is_empty()) {
    if (!stored->writer) {
      auto opened = co_await open_writer(*stored);
      if (!opened) co_return opened;
    }
    auto finished = co_await stored->writer->finish();
    if (!finished) co_return finished;
    stored->segment.finish_time_index();
    auto saved = co_await save_indexes(store_.env().disk, directory_, stored->segment);
    if (!saved) co_return saved;
    auto summed = co_await save_sums(*stored, stored->segment.indexes());
    if (!summed) co_return summed;
  }
  if (end_ > 0) {
    auto written = co_await write_snapshot(end_, snapshot_of(producers_));
    if (!written) co_return written;
  }
  std::erase(spare_snapshots_, end_);
  co_await remove_spare_snapshots(0);
  directory_is_dirty_ = true;
  auto names = co_await sync_names();
  if (!names) co_return names;
  is_complete_on_disk_ = true;
  co_return io::Result<>();
}

// The log first: what is left beside it without it is nobody's.
io::Task<io::Result<>> StoredLog::rename_to_deleted(Offset base,
                                                    std::vector<std::string>& renamed) {
  io::Disk& disk = store_.env().disk;
  for (const SegmentFile file : {SegmentFile::log, SegmentFile::offset_index,
                                 SegmentFile::time_index, SegmentFile::transaction_index}) {
    std::string to = directory_ + "/" + segment_file_name(base, file, SegmentFileState::deleted);
    auto moved = co_await disk.rename(directory_ + "/" + segment_file_name(base, file), to);
    if (moved) {
      renamed.push_back(std::move(to));
    } else if (moved.error().kind != io::ErrorKind::not_found) {
      co_return moved;
    }
  }
  auto removed =
      co_await disk.remove(directory_ + "/" + segment_file_name(base, SegmentFile::sums));
  if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  co_return io::Result<>();
}

bool StoredLog::has_old_segments() const {
  return segments_.size() > 1 && segments_[1]->segment.base_offset() <= log_start_;
}

io::Task<io::Result<>> StoredLog::remove_old_segments(std::vector<std::string>& renamed) {
  io::Disk& disk = store_.env().disk;
  if (is_gone() || !has_old_segments()) co_return io::Result<>();
  if (!segments_.front()->is_on_disk) {
    auto settled = co_await settle();  // seals it
    if (!settled) co_return settled;
  }
  std::size_t count = 0;
  while (!is_gone() && count + 1 < segments_.size() && segments_[count]->is_on_disk &&
         segments_[count + 1]->segment.base_offset() <= log_start_) {
    const std::shared_ptr<StoredSegment> stored = segments_[count++];
    const Offset base = stored->segment.base_offset();
    stored->is_leaving = true;
    auto moved = co_await rename_to_deleted(base, renamed);
    if (!moved) co_return moved;
    if (base > 0) {
      for (const SegmentFile file : {SegmentFile::snapshot, SegmentFile::snapshot_side}) {
        (void)co_await disk.remove(directory_ + "/" + segment_file_name(base, file));
      }
    }
  }
  if (count == 0 || is_gone()) co_return io::Result<>();
  // Not before that is durable: the checkpoint leaves out a start that is the first segment's base.
  auto synced = co_await disk.sync_directory(directory_);
  if (!synced) co_return synced;
  for (std::size_t i = 0; i < count; ++i) {
    store_.index_cache().erase(id_, segments_[i]->segment.base_offset());
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
  store_.counters().removed_segments += count;
  co_return io::Result<>();
}

Cleanable StoredLog::assess_compaction(TimestampMs now) const {
  std::vector<CleanableSegment> sealed;
  for (std::size_t at = 0; at + 1 < segments_.size() && segments_[at]->is_on_disk; ++at) {
    const SegmentFacts& facts = segments_[at]->segment.facts();
    sealed.push_back({facts.base_offset, segments_[at + 1]->segment.base_offset(), facts.size_bytes,
                      facts.max_timestamp.timestamp, facts.first_timestamp});
  }
  return assess(sealed, std::max(first_dirty_, segments_.front()->segment.base_offset()),
                last_stable_offset(),
                {.dirty_ratio_min = config_.min_cleanable_dirty_ratio,
                 .lag_min_ms = config_.min_compaction_lag_ms,
                 .lag_max_ms = config_.max_compaction_lag_ms},
                now);
}

void StoredLog::note_compacted(Offset first_dirty) {
  first_dirty_ = std::max(first_dirty_, first_dirty);
  store_.note_change();
}

bool StoredLog::holds(const std::vector<std::shared_ptr<StoredSegment>>& sealed) const {
  if (is_gone()) return false;
  const auto at = std::ranges::find(segments_, sealed.front());
  if (static_cast<std::size_t>(segments_.end() - at) <= sealed.size()) return false;
  return std::equal(sealed.begin(), sealed.end(), at) &&
         std::ranges::all_of(sealed, [](const auto& stored) { return stored->is_on_disk; });
}

// The log last: a start that finds it under its new name finds the others as well.
io::Task<io::Result<>> StoredLog::rename_all(Offset base, SegmentFileState from,
                                             SegmentFileState to) {
  io::Disk& disk = store_.env().disk;
  for (const SegmentFile file :
       {SegmentFile::offset_index, SegmentFile::time_index, SegmentFile::transaction_index,
        SegmentFile::sums, SegmentFile::log}) {
    auto moved = co_await disk.rename(directory_ + "/" + segment_file_name(base, file, from),
                                      directory_ + "/" + segment_file_name(base, file, to));
    const bool may_be_missing = file == SegmentFile::transaction_index;
    if (!moved && !(may_be_missing && moved.error().kind == io::ErrorKind::not_found))
      co_return moved;
  }
  co_return co_await disk.sync_directory(directory_);
}

io::Task<io::Result<bool>> StoredLog::replace_segments(
    std::vector<std::shared_ptr<StoredSegment>> old, std::shared_ptr<StoredSegment> fresh,
    std::vector<std::string>& renamed) {
  io::Disk& disk = store_.env().disk;
  Journal& journal = store_.journal();
  if (!holds(old) || !journal.has_room_for_own(creation_bytes())) co_return false;
  const Offset base = fresh->segment.base_offset();
  const Offset end = fresh->segment.next_offset();
  auto made = co_await disk.sync_directory(directory_);
  if (!made) co_return std::unexpected(std::move(made.error()));
  if (!holds(old) || !journal.has_room_for_own(creation_bytes())) co_return false;
  journal_creation();
  journal.seal(journal.stage(JournalKind::compact, id_, end, -1, 0),
               std::static_pointer_cast<StoredLog>(shared_from_this()), marks_, end_);
  if (!co_await journal.flushed()) co_return std::unexpected(journal.failure());
  if (!holds(old)) co_return false;
  auto ready = co_await rename_all(base, SegmentFileState::cleaned, SegmentFileState::swap);
  if (!ready) co_return std::unexpected(std::move(ready.error()));

  const auto at = std::ranges::find(segments_, old.front());
  const auto behind = segments_.erase(at, at + static_cast<std::ptrdiff_t>(old.size()));
  fresh->is_on_disk = true;
  fresh->written_at = old.back()->written_at;
  fresh->scrub_at =
      store_.env().clock.now() + std::chrono::milliseconds(store_.limits().scrub_interval_ms);
  segments_.insert(behind, fresh);
  for (const auto& stored : old) {
    stored->is_leaving = true;
    store_.index_cache().erase(id_, stored->segment.base_offset());
  }
  drop_tail(end);  // readers of memory see what readers of files see

  for (const auto& stored : old) {
    const Offset old_base = stored->segment.base_offset();
    auto moved = co_await rename_to_deleted(old_base, renamed);
    if (!moved) co_return std::unexpected(std::move(moved.error()));
    if (old_base == base) continue;
    for (const SegmentFile file : {SegmentFile::snapshot, SegmentFile::snapshot_side}) {
      (void)co_await disk.remove(directory_ + "/" + segment_file_name(old_base, file));
    }
  }
  auto gone = co_await disk.sync_directory(directory_);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  auto placed = co_await rename_all(base, SegmentFileState::swap, SegmentFileState::live);
  if (!placed) co_return std::unexpected(std::move(placed.error()));
  fresh->reader.reset();  // from here on it is found by its name
  if (!is_gone() && has_sealed(*fresh))
    store_.index_cache().insert(id_, fresh->segment.detach_indexes());
  co_return true;
}

io::Task<LogResult<>> StoredLog::apply_retention(TimestampMs now) {
  const auto alive = std::static_pointer_cast<StoredLog>(shared_from_this());
  if (is_gone() || is_truncating_) co_return LogResult<>();
  std::vector<SegmentAge> ages;
  ages.reserve(segments_.size());
  for (std::size_t at = 0; at < segments_.size(); ++at) {
    const Segment& segment = segments_[at]->segment;
    const bool is_active = at + 1 == segments_.size();
    ages.push_back(
        {is_active ? end_ : segments_[at + 1]->segment.base_offset(), segment.size_bytes(),
         segment.max_timestamp() >= 0 ? segment.max_timestamp() : segments_[at]->written_at});
  }
  const RetentionRules rules{config_.is_deleted_when_old ? config_.retention_ms : -1,
                             config_.is_deleted_when_old ? config_.retention_bytes : -1};
  const std::size_t count = count_expired(ages, rules, high_watermark_, now);
  if (count > 0 && ages[count - 1].end_offset > log_start_) {
    if (count == segments_.size()) roll();
    store_.env().logger.info("{}: retention removes {} segments, up to offset {}", directory_,
                             count, ages[count - 1].end_offset - 1);
    auto moved = co_await delete_records(ages[count - 1].end_offset);
    if (!moved) co_return std::unexpected(moved.error());
  } else if (has_old_segments()) {
    store_.want_cleanup(alive);
  }
  co_return LogResult<>();
}

io::Task<io::Result<>> StoredLog::cut_files(Offset end) {
  io::Disk& disk = store_.env().disk;
  auto settled = co_await settle();
  if (!settled || is_gone()) co_return settled;
  OTTLA_CHECK(written_end_ == durable_end_ && durable_end_ == end_);
  auto snapshots = co_await remove_snapshots_above(disk, directory_, end);
  if (!snapshots) co_return snapshots;
  std::erase_if(snapshots_, [&](const PendingSnapshot& pending) { return pending.offset > end; });
  std::erase_if(spare_snapshots_, [&](Offset offset) { return offset > end; });
  while (segments_.size() > 1 && segments_.back()->segment.base_offset() >= end) {
    const Offset base = segments_.back()->segment.base_offset();
    segments_.pop_back();
    store_.index_cache().erase(id_, base);
    auto derived = co_await remove_derived_files(disk, directory_, base);
    if (!derived) co_return derived;
    auto removed = co_await disk.remove(log_path(directory_, base));
    if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  }
  const std::shared_ptr<StoredSegment> stored = segments_.back();
  const Offset base = stored->segment.base_offset();
  if (!stored->segment.has_indexes()) {
    auto indexes = co_await indexes_of(stored);
    if (!indexes) {
      co_return std::unexpected(io::Error{io::ErrorKind::input_output,
                                          directory_ + ": an index can't be read to truncate"});
    }
    stored->segment.attach_indexes(std::make_unique<SegmentIndexes>(**indexes));
    store_.index_cache().erase(id_, base);
  }
  if (end < stored->segment.next_offset()) {
    auto derived = co_await remove_derived_files(disk, directory_, base);
    if (!derived) co_return derived;
    auto reader = co_await store_.reader_of(stored, log_path(directory_, base));
    if (!reader) co_return std::unexpected(std::move(reader.error()));
    auto cut = co_await truncate_segment(*reader, stored->segment, end);
    if (!cut) co_return std::unexpected(std::move(cut.error()));
    stored->readable_bytes = cut->valid_end;
  }
  stored->is_on_disk = false;
  stored->handed_bytes = stored->readable_bytes;
  stored->sums_are_whole = false;
  if (stored->readable_bytes == 0) begin_sums();
  stored->saved_indexes = {};
  auto opened = co_await open_writer(*stored);
  if (!opened) co_return opened;
  auto synced = co_await stored->writer->sync();
  if (!synced) co_return synced;
  auto directory = co_await disk.sync_directory(directory_);
  if (!directory) co_return directory;

  end_ = durable_end_ = written_end_ = readable_end_ = stored->segment.next_offset();
  synced_end_ = std::min(synced_end_, end_);
  indexes_saved_bytes_ = stored->readable_bytes;
  unwritten_bytes_ = 0;
  clear_tail();
  is_complete_on_disk_ = false;
  std::erase_if(damages_, [&](const DamagedOffsets& damage) { return damage.from >= end_; });
  for (DamagedOffsets& damage : damages_) damage.to = std::min(damage.to, end_);
  if (epochs_.truncate_from_end(end_)) epochs_are_dirty_ = true;
  auto epochs = co_await save_epochs();
  if (!epochs) co_return epochs;
  std::vector<SegmentFrom> facts;
  facts.reserve(segments_.size());
  for (const auto& segment : segments_) facts.push_back({segment->segment.facts(), 0});
  const TimestampMs now = store_.env().clock.wall_ms();
  auto state = co_await load_snapshot(disk, directory_, facts.front().facts.base_offset, end_, now);
  if (!state) co_return std::unexpected(std::move(state.error()));
  state =
      co_await replay_producers(disk, directory_, std::move(facts), std::move(*state), end_, now);
  if (!state) co_return std::unexpected(std::move(state.error()));
  producers_ = std::move(*state);
  producers_.on_high_watermark(high_watermark_);
  co_return io::Result<>();
}

}  // namespace ottla::storage
