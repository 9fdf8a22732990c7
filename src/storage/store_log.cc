#include "storage/store_log.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/copy.h"
#include "base/planted_bug.h"
#include "storage/log_directory.h"
#include "storage/segment_recovery.h"
#include "storage/store_recovery_files.h"
#include "storage/store_shard.h"
#include "wire/control_record.h"
#include "wire/record.h"

namespace ottla::storage {

namespace {

// How much of a log a restart may have to read again to know its producers.
constexpr std::uint64_t kSnapshotEveryBytes = 8ull << 20;

SegmentSettings settings_of(const LogConfig& config) {
  return {.index_interval_bytes = static_cast<std::uint32_t>(config.index_interval_bytes),
          .index_bytes_max = static_cast<std::uint32_t>(config.segment_index_bytes)};
}

LogError error_of(wire::ErrorCode code) {
  switch (code) {
    case wire::ErrorCode::invalid_producer_epoch:
      return LogError::invalid_producer_epoch;
    case wire::ErrorCode::out_of_order_sequence_number:
      return LogError::out_of_order_sequence;
    case wire::ErrorCode::transaction_coordinator_fenced:
      return LogError::coordinator_fenced;
    case wire::ErrorCode::policy_violation:
      return LogError::too_many_producers;
    default:
      return LogError::invalid_txn_state;
  }
}

// The end of a transaction that a coordinator wants to append; nullopt for every other batch.
std::optional<EndMarker> marker_of(ByteView bytes, const wire::BatchHeader& header,
                                   std::int16_t transaction_version) {
  if (!header.is_control() || !header.has_producer()) return std::nullopt;
  const wire::Batch batch{header, bytes};
  wire::RecordCursor cursor(batch.records(), header.record_count);
  wire::Record record;
  if (!cursor.next(record)) return std::nullopt;
  const auto marker = wire::parse_transaction_marker(record);
  if (!marker) return std::nullopt;
  return EndMarker{.producer_id = header.producer_id,
                   .producer_epoch = header.producer_epoch,
                   .coordinator_epoch = marker->coordinator_epoch,
                   .is_commit = marker->type == wire::ControlRecordType::commit,
                   .transaction_version = transaction_version};
}

// A waiter that resumes a coroutine.
class AwaitDurable : public DurableWaiter {
 public:
  AwaitDurable(StoredLog& log, io::Executor& executor, Offset until)
      : log_(log), executor_(executor) {
    end = until;
  }
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    return log_.wait_durable(*this);
  }
  LogResult<> await_resume() const { return result_; }
  void on_durable(LogResult<> result) override {
    result_ = result;
    executor_.post(waiter_);
  }

 private:
  StoredLog& log_;
  io::Executor& executor_;
  std::coroutine_handle<> waiter_;
  LogResult<> result_;
};

}  // namespace

