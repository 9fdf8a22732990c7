#include "cli/log_verify.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <vector>

#include "consensus/snapshot.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint_file.h"
#include "storage/file_batches.h"
#include "storage/journal.h"
#include "storage/journal_format.h"
#include "storage/leader_epochs.h"
#include "storage/log_directory.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/segment_scrub.h"

namespace ottla::cli {
namespace {

using storage::SegmentFile;
using Weight = Finding::Weight;

constexpr std::size_t kCheckpointBytesMax = 1 << 30;

// What a scan of a `.log` saw of one batch; enough to judge the indexes.
struct SeenBatch {
  Offset last_offset = 0;
  TimestampMs max_timestamp = -1;
};

class Verifier {
 public:
  Verifier(io::Env& env, std::function<void(const Finding&)> on_finding)
      : env_(env), on_finding_(std::move(on_finding)) {}

  io::Task<io::Result<VerifyReport>> run(std::string path) {
    auto entries = co_await env_.disk.list(path);
    if (!entries) co_return std::unexpected(std::move(entries.error()));
    const auto is_log = [](const io::DirectoryEntry& entry) {
      const auto name = storage::parse_segment_file_name(entry.name);
      return name && name->file == SegmentFile::log;
    };
    if (std::ranges::any_of(*entries, is_log)) {
      const std::size_t slash = path.rfind('/');
      co_await partition(path, slash == std::string::npos ? path : path.substr(slash + 1));
      co_return report_;
    }
    report_.is_clean = std::ranges::any_of(*entries, [](const io::DirectoryEntry& entry) {
      return entry.name == storage::kCleanShutdownFile;
    });
    for (const io::DirectoryEntry& entry : *entries) {
      const std::string inside = fmt::format("{}/{}", path, entry.name);
      if (entry.is_directory) {
        if (storage::parse_partition_directory(entry.name)) co_await partition(inside, entry.name);
      } else if (storage::parse_journal_file_name(entry.name)) {
        co_await journal(inside);
      } else if (entry.name == storage::kMetaPropertiesFile) {
        co_await meta_properties(inside);
      } else if (entry.name.ends_with("-checkpoint")) {
        co_await offset_checkpoint(inside);
      } else if (entry.name == storage::kBootstrapCheckpointFile) {
        co_await metadata_snapshot(inside);
      }
    }
    judge_journals();
    co_return report_;
  }

 private:
  struct JournalSuspect {
    std::string file;
    std::uint64_t sequence = 0;
    std::uint64_t position = 0;
    bool is_end = false;
    std::string what;
  };
  struct JournalsOfShard {
    std::map<std::uint64_t, std::uint64_t> durable_ends;  // position by sequence
    std::vector<JournalSuspect> suspects;
  };

  void find(Weight weight, std::string file, std::string what) {
    if (weight == Weight::damage) ++report_.damages;
    on_finding_({weight, std::move(file), std::move(what)});
  }
  void damage(std::string file, std::string what) {
    find(Weight::damage, std::move(file), std::move(what));
  }

  io::Task<std::optional<Bytes>> read(std::string path, std::size_t bytes_max) {
    auto content = co_await storage::read_small_file(env_.disk, path, bytes_max);
    if (content) co_return std::move(*content);
    damage(path, content.error().message);
    co_return std::nullopt;
  }

  // --- the root

  io::Task<void> meta_properties(std::string path) {
    const auto text = co_await read(path, storage::kSmallFileBytesMax);
    if (!text) co_return;
    const auto parsed = storage::parse_meta_properties(as_text(*text));
    if (!parsed) damage(path, parsed.error().message);
  }

  io::Task<void> offset_checkpoint(std::string path) {
    const auto text = co_await read(path, storage::kCheckpointFileBytesMax);
    if (!text) co_return;
    const auto parsed = storage::parse_offset_checkpoint(as_text(*text));
    if (!parsed) damage(path, parsed.error().message);
  }

