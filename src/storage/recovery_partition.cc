#include "storage/recovery_partition.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint_file.h"
#include "storage/file_batches.h"
#include "storage/log_directory.h"
#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/segment_sums.h"
#include "storage/store_recovery_files.h"

namespace ottla::storage {

namespace {

// Padding that a writer with direct I/O leaves behind the last batch.
constexpr std::uint64_t kPaddingBytesMax = io::kDirectAlignment;

constexpr Offset kNever = std::numeric_limits<Offset>::max();

// More bytes than this in which two batches differ are no rot.
constexpr std::size_t kRottenBytesMax = 512;

bool is_nearly(ByteView one, ByteView other) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < one.size(); ++i) different += one[i] == other[i] ? 0 : 1;
  return different <= kRottenBytesMax;
}

class Loader {
 public:
  Loader(io::Env& env, PartitionToLoad what, PartitionHistory history)
      : env_(env), disk_(env.disk), what_(std::move(what)), history_(std::move(history)) {}

  io::Task<io::Result<PartitionLoad>> load();

 private:
  io::Task<io::Result<>> finish_interrupted_work();
  io::Task<io::Result<>> restore_blocks();
  Offset first_from_journal() const;
  io::Task<io::Result<>> load_epochs();
  io::Task<io::Result<>> load_segments();
  io::Task<io::Result<>> load_sealed(Offset base, std::uint64_t bytes, Offset next_base);
  io::Task<io::Result<>> load_last(Offset base, std::uint64_t bytes);
  io::Task<io::Result<bool>> judge_last(std::shared_ptr<io::File> file, Segment& segment,
                                        std::uint64_t bytes, std::optional<SegmentSums>& sums);
  io::Task<io::Result<>> add_to_sums(std::shared_ptr<io::File> file, SegmentSums& sums,
                                     std::uint64_t to);
  io::Task<io::Result<bool>> go_back_to_last_entry(std::shared_ptr<io::File> file, Segment& segment,
                                                   std::uint64_t bytes);
  io::Task<io::Result<std::optional<SegmentSums>>> read_sums(Offset base);
  io::Task<io::Result<>> agrees_with_journal(std::shared_ptr<io::File> file);
  std::unexpected<io::Error> disagreement(Offset at) const;
  io::Task<io::Result<std::uint64_t>> position_of(const Segment& segment, Offset offset);
  io::Task<io::Result<>> complete_sums(std::shared_ptr<io::File> file,
                                       std::optional<SegmentSums> known);
  io::Task<io::Result<Segment>> rebuild(Offset base, std::uint64_t bytes, bool is_last);
  io::Task<io::Result<>> note_tail(std::shared_ptr<io::File> file, std::uint64_t valid_end,
                                   std::uint64_t bytes);
  io::Task<io::Result<>> compare_with_journal();
  io::Task<io::Result<>> cut_segments(Offset end);
  io::Task<io::Result<>> load_producers();
  void note_spare_snapshots(Offset end);

  std::string path(Offset base, SegmentFile file = SegmentFile::log) const {
    return what_.directory + "/" + segment_file_name(base, file);
  }
  io::Task<io::Result<std::optional<std::uint64_t>>> restore_rotten(
      Offset base, std::array<std::uint64_t, 2> places, const JournaledBatch& batch);
  void damaged(Offset from, Offset to, std::string cause);
  // Whether the recovery point says what must be there: after a clean stop, Kafka's too, it is the
  // log's end. A killed Kafka's is behind what it had not flushed, and may be lost.
  bool is_point_believed() const { return what_.was_clean || !what_.is_kafkas; }

  io::Env& env_;
  io::Disk& disk_;
  PartitionToLoad what_;
  PartitionHistory history_;
  PartitionLoad load_;
  std::vector<std::pair<Offset, std::uint64_t>> files_;  // base, bytes
  // From here on the journal is taken at its word and the last segment is written anew: a sync that
  // failed may have left there what only a cache has. All before it was synced before an older
  // journal file went.
  Offset journal_from_ = kNever;
  // Indexes hold all aborted transactions whose marker is below it.
  Offset indexed_end_ = 0;
  std::vector<Offset> snapshots_;  // of producers, found on disk
  std::vector<Offset> rebuilt_;    // sealed segments whose index files are to be written
};

void Loader::damaged(Offset from, Offset to, std::string cause) {
  if (from >= to) return;
  env_.logger.error("{}: offsets {} to {} are lost or damaged ({}); they answer CORRUPT_MESSAGE",
                    what_.directory, from, to - 1, cause);
  load_.partition.damages.push_back({from, to, std::move(cause)});
}

