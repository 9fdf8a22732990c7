#include "storage/store_compaction.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include "storage/compaction.h"
#include "storage/file_batches.h"
#include "storage/segment_name.h"
#include "storage/store_log.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

constexpr io::Duration kFirstLook = std::chrono::seconds(15);
constexpr std::size_t kWriteBytes = 1u << 20;
constexpr std::size_t kPaceBytes = 256u << 10;
// A batch that is written by others may be larger than ours; it is held whole.
constexpr std::size_t kBatchBytesMax = 64u << 20;

using Segments = std::vector<std::shared_ptr<StoredSegment>>;

std::unexpected<io::Error> uncleanable(std::string why) {
  return std::unexpected(io::Error{io::ErrorKind::invalid, std::move(why)});
}
std::unexpected<io::Error> given_up() {
  return std::unexpected(io::Error{io::ErrorKind::closed, "something else has changed the log"});
}

class CompactionRun {
 public:
  CompactionRun(ShardStore& store, std::shared_ptr<StoredLog> log, Cleanable what)
      : store_(store),
        disk_(store.env().disk),
        log_(std::move(log)),
        what_(what),
        map_(static_cast<std::size_t>(store.limits().compaction_map_bytes /
                                      std::max(1u, store.env().shards.count()))) {}

  io::Task<io::Result<>> run() {
    Segments segments;
    for (const auto& stored : log_->segments()) {
      if (stored->segment.base_offset() < what_.end) segments.push_back(stored);
    }
    auto collected = co_await collect_keys(segments);
    if (!collected) co_return collected;
    if (map_.end_offset() <= what_.first_dirty) {
      co_return uncleanable("log.cleaner.dedupe.buffer.size has no room for the keys of one batch");
    }
    const Offset first_base = segments.front()->segment.base_offset();
    auto aborted = co_await log_->aborted_transactions(first_base, what_.end);
    if (!aborted) co_return given_up();
    CompactionPass pass{.now = store_.env().clock.wall_ms(),
                        .delete_retention_ms = log_->config().delete_retention_ms,
                        .end = what_.end,
                        .producers = {}};
    for (const auto& [id, entry] : log_->producers().producers()) {
      pass.producers[id] = {
          entry.batch_count() > 0 ? std::optional(entry.newest().last_offset) : std::nullopt,
          entry.epoch};
    }
    compactor_.emplace(map_, std::move(pass), *aborted);
    std::erase_if(segments, [&](const auto& stored) {
      return stored->segment.base_offset() >= map_.end_offset();
    });
    for (std::size_t at = 0; at < segments.size();) {
      Segments group;
      do {
        group.push_back(segments[at++]);
      } while (at < segments.size() && fits(group, *segments[at]));
      auto done = co_await rewrite(std::move(group));
      if (!done) co_return done;
    }
    log_->note_compacted(map_.end_offset());
    co_return io::Result<>();
  }

 private:
  // The next batch of a segment, whole and sound.
  class Walk {
   public:
    Walk(CompactionRun& run, const StoredSegment& stored, std::shared_ptr<io::File> file)
        : run_(run),
          facts_(stored.segment.facts()),
          file_(file),
          batches_(std::move(file), 0, facts_.size_bytes),
          next_offset_(facts_.base_offset) {}

    io::Task<io::Result<std::optional<wire::Batch>>> next() {
      auto goes_on = co_await run_.keep_pace(batches_.position() - paced_);
      paced_ = batches_.position();
      if (!goes_on) co_return std::unexpected(goes_on.error());
      auto batch = co_await batches_.next();
      if (!batch) {
        if (!batch.error().is_damage()) co_return std::unexpected(batch.error().io);
        co_return damaged(batch.error().to_string());
      }
      if (!*batch) co_return std::nullopt;
      const FileBatch& at = **batch;
      const wire::BatchHeader header = at.header;
      if (!at.crc_matches)
        co_return damaged(fmt::format("the CRC of the batch at {} is wrong", at.position));
      if (header.base_offset < next_offset_ || header.next_offset() > facts_.next_offset)
        co_return damaged(fmt::format("the batch at {} is out of order", at.position));
      next_offset_ = header.next_offset();
      if (!at.bytes.empty()) co_return wire::Batch{header, at.bytes};
      if (header.total_size() > kBatchBytesMax) co_return damaged("a batch is too large to hold");
      large_.resize(header.total_size());
      auto read = co_await file_->read(at.position, large_);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (*read < large_.size()) co_return damaged("it is cut short");
      co_return wire::Batch{header, large_};
    }