  io::Task<void> metadata_snapshot(std::string path) {
    auto content = co_await read(path, kCheckpointBytesMax);
    if (!content) co_return;
    const auto parsed = consensus::parse_snapshot(Slice::copy_of(*content));
    if (!parsed) damage(path, parsed.error());
  }

  io::Task<void> journal(std::string path) {
    const auto content = co_await read(path, storage::kJournalFileBytesMax);
    if (!content) co_return;
    const auto header = storage::parse_journal_header(*content);
    if (!header) {
      damage(path, header.error().message);
      co_return;
    }
    const storage::JournalContent found = storage::read_journal(*content, *header);
    report_.journal_entries += found.entries.size();
    JournalsOfShard& shard = journals_[header->shard];
    const std::uint64_t sequence = header->sequence;
    for (const storage::JournalEntry& entry : found.entries) {
      const storage::JournalPosition durable_end = entry.frame.durable_end;
      auto& known = shard.durable_ends[durable_end.sequence];
      known = std::max(known, durable_end.position);
      if (!entry.body_is_damaged) continue;
      shard.suspects.push_back(
          {path, sequence, entry.frame.position, false,
           fmt::format(
               "the entry at {} (offset {} of topic id {}, partition {}) has a batch with a "
               "wrong CRC",
               entry.frame.position, entry.frame.offset, entry.frame.partition.topic_id.to_string(),
               entry.frame.partition.partition)});
    }
    for (const auto& gap : found.gaps) {
      const bool is_end = gap.to == content->size();  // perhaps nothing was written there
      shard.suspects.push_back({path, sequence, gap.from, is_end,
                                fmt::format("bytes {} to {} can't be read", gap.from, gap.to)});
    }
  }

  // What can't be read has rotted if somebody knows that it was on disk: an entry behind it,
  // perhaps of a later file. Else it may never have been written.
  void judge_journals() {
    for (auto& [number, shard] : journals_) {
      for (const JournalSuspect& suspect : shard.suspects) {
        const bool was_durable = suspect.position < shard.durable_ends[suspect.sequence];
        if (!was_durable && suspect.is_end) continue;
        find(was_durable ? Weight::damage : Weight::note, suspect.file,
             suspect.what + (was_durable ? "" : "; it was never known to be on disk"));
      }
    }
  }

  // --- a partition

  struct Partition {
    std::string path;
    std::optional<TopicIdPartition> id;  // nullopt: there is nothing that says it
    std::optional<storage::LeaderEpochCache> epochs;
    std::vector<Offset> bases;
  };

  io::Task<void> partition(std::string path, std::string name) {
    ++report_.partitions;
    auto entries = co_await env_.disk.list(path);
    if (!entries) {
      damage(path, entries.error().message);
      co_return;
    }
    Partition found{.path = path, .id = {}, .epochs = {}, .bases = {}};
    co_await read_identity(found, name);
    co_await read_epochs(found);
    for (const io::DirectoryEntry& entry : *entries) {
      const auto file = storage::parse_segment_file_name(entry.name);
      const std::string inside = fmt::format("{}/{}", path, entry.name);
      if (!file) {
        if (consensus::parse_snapshot_name(entry.name)) co_await metadata_snapshot(inside);
        continue;
      }
      if (file->state != storage::SegmentFileState::live) continue;
      if (file->file == SegmentFile::log) found.bases.push_back(file->offset);
      if (file->file == SegmentFile::snapshot) co_await snapshot(inside);
    }
    std::ranges::sort(found.bases);
    std::optional<Offset> next;  // where the next segment has to begin at the latest
    for (std::size_t i = 0; i < found.bases.size(); ++i) {
      const bool is_last = i + 1 == found.bases.size();
      next = co_await segment(found, found.bases[i], next, is_last);
    }
  }

