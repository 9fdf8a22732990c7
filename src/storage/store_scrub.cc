#include "storage/store_scrub.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_scrub.h"
#include "storage/store_log.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

constexpr io::Duration kLookEvery = std::chrono::minutes(1);
constexpr std::size_t kSegmentsOfARound = 256;
// What opening and looking at a segment counts for at least, so that thousands of small ones are
// slow as well.
constexpr std::uint64_t kSegmentCostBytes = kScrubPieceBytes;

// Lets bytes through at a rate.
class Pace {
 public:
  Pace(ShardStore& store, std::uint64_t bytes_per_second)
      : store_(store), bytes_per_second_(bytes_per_second) {}

  // Returns when `bytes` more may be read; false if the store closes.
  io::Task<bool> take(std::uint64_t bytes) {
    io::Clock& clock = store_.env().clock;
    const io::Instant begin = std::max(next_, clock.now());
    next_ =
        begin + io::Duration(static_cast<std::int64_t>(bytes * 1'000'000'000 / bytes_per_second_));
    if (begin > clock.now()) (void)co_await store_.closing().wait_until(clock, begin);
    co_return !store_.closing().is_set();
  }

 private:
  ShardStore& store_;
  const std::uint64_t bytes_per_second_;
  io::Instant next_;
};

// A segment's file as the scrub reads it: any range, at the pace, past the page cache.
class PacedFile final : public io::File {
 public:
  // `is_wanted` is asked before each read; once it says no, reads answer `closed`.
  PacedFile(std::shared_ptr<io::File> file, Pace& pace, std::function<bool()> is_wanted)
      : file_(std::move(file)),
        pace_(pace),
        is_wanted_(std::move(is_wanted)),
        buffer_(kScrubPieceBytes) {}

  io::Task<io::Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override {
    constexpr std::uint64_t kBlock = io::kDirectAlignment;
    std::size_t done = 0;
    while (done < into.size()) {
      const std::uint64_t begin = (position + done) / kBlock * kBlock;
      const auto skipped = static_cast<std::size_t>(position + done - begin);
      const std::size_t wanted = std::min<std::size_t>(
          buffer_.size(), (skipped + into.size() - done + kBlock - 1) / kBlock * kBlock);
      const bool goes_on = co_await pace_.take(wanted);
      if (!goes_on || !is_wanted_()) co_return refuse(io::ErrorKind::closed);
      auto got = co_await file_->read(begin, buffer_.view().first(wanted));
      if (!got) co_return got;
      if (*got <= skipped) break;
      const std::size_t count = std::min(*got - skipped, into.size() - done);
      std::memcpy(into.data() + done, buffer_.data() + skipped, count);
      done += count;
      if (*got < wanted) break;
    }
    co_return done;
  }
  io::Result<std::uint64_t> size_bytes() override { return file_->size_bytes(); }
  bool is_direct() const override { return false; }

  io::Task<io::Result<>> write(std::uint64_t, ByteView) override { co_return refuse(); }
  io::Task<io::Result<>> write_pieces(std::uint64_t, std::vector<ByteView>) override {
    co_return refuse();
  }
  io::Task<io::Result<>> sync_data() override { co_return refuse(); }
  io::Task<io::Result<>> write_synced(std::uint64_t, ByteView) override { co_return refuse(); }
  io::Task<io::Result<>> truncate(std::uint64_t) override { co_return refuse(); }
  io::Task<io::Result<>> reserve(std::uint64_t) override { co_return refuse(); }
  io::Task<io::Result<>> make_resident(std::uint64_t, std::uint64_t) override {
    co_return refuse();
  }

 private:
  static std::unexpected<io::Error> refuse(io::ErrorKind kind = io::ErrorKind::invalid) {
    return std::unexpected(io::Error{kind, "the scrub reads no more of it"});
  }

  std::shared_ptr<io::File> file_;
  Pace& pace_;
  std::function<bool()> is_wanted_;
  io::AlignedBuffer buffer_;
};

struct Target {
  std::weak_ptr<StoredLog> log;
  std::weak_ptr<StoredSegment> segment;
};

// Those that are due, longest ago first.
std::vector<Target> find_due(ShardStore& store) {
  using Order = std::tuple<io::Instant, TopicIdPartition, Offset>;
  std::map<Order, Target> due;
  const io::Instant now = store.env().clock.now();
  for (const auto& partition : store.partitions()) {
    const auto log = std::static_pointer_cast<StoredLog>(partition);
    for (const auto& stored : log->segments()) {
      if (!stored->is_on_disk || stored->scrub_at > now) continue;
      due.emplace(Order{stored->scrub_at, log->id(), stored->segment.base_offset()},
                  Target{log, stored});
      if (due.size() > kSegmentsOfARound) due.erase(std::prev(due.end()));
    }
  }
  std::vector<Target> targets;
  for (auto& [order, target] : due) targets.push_back(std::move(target));
  return targets;
}

class SegmentScrub {
 public:
  SegmentScrub(ShardStore& store, Pace& pace, std::shared_ptr<StoredLog> log,
               std::shared_ptr<StoredSegment> stored)
      : store_(store),
        pace_(pace),
        log_(std::move(log)),
        stored_(std::move(stored)),
        seals_(stored_->seals),
        facts_(stored_->segment.facts()) {}

  io::Task<> run() {
    auto scrubbed = co_await scrub();
    if (!is_wanted()) co_return;
    stored_->scrub_at =
        store_.env().clock.now() + std::chrono::milliseconds(store_.limits().scrub_interval_ms);
    ++store_.counters().scrubbed_segments;
    if (scrubbed) co_return;
    ++store_.counters().scrub_damages;
    store_.env().logger.error(
        "{}: the scrub can't read segment {}: {}; fetches there may fail as well. Look at the disk "
        "and the kernel's log (dmesg), and copy the folder while it can be read",
        log_->directory(), facts_.base_offset, scrubbed.error().message);
  }

 private:
  // Cut, removed, or the store closes: what was read says nothing any more.
  bool is_wanted() const {
    return !store_.is_closing() && log_->has_sealed(*stored_) && stored_->seals == seals_;
  }

  io::Task<io::Result<>> scrub() {
    io::Disk& disk = store_.env().disk;
    const std::string directory = log_->directory();
    if (!co_await pace_.take(kSegmentCostBytes)) co_return io::Result<>();
    auto opened = co_await disk.open(
        directory + "/" + segment_file_name(facts_.base_offset, SegmentFile::log),
        {.direct = true});
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    const auto file =
        std::make_shared<PacedFile>(std::move(*opened), pace_, [this] { return is_wanted(); });
    auto sums = co_await load_sums(disk, directory, {log_->id(), facts_.base_offset});
    if (!sums) co_return std::unexpected(std::move(sums.error()));
    // Without sums of all of it (Kafka wrote it, or it was damaged before) its batches must do.
    const bool has_sums = *sums && (*sums)->log_bytes() == facts_.size_bytes;
    std::vector<ByteRange> ranges{{0, facts_.size_bytes}};
    if (has_sums) {
      auto damaged = co_await scrub_log(file, **sums, 0, facts_.size_bytes);
      if (!damaged) co_return std::unexpected(std::move(damaged.error()));
      ranges = std::move(*damaged);
      auto indexes = co_await scrub_indexes(disk, directory, **sums);
      if (!indexes) co_return std::unexpected(std::move(indexes.error()));
      if (is_wanted()) complain_of_indexes(*indexes);
    }
    store_.counters().scrubbed_bytes += facts_.size_bytes;
    if (ranges.empty() || facts_.size_bytes == 0) co_return io::Result<>();
    auto indexes = co_await load_indexes(disk, directory, facts_.base_offset, facts_.size_bytes,
                                         facts_.next_offset, has_sums ? &**sums : nullptr);
    if (!indexes) co_return std::unexpected(std::move(indexes.error()));
    const LeaderEpochCache epochs = log_->epochs();
    auto damages =
        co_await find_damaged_records(file,
                                      {.facts = facts_,
                                       .index = *indexes ? &(**indexes)->offsets : nullptr,
                                       .epochs = &epochs,
                                       .are_summed = has_sums},
                                      std::move(ranges));
    if (!damages) co_return std::unexpected(std::move(damages.error()));
    if (!is_wanted()) co_return io::Result<>();
    for (DamagedOffsets& damage : *damages) complain_of(std::move(damage));
    co_return io::Result<>();
  }

  void complain_of(DamagedOffsets damage) {
    const DamagedOffsets said = damage;
    if (!log_->note_damage(std::move(damage))) return;
    ++store_.counters().scrub_damages;
    store_.env().logger.error(
        "{}: the scrub found offsets {} to {} damaged in segment {} ({}); they answer "
        "CORRUPT_MESSAGE from now on, all others are served. Look at the disk; to get them back, "
        "stop the node and put a good copy of the segment's files there; to give them up, delete "
        "the records before offset {}",
        log_->directory(), said.from, said.to - 1, facts_.base_offset, said.cause, said.to);
  }

  void complain_of_indexes(const std::vector<SegmentFile>& damaged) {
    if (damaged.empty()) return;
    ++store_.counters().scrub_damages;
    std::vector<std::string> names;
    for (const SegmentFile file : damaged)
      names.push_back(segment_file_name(facts_.base_offset, file));
    store_.env().logger.error(
        "{}: the scrub found index files damaged: {}; no records are lost. Look at the disk; stop "
        "the node, remove these files and start it again: it builds them anew",
        log_->directory(), fmt::join(names, ", "));
  }

  ShardStore& store_;
  Pace& pace_;
  const std::shared_ptr<StoredLog> log_;
  const std::shared_ptr<StoredSegment> stored_;
  const std::uint32_t seals_;
  const SegmentFacts facts_;
};

}  // namespace

io::Task<> scrub_in_background(ShardStore& store) {
  const std::uint64_t shards = std::max(1u, store.env().shards.count());
  if (store.limits().scrub_bytes_per_second == 0) co_return;
  Pace pace(store, std::max<std::uint64_t>(1, store.limits().scrub_bytes_per_second / shards));
  const io::Duration pause = std::min(
      kLookEvery, io::Duration(std::chrono::milliseconds(store.limits().scrub_interval_ms)));
  while (!co_await store.closing().wait_until(store.env().clock, store.env().clock.now() + pause)) {
    for (const Target& target : find_due(store)) {
      if (store.is_closing() || store.is_fenced()) co_return;
      const auto log = target.log.lock();
      const auto segment = target.segment.lock();
      if (!log || !segment || !log->has_sealed(*segment)) continue;
      SegmentScrub scrub(store, pace, log, segment);
      co_await scrub.run();
    }
  }
}

}  // namespace ottla::storage