io::Task<io::Result<PartitionLoad>> Loader::load() {
  LoadedPartition& partition = load_.partition;
  partition.id = what_.id;
  partition.name = what_.name;
  partition.directory = what_.directory;
  auto finished = co_await finish_interrupted_work();
  if (!finished) co_return std::unexpected(std::move(finished.error()));
  auto restored = co_await restore_blocks();
  if (!restored) co_return std::unexpected(std::move(restored.error()));
  auto epochs = co_await load_epochs();
  if (!epochs) co_return std::unexpected(std::move(epochs.error()));
  journal_from_ = first_from_journal();
  if (journal_from_ != kNever) what_.recovery_point = journal_from_;
  auto segments = co_await load_segments();
  if (!segments) co_return std::unexpected(std::move(segments.error()));

  if (what_.was_clean && partition.segments.empty() && what_.recovery_point > 0) {
    // Nothing can be served; but what was given out once is not given out again.
    damaged(std::min(what_.log_start_offset, what_.recovery_point), what_.recovery_point,
            "the segment's file is gone");
    partition.segments.emplace_back(what_.recovery_point, SegmentSettings{});
  }
  partition.log_start_offset = std::max(what_.log_start_offset, history_.log_start);
  if (!partition.segments.empty()) {
    partition.log_start_offset =
        std::max(partition.log_start_offset, partition.segments.front().base_offset());
  }
  auto compared = co_await compare_with_journal();
  if (!compared) co_return std::unexpected(std::move(compared.error()));
  const Offset end =
      partition.tail.empty()
          ? partition.segments_end()
          : wire::load_batch_header(partition.tail.back().bytes.data()).next_offset();
  // A start above the end: the records before it are gone, and so is what stood behind.
  if (partition.log_start_offset > end && !partition.segments.empty()) {
    partition.log_start_offset = end;
  }
  if (partition.epochs.truncate_from_end(partition.segments_end())) {
    partition.epochs_are_saved = false;
  }
  auto producers = co_await load_producers();
  if (!producers) co_return std::unexpected(std::move(producers.error()));
  note_spare_snapshots(end);
  partition.names_are_durable = what_.was_clean;
  partition.is_complete_on_disk = what_.was_clean && partition.tail.empty();
  co_return std::move(load_);
}

// What compaction, deletion or a roll left half done (interop.md E.2, E.4).
io::Task<io::Result<>> Loader::finish_interrupted_work() {
  auto entries = co_await disk_.list(what_.directory);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  std::vector<Offset> cleaned;
  std::vector<Offset> swaps;
  bool any = false;
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    const bool is_temporary = entry.name.ends_with(kTemporarySuffix);
    if (!name && !is_temporary) continue;
    if (is_temporary || name->state == SegmentFileState::deleted ||
        name->state == SegmentFileState::cleaned) {
      if (name && name->state == SegmentFileState::cleaned) cleaned.push_back(name->offset);
      auto removed = co_await disk_.remove(what_.directory + "/" + entry.name);
      if (!removed) co_return removed;
      any = true;
    } else if (name->state == SegmentFileState::swap && name->file == SegmentFile::log) {
      swaps.push_back(name->offset);
    }
  }
  std::erase_if(swaps, [&](Offset base) {
    return std::any_of(cleaned.begin(), cleaned.end(), [&](Offset at) { return at <= base; });
  });
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (!name || name->state != SegmentFileState::swap) continue;
    any = true;
    const bool is_kept = std::find(swaps.begin(), swaps.end(), name->offset) != swaps.end();
    if (!is_kept) {
      auto removed = co_await disk_.remove(what_.directory + "/" + entry.name);
      if (!removed) co_return removed;
      continue;
    }
    if (name->file == SegmentFile::log) {
      // The segments that it replaces: those that begin inside it.
      auto file = co_await disk_.open(what_.directory + "/" + entry.name, {});
      if (!file) co_return std::unexpected(std::move(file.error()));
      FileBatches batches(*file, 0, entry.size_bytes);
      Offset next = name->offset;
      while (true) {
        auto batch = co_await batches.next_header();
        if (!batch && !batch.error().is_damage()) co_return std::unexpected(batch.error().io);
        if (!batch || !*batch) break;
        next = (*batch)->header.next_offset();
      }
      for (const io::DirectoryEntry& other : *entries) {
        const auto old = parse_segment_file_name(other.name);
        if (!old || old->state != SegmentFileState::live || old->file != SegmentFile::log ||
            old->offset <= name->offset || old->offset >= next) {
          continue;
        }
        auto removed = co_await disk_.remove(what_.directory + "/" + other.name);
        if (!removed) co_return removed;
      }
      // What the old segment had beside it says nothing of the new one.
      for (const SegmentFile derived : {SegmentFile::sums, SegmentFile::offset_index,
                                        SegmentFile::time_index, SegmentFile::transaction_index}) {
        const std::string swap = segment_file_name(name->offset, derived, SegmentFileState::swap);
        if (std::ranges::find(*entries, swap, &io::DirectoryEntry::name) != entries->end())
          continue;
        const bool is_old_there = std::ranges::any_of(*entries, [&](const auto& other) {
          const auto old = parse_segment_file_name(other.name);
          return old && old->offset == name->offset && old->state == SegmentFileState::live &&
                 old->file == SegmentFile::log;
        });
        if (!is_old_there) continue;  // the swap had come that far: it is the new one's
        auto removed = co_await disk_.remove(path(name->offset, derived));
        if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
      }
      // The new one must not stand beside what it replaces.
      auto synced = co_await disk_.sync_directory(what_.directory);
      if (!synced) co_return synced;
    }
    auto renamed =
        co_await disk_.rename(what_.directory + "/" + entry.name, path(name->offset, name->file));
    if (!renamed) co_return renamed;
  }
  // Derived files without their log are nobody's.
  if (any) entries = co_await disk_.list(what_.directory);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (name && name->state == SegmentFileState::live && name->file == SegmentFile::log) {
      files_.emplace_back(name->offset, entry.size_bytes);
    }
  }
  std::sort(files_.begin(), files_.end());
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (!name || name->state != SegmentFileState::live || name->file == SegmentFile::log ||
        name->file == SegmentFile::snapshot_side) {
      continue;
    }
    if (name->file == SegmentFile::snapshot) {
      snapshots_.push_back(name->offset);
      continue;
    }
    const bool has_log = std::any_of(files_.begin(), files_.end(),
                                     [&](const auto& file) { return file.first == name->offset; });
    if (has_log) continue;
    auto removed = co_await disk_.remove(what_.directory + "/" + entry.name);
    if (!removed) co_return removed;
    any = true;
  }
  if (any) co_return co_await disk_.sync_directory(what_.directory);
  co_return io::Result<>();
}

