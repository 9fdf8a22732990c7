#include "storage/store_shard.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted_bug.h"
#include "storage/atomic_file.h"
#include "storage/log_directory.h"
#include "storage/segment_name.h"
#include "storage/store_compaction.h"
#include "storage/store_retention.h"
#include "storage/store_scrub.h"

namespace ottla::storage {

namespace {

// No log has a chunk of more than this part of the tail, or of more than half a slab, unless for
// one batch.
constexpr std::size_t kChunkPart = 32;
constexpr std::size_t kSyncsAtOnce = 16;
// Where log starts have no room in the journal; the checkpoint takes them meanwhile.
constexpr io::Duration kStalledDrainPause = std::chrono::milliseconds(100);

struct NextTurn {
  io::Executor& executor;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> self) { executor.post(self); }
  void await_resume() const {}
};

JournalLimits limits_of(const StoreLimits& limits) {
  return {.file_bytes = limits.journal_file_bytes,
          .first_file_bytes = limits.journal_first_file_bytes,
          .files = limits.journal_files,
          .chunk_bytes = limits.chunk_bytes,
          .pending_bytes = limits.pending_bytes};
}

TailLimits limits_of_tail(const StoreLimits& limits) {
  return {.slab_bytes = limits.chunk_bytes,
          .chunk_bytes_max = std::min(limits.chunk_bytes / 2, limits.tail_bytes / kChunkPart),
          // Files lag behind: under load the tail swings between half of its bound and more than
          // its double. All of that is kept, as new pages cost more than what is done with them.
          .spare_bytes = limits.tail_bytes * 2};
}

}  // namespace

ShardStore::ShardStore(io::Env& env, std::string directory, JournalIdentity identity,
                       StoreLimits limits, std::set<TopicIdPartition> lost_folders)
    : env_(env),
      directory_(std::move(directory)),
      limits_(limits),
      lost_folders_(std::move(lost_folders)),
      journal_(env, std::move(identity), limits_of(limits),
               {.on_flushed = [this](std::vector<Touched>& group) { on_flushed(group); },
                .on_failed = [this](const io::Error& error) { on_failed(error); },
                .on_file_switch = [this] { want_work(); }}),
      tail_(env.disk, limits_of_tail(limits)),
      index_cache_(limits.index_cache_bytes),
      file_lock_(env.executor),
      names_lock_(env.executor),
      evicted_(env.executor),
      closing_(env.executor),
      tasks_(env.executor) {}

ShardStore::~ShardStore() = default;

io::Task<io::Result<>> ShardStore::start(std::uint64_t journal_sequence) {
  auto opened = co_await journal_.open(journal_sequence);
  if (opened) {
    tasks_.spawn(scrub_in_background(*this));
    tasks_.spawn(retain_in_background(*this));
    tasks_.spawn(compact_in_background(*this));
  }
  co_return opened;
}

// Who knows when it was scrubbed last? At some time within the interval; so a node that is often
// started again comes to all of them in the end.
io::Instant ShardStore::first_scrub(bool was_clean) {
  const io::Instant now = env_.clock.now();
  if (!was_clean) return now;
  const auto ago = env_.random.below(static_cast<std::uint64_t>(limits_.scrub_interval_ms));
  return now + std::chrono::milliseconds(ago);
}

std::shared_ptr<PartitionLog> ShardStore::find(const TopicIdPartition& id) {
  const auto at = logs_.find(id);
  return at == logs_.end() ? nullptr : at->second;
}

std::vector<std::shared_ptr<PartitionLog>> ShardStore::partitions() {
  std::vector<std::shared_ptr<PartitionLog>> all;
  all.reserve(logs_.size());
  for (const auto& [id, log] : logs_) all.push_back(log);
  return all;
}

std::shared_ptr<PartitionLog> ShardStore::open(LoadedPartition loaded, const LogConfig& config) {
  const TopicIdPartition id = loaded.id;
  OTTLA_CHECK(!logs_.contains(id));
  auto log = std::make_shared<StoredLog>(*this, std::move(loaded), config);
  logs_.emplace(id, log);
  journal_.reserve_for(logs_.size());
  if (log->unwritten_bytes() > 0) note_unwritten(*log);
  note_change();
  return log;
}

// --- creating and removing