StoredLog::StoredLog(ShardStore& store, LoadedPartition loaded, const LogConfig& config)
    : journaled_log_start(loaded.log_start_offset),
      store_(store),
      name_(std::move(loaded.name)),
      id_(loaded.id),
      directory_(std::move(loaded.directory)),
      config_(config),
      log_start_(loaded.log_start_offset),
      first_dirty_(loaded.first_dirty_offset),
      epochs_(std::move(loaded.epochs)),
      producers_(std::move(loaded.producers)),
      damages_(std::move(loaded.damages)),
      epochs_are_dirty_(!loaded.epochs_are_saved),
      spare_snapshots_(std::move(loaded.spare_snapshots)),
      is_complete_on_disk_(loaded.is_complete_on_disk) {
  for (Segment& facts : loaded.segments) {
    auto segment = std::make_shared<StoredSegment>(std::move(facts));
    segment->readable_bytes = segment->segment.size_bytes();
    segment->is_on_disk = true;
    segment->scrub_at = store_.first_scrub(loaded.names_are_durable);
    segment->written_at = store_.env().clock.wall_ms();
    segments_.push_back(std::move(segment));
  }
  if (!loaded.names_are_durable) {
    directory_is_dirty_ = is_new_ = true;
    is_journaled_ = false;
    store_.note_root_change();
  }
  if (segments_.empty()) {
    segments_.push_back(std::make_shared<StoredSegment>(Segment(log_start_, settings_of(config_))));
  }
  // Recovery does not know the topic's.
  for (const auto& stored : segments_) stored->segment.configure(settings_of(config_));
  active().is_on_disk = false;
  OTTLA_CHECK(active().segment.has_indexes() || active().segment.is_empty());
  end_ = active().segment.next_offset();
  written_end_ = readable_end_ = end_;
  synced_end_ = std::min(loaded.recovery_point, end_);
  indexes_saved_bytes_ = active().segment.size_bytes();
  if (loaded.sums && loaded.sums->log_bytes() == active().readable_bytes) {
    active().sums = std::move(*loaded.sums);
    active().sums_are_whole = true;
    active().saved_indexes = loaded.saved_indexes;
  } else if (active().readable_bytes == 0) {
    begin_sums();
  }
  active().handed_bytes = active().readable_bytes;
  active().handed_sum = active().sums.last_block();
  for (LoadedBatch& batch : loaded.tail) {
    const wire::BatchHeader header = wire::load_batch_header(batch.bytes.data());
    OTTLA_CHECK(header.base_offset >= end_);
    roll_if_full(header);
    active().segment.append(header);
    if (batch.aborted) active().segment.append_aborted(*batch.aborted);
    end_ = header.next_offset();
    unwritten_bytes_ += batch.bytes.size();
    push_tail(
        {.bytes = std::move(batch.bytes), .last_offset = header.last_offset(), .is_loaded = true});
  }
  std::ranges::sort(damages_, {}, &DamagedOffsets::from);
  durable_end_ = high_watermark_ = end_;
  producers_.on_high_watermark(high_watermark_);
}

StoredLog::~StoredLog() {
  while (!waiters_.empty()) waiters_.pop_front().on_abandoned();
}

bool StoredLog::is_fenced() const { return store_.is_fenced(); }

Offset StoredLog::last_stable_offset() const {
  return producers_.last_stable_offset(high_watermark_);
}

LeaderEpoch StoredLog::latest_epoch() const {
  const auto newest = epochs_.newest();
  return newest ? newest->epoch : -1;
}

bool StoredLog::needs_sync() const {
  return synced_end_ < durable_end_ || directory_is_dirty_ || epochs_are_dirty_;
}

LogResult<AppendResult> StoredLog::refuse(const ProducerCheck& check) const {
  if (check.outcome == ProducerCheck::Outcome::refused) {
    return std::unexpected(error_of(check.error));
  }
  return AppendResult{.first_offset = check.first_offset,
                      .last_offset = check.last_offset,
                      .log_append_time = -1,
                      .log_start_offset = log_start_,
                      .is_duplicate = true};
}