// A crash in the midst of writing a last block again may have cost what was durable in it.
io::Task<io::Result<>> Loader::restore_blocks() {
  for (const auto& [base, block] : history_.blocks) {
    const auto at = std::find_if(files_.begin(), files_.end(),
                                 [&](const auto& file) { return file.first == base; });
    if (at == files_.end() || at->second < block.position) continue;
    auto file = co_await disk_.open(path(base), {.write = true});
    if (!file) co_return std::unexpected(std::move(file.error()));
    Bytes there(block.bytes.size());
    auto read = co_await (*file)->read(block.position, there);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (*read == there.size() && std::ranges::equal(there, block.bytes.view())) continue;
    auto written = co_await (*file)->write(block.position, block.bytes);
    if (!written) co_return written;
    auto synced = co_await (*file)->sync_data();
    if (!synced) co_return synced;
    at->second = std::max<std::uint64_t>(at->second, block.position + block.bytes.size());
  }
  co_return io::Result<>();
}

// Where the last run of whole batches begins that the journal has up to its end; in the last
// segment, since those before it were synced when it was begun.
Offset Loader::first_from_journal() const {
  Offset first = kNever;
  if (what_.was_clean || what_.is_kafkas) return first;
  for (auto batch = history_.batches.rbegin(); batch != history_.batches.rend(); ++batch) {
    if (batch->bytes.empty() || (first != kNever && batch->next_offset != first)) break;
    first = batch->base_offset;
  }
  return first == kNever || files_.empty() ? first : std::max(first, files_.back().first);
}

