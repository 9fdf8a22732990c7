#include "storage/recovery.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint_file.h"
#include "storage/journal.h"
#include "storage/log_directory.h"
#include "storage/recovery_journals.h"
#include "storage/recovery_partition.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

constexpr std::size_t kLoadsAtOnce = 16;

std::unexpected<io::Error> refusal(std::string message) {
  return std::unexpected(io::Error{io::ErrorKind::invalid, std::move(message)});
}

Bytes bytes_of(std::string_view text) {
  const ByteView bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class ShardFolder final : public LogFolder {
 public:
  ShardFolder(io::Env& env, RecoverySettings settings)
      : env_(env), settings_(std::move(settings)) {}

  io::Task<io::Result<>> recover();

  const RecoveryReport& report() const override { return report_; }
  std::string cluster_id() const override { return properties_.cluster_id; }
  Uuid directory_id() const override { return properties_.directory_id; }
  io::Task<io::Result<std::shared_ptr<Store>>> open_store(io::Env& there) override;
  std::vector<TopicIdPartition> found() const override;
  std::optional<LoadedPartition> take(const TopicIdPartition& id) override;
  io::Task<io::Result<>> set_aside_others(std::shared_ptr<Store> store) override;
  io::Task<> keep_checkpoints(std::vector<std::shared_ptr<Store>> stores) override;
  io::Task<io::Result<>> close_clean(std::vector<std::shared_ptr<Store>> stores,
                                     BrokerEpoch broker_epoch) override;

 private:
  io::Task<io::Result<>> read_identity();
  io::Task<io::Result<>> read_marker();
  io::Task<io::Result<>> read_checkpoints();
  io::Task<io::Result<>> load_partitions(JournalsFound journals);
  io::Task<> load_some(std::vector<std::string>& names, JournalsFound& journals, std::size_t& next,
                       std::optional<io::Error>& error);
  io::Task<io::Result<>> begin_journals();
  io::Task<io::Result<>> write_list(bool with_older_runs);
  io::Task<io::Result<>> drain_older_journals(const std::vector<std::shared_ptr<Store>>& stores);
  io::Task<io::Result<>> forget_older_journals();
  io::Task<io::Result<>> write_checkpoints(const std::vector<std::shared_ptr<Store>>& stores);
  io::Task<io::Result<>> write_checkpoint(std::string_view name,
                                          const std::vector<PartitionOffset>& entries);

  std::string path(std::string_view name) const { return settings_.path + "/" + std::string(name); }

  io::Env& env_;
  RecoverySettings settings_;
  std::unique_ptr<io::FileLock> lock_;
  MetaProperties properties_;
  RecoveryReport report_;
  std::map<TopicPartition, Offset> recovery_points_;
  std::map<TopicPartition, Offset> log_starts_;
  std::map<TopicPartition, Offset> first_dirty_;
  std::map<TopicIdPartition, LoadedPartition> found_;
  std::set<TopicIdPartition> lost_folders_;
  std::vector<std::string> older_journals_;  // files of former runs
  std::vector<JournalList::Run> older_runs_;
  bool is_kafkas_ = false;
  bool has_cleaner_file_ = false;
  bool has_tails_ = false;  // the older journals hold what segments lack
  std::uint64_t run_ = 0;
  std::uint64_t first_sequence_ = 0;
  std::uint64_t changes_seen_ = 0;
};

io::Task<io::Result<>> ShardFolder::read_identity() {
  auto text = co_await read_small_file(env_.disk, path(kMetaPropertiesFile), kSmallFileBytesMax);
  if (!text) {
    if (text.error().kind == io::ErrorKind::not_found) {
      properties_.cluster_id = settings_.cluster_id.value_or("");
      properties_.node_id = settings_.node_id.value_or(-1);
      co_return io::Result<>();
    }
    co_return std::unexpected(std::move(text.error()));
  }
  auto parsed = parse_meta_properties(as_text(*text));
  if (!parsed) {
    co_return refusal(fmt::format("{}: {}", path(kMetaPropertiesFile), parsed.error().message));
  }
  if (settings_.cluster_id && *settings_.cluster_id != parsed->cluster_id) {
    co_return refusal(
        fmt::format("{} belongs to cluster {}, not to {}; give this node its own folder",
                    settings_.path, parsed->cluster_id, *settings_.cluster_id));
  }
  if (settings_.node_id && *settings_.node_id != parsed->node_id) {
    co_return refusal(
        fmt::format("{} belongs to node {}, not to node {}; check node.id and log.dirs",
                    settings_.path, parsed->node_id, *settings_.node_id));
  }
  properties_ = std::move(*parsed);
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardFolder::read_marker() {
  auto marker = co_await read_small_file(env_.disk, path(kCleanShutdownFile), kSmallFileBytesMax);
  if (!marker) {
    if (marker.error().kind == io::ErrorKind::not_found) co_return io::Result<>();
    co_return std::unexpected(std::move(marker.error()));
  }
  report_.was_clean = true;
  const auto epoch = parse_clean_shutdown(as_text(*marker));
  report_.previous_broker_epoch = epoch ? *epoch : -1;
  // Gone, durably, before anything changes.
  co_return co_await remove_file_durably(env_.disk, settings_.path,
                                         std::string(kCleanShutdownFile));
}

io::Task<io::Result<>> ShardFolder::read_checkpoints() {
  const auto read = [](const Bytes& text, std::map<TopicPartition, Offset>& into) {
    const auto parsed = parse_offset_checkpoint(as_text(text));
    if (!parsed) return false;
    for (const PartitionOffset& entry : *parsed) into[entry.partition] = entry.offset;
    return true;
  };
  auto points =
      co_await read_small_file(env_.disk, path(kRecoveryPointFile), kCheckpointFileBytesMax);
  if (!points && points.error().kind != io::ErrorKind::not_found) {
    co_return std::unexpected(std::move(points.error()));
  }
  if (points && !read(*points, recovery_points_)) {
    env_.logger.warning("{} can't be read; all segments are verified", path(kRecoveryPointFile));
  }
  auto starts = co_await read_small_file(env_.disk, path(kLogStartFile), kCheckpointFileBytesMax);
  if (!starts && starts.error().kind != io::ErrorKind::not_found) {
    co_return std::unexpected(std::move(starts.error()));
  }
  if (starts && !read(*starts, log_starts_)) {
    co_return refusal(fmt::format(
        "{} can't be read; without it deleted records would come back. Restore or remove it",
        path(kLogStartFile)));
  }
  // Without it compaction begins anew.
  auto cleaner =
      co_await read_small_file(env_.disk, path(kCleanerOffsetFile), kCheckpointFileBytesMax);
  has_cleaner_file_ = cleaner.has_value();
  if (cleaner) (void)read(*cleaner, first_dirty_);
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardFolder::recover() {
  auto made = co_await env_.disk.make_directory(settings_.path);
  if (!made && made.error().kind != io::ErrorKind::exists) co_return made;
  auto named = co_await env_.disk.sync_directory(parent_of(settings_.path));
  if (!named) co_return named;
  auto lock = co_await env_.disk.lock(path(kLockFile));
  if (!lock) {
    if (lock.error().kind == io::ErrorKind::in_use) {
      lock.error().message =
          settings_.path +
          " is in use by another process, which holds its lock; stop that one first";
    }
    co_return std::unexpected(std::move(lock.error()));
  }
  lock_ = std::move(*lock);
  auto identity = co_await read_identity();
  if (!identity) co_return identity;
  auto marker = co_await read_marker();
  if (!marker) co_return marker;
  auto journals = co_await read_journals(
      env_, settings_.path,
      properties_.cluster_id.empty() ? std::nullopt : std::optional(properties_.cluster_id));
  if (!journals) co_return std::unexpected(std::move(journals.error()));
  older_journals_ = journals->files;
  if (journals->list) older_runs_ = journals->list->runs;
  is_kafkas_ = !journals->list && journals->files.empty();
  run_ = journals->last_run + 1;
  first_sequence_ = journals->last_sequence + 1;
  report_.replayed_entries = journals->entries;
  report_.replayed_bytes = journals->bytes;
  report_.was_lossy = journals->was_torn;
  if (report_.was_clean && journals->entries > 0 && journals->list) {
    // A clean stop leaves no journal: somebody put the marker there.
    env_.logger.warning("{} has a clean marker and a journal; the marker is not believed",
                        settings_.path);
    report_.was_clean = false;
  }
  auto checkpoints = co_await read_checkpoints();
  if (!checkpoints) co_return checkpoints;
  auto loaded = co_await load_partitions(std::move(*journals));
  if (!loaded) co_return loaded;
  co_return co_await begin_journals();
}

io::Task<io::Result<>> ShardFolder::load_partitions(JournalsFound journals) {
  auto entries = co_await env_.disk.list(settings_.path);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  std::set<std::string> live;
  std::set<TopicIdPartition> removed;
  bool any = false;
  for (const io::DirectoryEntry& entry : *entries) {
    if (!entry.is_directory) continue;
    const auto directory = parse_partition_directory(entry.name);
    if (!directory) continue;
    if (directory->state == PartitionDirectoryState::live) {
      live.insert(entry.name);
      continue;
    }
    // The id says whose records of the journal go with it.
    std::optional<TopicIdPartition> id;
    auto metadata = co_await read_small_file(
        env_.disk, path(entry.name) + "/" + std::string(kPartitionMetadataFile),
        kSmallFileBytesMax);
    if (metadata) {
      if (const auto topic_id = parse_partition_metadata(as_text(*metadata))) {
        id = {*topic_id, directory->partition.partition};
        removed.insert(*id);
      }
    }
    if (directory->state == PartitionDirectoryState::deleted) {
      auto inside = co_await env_.disk.list(path(entry.name));
      if (!inside) continue;
      for (const io::DirectoryEntry& file : *inside) {
        // Last what names the partition, so that a second try knows it too.
        if (file.name == kPartitionMetadataFile) continue;
        (void)co_await env_.disk.remove(path(entry.name) + "/" + file.name);
      }
      // While a journal tells of its making and not of its end, nothing else says that it has gone:
      // a topic that was made again would be taken for it.
      if (id && journals.partitions.contains(*id) && !journals.partitions.at(*id).was_removed)
        continue;
      (void)co_await env_.disk.remove(path(entry.name) + "/" + std::string(kPartitionMetadataFile));
      (void)co_await env_.disk.remove(path(entry.name));
    }
  }
  // A folder whose making did not reach the disk is made again.
  std::map<std::string, Uuid> to_make;
  for (const auto& [id, history] : journals.partitions) {
    if (!history.created_as || history.was_removed || removed.contains(id)) continue;
    to_make[partition_directory_name({*history.created_as, id.partition})] = id.topic_id;
  }
  for (const auto& [name, topic_id] : to_make) {
    auto metadata = co_await read_small_file(
        env_.disk, path(name) + "/" + std::string(kPartitionMetadataFile), kSmallFileBytesMax);
    if (metadata && !metadata->empty() && parse_partition_metadata(as_text(*metadata))) continue;
    if (!live.contains(name)) {
      auto made = co_await env_.disk.make_directory(path(name));
      if (!made && made.error().kind != io::ErrorKind::exists) co_return made;
      live.insert(name);
    }
    auto written =
        co_await write_file_atomically(env_.disk, path(name), std::string(kPartitionMetadataFile),
                                       bytes_of(serialize_partition_metadata(topic_id)));
    if (!written) co_return written;
    any = true;
  }
  for (const auto& [partition, point] : recovery_points_) {
    // The file of a clean stop names the logs that were there, and no others.
    const std::string name = partition_directory_name(partition);
    if (!report_.was_clean || point == 0 || live.contains(name)) continue;
    report_.damages.push_back(fmt::format(
        "{}: the folder is gone, with records up to offset {}; put it back before others take "
        "their offsets",
        name, point - 1));
  }
  std::vector<std::string> names(live.begin(), live.end());
  std::size_t next = 0;
  std::optional<io::Error> error;
  io::TaskGroup group(env_.executor);
  for (std::size_t i = 0; i < std::min(kLoadsAtOnce, names.size()); ++i) {
    group.spawn(load_some(names, journals, next, error));
  }
  co_await group.join();
  if (error) co_return std::unexpected(std::move(*error));
  for (const auto& [id, history] : journals.partitions) {
    if (history.was_removed || removed.contains(id) || history.batches.empty()) continue;
    env_.logger.warning(
        "the journal has {} entries of topic id {} partition {}, which has no folder in {}",
        history.entries, id.topic_id.to_string(), id.partition, settings_.path);
    lost_folders_.insert(id);
  }
  if (any) co_return co_await env_.disk.sync_directory(settings_.path);
  co_return io::Result<>();
}

io::Task<> ShardFolder::load_some(std::vector<std::string>& names, JournalsFound& journals,
                                  std::size_t& next, std::optional<io::Error>& error) {
  while (next < names.size() && !error) {
    const std::string& name = names[next++];
    const auto directory = parse_partition_directory(name);
    auto metadata = co_await read_small_file(
        env_.disk, path(name) + "/" + std::string(kPartitionMetadataFile), kSmallFileBytesMax);
    if (!metadata && metadata.error().kind != io::ErrorKind::not_found) {
      if (!error) error = std::move(metadata.error());
      co_return;
    }
    if (!metadata) {
      env_.logger.warning("{} has no {}; it is left alone", path(name), kPartitionMetadataFile);
      continue;
    }
    const auto topic_id = parse_partition_metadata(as_text(*metadata));
    if (!topic_id) {
      env_.logger.warning("{}/{}: {}; it is left alone", path(name), kPartitionMetadataFile,
                          topic_id.error().message);
      continue;
    }
    PartitionToLoad what;
    what.id = {*topic_id, directory->partition.partition};
    what.name = directory->partition;
    what.directory = path(name);
    what.was_clean = report_.was_clean;
    what.is_kafkas = is_kafkas_;
    if (const auto point = recovery_points_.find(what.name); point != recovery_points_.end()) {
      what.recovery_point = point->second;
    }
    if (const auto start = log_starts_.find(what.name); start != log_starts_.end()) {
      what.log_start_offset = start->second;
    }
    const TopicIdPartition id = what.id;
    PartitionHistory history;
    if (auto at = journals.partitions.find(id); at != journals.partitions.end()) {
      history = std::move(at->second);
      journals.partitions.erase(at);
    }
    if (history.was_removed) {
      // Its renaming was durable before the journal said so; somebody renamed it back.
      env_.logger.warning("{} was removed, and is there again; it is taken as it is", path(name));
      history = {};
    }
    auto load = co_await load_partition(env_, std::move(what), std::move(history));
    if (!load) {
      if (load.error().kind == io::ErrorKind::input_output) {
        load.error().message = fmt::format(
            "{} can't be loaded: {}; no other partition is served without it, since the journal "
            "holds records of all. Copy that file with a tool that passes over what can't be read "
            "(ddrescue) and put the copy in its place: what it lacks answers CORRUPT_MESSAGE then, "
            "and the rest is served",
            name, load.error().message);
      }
      if (!error) error = std::move(load.error());
      co_return;
    }
    report_.scanned_bytes += load->scanned_bytes;
    report_.cut_bytes += load->cut_bytes;
    if (load->cut_bytes > 0) report_.was_lossy = report_.was_lossy || is_kafkas_;
    for (const DamagedOffsets& damage : load->partition.damages) {
      report_.damages.push_back(
          fmt::format("{}: offsets {} to {}: {}", name, damage.from, damage.to - 1, damage.cause));
    }
    has_tails_ = has_tails_ || !load->partition.tail.empty();
    if (const auto dirty = first_dirty_.find(load->partition.name); dirty != first_dirty_.end())
      load->partition.first_dirty_offset = std::min(dirty->second, load->partition.segments_end());
    found_.emplace(id, std::move(load->partition));
  }
}

io::Task<io::Result<>> ShardFolder::begin_journals() {
  for (unsigned shard = 0; shard < settings_.shards; ++shard) {
    JournalHeader header;
    header.cluster_id = properties_.cluster_id;
    header.directory_id = properties_.directory_id;
    header.run = run_;
    header.shard = shard;
    header.sequence = first_sequence_;
    header.file_id = env_.random.next();
    header.file_bytes =
        std::min(settings_.limits.journal_first_file_bytes, settings_.limits.journal_file_bytes);
    header.first_needed = first_sequence_;
    auto made = co_await make_journal_file(env_.disk, settings_.path, std::move(header));
    if (!made) co_return std::unexpected(std::move(made.error()));
  }
  auto synced = co_await env_.disk.sync_directory(settings_.path);
  if (!synced) co_return synced;
  co_return co_await write_list(true);
}

io::Task<io::Result<>> ShardFolder::write_list(bool with_older_runs) {
  JournalList list;
  list.cluster_id = properties_.cluster_id;
  list.directory_id = properties_.directory_id;
  if (with_older_runs) list.runs = older_runs_;
  list.runs.push_back({run_, settings_.shards});
  co_return co_await write_file_atomically(env_.disk, settings_.path, std::string(kJournalListFile),
                                           bytes_of(serialize_journal_list(list)));
}

// The stores have drained what the older journals held.
io::Task<io::Result<>> ShardFolder::forget_older_journals() {
  if (older_journals_.empty()) co_return io::Result<>();
  auto listed = co_await write_list(false);
  if (!listed) co_return listed;
  for (const std::string& name : std::exchange(older_journals_, {})) {
    auto removed = co_await env_.disk.remove(path(name));
    if (!removed) env_.logger.warning("{}: {}", path(name), removed.error().message);
  }
  older_runs_.clear();
  co_return io::Result<>();
}

io::Task<io::Result<std::shared_ptr<Store>>> ShardFolder::open_store(io::Env& there) {
  JournalIdentity identity;
  identity.directory = settings_.path;
  identity.cluster_id = properties_.cluster_id;
  identity.directory_id = properties_.directory_id;
  identity.run = run_;
  identity.shard = there.shard;
  OTTLA_CHECK(there.shard < settings_.shards);
  auto store = std::make_shared<ShardStore>(there, settings_.path, std::move(identity),
                                            settings_.limits, lost_folders_);
  if (!older_journals_.empty()) store->keep_journals();
  auto started = co_await store->start(first_sequence_);
  if (!started) co_return std::unexpected(std::move(started.error()));
  co_return std::shared_ptr<Store>(std::move(store));
}

std::vector<TopicIdPartition> ShardFolder::found() const {
  std::vector<TopicIdPartition> ids;
  ids.reserve(found_.size());
  for (const auto& [id, partition] : found_) ids.push_back(id);
  return ids;
}

std::optional<LoadedPartition> ShardFolder::take(const TopicIdPartition& id) {
  auto at = found_.find(id);
  if (at == found_.end()) return std::nullopt;
  std::optional<LoadedPartition> partition(std::move(at->second));
  found_.erase(at);
  return partition;
}

io::Task<io::Result<>> ShardFolder::set_aside_others(std::shared_ptr<Store> store) {
  std::vector<TopicIdPartition> ids;
  auto& shard = static_cast<ShardStore&>(*store);
  for (auto& [id, partition] : std::exchange(found_, {})) {
    env_.logger.warning("{} is not in the cluster's metadata; it is renamed to -stray",
                        partition.directory);
    shard.open(std::move(partition), {});
    ids.push_back(id);
  }
  co_return co_await shard.set_aside(std::move(ids));
}

io::Task<io::Result<>> ShardFolder::write_checkpoint(std::string_view name,
                                                     const std::vector<PartitionOffset>& entries) {
  co_return co_await write_file_atomically(env_.disk, settings_.path, std::string(name),
                                           bytes_of(serialize_offset_checkpoint(entries)));
}

namespace {

io::Task<std::vector<CheckpointEntry>> entries_of(std::shared_ptr<Store> store) {
  co_return static_cast<ShardStore&>(*store).checkpoint_entries();
}
io::Task<bool> note_checkpointed(std::shared_ptr<Store> store,
                                 std::vector<CheckpointEntry> entries) {
  static_cast<ShardStore&>(*store).on_checkpointed(entries);
  co_return true;
}
io::Task<bool> forget_older(std::shared_ptr<Store> store) {
  static_cast<ShardStore&>(*store).on_older_journals_gone();
  co_return true;
}
io::Task<bool> fence_store(std::shared_ptr<Store> store, io::Error error) {
  static_cast<ShardStore&>(*store).fence(std::move(error));
  co_return true;
}
io::Task<std::uint64_t> changes_of(std::shared_ptr<Store> store) {
  co_return static_cast<ShardStore&>(*store).changes();
}
io::Task<io::Result<>> drain_store(std::shared_ptr<Store> store) {
  co_return co_await store->drain();
}
io::Task<io::Result<>> close_store(std::shared_ptr<Store> store) {
  co_return co_await static_cast<ShardStore&>(*store).close_clean();
}

}  // namespace

io::Task<io::Result<>> ShardFolder::write_checkpoints(
    const std::vector<std::shared_ptr<Store>>& stores) {
  std::vector<std::vector<CheckpointEntry>> by_shard;
  by_shard.reserve(stores.size());
  for (unsigned shard = 0; shard < stores.size(); ++shard) {
    by_shard.push_back(co_await io::call_on<std::vector<CheckpointEntry>>(
        env_, shard, [store = stores[shard]] { return entries_of(store); }));
  }
  std::vector<PartitionOffset> points;
  std::vector<PartitionOffset> watermarks;
  std::vector<PartitionOffset> starts;
  std::vector<PartitionOffset> dirty;
  for (const auto& entries : by_shard) {
    for (const CheckpointEntry& entry : entries) {
      points.push_back({entry.name, entry.recovery_point});
      watermarks.push_back({entry.name, entry.high_watermark});
      if (entry.first_dirty > 0) dirty.push_back({entry.name, entry.first_dirty});
      if (entry.log_start > entry.first_base) starts.push_back({entry.name, entry.log_start});
    }
  }
  // Of those that nobody has taken, what was there stays true.
  for (const auto& [id, partition] : found_) {
    points.push_back({partition.name, partition.recovery_point});
    if (const auto start = log_starts_.find(partition.name); start != log_starts_.end()) {
      starts.push_back({partition.name, start->second});
    }
  }
  // First what makes deleted records stay away; a recovery point is never ahead of its segments.
  auto written = co_await write_checkpoint(kLogStartFile, starts);
  if (!written) co_return written;
  written = co_await write_checkpoint(kRecoveryPointFile, points);
  if (!written) co_return written;
  written = co_await write_checkpoint(kHighWatermarkFile, watermarks);
  if (!written) co_return written;
  for (const auto& [id, partition] : found_) {
    if (partition.first_dirty_offset > 0)
      dirty.push_back({partition.name, partition.first_dirty_offset});
  }
  if (!dirty.empty() || has_cleaner_file_) {
    has_cleaner_file_ = true;
    written = co_await write_checkpoint(kCleanerOffsetFile, dirty);
    if (!written) co_return written;
  }
  for (unsigned shard = 0; shard < stores.size(); ++shard) {
    (void)co_await io::call_on<bool>(
        env_, shard, [store = stores[shard], entries = std::move(by_shard[shard])]() mutable {
          return note_checkpointed(store, std::move(entries));
        });
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> ShardFolder::drain_older_journals(
    const std::vector<std::shared_ptr<Store>>& stores) {
  for (unsigned shard = 0; shard < stores.size(); ++shard) {
    auto drained = co_await io::call_on<io::Result<>>(
        env_, shard, [store = stores[shard]] { return drain_store(store); });
    if (!drained) co_return drained;
  }
  auto written = co_await write_checkpoints(stores);
  if (!written) co_return written;
  auto forgotten = co_await forget_older_journals();
  if (!forgotten) co_return forgotten;
  for (unsigned shard = 0; shard < stores.size(); ++shard) {
    (void)co_await io::call_on<bool>(env_, shard,
                                     [store = stores[shard]] { return forget_older(store); });
  }
  co_return io::Result<>();
}

io::Task<> ShardFolder::keep_checkpoints(std::vector<std::shared_ptr<Store>> stores) {
  while (true) {
    std::uint64_t changes = 0;
    for (unsigned shard = 0; shard < stores.size(); ++shard) {
      changes += co_await io::call_on<std::uint64_t>(
          env_, shard, [store = stores[shard]] { return changes_of(store); });
    }
    io::Result<> written;
    if (found_.empty() && !older_journals_.empty()) {
      written = co_await drain_older_journals(stores);
    } else if (changes != changes_seen_) {
      written = co_await write_checkpoints(stores);
    }
    if (written) {
      changes_seen_ = changes;
    } else if (written.error().kind == io::ErrorKind::no_space) {
      // What is acknowledged is safe without them; the next round tries again.
      env_.logger.error("{}: no space for checkpoints ({}); free some space", settings_.path,
                        written.error().message);
    } else {
      for (unsigned shard = 0; shard < stores.size(); ++shard) {
        (void)co_await io::call_on<bool>(
            env_, shard, [store = stores[shard], error = written.error()]() mutable {
              return fence_store(store, std::move(error));
            });
      }
      co_return;
    }
    const auto next =
        env_.clock.now() + std::chrono::milliseconds(settings_.limits.checkpoint_interval_ms);
    if (env_.stop.is_set() || co_await env_.stop.wait_until(env_.clock, next)) co_return;
  }
}

io::Task<io::Result<>> ShardFolder::close_clean(std::vector<std::shared_ptr<Store>> stores,
                                                BrokerEpoch broker_epoch) {
  OTTLA_CHECK(stores.size() == settings_.shards);
  // What nobody took is brought in order as well: the journals will be gone.
  for (auto& [id, partition] : std::exchange(found_, {})) {
    stores.front()->open(std::move(partition), {});
  }
  for (unsigned shard = 0; shard < stores.size(); ++shard) {
    auto closed = co_await io::call_on<io::Result<>>(
        env_, shard, [store = stores[shard]] { return close_store(store); });
    if (!closed) co_return closed;
  }
  auto written = co_await write_checkpoints(stores);
  if (!written) co_return written;
  // From here on nothing needs the journals.
  auto unlisted =
      co_await remove_file_durably(env_.disk, settings_.path, std::string(kJournalListFile));
  if (!unlisted) co_return unlisted;
  auto entries = co_await env_.disk.list(settings_.path);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  for (const io::DirectoryEntry& entry : *entries) {
    if (!parse_journal_file_name(entry.name)) continue;
    auto removed = co_await env_.disk.remove(path(entry.name));
    if (!removed) co_return removed;
  }
  auto synced = co_await env_.disk.sync_directory(settings_.path);
  if (!synced) co_return synced;
  auto marked =
      co_await write_file_atomically(env_.disk, settings_.path, std::string(kCleanShutdownFile),
                                     bytes_of(serialize_clean_shutdown(broker_epoch)));
  if (!marked) co_return marked;
  lock_.reset();
  co_return io::Result<>();
}

}  // namespace

io::Task<io::Result<std::unique_ptr<LogFolder>>> recover_log_dir(io::Env& env,
                                                                 RecoverySettings settings) {
  auto folder = std::make_unique<ShardFolder>(env, std::move(settings));
  auto recovered = co_await folder->recover();
  if (!recovered) co_return std::unexpected(std::move(recovered.error()));
  co_return std::unique_ptr<LogFolder>(std::move(folder));
}

}  // namespace ottla::storage