LogResult<AppendResult> StoredLog::append(ByteView batch, const wire::BatchHeader& header,
                                          const AppendOptions& options) {
  if (is_gone()) return std::unexpected(gone());
  OTTLA_CHECK(batch.size() == header.total_size());
  if (batch.size() > store_.limits().batch_bytes_max || !store_.can_ever_hold(batch.size())) {
    return std::unexpected(LogError::too_large);
  }
  if (options.origin != AppendOrigin::replication) {
    const auto marker = marker_of(batch, header, options.marker_transaction_version);
    const ProducerCheck check = marker ? producers_.check_marker(*marker)
                                       : producers_.check(header, options.origin, options.guard);
    if (check.outcome == ProducerCheck::Outcome::duplicate &&
        header.timestamp_type() == wire::TimestampType::log_append_time) {
      auto original = refuse(check);
      original->log_append_time = check.timestamp;
      return original;
    }
    if (check.outcome != ProducerCheck::Outcome::append) return refuse(check);
  }
  if (is_truncating_ || !store_.has_room(batch.size() + creation_bytes()))
    return std::unexpected(LogError::no_room);

  journal_creation();

  wire::BatchHeader placed = header;
  if (options.origin != AppendOrigin::replication) {
    placed.base_offset = end_;
    placed.leader_epoch = options.leader_epoch;
  }
  OTTLA_CHECK(placed.base_offset >= end_ && placed.leader_epoch >= latest_epoch());

  roll_if_full(placed);
  const std::uint64_t position = active().segment.size_bytes();
  end_ = placed.next_offset();
  const auto self = std::static_pointer_cast<StoredLog>(shared_from_this());

  auto place = store_.journal().stage(JournalKind::append, id_, placed.base_offset,
                                      placed.leader_epoch, batch.size());
  place.meta.last_offset_delta = placed.last_offset_delta;
  auto kept = store_.tail().place(chunk_, position, batch.size(), self, end_);
  // The header is patched and looked at, the records are not: they go past the caches.
  const ByteView records = batch.subspan(wire::kBatchHeaderBytes);
  std::uint8_t* const journaled = place.body.mutable_data();
  std::uint8_t* const tailed = kept.bytes.mutable_data();
  std::memcpy(journaled, batch.data(), wire::kBatchHeaderBytes);
  wire::set_base_offset(journaled, placed.base_offset);
  wire::set_leader_epoch(journaled, placed.leader_epoch);
  std::memcpy(tailed, journaled, wire::kBatchHeaderBytes);
  copy_uncached(journaled + wire::kBatchHeaderBytes, records.data(), records.size());
  copy_uncached(tailed + wire::kBatchHeaderBytes, records.data(), records.size());
  StoredSegment& stored = active();
  if (stored.sums_are_whole && stored.sums.log_bytes() == position) {
    stored.sums.add(place.body.view().first(wire::kBatchHeaderBytes));
    stored.sums.add(records);
  }
  store_.journal().seal(place, self, marks_, end_);

  const TimestampMs now = store_.env().clock.wall_ms();
  stored.segment.append(placed);
  stored.written_at = now;
  if (epochs_.assign(placed.leader_epoch, placed.base_offset)) epochs_are_dirty_ = true;
  const auto applied = apply_batch(producers_, wire::Batch{placed, place.body}, now);
  if (applied && *applied && (*applied)->is_aborted) {
    active().segment.append_aborted((*applied)->to_aborted());
  }
  push_tail({.bytes = std::move(kept.bytes),
             .last_offset = placed.last_offset(),
             .sum = stored.sums.last_block(),
             .begins_chunk = kept.begins_chunk});
  if (is_planted(PlantedBug::high_watermark_is_log_end)) high_watermark_ = end_;
  unwritten_bytes_ += batch.size();
  bytes_since_snapshot_ += batch.size();
  if (bytes_since_snapshot_ >= kSnapshotEveryBytes) {
    snapshots_.push_back({end_, snapshot_of(producers_)});
    bytes_since_snapshot_ = 0;
  }
  is_complete_on_disk_ = false;
  store_.note_unwritten(*this);
  ++store_.counters().appended_batches;
  store_.counters().appended_bytes += batch.size();
  return AppendResult{
      .first_offset = placed.base_offset,
      .last_offset = placed.last_offset(),
      .log_append_time = placed.timestamp_type() == wire::TimestampType::log_append_time
                             ? placed.max_timestamp
                             : -1,
      .log_start_offset = log_start_,
      .is_duplicate = false};
}

std::size_t StoredLog::creation_bytes() const {
  return is_journaled_ ? 0 : kJournalFrameBytes + name_.topic.size();
}

void StoredLog::journal_creation() {
  if (is_journaled_) return;
  is_journaled_ = true;
  Journal& journal = store_.journal();
  auto place = journal.stage(JournalKind::create, id_, 0, -1, name_.topic.size());
  std::copy(name_.topic.begin(), name_.topic.end(), place.body.mutable_data());
  journal.seal(place, std::static_pointer_cast<StoredLog>(shared_from_this()), marks_, end_);
}

void StoredLog::roll_if_full(const wire::BatchHeader& batch) {
  const Segment& segment = active().segment;
  if (segment.is_empty()) return;
  const bool is_full = !segment.has_room_for(batch.total_size(), batch.last_offset(),
                                             static_cast<std::uint64_t>(config_.segment_bytes));
  const std::int64_t age_max = config_.is_compacted
                                   ? std::min(config_.segment_ms, config_.max_compaction_lag_ms)
                                   : config_.segment_ms;
  const bool is_old = segment.first_timestamp() >= 0 && batch.max_timestamp >= 0 &&
                      batch.max_timestamp - segment.first_timestamp() > age_max;
  if (!is_full && !is_old) return;
  begin_segment();
}

