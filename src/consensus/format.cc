#include "consensus/format.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "consensus/quorum_state.h"
#include "storage/atomic_file.h"
#include "storage/log_directory.h"

namespace ottla::consensus {
namespace {

Bytes to_bytes(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

io::Task<io::Result<>> make_directory_if_missing(io::Disk& disk, std::string path) {
  auto made = co_await disk.make_directory(std::move(path));
  if (!made && made.error().kind != io::ErrorKind::exists) co_return made;
  co_return io::Result<>{};
}

// meta.properties is written last, so a log without it is not what a crash in format leaves:
// somebody lost the file, and a new cluster id would cut the log off from its cluster.
io::Task<io::Result<>> check_no_metadata_log(io::Disk& disk, std::string metadata_dir) {
  auto entries = co_await disk.list(metadata_dir);
  if (!entries && entries.error().kind == io::ErrorKind::not_found) co_return io::Result<>{};
  if (!entries) co_return std::unexpected(entries.error());
  for (const io::DirectoryEntry& entry : *entries) {
    if (entry.name != kQuorumStateFile && !entry.name.ends_with(".log")) continue;
    co_return std::unexpected(io::Error{
        io::ErrorKind::invalid,
        fmt::format("{} holds the metadata of a cluster ({}), but the log dir has no {}: put that "
                    "file back, or move the folder away to begin a new cluster",
                    metadata_dir, entry.name, storage::kMetaPropertiesFile)});
  }
  co_return io::Result<>{};
}

// Kafka's tool leaves to the first start what ours writes at once: the metadata partition's id, and
// its folder where the voters stand in the configuration only.
io::Task<io::Result<>> complete_format(io::Disk& disk, std::string log_dir,
                                       std::string metadata_dir) {
  auto there = co_await disk.list(log_dir);
  if (!there) co_return std::unexpected(there.error());
  const auto is_partition = [](const io::DirectoryEntry& entry) { return entry.is_directory; };
  const auto has = [](const std::vector<io::DirectoryEntry>& entries, std::string_view name) {
    return std::ranges::find(entries, name, &io::DirectoryEntry::name) != entries.end();
  };
  if (!has(*there, storage::kBootstrapCheckpointFile)) co_return io::Result<>{};
  auto metadata = co_await disk.list(metadata_dir);
  if (!metadata && metadata.error().kind != io::ErrorKind::not_found)
    co_return std::unexpected(metadata.error());
  if (!metadata) {
    // with partitions but without metadata it is a broker's folder
    if (std::ranges::any_of(*there, is_partition)) co_return io::Result<>{};
    if (auto made = co_await make_directory_if_missing(disk, metadata_dir); !made) co_return made;
    if (auto synced = co_await disk.sync_directory(log_dir); !synced) co_return synced;
  } else if (has(*metadata, storage::kPartitionMetadataFile) || has(*metadata, kQuorumStateFile)) {
    co_return io::Result<>{};
  }
  co_return co_await storage::write_file_atomically(
      disk, metadata_dir, std::string(storage::kPartitionMetadataFile),
      to_bytes(storage::serialize_partition_metadata(Uuid{0, 1})));
}

// Of the folder that holds `path`: the name of a new folder is durable only with it.
std::string parent_of(const std::string& path) {
  const auto end = path.find_last_not_of('/');
  const auto slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

io::Task<io::Result<>> format_if_empty(io::Env& env, std::string log_dir, FormatOptions options) {
  io::Disk& disk = env.disk;
  if (auto made = co_await disk.make_directory(log_dir); made) {
    if (auto synced = co_await disk.sync_directory(parent_of(log_dir)); !synced) co_return synced;
  } else if (made.error().kind != io::ErrorKind::exists) {
    co_return made;
  }
  const auto known =
      co_await disk.status(log_dir + "/" + std::string(storage::kMetaPropertiesFile));
  const std::string metadata_dir = log_dir + "/" + std::string(storage::kMetadataTopic) + "-0";
  if (known) co_return co_await complete_format(disk, log_dir, metadata_dir);
  if (known.error().kind != io::ErrorKind::not_found) co_return std::unexpected(known.error());

  if (auto empty = co_await check_no_metadata_log(disk, metadata_dir); !empty) co_return empty;
  const Uuid directory_id = env.random.uuid();
  if (options.cluster_id.empty()) options.cluster_id = env.random.uuid().to_string();
  const TimestampMs now = env.clock.wall_ms();
  const VoterSet voters{.kraft_version = 1,
                        .voters = {{options.node_id, directory_id, options.endpoints}}};

  SnapshotBuilder bootstrap(0, 0, now, std::nullopt);
  bootstrap.add(options.bootstrap_records);
  SnapshotBuilder initial(0, now, now, voters);
  if (auto made = co_await make_directory_if_missing(disk, metadata_dir); !made) co_return made;

  struct NewFile {
    std::string directory;
    std::string name;
    Bytes content;
  };
  std::array files{
      NewFile{metadata_dir, file_name({0, 0}), std::move(initial).finish()},
      NewFile{metadata_dir, std::string(storage::kPartitionMetadataFile),
              to_bytes(storage::serialize_partition_metadata(Uuid{0, 1}))},
      NewFile{log_dir, std::string(storage::kBootstrapCheckpointFile),
              std::move(bootstrap).finish()},
      NewFile{log_dir, std::string(storage::kMetaPropertiesFile),
              to_bytes(storage::serialize_meta_properties({.cluster_id = options.cluster_id,
                                                           .node_id = options.node_id,
                                                           .directory_id = directory_id}))},
  };
  for (NewFile& file : files) {
    auto written = co_await storage::write_file_atomically(disk, file.directory, file.name,
                                                           std::move(file.content));
    if (!written) co_return written;
  }
  co_return io::Result<>{};
}

}  // namespace ottla::consensus