io::Task<io::Result<>> Loader::load_epochs() {
  auto text = co_await read_small_file(disk_, what_.directory + "/" + std::string(kLeaderEpochFile),
                                       kSmallFileBytesMax * 16);
  if (text) {
    auto parsed = LeaderEpochCache::parse(as_text(*text));
    if (parsed) {
      load_.partition.epochs = std::move(*parsed);
      co_return io::Result<>();
    }
    env_.logger.warning("{}/{}: {}; building it anew", what_.directory, kLeaderEpochFile,
                        parsed.error().message);
  } else if (text.error().kind != io::ErrorKind::not_found) {
    co_return std::unexpected(std::move(text.error()));
  }
  if (files_.empty()) co_return io::Result<>();
  load_.partition.epochs_are_saved = false;
  for (const auto& [base, bytes] : files_) {
    auto file = co_await disk_.open(path(base), {});
    if (!file) co_return std::unexpected(std::move(file.error()));
    FileBatches batches(*file, 0, bytes);
    while (true) {
      auto batch = co_await batches.next_header();
      if (!batch && !batch.error().is_damage()) co_return std::unexpected(batch.error().io);
      if (!batch || !*batch) break;
      const wire::BatchHeader& header = (*batch)->header;
      if (header.leader_epoch >= 0) {
        load_.partition.epochs.assign(header.leader_epoch, header.base_offset);
      }
    }
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> Loader::load_segments() {
  indexed_end_ = std::numeric_limits<Offset>::max();
  for (std::size_t at = 0; at < files_.size(); ++at) {
    const auto [base, bytes] = files_[at];
    const bool is_last = at + 1 == files_.size();
    auto loaded = is_last ? co_await load_last(base, bytes)
                          : co_await load_sealed(base, bytes, files_[at + 1].first);
    if (!loaded) co_return loaded;
    if (is_last || load_.partition.segments.back().next_offset() == files_[at + 1].first) continue;
    if (load_.partition.segments.back().next_offset() < files_[at + 1].first &&
        load_.partition.segments.back().size_bytes() == bytes) {
      continue;  // whole, with a gap of compaction
    }
    // Cut inside: what stands behind was written by a Kafka that lost this before it crashed.
    for (std::size_t later = at + 1; later < files_.size(); ++later) {
      load_.cut_bytes += files_[later].second;
      auto derived = co_await remove_derived_files(disk_, what_.directory, files_[later].first);
      if (!derived) co_return derived;
      auto removed = co_await disk_.remove(path(files_[later].first));
      if (!removed) co_return removed;
    }
    co_return co_await disk_.sync_directory(what_.directory);
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> Loader::load_sealed(Offset base, std::uint64_t bytes, Offset next_base) {
  // Ours are synced before their successor is begun.
  const bool is_trusted = what_.was_clean || !what_.is_kafkas || next_base <= what_.recovery_point;
  if (is_trusted) {
    std::optional<SegmentSums> sums;
    const bool wants_sums = !what_.was_clean && !what_.is_kafkas;
    if (wants_sums) {
      auto read = co_await read_sums(base);
      if (!read) co_return std::unexpected(std::move(read.error()));
      sums = std::move(*read);
    }
    auto indexes = co_await load_indexes(disk_, what_.directory, base, bytes, next_base,
                                         sums ? &*sums : nullptr);
    if (!indexes) co_return std::unexpected(std::move(indexes.error()));
    const bool is_usable =
        indexes->has_value() && (!wants_sums || (sums && sums->log_bytes() == bytes));
    if (is_usable) {
      const TimestampOffset greatest = (**indexes)->times.last();
      SegmentFacts facts{
          .base_offset = base,
          .next_offset = next_base,
          .size_bytes = bytes,
          .max_timestamp = (**indexes)->times.size() == 0 ? TimestampOffset{} : greatest,
          .first_timestamp = -1};
      load_.partition.segments.emplace_back(facts, SegmentSettings{});
      co_return io::Result<>();
    }
    env_.logger.info("{}: indexes of segment {}: {}; building them anew", what_.directory, base,
                     *indexes ? "not summed" : indexes->error().message);
  }
  auto segment = co_await rebuild(base, bytes, false);
  if (!segment) co_return std::unexpected(std::move(segment.error()));
  if (segment->size_bytes() < bytes && is_point_believed()) {
    // It was synced before its successor was begun: this is no torn tail.
    damaged(segment->next_offset(), next_base, "a sealed segment does not hold");
    SegmentFacts facts = segment->facts();
    facts.next_offset = next_base;
    facts.size_bytes = bytes;
    Segment whole(facts, SegmentSettings{});
    whole.attach_indexes(segment->detach_indexes());
    load_.partition.segments.push_back(std::move(whole));
  } else {
    load_.partition.segments.push_back(std::move(*segment));
  }
  rebuilt_.push_back(base);
  co_return io::Result<>();
}

io::Task<io::Result<Segment>> Loader::rebuild(Offset base, std::uint64_t bytes, bool is_last) {
  auto file = co_await disk_.open(path(base), {.write = what_.is_kafkas});
  if (!file) co_return std::unexpected(std::move(file.error()));
  if (what_.is_kafkas) {
    // What is only in a cache must not be built upon.
    auto synced = co_await (*file)->sync_data();
    if (!synced) co_return std::unexpected(std::move(synced.error()));
  }
  Segment segment(base, SegmentSettings{});
  const Offset stop_at = is_last ? journal_from_ : kNever;
  auto result = co_await rebuild_segment(
      *file, bytes, segment, {}, {.base_offset = base, .next_offset = base, .stop_at = stop_at},
      env_.clock.wall_ms());
  if (!result) co_return std::unexpected(std::move(result.error()));
  load_.scanned_bytes += bytes;
  indexed_end_ = std::min(indexed_end_, base);
  if (result->damage && (is_last || !is_point_believed())) {
    if (result->damage->offset < what_.recovery_point && is_point_believed()) {
      damaged(result->damage->offset, what_.recovery_point, result->damage->to_string());
    }
    auto noted = co_await note_tail(*file, result->valid_end, bytes);
    if (!noted) co_return std::unexpected(std::move(noted.error()));
  }
  co_return segment;
}

// What stands behind the last good batch: padding, or something lost.
io::Task<io::Result<>> Loader::note_tail(std::shared_ptr<io::File> file, std::uint64_t valid_end,
                                         std::uint64_t bytes) {
  if (valid_end >= bytes) co_return io::Result<>();
  if (journal_from_ != kNever) co_return io::Result<>();  // the journal has it
  if (bytes - valid_end < kPaddingBytesMax) {
    Bytes rest(bytes - valid_end);
    auto read = co_await file->read(valid_end, rest);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (std::all_of(rest.begin(), rest.end(), [](std::uint8_t byte) { return byte == 0; })) {
      co_return io::Result<>();
    }
  }
  load_.cut_bytes += bytes - valid_end;
  co_return io::Result<>();
}

// With indexes from disk: judges the batches from the last entry on.
io::Task<io::Result<bool>> Loader::judge_last(std::shared_ptr<io::File> file, Segment& segment,
                                              std::uint64_t bytes,
                                              std::optional<SegmentSums>& sums) {
  std::uint64_t valid_end = bytes;
  if (what_.was_clean) {
    auto tail = co_await load_segment_tail(file, valid_end, segment);
    if (!tail) co_return std::unexpected(std::move(tail.error()));
    if (tail->damage) co_return false;
  } else {
    auto begun = co_await go_back_to_last_entry(file, segment, bytes);
    if (!begun || !*begun) co_return begun;
    const std::uint64_t from = segment.size_bytes();
    sums->truncate_to_block(from);
    auto summed = co_await add_to_sums(file, *sums, from);
    if (!summed) co_return std::unexpected(std::move(summed.error()));
    auto verified = co_await extend_segment(file, bytes, segment, &*sums,
                                            {.base_offset = segment.base_offset(),
                                             .next_offset = segment.next_offset(),
                                             .stop_at = journal_from_});
    if (!verified) co_return std::unexpected(std::move(verified.error()));
    load_.scanned_bytes += verified->valid_end - from;
    if (verified->damage && verified->damage->offset < what_.recovery_point) co_return false;
    if (from > 0 && verified->batch_count == 0) co_return false;
    valid_end = verified->valid_end;
  }
  auto noted = co_await note_tail(file, valid_end, bytes);
  if (!noted) co_return std::unexpected(std::move(noted.error()));
  co_return true;
}

// Gives the segment the facts it had when its last index entry was made, so that appending goes on
// from there.
io::Task<io::Result<bool>> Loader::go_back_to_last_entry(std::shared_ptr<io::File> file,
                                                         Segment& segment, std::uint64_t bytes) {
  auto indexes = segment.detach_indexes();
  const std::size_t entries = indexes->offsets.size();
  SegmentFacts facts{.base_offset = segment.base_offset(), .next_offset = segment.base_offset()};
  if (entries > 0) {
    facts.size_bytes = indexes->offsets.entry(entries - 1).position;
    if (entries > 1) facts.next_offset = indexes->offsets.entry(entries - 2).offset + 1;
    if (indexes->times.size() > 0) facts.max_timestamp = indexes->times.last();
    if (facts.size_bytes > bytes) co_return false;
    FileBatches first(file, 0, bytes, kHopPieceBytes);
    auto batch = co_await first.next_header();
    if (!batch && !batch.error().is_damage()) co_return std::unexpected(batch.error().io);
    if (!batch || !*batch) co_return false;
    facts.first_timestamp = (*batch)->header.max_timestamp;
  }
  segment = Segment(facts, segment.settings());
  segment.attach_indexes(std::move(indexes));
  co_return true;
}

// Index files have no checksum of their own, and a crash may have come while they were written.
io::Task<io::Result<std::optional<SegmentSums>>> Loader::read_sums(Offset base) {
  auto file = co_await read_small_file(disk_, path(base, SegmentFile::sums), kSumsFileBytesMax);
  if (!file) {
    if (file.error().kind == io::ErrorKind::not_found) co_return std::nullopt;
    co_return std::unexpected(std::move(file.error()));
  }
  auto sums = SegmentSums::parse(*file, {what_.id, base});
  if (!sums) co_return std::nullopt;
  co_return std::move(*sums);
}

io::Task<io::Result<>> Loader::load_last(Offset base, std::uint64_t bytes) {
  auto read = co_await read_sums(base);
  if (!read) co_return std::unexpected(std::move(read.error()));
  std::optional<SegmentSums> sums = std::move(*read);
  const bool wants_sums = !what_.was_clean;
  auto indexes = co_await load_indexes(disk_, what_.directory, base, bytes, std::nullopt,
                                       wants_sums && sums ? &*sums : nullptr);
  if (!indexes) co_return std::unexpected(std::move(indexes.error()));
  const bool is_usable =
      indexes->has_value() && bytes > 0 && (!wants_sums || (sums && sums->log_bytes() <= bytes));
  if (is_usable) {
    auto file = co_await disk_.open(path(base), {});
    if (!file) co_return std::unexpected(std::move(file.error()));
    if (journal_from_ != kNever) {
      // They are saved of what was synced; what the journal has is made anew.
      (**indexes)->offsets.truncate_to(journal_from_);
      (**indexes)->times.truncate_to(journal_from_);
      (**indexes)->aborted.truncate_to(journal_from_);
    }
    SavedIndexes& saved = load_.partition.saved_indexes;
    saved = {(**indexes)->offsets.serialize().size(), (**indexes)->times.serialize().size(),
             (**indexes)->aborted.serialize().size()};
    Segment segment(SegmentFacts{.base_offset = base, .next_offset = base}, SegmentSettings{});
    segment.attach_indexes(std::move(**indexes));
    const std::uint64_t indexed_bytes = sums ? sums->log_bytes() : 0;
    auto judged = co_await judge_last(*file, segment, bytes, sums);
    if (!judged) co_return std::unexpected(std::move(judged.error()));
    const bool is_short = what_.was_clean && segment.next_offset() < what_.recovery_point;
    if (*judged && !is_short) {
      if (!what_.was_clean) {
        Offset end = segment.next_offset();
        if (indexed_bytes < segment.size_bytes()) {
          FileBatches rest(*file, indexed_bytes, segment.size_bytes(), kHopPieceBytes);
          auto batch = co_await rest.next_header();
          end = batch && *batch ? (*batch)->header.base_offset : base;
        }
        indexed_end_ = std::min(indexed_end_, end);
      }
      load_.partition.segments.push_back(std::move(segment));
      auto agrees = co_await agrees_with_journal(*file);
      if (!agrees) co_return agrees;
      co_return co_await complete_sums(*file, std::move(sums));
    }
  }
  load_.partition.saved_indexes = {};
  auto segment = co_await rebuild(base, bytes, true);
  if (!segment) co_return std::unexpected(std::move(segment.error()));
  if (what_.was_clean && load_.partition.damages.empty()) {
    damaged(segment->next_offset(), what_.recovery_point, "the segment has become shorter");
  }
  // Below the recovery point nothing is cut: it stays where it is, and new batches go to a segment
  // of their own.
  const bool is_damaged = !load_.partition.damages.empty() &&
                          load_.partition.damages.back().to == what_.recovery_point &&
                          segment->next_offset() < what_.recovery_point;
  if (is_damaged) {
    SegmentFacts facts = segment->facts();
    facts.next_offset = what_.recovery_point;
    facts.size_bytes = bytes;
    Segment whole(facts, SegmentSettings{});
    whole.attach_indexes(segment->detach_indexes());
    load_.partition.segments.push_back(std::move(whole));
    load_.partition.segments.emplace_back(what_.recovery_point, SegmentSettings{});
    rebuilt_.push_back(base);
    load_.cut_bytes = 0;
    co_return io::Result<>();
  }
  load_.partition.segments.push_back(std::move(*segment));
  if (what_.was_clean || what_.is_kafkas) co_return io::Result<>();
  auto file = co_await disk_.open(path(base), {});
  if (!file) co_return std::unexpected(std::move(file.error()));
  auto agrees = co_await agrees_with_journal(*file);
  if (!agrees) co_return agrees;
  co_return co_await complete_sums(*file, std::nullopt);
}

std::unexpected<io::Error> Loader::disagreement(Offset at) const {
  return std::unexpected(io::Error{
      io::ErrorKind::invalid,
      fmt::format("{}: the segment has another batch at offset {} than the journal. Did Kafka run "
                  "on this folder after an unclean stop? Restore it, or remove the journals "
                  "(*.journal.ottla, {}) to take what the segments say",
                  what_.directory, at, kJournalListFile)});
}

// What the last segment's file holds from journal_from_ on is about to be written over: it must be
// what the journal has, or nothing whole. Whoever else wrote there kept the first of our batches
// and put his own behind them; so the place where they part is searched, not walked to.
io::Task<io::Result<>> Loader::agrees_with_journal(std::shared_ptr<io::File> file) {
  const Segment& segment = load_.partition.segments.back();
  const auto& batches = history_.batches;
  const auto first = std::partition_point(
      batches.begin(), batches.end(),
      [&](const JournaledBatch& batch) { return batch.base_offset < journal_from_; });
  if (journal_from_ == kNever || first == batches.end() ||
      first->base_offset != segment.next_offset()) {
    co_return io::Result<>();
  }
  auto bytes = file->size_bytes();
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  std::vector<std::uint64_t> positions{segment.size_bytes()};
  for (auto batch = first; batch != batches.end() && positions.back() < *bytes; ++batch) {
    positions.push_back(positions.back() + batch->bytes.size());
  }
  // Of those at positions, the first that is not ours: between low and high.
  std::size_t low = 0;
  std::size_t high = positions.size() - 1;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    FileBatches there(file, positions[middle], *bytes, kHopPieceBytes);
    auto batch = co_await there.next_header();
    if (!batch && !batch.error().is_damage()) co_return std::unexpected(batch.error().io);
    const bool is_ours =
        batch && *batch && (*batch)->header == wire::load_batch_header(first[middle].bytes.data());
    if (is_ours) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (positions[low] >= *bytes) co_return io::Result<>();
  FileBatches there(file, positions[low], *bytes);
  auto batch = co_await there.next();
  if (!batch && !batch.error().is_damage()) co_return std::unexpected(batch.error().io);
  if (!batch || !*batch || !(*batch)->crc_matches) co_return io::Result<>();
  const Offset at = (*batch)->header.base_offset;
  const Offset expected = low == 0 ? journal_from_ : first[low - 1].next_offset;
  // What a truncation has cut may still be there.
  if (at != expected || at >= history_.truncated_to.value_or(kNever)) co_return io::Result<>();
  co_return disagreement(at);
}

// The sums of the active segment go on with what is appended to it, so that the next start has them
// again.
io::Task<io::Result<>> Loader::complete_sums(std::shared_ptr<io::File> file,
                                             std::optional<SegmentSums> known) {
  const Segment& segment = load_.partition.segments.back();
  // After a clean stop they are whole, or not ours.
  if (what_.was_clean && (!known || known->log_bytes() != segment.size_bytes())) {
    co_return io::Result<>();
  }
  SegmentSums sums = known ? std::move(*known) : SegmentSums({what_.id, segment.base_offset()});
  if (sums.log_bytes() > segment.size_bytes()) sums.truncate_to_block(segment.size_bytes());
  auto added = co_await add_to_sums(file, sums, segment.size_bytes());
  if (!added) co_return added;
  if (sums.log_bytes() == segment.size_bytes()) load_.partition.sums = std::move(sums);
  co_return io::Result<>();
}

io::Task<io::Result<>> Loader::add_to_sums(std::shared_ptr<io::File> file, SegmentSums& sums,
                                           std::uint64_t to) {
  Bytes piece;
  while (sums.log_bytes() < to) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kScanPieceBytes, to - sums.log_bytes())));
    auto read = co_await file->read(sums.log_bytes(), piece);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (*read == 0) break;  // cut short under our hands: without sums then
    sums.add(ByteView(piece).first(*read));
  }
  co_return io::Result<>();
}