// The new segment begins at the present end of its predecessor; the producers' state is that of
// just before the batch that did not fit.
void StoredLog::begin_segment() {
  Segment& old = active().segment;
  old.finish_time_index();
  const Offset base = old.next_offset();
  // While the tail of the journal is taken over, the state is that of the end already.
  if (producers_.end_offset() <= base) snapshots_.push_back({base, snapshot_of(producers_)});
  bytes_since_snapshot_ = 0;
  indexes_saved_bytes_ = 0;
  segments_.push_back(std::make_shared<StoredSegment>(Segment(base, settings_of(config_))));
  begin_sums();
  store_.tail().begin_segment(chunk_);
}

void StoredLog::begin_sums() {
  active().sums = SegmentSums({id_, active().segment.base_offset()});
  active().sums_are_whole = true;
}

void StoredLog::roll() {
  if (is_gone() || active().segment.is_empty()) return;
  begin_segment();
  is_complete_on_disk_ = false;
  store_.note_unwritten(*this);
}

// --- durability

void StoredLog::on_flushed(Offset end) {
  if (end <= durable_end_) return;
  durable_end_ = std::min(end, end_);
  if (follows_durable_end_) advance_high_watermark(durable_end_);
  release_waiters({}, durable_end_);
}

void StoredLog::advance_high_watermark(Offset to) {
  to = std::min(to, durable_end_);
  if (to <= high_watermark_) return;
  high_watermark_ = to;
  producers_.on_high_watermark(to);
  store_.note_change();
  tell_watchers();
}

void StoredLog::set_high_watermark(Offset offset) {
  follows_durable_end_ = false;
  advance_high_watermark(offset);
}

void StoredLog::release_waiters(LogResult<> result, Offset up_to) {
  while (!waiters_.empty() && waiters_.front().end <= up_to) {
    waiters_.pop_front().on_durable(result);
  }
}

void StoredLog::watch(LogWatcher& watcher) { watchers_.push_back(watcher); }

void StoredLog::tell_watchers() {
  if (watchers_.empty()) return;
  const auto alive = shared_from_this();
  io::List<LogWatcher> told;
  while (!watchers_.empty()) told.push_back(watchers_.pop_front());
  while (!told.empty()) {
    LogWatcher& watcher = told.pop_front();
    watchers_.push_back(watcher);
    watcher.on_change(*this);
  }
}

bool StoredLog::wait_durable(DurableWaiter& waiter) {
  if (waiter.end <= durable_end_ && !is_gone()) return false;
  if (is_gone()) {
    waiter.on_durable(std::unexpected(gone()));
    return true;
  }
  waiters_.push_back(waiter);
  return true;
}

io::Task<LogResult<>> StoredLog::wait_durable(Offset end) {
  const auto alive = shared_from_this();
  if (is_gone()) co_return std::unexpected(gone());
  if (end <= durable_end_) co_return LogResult<>();
  co_return co_await AwaitDurable(*this, store_.env().executor, end);
}

void StoredLog::on_fenced() {
  const auto alive = shared_from_this();
  release_waiters(std::unexpected(LogError::fenced), std::numeric_limits<Offset>::max());
  tell_watchers();
}

void StoredLog::on_removed() {
  const auto alive = shared_from_this();
  is_deleted_ = true;
  unwritten_bytes_ = 0;
  clear_tail();
  release_waiters(std::unexpected(LogError::deleted), std::numeric_limits<Offset>::max());
  tell_watchers();
}

// --- both ends

io::Task<LogResult<Offset>> StoredLog::delete_records(Offset offset) {
  const auto alive = shared_from_this();
  if (is_gone()) co_return std::unexpected(gone());
  if (offset == -1) offset = high_watermark_;
  if (offset < 0 || offset > high_watermark_) {
    co_return std::unexpected(LogError::offset_out_of_range);
  }
  if (offset <= log_start_) co_return log_start_;
  while (!store_.has_room(creation_bytes())) {
    if (store_.is_closing()) co_return std::unexpected(LogError::no_room);
    co_await store_.wait_for_room();
    if (is_gone()) co_return std::unexpected(gone());
  }
  journal_creation();
  Journal& journal = store_.journal();
  journal.seal(journal.stage(JournalKind::log_start, id_, offset, -1, 0),
               std::static_pointer_cast<StoredLog>(alive), marks_, end_);
  if (offset > log_start_) {
    log_start_ = offset;
    journaled_log_start = offset;
    producers_.on_log_start(offset);
    if (epochs_.truncate_from_start(offset)) epochs_are_dirty_ = true;
    is_complete_on_disk_ = false;
  }
  store_.note_change();
  if (!co_await journal.flushed()) co_return std::unexpected(LogError::fenced);
  if (is_gone()) co_return std::unexpected(gone());
  tell_watchers();
  store_.want_cleanup(std::static_pointer_cast<StoredLog>(alive));
  co_return log_start_;
}