   private:
    std::unexpected<io::Error> damaged(const std::string& what) const {
      return uncleanable(fmt::format(
          "segment {} is damaged: {}; look at the disk, and run `ottla log verify` on the folder",
          facts_.base_offset, what));
    }
    CompactionRun& run_;
    const SegmentFacts facts_;
    std::shared_ptr<io::File> file_;
    FileBatches batches_;
    Offset next_offset_;
    std::uint64_t paced_ = 0;
    Bytes large_;
  };

  std::string path(Offset base, SegmentFile file, SegmentFileState state) const {
    return log_->directory() + "/" + segment_file_name(base, file, state);
  }

  // By log.cleaner.io.max.bytes.per.second; ends the pass when the store closes.
  io::Task<io::Result<>> keep_pace(std::uint64_t bytes) {
    if (store_.is_closing() || store_.is_fenced() || log_->is_deleted()) co_return given_up();
    store_.counters().compacted_bytes += bytes;
    unpaced_bytes_ += bytes;
    const std::uint64_t rate = store_.limits().compaction_bytes_per_second;
    if (unpaced_bytes_ < std::min<std::uint64_t>(kPaceBytes, rate) || rate >= kRateWithoutBound)
      co_return io::Result<>();
    const auto pause =
        io::Duration(static_cast<std::int64_t>(unpaced_bytes_ * 1'000'000'000 / rate));
    unpaced_bytes_ = 0;
    (void)co_await store_.closing().wait_until(store_.env().clock,
                                               store_.env().clock.now() + pause);
    co_return io::Result<>();
  }
  static constexpr std::uint64_t kRateWithoutBound = 1ull << 40;

  io::Task<io::Result<std::shared_ptr<io::File>>> open(const StoredSegment& stored) {
    auto file = co_await disk_.open(
        path(stored.segment.base_offset(), SegmentFile::log, SegmentFileState::live), {});
    // After the open: that is the file that it says.
    if (stored.is_leaving || !log_->has_sealed(stored)) co_return given_up();
    co_return file;
  }

  io::Task<io::Result<>> collect_keys(const Segments& segments) {
    std::optional<KeyCollector> collector;
    for (const auto& stored : segments) {
      if (stored->segment.next_offset() <= what_.first_dirty) continue;
      if (!collector) {
        auto aborted =
            co_await log_->aborted_transactions(stored->segment.base_offset(), what_.end);
        if (!aborted) co_return given_up();
        collector.emplace(map_, what_.first_dirty, *aborted);
      }
      auto file = co_await open(*stored);
      if (!file) co_return std::unexpected(std::move(file.error()));
      Walk walk(*this, *stored, std::move(*file));
      while (true) {
        auto batch = co_await walk.next();
        if (!batch) co_return std::unexpected(std::move(batch.error()));
        if (!*batch) break;
        const auto added = collector->add(**batch);
        if (!added) co_return unreadable(*stored, **batch, added.error());
        if (!*added) co_return io::Result<>();  // full: the pass ends there
      }
      // What compaction has left out at its end is covered as well.
      map_.set_end_offset(std::max(map_.end_offset(), stored->segment.next_offset()));
    }
    co_return io::Result<>();
  }

  static std::unexpected<io::Error> unreadable(const StoredSegment& stored,
                                               const wire::Batch& batch, wire::BatchError error) {
    return uncleanable(fmt::format("segment {}: the records of the batch at offset {}: {}",
                                   stored.segment.base_offset(), batch.header.base_offset,
                                   wire::describe(error)));
  }

  // As Kafka groups them: the result is not larger than one segment may be.
  bool fits(const Segments& group, const StoredSegment& next) const {
    std::uint64_t bytes = next.segment.size_bytes();
    for (const auto& stored : group) bytes += stored->segment.size_bytes();
    const Offset span = next.segment.next_offset() - group.front()->segment.base_offset();
    return bytes <= static_cast<std::uint64_t>(log_->config().segment_bytes) &&
           span <= std::numeric_limits<std::int32_t>::max();
  }

  io::Task<io::Result<>> write_cleaned(Offset base, SegmentFile file, Bytes content) {
    auto opened = co_await disk_.open(path(base, file, SegmentFileState::cleaned),
                                      {.write = true, .create = true, .truncate = true});
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    if (!content.empty()) {
      if (auto written = co_await (*opened)->write(0, content); !written) co_return written;
    }
    co_return co_await (*opened)->sync_data();
  }

  // What a pass that was given up has left; a start would remove it as well.
  io::Task<> remove_cleaned(Offset base) {
    for (const SegmentFile file :
         {SegmentFile::log, SegmentFile::offset_index, SegmentFile::time_index,
          SegmentFile::transaction_index, SegmentFile::sums}) {
      (void)co_await disk_.remove(path(base, file, SegmentFileState::cleaned));
    }
  }

  io::Task<io::Result<>> rewrite(Segments group) {
    const Offset base = group.front()->segment.base_offset();
    auto swapped = co_await write_and_swap(group);
    if (!swapped || !*swapped) co_await remove_cleaned(base);
    if (!swapped) co_return std::unexpected(std::move(swapped.error()));
    co_return io::Result<>();
  }

  // False if there was nothing to change.
  io::Task<io::Result<bool>> write_and_swap(const Segments& group) {
    const Offset base = group.front()->segment.base_offset();
    const Offset end = group.back()->segment.next_offset();
    auto file = co_await disk_.open(path(base, SegmentFile::log, SegmentFileState::cleaned),
                                    {.write = true, .create = true, .truncate = true});
    if (!file) co_return std::unexpected(std::move(file.error()));
    Segment fresh(base, group.front()->segment.settings());
    SegmentSums sums({log_->id(), base});
    bool is_changed = group.size() > 1;
    std::uint64_t written = 0;
    Bytes out;
    const auto flush = [&]() -> io::Task<io::Result<>> {
      if (out.empty()) co_return io::Result<>();
      auto done = co_await (*file)->write(written, out);
      sums.add(out);
      written += out.size();
      out.clear();
      co_return done;
    };
    for (const auto& stored : group) {
      auto source = co_await open(*stored);
      if (!source) co_return std::unexpected(std::move(source.error()));
      Walk walk(*this, *stored, std::move(*source));
      while (true) {
        auto batch = co_await walk.next();
        if (!batch) co_return std::unexpected(std::move(batch.error()));
        if (!*batch) break;
        auto compacted = compactor_->next(**batch);
        if (!compacted) co_return unreadable(*stored, **batch, compacted.error());
        is_changed = is_changed || !compacted->is_kept || compacted->rewritten;
        if (!compacted->is_kept) continue;
        const ByteView bytes =
            compacted->rewritten ? compacted->rewritten->view() : (*batch)->bytes;
        const wire::BatchHeader header = wire::load_batch_header(bytes.data());
        if (!fresh.has_room_for(bytes.size(), header.last_offset(), kSegmentBytesMax))
          co_return uncleanable(fmt::format("segment {} would grow beyond the format", base));
        fresh.append(header);
        if (compacted->aborted) fresh.append_aborted(*compacted->aborted);
        out.insert(out.end(), bytes.begin(), bytes.end());
        if (out.size() < kWriteBytes) continue;
        auto flushed = co_await flush();
        if (!flushed) co_return std::unexpected(std::move(flushed.error()));
      }
    }
    if (!is_changed) co_return false;
    auto flushed = co_await flush();
    if (!flushed) co_return std::unexpected(std::move(flushed.error()));
    auto synced = co_await (*file)->sync_data();
    if (!synced) co_return std::unexpected(std::move(synced.error()));
    fresh.finish_time_index();
    const SegmentIndexes& indexes = fresh.indexes();
    sums.set_indexes(indexes.offsets.serialize(), indexes.times.serialize(),
                     indexes.aborted.serialize());
    for (auto& [kind, content] : std::vector<std::pair<SegmentFile, Bytes>>{
             {SegmentFile::offset_index, indexes.offsets.serialize()},
             {SegmentFile::time_index, indexes.times.serialize()},
             {SegmentFile::transaction_index, indexes.aborted.serialize()},
             {SegmentFile::sums, sums.serialize()}}) {
      if (kind == SegmentFile::transaction_index && content.empty()) continue;
      auto done = co_await write_cleaned(base, kind, std::move(content));
      if (!done) co_return std::unexpected(std::move(done.error()));
    }
    SegmentFacts facts = fresh.facts();
    facts.next_offset = end;
    auto compacted = std::make_shared<StoredSegment>(Segment(facts, fresh.settings()));
    compacted->segment.attach_indexes(fresh.detach_indexes());
    compacted->readable_bytes = written;
    compacted->reader = std::move(*file);  // whatever its name is
    std::vector<std::string> renamed;
    co_await store_.file_lock().acquire();
    auto swapped = co_await log_->replace_segments(group, std::move(compacted), renamed);
    store_.file_lock().release();
    store_.remove_later(std::move(renamed), log_->config().file_delete_delay_ms);
    if (!swapped) {
      store_.fence(swapped.error());
      co_return std::unexpected(std::move(swapped.error()));
    }
    if (!*swapped) co_return given_up();
    co_return true;
  }

  ShardStore& store_;
  io::Disk& disk_;
  const std::shared_ptr<StoredLog> log_;
  const Cleanable what_;
  KeyMap map_;
  std::optional<BatchCompactor> compactor_;
  std::uint64_t unpaced_bytes_ = 0;
};

struct Choice {
  std::shared_ptr<StoredLog> log;
  Cleanable what;
};

// The one with the greatest dirty part, as Kafka's cleaner takes it.
Choice find_dirtiest(ShardStore& store) {
  Choice choice;
  for (const auto& partition : store.partitions()) {
    auto log = std::static_pointer_cast<StoredLog>(partition);
    if (!log->config().is_compacted || log->is_uncleanable) continue;
    const Cleanable what = log->assess_compaction(store.env().clock.wall_ms());
    if (!what.is_due) continue;
    if (!choice.log || what.dirty_ratio > choice.what.dirty_ratio) choice = {std::move(log), what};
  }
  return choice;
}

// True if there may be more to do at once.
io::Task<bool> compact_one(ShardStore& store) {
  Choice choice = find_dirtiest(store);
  if (!choice.log) co_return false;
  const std::string directory = choice.log->directory();
  CompactionRun run(store, choice.log, choice.what);
  auto done = co_await run.run();
  if (done) {
    ++store.counters().compactions;
    co_return true;
  }
  if (store.is_fenced() || done.error().kind == io::ErrorKind::closed) co_return false;
  if (done.error().kind == io::ErrorKind::no_space) {
    store.env().logger.warning("{}: no space to compact ({}); free some space", directory,
                               done.error().message);
    co_return false;
  }
  choice.log->is_uncleanable = true;
  store.env().logger.error(
      "{} can't be compacted: {}; it is left as it is, and grows, until the next start", directory,
      done.error().message);
  co_return true;
}

}  // namespace

io::Task<> compact_in_background(ShardStore& store) {
  if (!store.limits().compacts) co_return;
  io::Clock& clock = store.env().clock;
  const io::Duration backoff = std::chrono::milliseconds(store.limits().compaction_backoff_ms);
  io::Instant next = clock.now() + std::min(backoff, kFirstLook);
  while (!co_await store.closing().wait_until(clock, next)) {
    while (!store.is_closing() && !store.is_fenced()) {
      const bool goes_on = co_await compact_one(store);
      if (!goes_on) break;
    }
    if (store.is_fenced()) co_return;
    next = clock.now() + backoff;
  }
}

}  // namespace ottla::storage