  io::Task<void> read_identity(Partition& found, std::string name) {
    const auto directory = storage::parse_partition_directory(name);
    const std::string path = fmt::format("{}/{}", found.path, storage::kPartitionMetadataFile);
    auto text = co_await storage::read_small_file(env_.disk, path, storage::kSmallFileBytesMax);
    if (!text) {
      find(text.error().kind == io::ErrorKind::not_found ? Weight::note : Weight::damage, path,
           text.error().message);
      co_return;
    }
    const auto id = storage::parse_partition_metadata(as_text(*text));
    if (!id) {
      damage(path, id.error().message);
    } else if (directory) {
      found.id = TopicIdPartition{*id, directory->partition.partition};
    }
  }

  io::Task<void> read_epochs(Partition& found) {
    const std::string path = fmt::format("{}/{}", found.path, storage::kLeaderEpochFile);
    auto text =
        co_await storage::read_small_file(env_.disk, path, storage::kCheckpointFileBytesMax);
    if (!text) co_return;  // written with the first append
    auto parsed = storage::LeaderEpochCache::parse(as_text(*text));
    if (parsed) {
      found.epochs = std::move(*parsed);
    } else {
      damage(path, parsed.error().message);
    }
  }

  io::Task<void> snapshot(std::string path) {
    const auto content = co_await read(path, storage::kSnapshotFileBytesMax);
    if (!content) co_return;
    const auto parsed = storage::parse_producer_snapshot(*content);
    if (!parsed) damage(path, parsed.error().message);
  }

  // Gives the offset behind the segment.
  io::Task<std::optional<Offset>> segment(const Partition& of, Offset base,
                                          std::optional<Offset> begins_at, bool is_last) {
    ++report_.segments;
    const std::string path =
        fmt::format("{}/{}", of.path, storage::segment_file_name(base, SegmentFile::log));
    if (begins_at && *begins_at > base)
      damage(path, fmt::format("the segment before it ends at offset {}", *begins_at));
    auto file = co_await env_.disk.open(path, {});
    if (!file) {
      damage(path, file.error().message);
      co_return std::nullopt;
    }
    const auto size = (*file)->size_bytes();
    if (!size) {
      damage(path, size.error().message);
      co_return std::nullopt;
    }
    std::map<std::uint64_t, SeenBatch> seen;
    const auto end = co_await scan(of, *file, *size, path, base, is_last, seen);
    if (!end) co_return std::nullopt;
    if (report_.is_clean || !is_last) co_await indexes(of, base, *size, end, seen);
    co_await sums(of, base, *file, path);
    co_return end;
  }

  // All batches, by the rules of recovery. Gives the offset behind the last good one.
  io::Task<std::optional<Offset>> scan(const Partition& of, std::shared_ptr<io::File> file,
                                       std::uint64_t size, std::string path, Offset base,
                                       bool is_last, std::map<std::uint64_t, SeenBatch>& seen) {
    storage::BatchRules rules(
        {.base_offset = base, .next_offset = base, .epochs = of.epochs ? &*of.epochs : nullptr});
    storage::FileBatches batches(file, 0, size);
    for (;;) {
      auto batch = co_await batches.next();
      if (!batch) {
        if (!batch.error().is_damage()) {
          damage(path, batch.error().to_string());
          co_return std::nullopt;
        }
        // An unclean folder's last segment may end in a torn tail or in padding: the journal has
        // what was acknowledged.
        const bool may_be_torn = is_last && !report_.is_clean;
        find(may_be_torn ? Weight::note : Weight::damage, path,
             fmt::format(
                 "{}{}", batch.error().to_string(),
                 may_be_torn ? "; an unclean stop may leave that, the journal has the rest" : ""));
        break;
      }
      if (!*batch) break;
      const storage::FileBatch& found = **batch;
      if (const auto fault = rules.judge(found.header, found.crc_matches)) {
        damage(path, storage::Damage{found.position, rules.next_offset(), *fault}.to_string());
        co_return std::nullopt;
      }
      seen.emplace(found.position,
                   SeenBatch{found.header.last_offset(), found.header.max_timestamp});
      ++report_.batches;
      report_.bytes += found.header.total_size();
    }
    co_return rules.next_offset();
  }