io::Task<LogResult<>> StoredLog::truncate_to(Offset offset) {
  const auto alive = std::static_pointer_cast<StoredLog>(shared_from_this());
  if (is_gone()) co_return std::unexpected(gone());
  OTTLA_CHECK(offset >= high_watermark_);
  if (offset >= end_) co_return LogResult<>();
  if (is_truncating_) co_return std::unexpected(LogError::no_room);
  is_truncating_ = true;
  struct Done {
    StoredLog& log;
    ~Done() { log.is_truncating_ = false; }
  } done{*this};
  while (!store_.has_room(creation_bytes())) {
    co_await store_.wait_for_room();
    if (is_gone()) co_return std::unexpected(gone());
  }
  journal_creation();
  Journal& journal = store_.journal();
  journal.seal(journal.stage(JournalKind::truncate, id_, offset, -1, 0), alive, marks_, end_);
  if (!co_await journal.flushed()) co_return std::unexpected(LogError::fenced);
  co_await store_.file_lock().acquire();
  auto cut = co_await cut_files(offset);
  store_.file_lock().release();
  if (is_gone()) co_return std::unexpected(gone());
  if (!cut) {
    store_.fence(std::move(cut.error()));
    co_return std::unexpected(LogError::fenced);
  }
  store_.note_change();
  tell_watchers();
  co_return LogResult<>();
}

// --- memory

Offset StoredLog::tail_begin() const {
  return tail_size() == 0 ? end_ : load_big<Offset>(tail_at(0).bytes.data());
}

// The first batch in memory that ends at or behind `offset`.
std::size_t StoredLog::tail_find(Offset offset) const {
  const auto begin = tail_.begin() + static_cast<std::ptrdiff_t>(tail_head_);
  const auto found =
      std::lower_bound(begin, tail_.end(), offset,
                       [](const TailBatch& batch, Offset at) { return batch.last_offset < at; });
  return static_cast<std::size_t>(found - begin);
}

void StoredLog::push_tail(TailBatch batch) {
  if (tail_.size() == tail_.capacity() && tail_head_ > tail_.size() / 2) {
    tail_.erase(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(tail_head_));
    tail_head_ = 0;
  }
  tail_.push_back(std::move(batch));
}

void StoredLog::clear_tail() {
  tail_.clear();
  tail_head_ = 0;
  store_.tail().leave(chunk_);
}

void StoredLog::leave_slab(std::uint64_t number) {
  if (chunk_.slab == number) store_.tail().leave(chunk_);
}

void StoredLog::drop_tail(Offset end) {
  while (tail_size() > 0) {
    TailBatch& front = tail_[tail_head_];
    if (front.last_offset >= end || front.last_offset >= readable_end_) break;
    front.bytes = Slice();
    ++tail_head_;
  }
  if (tail_size() == 0) {
    tail_ = {};
    tail_head_ = 0;
  }
}

LogDescription StoredLog::describe() const {
  LogDescription description;
  description.log_start_offset = log_start_;
  description.log_end_offset = end_;
  for (const auto& stored : segments_) {
    const Segment& segment = stored->segment;
    description.size_bytes += segment.size_bytes();
    description.segments.push_back({.base_offset = segment.base_offset(),
                                    .size_bytes = segment.size_bytes(),
                                    .max_timestamp = segment.max_timestamp(),
                                    .is_active = stored == segments_.back()});
  }
  return description;
}

EpochEnd StoredLog::end_offset_for_epoch(LeaderEpoch requested) const {
  return epochs_.end_offset_for(requested, end_);
}

}  // namespace ottla::storage