io::Task<io::Result<std::vector<std::shared_ptr<PartitionLog>>>> ShardStore::create(
    std::vector<NewPartition> wanted) {
  std::vector<std::shared_ptr<PartitionLog>> made;
  co_await names_lock_.acquire();
  std::optional<io::Error> error;
  for (NewPartition& partition : wanted) {
    auto log = co_await create_one(std::move(partition));
    if (!log) {
      error = std::move(log.error());
      break;
    }
    made.push_back(std::move(*log));
  }
  names_lock_.release();
  if (error) co_return std::unexpected(std::move(*error));
  if (!co_await journal_.flushed()) co_return std::unexpected(journal_.failure());
  co_return made;
}

io::Task<io::Result<std::shared_ptr<StoredLog>>> ShardStore::create_one(NewPartition wanted) {
  if (const auto known = logs_.find(wanted.id); known != logs_.end()) co_return known->second;
  if (is_fenced()) co_return std::unexpected(fence_reason());
  const std::string name = partition_directory_name(wanted.name);
  if (lost_folders_.contains(wanted.id)) {
    co_return std::unexpected(io::Error{
        io::ErrorKind::invalid,
        name +
            ": the journal has records of this partition, but its folder is gone; put the folder "
            "back, or delete the topic"});
  }
  const std::string path = directory_ + "/" + name;
  auto directory = co_await env_.disk.make_directory(path);
  const std::string metadata_path = path + "/" + std::string(kPartitionMetadataFile);
  if (!directory && directory.error().kind == io::ErrorKind::exists) {
    // Of a creation that a crash cut short there may be anything but records.
    auto metadata = co_await read_small_file(env_.disk, metadata_path, kSmallFileBytesMax);
    if (!metadata && metadata.error().kind != io::ErrorKind::not_found) {
      co_return std::unexpected(std::move(metadata.error()));
    }
    const auto there = metadata ? parse_partition_metadata(as_text(*metadata))
                                : Parsed<Uuid>(format_error("no such file"));
    auto files = co_await env_.disk.list(path);
    if (!files) co_return std::unexpected(std::move(files.error()));
    const bool has_records = std::any_of(files->begin(), files->end(), [](const auto& entry) {
      return entry.size_bytes > 0 && parse_segment_file_name(entry.name);
    });
    if ((there && *there != wanted.id.topic_id) || has_records) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::exists, path + " belongs to another topic of the same name"});
    }
  } else if (!directory) {
    co_return std::unexpected(std::move(directory.error()));
  }
  const std::string text = serialize_partition_metadata(wanted.id.topic_id);
  auto file =
      co_await env_.disk.open(metadata_path, {.write = true, .create = true, .truncate = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  auto written = co_await (*file)->write(0, as_bytes(text));
  if (!written) co_return std::unexpected(std::move(written.error()));
  root_is_dirty_ = true;

  // The folder need not be synced: the journal knows of it, and makes it again.
  while (!journal_.has_room(kJournalFrameBytes + wanted.name.topic.size())) {
    if (is_fenced()) co_return std::unexpected(fence_reason());
    co_await journal_.room();
  }
  LoadedPartition loaded;
  loaded.id = wanted.id;
  loaded.name = wanted.name;
  loaded.directory = path;
  auto log = std::make_shared<StoredLog>(*this, std::move(loaded), wanted.config);
  log->journal_creation();
  logs_.emplace(wanted.id, log);
  journal_.reserve_for(logs_.size());
  note_change();
  co_return log;
}

io::Task<io::Result<>> ShardStore::remove(std::vector<TopicIdPartition> ids) {
  const auto alive = shared_from_this();
  std::vector<std::string> paths;
  auto renamed = co_await rename_away(std::move(ids), PartitionDirectoryState::deleted, paths);
  if (!renamed) co_return renamed;
  for (std::string& path : paths) {
    if (!is_closing_) tasks_.spawn(remove_directory(std::move(path)));
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardStore::set_aside(std::vector<TopicIdPartition> ids) {
  const auto alive = shared_from_this();
  std::vector<std::string> paths;
  co_return co_await rename_away(std::move(ids), PartitionDirectoryState::stray, paths);
}

io::Task<io::Result<>> ShardStore::rename_away(std::vector<TopicIdPartition> ids,
                                               PartitionDirectoryState state,
                                               std::vector<std::string>& paths) {
  if (is_fenced()) co_return std::unexpected(fence_reason());
  co_await names_lock_.acquire();
  co_await file_lock_.acquire();
  std::optional<io::Error> error;
  for (const TopicIdPartition& id : ids) {
    const auto at = logs_.find(id);
    if (at == logs_.end() || error) continue;
    const std::shared_ptr<StoredLog> log = at->second;
    if (state == PartitionDirectoryState::stray) {
      auto closed = co_await log->close_clean();
      if (!closed) {
        error = std::move(closed.error());
        continue;
      }
    }
    const std::string to =
        directory_ + "/" + partition_directory_name(log->name(), state, env_.random.uuid());
    // First nobody appends any more, then the name goes, then the journal forgets it.
    logs_.erase(id);
    journal_.reserve_for(logs_.size());
    log->on_removed();
    auto renamed = co_await env_.disk.rename(log->directory(), to);
    if (!renamed) error = std::move(renamed.error());
    paths.push_back(to);
  }
  if (!error && !paths.empty()) {
    auto synced = co_await env_.disk.sync_directory(directory_);
    if (!synced) error = std::move(synced.error());
  }
  file_lock_.release();
  if (error) {
    names_lock_.release();
    fence(*error);
    co_return std::unexpected(std::move(*error));
  }
  for (const TopicIdPartition& id : ids) {
    while (!is_fenced() && !journal_.has_room(0)) co_await journal_.room();
    if (is_fenced() || is_planted(PlantedBug::deletion_not_journaled)) break;
    journal_.seal(journal_.stage(JournalKind::remove, id, 0, -1, 0));
  }
  names_lock_.release();
  if (is_fenced() || !co_await journal_.flushed()) co_return std::unexpected(fence_reason());
  note_change();
  co_return io::Result<>();
}

io::Task<> ShardStore::remove_directory(std::string path) {
  auto entries = co_await env_.disk.list(path);
  if (!entries) co_return;
  for (const io::DirectoryEntry& entry : *entries) {
    (void)co_await env_.disk.remove(path + "/" + entry.name);
  }
  auto removed = co_await env_.disk.remove(path);
  if (!removed) env_.logger.warning("{}: {}", path, removed.error().message);
}

// --- room and failure

bool ShardStore::can_ever_hold(std::size_t bytes) const { return journal_.can_ever_hold(bytes); }

bool ShardStore::has_room(std::size_t bytes) {
  if (is_closing_) return false;
  // Twice: what is not in segments yet can't be given back.
  if (tail_.bytes() > 2 * limits_.tail_bytes + limits_.chunk_bytes) {
    want_work();
    return false;
  }
  return journal_.has_room(bytes);
}

io::Task<> ShardStore::wait_for_room() {
  const auto alive = shared_from_this();
  while (!is_fenced() && !is_closing_ &&
         tail_.bytes() > 2 * limits_.tail_bytes + limits_.chunk_bytes) {
    want_work();
    co_await evicted_.wait();
  }
  co_await journal_.room();
}

void ShardStore::on_failed(const io::Error& error) {
  env_.logger.error("{}: {}; nothing is acknowledged any more", directory_, error.message);
  const auto logs = logs_;
  for (const auto& [id, log] : logs) log->on_fenced();
  evicted_.pulse();
  if (on_fenced_) on_fenced_(error);
}

void ShardStore::on_flushed(std::vector<Touched>& group) {
  for (const Touched& touched : group) {
    const auto log = touched.log.lock();
    if (!log) continue;
    log->on_flushed(touched.end);
    if (log->unwritten_bytes() >= limits_.drain_bytes) ready_.push_back(log);
  }
  if (has_work()) want_work();
}

void ShardStore::note_unwritten(StoredLog& log) {
  ++changes_;
  if (log.is_in_write_queue) return;
  log.is_in_write_queue = true;
  unwritten_.push_back(std::static_pointer_cast<StoredLog>(log.shared_from_this()));
  if (!is_settling_ && !is_closing_) {
    is_settling_ = true;
    tasks_.spawn(settle_later());
  }
}

// --- work in the background

bool ShardStore::has_files_to_drain() const {
  return !has_older_journals_ &&
         journal_.older_files() >= std::max<std::size_t>(1, limits_.journal_files / 2);
}

bool ShardStore::has_work() const {
  return !ready_.empty() || tail_.bytes() > limits_.tail_bytes || has_files_to_drain();
}

void ShardStore::on_older_journals_gone() {
  has_older_journals_ = false;
  if (has_work()) want_work();
}

void ShardStore::want_work() {
  if (is_working_ || is_closing_ || is_fenced()) return;
  is_working_ = true;
  tasks_.spawn(work());
}

io::Task<> ShardStore::work() {
  co_await NextTurn{env_.executor};
  while (!is_fenced() && !is_closing_) {
    const std::size_t tail_before = tail_.bytes();
    co_await file_lock_.acquire();
    io::Result<> result;
    if (!ready_.empty()) result = co_await write_ready();
    if (result && tail_.bytes() > limits_.tail_bytes) result = co_await evict();
    if (result && has_files_to_drain()) result = co_await drain_older_files();
    file_lock_.release();
    if (!result) {
      fence(std::move(result.error()));
      break;
    }
    if (!has_work()) break;
    if (std::exchange(drain_is_stalled_, false)) {
      if (!std::exchange(is_trying_again_, true)) tasks_.spawn(try_again());
      break;
    }
    // Over the bound with nothing to give back yet: the next flush wakes us.
    if (ready_.empty() && tail_.bytes() >= tail_before && !has_files_to_drain()) {
      break;
    }
  }
  is_working_ = false;
}

// By itself: where the journal is full nobody appends, and no flush would wake the work.
io::Task<> ShardStore::try_again() {
  (void)co_await closing_.wait_until(env_.clock, env_.clock.now() + kStalledDrainPause);
  is_trying_again_ = false;
  if (has_work()) want_work();
}

io::Task<io::Result<>> ShardStore::write_ready() {
  while (!ready_.empty()) {
    std::vector<std::weak_ptr<StoredLog>> ready = std::exchange(ready_, {});
    for (const auto& weak : ready) {
      const auto log = weak.lock();
      if (!log || log->unwritten_bytes() < limits_.drain_bytes) continue;
      auto written = co_await log->write_out(limits_.drain_bytes);
      if (!written) co_return written;
    }
  }
  co_return io::Result<>();
}

// Down to half of the bound, so that a log's few batches go to its segment together.
io::Task<io::Result<>> ShardStore::evict() {
  while (tail_.bytes() > limits_.tail_bytes / 2) {
    TailSlab* slab = tail_.oldest();
    if (!slab) break;
    for (const Touched& one : slab->touched) {
      if (const auto log = one.log.lock()) log->leave_slab(slab->number);
    }
    const std::vector<Touched> touched = slab->touched;
    for (const Touched& one : touched) {
      const auto log = one.log.lock();
      if (!log || log->is_deleted()) continue;
      const Offset end = std::min(one.end, log->log_end_offset());
      if (end > log->durable_end_offset()) co_return io::Result<>();  // its flush is under way
      if (log->readable_end() < end) {
        auto settled = co_await log->settle();
        if (!settled) co_return settled;
      }
      log->drop_tail(end);
    }
    tail_.drop_oldest();
    evicted_.pulse();
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardStore::drain_older_files() {
  const std::uint64_t sequence = journal_.current_sequence();
  if (!co_await journal_.flushed()) co_return std::unexpected(fence_reason());
  std::vector<std::shared_ptr<StoredLog>> logs;
  ++drain_rounds_;
  for (const Touched& touched : journal_.touched_before(sequence)) {
    auto log = touched.log.lock();
    if (!log || log->drain_mark == drain_rounds_) continue;
    log->drain_mark = drain_rounds_;
    logs.push_back(std::move(log));
  }
  auto synced = co_await sync_logs(logs);
  if (!synced) co_return synced;
  // Fenced meanwhile, the logs may lack what the files hold: those must stay.
  if (is_fenced()) co_return std::unexpected(fence_reason());
  // A log start that only these files know goes into the present one.
  for (const auto& log : logs) {
    if (log->is_deleted() || log->journaled_log_start <= log->checkpointed_log_start) continue;
    if (!journal_.has_room_for_own(0)) {
      drain_is_stalled_ = true;  // until the checkpoint has it
      co_return io::Result<>();
    }
    journal_.seal(journal_.stage(JournalKind::log_start, log->id(), log->log_start_offset(), -1, 0),
                  log, log->marks(), log->log_end_offset());
  }
  // A start must not miss the files that are about to go.
  if (!journal_.has_room_for_mark()) {
    drain_is_stalled_ = true;
    co_return io::Result<>();
  }
  journal_.seal(journal_.stage(JournalKind::mark, {}, static_cast<Offset>(sequence), -1, 0));
  if (!co_await journal_.flushed()) co_return std::unexpected(fence_reason());
  journal_.release_before(sequence);
  co_return io::Result<>();
}

io::Task<> ShardStore::log_worker(LogWork work, std::vector<std::shared_ptr<StoredLog>>& logs,
                                  std::size_t& next, std::optional<io::Error>& error) {
  while (next < logs.size() && !error) {
    StoredLog& log = *logs[next++];
    auto done = co_await (log.*work)();
    if (!done && !error) error = std::move(done.error());
  }
}

// Writing goes one by one; waiting for the disk is done together.
io::Task<io::Result<>> ShardStore::settle_and(LogWork work,
                                              std::vector<std::shared_ptr<StoredLog>> logs) {
  for (const auto& log : logs) {
    auto settled = co_await log->settle();
    if (!settled) co_return settled;
  }
  std::optional<io::Error> error;
  std::size_t next = 0;
  io::TaskGroup group(env_.executor);
  for (std::size_t i = 0; i < std::min(kSyncsAtOnce, logs.size()); ++i) {
    group.spawn(log_worker(work, logs, next, error));
  }
  co_await group.join();
  if (error) co_return std::unexpected(std::move(*error));
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardStore::sync_logs(std::vector<std::shared_ptr<StoredLog>> logs) {
  const std::uint64_t before = counters_.segment_bytes;
  auto synced = co_await settle_and(&StoredLog::sync, std::move(logs));
  if (!synced) co_return synced;
  synced_bytes_ += counters_.segment_bytes - before;
  co_return io::Result<>();
}

io::Task<> ShardStore::settle_later() {
  (void)co_await closing_.wait_until(
      env_.clock, env_.clock.now() + std::chrono::milliseconds(limits_.drain_after_ms));
  while (!is_fenced() && !is_closing_ && !unwritten_.empty()) {
    co_await file_lock_.acquire();
    auto settled = co_await settle_all();
    file_lock_.release();
    if (!settled) {
      fence(std::move(settled.error()));
      break;
    }
    (void)co_await closing_.wait_until(
        env_.clock, env_.clock.now() + std::chrono::milliseconds(limits_.drain_after_ms));
  }
  is_settling_ = false;
  journal_.release_spares();
  tail_.release_spares();
}

io::Task<io::Result<>> ShardStore::settle_all() {
  for (const auto& weak : std::exchange(unwritten_, {})) {
    const auto log = weak.lock();
    if (!log) continue;
    log->is_in_write_queue = false;
    auto settled = co_await log->settle();
    if (!settled) co_return settled;
    if (log->unwritten_bytes() > 0 && !log->is_in_write_queue) {
      log->is_in_write_queue = true;
      unwritten_.push_back(log);
    }
  }
  co_return io::Result<>();
}

void ShardStore::want_cleanup(std::shared_ptr<StoredLog> log) {
  if (!is_closing_) tasks_.spawn(clean_up(std::move(log)));
}

io::Task<> ShardStore::clean_up(std::shared_ptr<StoredLog> log) {
  std::vector<std::string> renamed;
  co_await file_lock_.acquire();
  auto removed = co_await log->remove_old_segments(renamed);
  file_lock_.release();
  if (!removed) fence(std::move(removed.error()));
  remove_later(std::move(renamed), log->config().file_delete_delay_ms);
}

void ShardStore::remove_later(std::vector<std::string> paths, std::int64_t delay_ms) {
  if (!paths.empty() && !is_closing_) tasks_.spawn(remove_after(std::move(paths), delay_ms));
}

// What a stop or a fault leaves there, the next start removes.
io::Task<> ShardStore::remove_after(std::vector<std::string> paths, std::int64_t delay_ms) {
  const io::Instant due = env_.clock.now() + std::chrono::milliseconds(delay_ms);
  if (co_await closing_.wait_until(env_.clock, due)) co_return;
  for (std::string& path : paths) (void)co_await env_.disk.remove(std::move(path));
}

// --- the whole store

io::Task<io::Result<>> ShardStore::drain() {
  const auto alive = shared_from_this();
  if (!co_await journal_.flushed()) co_return std::unexpected(fence_reason());
  co_await file_lock_.acquire();
  std::vector<std::shared_ptr<StoredLog>> logs;
  for (const auto& [id, log] : logs_) {
    if (log->unwritten_bytes() > 0 || log->needs_sync()) logs.push_back(log);
  }
  auto synced = co_await sync_logs(std::move(logs));
  file_lock_.release();
  if (!synced) {
    fence(synced.error());
    co_return std::unexpected(std::move(synced.error()));
  }
  // Fenced meanwhile, the logs were left as they are: the journals are still needed.
  if (is_fenced()) co_return std::unexpected(fence_reason());
  co_return io::Result<>();
}

io::Task<> ShardStore::stop() {
  is_closing_ = true;
  closing_.set();
  evicted_.pulse();
  co_await journal_.close();
  co_await tasks_.join();
}

io::Task<io::Result<>> ShardStore::close_clean() {
  const auto alive = shared_from_this();
  if (is_fenced()) co_return std::unexpected(fence_reason());
  if (!co_await journal_.flushed()) co_return std::unexpected(fence_reason());
  co_await stop();
  auto drained = co_await drain();
  if (!drained) co_return drained;
  std::vector<std::shared_ptr<StoredLog>> logs;
  logs.reserve(logs_.size());
  for (const auto& [id, log] : logs_) logs.push_back(log);
  auto closed = co_await settle_and(&StoredLog::close_clean, std::move(logs));
  if (!closed) fence(closed.error());
  co_return closed;
}

std::vector<CheckpointEntry> ShardStore::checkpoint_entries() const {
  std::vector<CheckpointEntry> entries;
  entries.reserve(logs_.size());
  for (const auto& [id, log] : logs_) {
    entries.push_back({.name = log->name(),
                       .id = id,
                       .recovery_point = log->recovery_point(),
                       .high_watermark = log->high_watermark(),
                       .log_start = log->log_start_offset(),
                       .first_base = log->first_segment_base(),
                       .first_dirty = log->config().is_compacted ? log->first_dirty() : 0});
  }
  return entries;
}

void ShardStore::on_checkpointed(const std::vector<CheckpointEntry>& entries) {
  for (const CheckpointEntry& entry : entries) {
    const auto at = logs_.find(entry.id);
    if (at != logs_.end()) at->second->checkpointed_log_start = entry.log_start;
  }
}

io::Task<io::Result<>> ShardStore::sync_root() {
  if (!root_is_dirty_) co_return io::Result<>();
  root_is_dirty_ = false;
  co_return co_await env_.disk.sync_directory(directory_);
}

io::Task<io::Result<std::shared_ptr<io::File>>> ShardStore::reader_of(
    std::shared_ptr<StoredSegment> segment, std::string path) {
  segment->reader_use = ++reader_uses_;
  if (segment->reader) co_return segment->reader;
  auto opened = co_await env_.disk.open(std::move(path), {});
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  if (segment->is_leaving) {  // the name may be another's already
    co_return std::unexpected(io::Error{io::ErrorKind::not_found, "the segment was replaced"});
  }
  segment->reader = std::move(*opened);
  readers_.push_back({segment, 0});
  while (readers_.size() > limits_.open_files) {
    // Those gone, then the one used least recently.
    std::erase_if(readers_, [](const OpenReader& one) { return one.segment.expired(); });
    auto oldest = readers_.end();
    std::uint64_t use = UINT64_MAX;
    for (auto at = readers_.begin(); at != readers_.end(); ++at) {
      const auto there = at->segment.lock();
      if (there && there != segment && there->reader_use < use) {
        use = there->reader_use;
        oldest = at;
      }
    }
    if (oldest == readers_.end()) break;
    if (const auto there = oldest->segment.lock()) there->reader.reset();
    readers_.erase(oldest);
  }
  co_return segment->reader;
}

StoreStatistics ShardStore::statistics() const {
  StoreStatistics now = counters_;
  now.flushes = journal_.flushes();
  now.journal_bytes = journal_.written_bytes();
  now.tail_bytes = tail_.bytes();
  now.undrained_bytes = journal_.undrained_bytes();
  now.partitions = logs_.size();
  return now;
}

}  // namespace ottla::storage