  io::Task<void> indexes(const Partition& of, Offset base, std::uint64_t size,
                         std::optional<Offset> end,
                         const std::map<std::uint64_t, SeenBatch>& seen) {
    const auto name = [&](SegmentFile file) {
      return fmt::format("{}/{}", of.path, storage::segment_file_name(base, file));
    };
    const std::string offsets_path = name(SegmentFile::offset_index);
    if (const auto content = co_await read(offsets_path, storage::kIndexFileBytesMax)) {
      const auto parsed = storage::OffsetIndex::parse(base, *content, size);
      if (!parsed) damage(offsets_path, parsed.error().message);
      for (std::size_t i = 0; parsed && i < parsed->size(); ++i) {
        const storage::OffsetPosition entry = parsed->entry(i);
        const auto batch = seen.find(entry.position);
        if (batch == seen.end() || batch->second.last_offset != entry.offset) {
          damage(offsets_path, fmt::format("entry {} says that offset {} ends the batch at {}; it "
                                           "does not",
                                           i, entry.offset, entry.position));
          break;
        }
      }
    }
    const std::string times_path = name(SegmentFile::time_index);
    if (const auto content = co_await read(times_path, storage::kIndexFileBytesMax)) {
      const auto parsed = storage::TimeIndex::parse(base, *content, end);
      if (!parsed) damage(times_path, parsed.error().message);
      if (parsed) check_times(times_path, *parsed, seen);
    }
  }

  // An entry names the first batch that has the largest timestamp so far.
  void check_times(const std::string& path, const storage::TimeIndex& index,
                   const std::map<std::uint64_t, SeenBatch>& seen) {
    std::map<Offset, TimestampMs> by_offset;
    for (const auto& [position, batch] : seen)
      by_offset.emplace(batch.last_offset, batch.max_timestamp);
    for (std::size_t i = 0; i < index.size(); ++i) {
      const storage::TimestampOffset entry = index.entry(i);
      const auto batch = by_offset.lower_bound(entry.offset);
      if (batch == by_offset.end() || batch->second != entry.timestamp) {
        damage(path, fmt::format("entry {} says that offset {} has time {}; it has not", i,
                                 entry.offset, entry.timestamp));
        return;
      }
    }
  }

  io::Task<void> sums(const Partition& of, Offset base, std::shared_ptr<io::File> file,
                      std::string path) {
    if (!of.id) co_return;
    auto loaded = co_await storage::load_sums(env_.disk, of.path, {*of.id, base});
    if (!loaded) co_return;  // not sealed by us
    const std::string sums_path =
        fmt::format("{}/{}", of.path, storage::segment_file_name(base, SegmentFile::sums));
    auto is_there = co_await env_.disk.status(sums_path);
    if (!is_there) co_return;
    if (!*loaded) {
      damage(sums_path, loaded->error().message);
      co_return;
    }
    auto ranges = co_await storage::scrub_log(std::move(file), **loaded, 0, (*loaded)->log_bytes());
    if (!ranges) {
      damage(path, ranges.error().message);
      co_return;
    }
    for (const storage::ByteRange& range : *ranges)
      damage(path,
             fmt::format("bytes {} to {} are not those that were summed", range.from, range.to));
    auto files = co_await storage::scrub_indexes(env_.disk, of.path, **loaded);
    if (!files) co_return;
    for (const SegmentFile index : *files) {
      damage(fmt::format("{}/{}", of.path, storage::segment_file_name(base, index)),
             "it is not what was summed");
    }
  }

  io::Env& env_;
  std::function<void(const Finding&)> on_finding_;
  VerifyReport report_;
  std::map<std::uint32_t, JournalsOfShard> journals_;
};

}  // namespace

io::Task<io::Result<VerifyReport>> verify_path(io::Env& env, std::string path,
                                               std::function<void(const Finding&)> on_finding) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  Verifier verifier(env, std::move(on_finding));
  co_return co_await verifier.run(std::move(path));
}

}  // namespace ottla::cli