// --- with the journal

io::Task<io::Result<>> Loader::compare_with_journal() {
  if (is_planted(PlantedBug::journal_end_dropped) && !history_.batches.empty())
    history_.batches.pop_back();
  LoadedPartition& partition = load_.partition;
  const Offset cut_from = history_.truncated_to.value_or(std::numeric_limits<Offset>::max());
  Offset journal_end = 0;
  std::size_t next = 0;  // the first batch that segments lack
  auto& batches = history_.batches;
  std::optional<Offset> disagrees_at;
  for (std::size_t at = 0; at < partition.segments.size() && !disagrees_at; ++at) {
    const SegmentFacts facts = partition.segments[at].facts();
    if (next >= batches.size()) break;
    if (facts.next_offset <= batches[next].base_offset || facts.size_bytes == 0) continue;
    auto file = co_await disk_.open(path(facts.base_offset), {});
    if (!file) co_return std::unexpected(std::move(file.error()));
    while (next < batches.size() && batches[next].next_offset <= facts.base_offset) ++next;
    if (next == batches.size()) break;
    auto position = co_await position_of(partition.segments[at],
                                         std::max(facts.base_offset, batches[next].base_offset));
    if (!position) co_return std::unexpected(std::move(position.error()));
    FileBatches walk(*file, *position, facts.size_bytes);
    // Where the batch may begin that comes next: behind the last one, or there if its offset
    // rotted.
    std::array<std::uint64_t, 2> places{*position, *position};
    while (next < batches.size() && batches[next].base_offset < facts.next_offset) {
      auto stored = co_await walk.next_header();
      if (!stored && !stored.error().is_damage()) co_return std::unexpected(stored.error().io);
      const JournaledBatch& batch = batches[next];
      if (!stored || !*stored) {
        auto restored = co_await restore_rotten(facts.base_offset, places, batch);
        if (!restored) co_return std::unexpected(std::move(restored.error()));
        if (!*restored) break;
        walk = FileBatches(*file, **restored, facts.size_bytes);
        continue;
      }
      const wire::BatchHeader& header = (*stored)->header;
      places = {(*stored)->position, places[0]};
      if (header.next_offset() <= batch.base_offset) continue;
      // The segment's batch fits its CRC, and the header holds that CRC.
      const bool agrees = batch.bytes.empty()
                              ? header.base_offset == batch.base_offset
                              : header == wire::load_batch_header(batch.bytes.data());
      if (!agrees) {
        auto restored = co_await restore_rotten(facts.base_offset, places, batch);
        if (!restored) co_return std::unexpected(std::move(restored.error()));
        if (*restored) {
          walk = FileBatches(*file, **restored, facts.size_bytes);
          continue;
        }
        disagrees_at = std::min(header.base_offset, batch.base_offset);
        break;
      }
      journal_end = batch.next_offset;
      places = {(*stored)->end_position(), (*stored)->end_position()};
      ++next;
    }
  }
  // Batches that retention has removed already.
  while (next < batches.size() && !partition.segments.empty() &&
         batches[next].next_offset <= partition.segments.front().base_offset()) {
    ++next;
  }
  if (disagrees_at && *disagrees_at < cut_from) {
    co_return disagreement(*disagrees_at);
  }
  const Offset end = partition.segments_end();
  if (disagrees_at) {
    auto cut = co_await cut_segments(*disagrees_at);
    if (!cut) co_return cut;
  } else if (next == batches.size() && cut_from < end && std::max(cut_from, journal_end) < end) {
    // Cut by the journal, with nothing or less behind it.
    auto cut = co_await cut_segments(std::max(cut_from, journal_end));
    if (!cut) co_return cut;
  }
  if (!partition.segments.empty()) {
    partition.recovery_point = what_.was_clean
                                   ? partition.segments_end()
                                   : std::min(what_.recovery_point, partition.segments_end());
  }
  Offset expected = partition.segments_end();
  if (partition.segments.empty() && next < batches.size()) {
    // Nothing of it is in a segment yet, or all of it was removed by retention.
    expected = std::max(partition.log_start_offset, Offset{0});
    if (history_.log_start > 0 && batches[next].base_offset < expected) {
      expected = batches[next].base_offset;
    }
    partition.segments.emplace_back(Segment(expected, SegmentSettings{}));
  }
  for (; next < batches.size(); ++next) {
    JournaledBatch& batch = batches[next];
    if (batch.base_offset < expected) continue;  // cannot be: they rise
    damaged(expected, batch.base_offset, "neither segments nor journal have them");
    if (batch.bytes.empty()) {
      damaged(batch.base_offset, batch.next_offset, "the journal's copy is garbled");
    } else {
      partition.tail.push_back({batch.bytes, std::nullopt});
    }
    expected = batch.next_offset;
  }
  co_return io::Result<>();
}

// If the segment has `batch` at one of `places` with bits flipped, which is rot and no other hand's
// work, writes it anew from the journal. Gives its place.
io::Task<io::Result<std::optional<std::uint64_t>>> Loader::restore_rotten(
    Offset base, std::array<std::uint64_t, 2> places, const JournaledBatch& batch) {
  const ByteView good = batch.bytes;
  if (good.empty()) co_return std::nullopt;
  auto file = co_await disk_.open(path(base), {.write = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  for (const std::uint64_t place : places) {
    Bytes there(good.size());
    auto read = co_await (*file)->read(place, there);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (*read < there.size() || std::ranges::equal(there, good)) continue;
    const auto body = [](ByteView bytes) { return bytes.subspan(kBatchBytesOutsideCrc); };
    const bool is_same_body = std::ranges::equal(body(there), body(good));
    const bool holds = wire::load_batch_header(there.data()).crc == crc32c(body(there));
    if (!is_same_body && (holds || !is_nearly(there, good))) continue;
    env_.logger.warning(
        "{}: the batch at offset {} had rotted in segment {}; it is written anew from "
        "the journal",
        what_.directory, batch.base_offset, base);
    if (auto written = co_await (*file)->write(place, good); !written)
      co_return std::unexpected(std::move(written.error()));
    if (auto synced = co_await (*file)->sync_data(); !synced)
      co_return std::unexpected(std::move(synced.error()));
    co_return place;
  }
  co_return std::nullopt;
}

// Of a batch at or before the one that holds `offset`; the beginning if no index tells.
io::Task<io::Result<std::uint64_t>> Loader::position_of(const Segment& segment, Offset offset) {
  if (offset <= segment.base_offset()) co_return 0;
  if (segment.has_indexes()) co_return segment.indexes().offsets.lookup(offset).position;
  auto indexes = co_await load_indexes(disk_, what_.directory, segment.base_offset(),
                                       segment.size_bytes(), segment.next_offset());
  if (!indexes) co_return std::unexpected(std::move(indexes.error()));
  co_return *indexes ? (**indexes)->offsets.lookup(offset).position : 0;
}

io::Task<io::Result<>> Loader::cut_segments(Offset end) {
  LoadedPartition& partition = load_.partition;
  auto snapshots = co_await remove_snapshots_above(disk_, what_.directory, end);
  if (!snapshots) co_return snapshots;
  while (partition.segments.size() > 1 && partition.segments.back().base_offset() >= end) {
    const Offset base = partition.segments.back().base_offset();
    auto derived = co_await remove_derived_files(disk_, what_.directory, base);
    if (!derived) co_return derived;
    auto removed = co_await disk_.remove(path(base));
    if (!removed) co_return removed;
    partition.segments.pop_back();
  }
  partition.sums.reset();
  partition.saved_indexes = {};
  Segment& last = partition.segments.back();
  const Offset base = last.base_offset();
  if (!last.has_indexes()) {
    auto whole = co_await rebuild(base, last.size_bytes(), true);
    if (!whole) co_return std::unexpected(std::move(whole.error()));
    last = std::move(*whole);
  }
  auto derived = co_await remove_derived_files(disk_, what_.directory, base);
  if (!derived) co_return derived;
  auto file = co_await disk_.open(path(base), {.write = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  if (end < last.next_offset()) {
    auto cut = co_await truncate_segment(*file, last, end);
    if (!cut) co_return std::unexpected(std::move(cut.error()));
    auto truncated = co_await (*file)->truncate(cut->valid_end);
    if (!truncated) co_return truncated;
    auto synced = co_await (*file)->sync_data();
    if (!synced) co_return synced;
  }
  indexed_end_ = std::min(indexed_end_, end);
  what_.recovery_point = std::min(what_.recovery_point, last.next_offset());
  co_return co_await disk_.sync_directory(what_.directory);
}

io::Task<io::Result<>> Loader::load_producers() {
  LoadedPartition& partition = load_.partition;
  const TimestampMs now = env_.clock.wall_ms();
  const Offset end = partition.segments_end();
  // Deleted records that are still there say what their producers did.
  const Offset begin = partition.segments.empty() ? partition.log_start_offset
                                                  : partition.segments.front().base_offset();
  auto state =
      co_await load_snapshot(disk_, what_.directory, begin, std::min(indexed_end_, end), now);
  if (!state) co_return std::unexpected(std::move(state.error()));
  std::vector<SegmentFrom> unknown;
  for (const Segment& segment : partition.segments) {
    if (segment.next_offset() <= state->end_offset()) continue;
    auto position = co_await position_of(segment, state->end_offset());
    if (!position) co_return std::unexpected(std::move(position.error()));
    unknown.push_back({segment.facts(), *position});
    load_.scanned_bytes += segment.size_bytes() - *position;
  }
  std::vector<CompletedTransaction> completed;
  state = co_await replay_producers(disk_, what_.directory, std::move(unknown), std::move(*state),
                                    end, now, &completed);
  if (!state) co_return std::unexpected(std::move(state.error()));
  for (const CompletedTransaction& one : completed) {
    if (!one.is_aborted || one.last_offset < indexed_end_) continue;
    for (auto segment = partition.segments.rbegin(); segment != partition.segments.rend();
         ++segment) {
      if (segment->base_offset() > one.last_offset) continue;
      if (segment->has_indexes()) segment->append_aborted(one.to_aborted());
      break;
    }
  }
  for (LoadedBatch& batch : partition.tail) {
    const wire::BatchHeader header = wire::load_batch_header(batch.bytes.data());
    if (header.leader_epoch >= 0 &&
        partition.epochs.assign(header.leader_epoch, header.base_offset)) {
      partition.epochs_are_saved = false;
    }
    auto applied = apply_batch(*state, wire::Batch{header, batch.bytes}, now);
    if (applied && *applied && (*applied)->is_aborted) batch.aborted = (*applied)->to_aborted();
  }
  if (is_planted(PlantedBug::producers_not_restored)) state->clear(state->end_offset());
  partition.producers = std::move(*state);
  partition.producers.on_log_start(partition.log_start_offset);

  // Sealed segments that were built anew get their files back; the last one keeps its in memory.
  for (std::size_t at = 0; at + 1 < partition.segments.size(); ++at) {
    Segment& segment = partition.segments[at];
    if (!segment.has_indexes()) continue;
    segment.finish_time_index();
    auto saved = co_await save_indexes(disk_, what_.directory, segment);
    if (!saved) co_return saved;
    segment.detach_indexes();
  }
  if (!rebuilt_.empty()) co_return co_await disk_.sync_directory(what_.directory);
  co_return io::Result<>();
}

void Loader::note_spare_snapshots(Offset end) {
  std::sort(snapshots_.begin(), snapshots_.end());
  for (const Offset offset : snapshots_) {
    const bool is_base =
        std::any_of(load_.partition.segments.begin(), load_.partition.segments.end(),
                    [&](const Segment& segment) { return segment.base_offset() == offset; });
    if (!is_base && offset <= end) load_.partition.spare_snapshots.push_back(offset);
  }
}

}  // namespace

io::Task<io::Result<PartitionLoad>> load_partition(io::Env& env, PartitionToLoad what,
                                                   PartitionHistory history) {
  Loader loader(env, std::move(what), std::move(history));
  co_return co_await loader.load();
}

}  // namespace ottla::storage
