#include "storage/recovery_journals.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <set>
#include <tuple>

#include "base/crc32c.h"
#include "storage/atomic_file.h"
#include "storage/journal.h"
#include "storage/large_memory.h"
#include "storage/text_scan.h"

namespace ottla::storage {

namespace {

constexpr std::size_t kListFileBytesMax = 64 * 1024;
constexpr std::size_t kReadsAtOnce = 4;

std::unexpected<io::Error> refusal(std::string message) {
  return std::unexpected(io::Error{io::ErrorKind::invalid, std::move(message)});
}

struct FoundFile {
  std::string name;
  JournalHeader header;
  Slice bytes;
  JournalContent content;
};

// Value of `key: value`, or nullopt.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  if (!line.starts_with(key) || !line.substr(key.size()).starts_with(": ")) return std::nullopt;
  return line.substr(key.size() + 2);
}

// At most the first `bytes_max` bytes. Direct: what a journal holds is not in the page cache.
io::Task<io::Result<Slice>> read_begin(io::Disk& disk, std::string path, std::uint64_t bytes_max) {
  auto file = co_await disk.open(path, {.direct = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  auto size = (*file)->size_bytes();
  if (!size) co_return std::unexpected(std::move(size.error()));
  if (*size > kJournalFileBytesMax) co_return refusal(path + " is too long for a journal");
  Slice bytes = aligned_memory(journal_align(std::min(*size, bytes_max)));
  auto read = co_await (*file)->read(0, bytes.mutable_view());
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return bytes.subslice(0, *read);
}

// A file without a valid header was being prepared, unless entries of its use stand in it: those
// of an earlier use name an older durable end.
bool has_entries_of(ByteView file, std::uint64_t sequence) {
  for (std::size_t at = kJournalHeaderBytes; at + kJournalFrameBytes <= file.size();
       at += kJournalBlockBytes) {
    const std::uint8_t* frame = file.data() + at;
    JournalHeader guess;
    guess.file_id = load_big<std::uint64_t>(frame + 16);
    guess.sequence = sequence;
    const auto rest = file.first(std::min(file.size(), at + kJournalBlockBytes));
    if (guess.file_id == 0 || load_big<std::uint64_t>(frame + 24) != at) continue;
    if (load_big<std::uint64_t>(frame + 32) + 1 >= sequence && !rest.empty()) return true;
  }
  return false;
}

io::Task<> read_files(io::Disk& disk, std::string directory, std::vector<FoundFile>& files,
                      std::size_t& next, std::optional<io::Error>& error) {
  while (next < files.size() && !error) {
    FoundFile& file = files[next++];
    auto bytes = co_await read_begin(disk, directory + "/" + file.name, kJournalFileBytesMax);
    if (!bytes) {
      if (!error) error = std::move(bytes.error());
      co_return;
    }
    file.bytes = std::move(*bytes);
    file.content = read_journal(file.bytes, file.header);
  }
}

// Entries of one shard in one run, oldest first, judged: those that were durable and those that
// came through, in order. Views point into the files' bytes.
io::Result<> judge_chain(const std::vector<FoundFile*>& chain, const std::string& directory,
                         bool& was_torn) {
  std::map<std::uint64_t, std::uint64_t> durable;  // by sequence
  for (const FoundFile* file : chain) {
    for (const JournalEntry& entry : file->content.entries) {
      auto& end = durable[entry.frame.durable_end.sequence];
      end = std::max(end, entry.frame.durable_end.position);
    }
  }
  for (FoundFile* file : chain) {
    const std::uint64_t sequence = file->header.sequence;
    const std::uint64_t durable_end = durable.contains(sequence) ? durable[sequence] : 0;
    auto& entries = file->content.entries;
    for (const JournalContent::Gap& gap : file->content.gaps) {
      if (gap.from < durable_end) {
        return refusal(fmt::format(
            "{}/{} is damaged at byte {}, below byte {} up to which it was durable: acknowledged "
            "records of unknown partitions are lost with it. Restore the folder, or move the file "
            "away to give them up",
            directory, file->name, gap.from, durable_end));
      }
      if (entries.size() > gap.entries_before) entries.resize(gap.entries_before);
      if (gap.from + 32 <= file->bytes.size() &&
          load_big<std::uint64_t>(file->bytes.data() + gap.from + 16) == file->header.file_id) {
        was_torn = true;
      }
      break;
    }
    // A batch that does not fit its checksum: torn if nobody says that it was durable.
    for (std::size_t at = 0; at < entries.size(); ++at) {
      if (!entries[at].body_is_damaged || entries[at].frame.position < durable_end) continue;
      entries.resize(at);
      was_torn = true;
    }
  }
  return {};
}

// The last group may be in a cache alone, and clean there if its sync failed: a second sync says
// yes and does nothing. So it goes to a new file that takes the old one's name; the old one is left
// as it is until then, for the group may have been acknowledged. Groups before it were durable when
// it began, and all that stand in older files.
io::Task<io::Result<>> secure_last_group(io::Disk& disk, std::string directory,
                                         const std::vector<FoundFile*>& chain) {
  const auto last = std::find_if(chain.rbegin(), chain.rend(), [](const FoundFile* file) {
    return !file->content.entries.empty();
  });
  if (last == chain.rend()) co_return io::Result<>();
  const JournalFrame& frame = (*last)->content.entries.back().frame;
  const std::uint64_t end = frame.position + frame.total_bytes();
  Slice bytes = (*last)->bytes.subslice(0, journal_align(end));
  std::memset(bytes.mutable_data() + end, 0, bytes.size() - end);
  const std::string path = directory + "/" + (*last)->name;
  const std::string temporary = path + std::string(kTemporarySuffix);
  auto file = co_await disk.open(temporary,
                                 {.write = true, .create = true, .truncate = true, .direct = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  if (auto done = co_await (*file)->write_synced(0, bytes); !done) co_return done;
  if (auto done = co_await disk.rename(temporary, path); !done) co_return done;
  co_return co_await disk.sync_directory(directory);
}

void apply(PartitionHistory& history, const JournalEntry& entry, const Slice& file,
           std::string& disagreement) {
  const JournalFrame& frame = entry.frame;
  ++history.entries;
  switch (frame.kind) {
    case JournalKind::append: {
      if (!history.batches.empty() && frame.offset < history.batches.back().next_offset) {
        disagreement = fmt::format("offset {} is appended twice", frame.offset);
        return;
      }
      JournaledBatch batch;
      batch.base_offset = frame.offset;
      batch.next_offset = frame.offset + frame.last_offset_delta + 1;
      if (!entry.body_is_damaged) {
        const auto begin = static_cast<std::size_t>(entry.body.data() - file.data());
        batch.bytes = file.subslice(begin, entry.body.size());
      }
      history.batches.push_back(std::move(batch));
      break;
    }
    case JournalKind::truncate:
      while (!history.batches.empty() && history.batches.back().base_offset >= frame.offset) {
        history.batches.pop_back();
      }
      history.truncated_to = std::min(history.truncated_to.value_or(frame.offset), frame.offset);
      break;
    case JournalKind::log_start:
      history.log_start = std::max(history.log_start, frame.offset);
      break;
    case JournalKind::remove:
      history = PartitionHistory{.was_removed = true, .entries = history.entries};
      break;
    case JournalKind::create:
      history.created_as = std::string(as_text(entry.body));
      history.was_removed = false;
      break;
    case JournalKind::mark:
      break;
    case JournalKind::compact:
      std::erase_if(history.batches,
                    [&](const JournaledBatch& batch) { return batch.next_offset <= frame.offset; });
      std::erase_if(history.blocks, [&](const auto& block) { return block.first < frame.offset; });
      if (history.truncated_to && *history.truncated_to < frame.offset)
        history.truncated_to.reset();  // what was compacted was sealed after it
      break;
    case JournalKind::block: {
      if (entry.body.size() < sizeof(std::uint64_t)) break;
      const auto begin = static_cast<std::size_t>(entry.body.data() - file.data());
      history.blocks[frame.offset] = {
          load_big<std::uint64_t>(entry.body.data()),
          file.subslice(begin + sizeof(std::uint64_t), entry.body.size() - sizeof(std::uint64_t))};
      break;
    }
  }
}

}  // namespace

std::string serialize_journal_list(const JournalList& list) {
  std::string text = fmt::format("version: 1\ncluster.id: {}\ndirectory.id: {}\n", list.cluster_id,
                                 list.directory_id.to_string());
  for (const JournalList::Run& run : list.runs) {
    text += fmt::format("run: {} {}\n", run.run, run.shards);
  }
  return text + fmt::format("crc: {}\n", crc32c(as_bytes(text)));
}

Parsed<JournalList> parse_journal_list(std::string_view text) {
  const auto crc_at = text.rfind("crc: ");
  if (crc_at == std::string_view::npos) return format_error("no checksum");
  std::string_view last = text.substr(crc_at);
  const auto crc = parse_decimal<std::uint32_t>(*value_of(take_line(last), "crc"));
  text = text.substr(0, crc_at);
  if (!crc || *crc != crc32c(as_bytes(text))) return format_error("the checksum differs");
  JournalList list;
  if (text.empty() || take_line(text) != "version: 1") return format_error("another version");
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (const auto cluster = value_of(line, "cluster.id")) {
      list.cluster_id = *cluster;
    } else if (const auto directory = value_of(line, "directory.id")) {
      const auto id = Uuid::parse(*directory);
      if (!id) return format_error("a directory id that is none");
      list.directory_id = *id;
    } else if (const auto run = value_of(line, "run")) {
      const auto words = split_words(*run);
      if (words.size() != 2) return format_error("a run without its shards");
      const auto number = parse_decimal<std::uint64_t>(words[0]);
      const auto shards = parse_decimal<std::uint32_t>(words[1]);
      if (!number || !shards) return format_error("a run that is no number");
      list.runs.push_back({*number, *shards});
    } else {
      return format_error("an unknown line");
    }
  }
  return list;
}

io::Task<io::Result<JournalsFound>> read_journals(io::Env& env, std::string directory,
                                                  std::optional<std::string> cluster_id) {
  JournalsFound found;
  auto text = co_await read_small_file(env.disk, directory + "/" + std::string(kJournalListFile),
                                       kListFileBytesMax);
  if (text) {
    auto list = parse_journal_list(as_text(*text));
    if (!list) {
      co_return refusal(fmt::format("{}/{}: {}; it says which journals must be there", directory,
                                    kJournalListFile, list.error().message));
    }
    found.list = std::move(*list);
  } else if (text.error().kind != io::ErrorKind::not_found) {
    co_return std::unexpected(std::move(text.error()));
  }

  auto entries = co_await env.disk.list(directory);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  std::vector<FoundFile> files;
  struct Unreadable {
    std::string file;
    JournalFileName name;
    std::string fault;
    bool has_entries = false;  // of the use that its name says; else it may hold nothing
  };
  std::vector<Unreadable> unreadable;
  // What is not found among the readable ones may be there, rotten.
  const auto absence = [&](std::uint32_t shard, std::optional<std::uint64_t> sequence,
                           std::string missing) {
    for (const Unreadable& file : unreadable) {
      if (file.name.shard != shard || file.name.sequence != sequence.value_or(file.name.sequence))
        continue;
      return refusal(fmt::format(
          "{}/{} is there, but it can't be read as a journal: {}; acknowledged records may be only "
          "there. Put a good copy of it in its place, or remove the journals (*.journal.ottla, {}) "
          "to give them up and take what the segments say",
          directory, file.file, file.fault, kJournalListFile));
    }
    return refusal(std::move(missing));
  };
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t> first_needed_of;  // run, shard
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_journal_file_name(entry.name);
    if (!name) continue;
    found.files.push_back(entry.name);
    found.last_sequence = std::max(found.last_sequence, name->sequence);
    auto begin = co_await read_begin(env.disk, directory + "/" + entry.name, kJournalHeaderBytes);
    if (!begin) co_return std::unexpected(std::move(begin.error()));
    FoundFile file;
    file.name = entry.name;
    auto header = parse_journal_header(*begin);
    if (!header) {
      auto bytes = co_await read_begin(env.disk, directory + "/" + entry.name, entry.size_bytes);
      if (!bytes) co_return std::unexpected(std::move(bytes.error()));
      unreadable.push_back(
          {entry.name, *name, header.error().message, has_entries_of(*bytes, name->sequence)});
      continue;
    }
    file.header = std::move(*header);
    if (file.header.sequence != name->sequence || file.header.shard != name->shard) {
      continue;  // it was about to be used again
    }
    if ((cluster_id && *cluster_id != file.header.cluster_id) ||
        (found.list && found.list->directory_id != file.header.directory_id)) {
      co_return refusal(fmt::format("{}/{} belongs to another folder (cluster {}, directory {})",
                                    directory, entry.name, file.header.cluster_id,
                                    file.header.directory_id.to_string()));
    }
    found.last_run = std::max(found.last_run, file.header.run);
    const auto is_its_run = [&](const JournalList::Run& run) { return run.run == file.header.run; };
    if (!found.list || std::ranges::none_of(found.list->runs, is_its_run)) {
      // Of a run whose records are all in segments, or that ended before its first record.
      env.logger.info("{}/{} is not in {}; it is not needed", directory, entry.name,
                      kJournalListFile);
      continue;
    }
    auto& first_needed = first_needed_of[{file.header.run, file.header.shard}];
    first_needed = std::max(first_needed, file.header.first_needed);
    files.push_back(std::move(file));
  }
  std::erase_if(files, [&](const FoundFile& file) {
    return file.header.sequence < first_needed_of[{file.header.run, file.header.shard}];
  });
  std::size_t next = 0;
  std::optional<io::Error> error;
  io::TaskGroup group(env.executor);
  for (std::size_t i = 0; i < std::min(kReadsAtOnce, files.size()); ++i) {
    group.spawn(read_files(env.disk, directory, files, next, error));
  }
  co_await group.join();
  if (error) co_return std::unexpected(std::move(*error));
  std::sort(files.begin(), files.end(), [](const FoundFile& a, const FoundFile& b) {
    return std::tie(a.header.run, a.header.shard, a.header.sequence) <
           std::tie(b.header.run, b.header.shard, b.header.sequence);
  });
  if (found.list) {
    for (const JournalList::Run& run : found.list->runs) {
      found.last_run = std::max(found.last_run, run.run);
      for (std::uint32_t shard = 0; shard < run.shards; ++shard) {
        const bool is_there = std::any_of(files.begin(), files.end(), [&](const FoundFile& file) {
          return file.header.run == run.run && file.header.shard == shard;
        });
        if (!is_there) {
          co_return absence(
              shard, std::nullopt,
              fmt::format("{}: the journal of shard {} in run {} is missing; acknowledged records "
                          "may be only there. Put its files (shard-{}-*.journal.ottla) back",
                          directory, shard, run.run, shard));
        }
      }
    }
  }

  for (std::size_t at = 0; at < files.size();) {
    std::vector<FoundFile*> chain;
    const JournalHeader& first = files[at].header;
    for (; at < files.size() && files[at].header.run == first.run &&
           files[at].header.shard == first.shard;
         ++at) {
      chain.push_back(&files[at]);
    }
    std::uint64_t first_needed = chain.back()->header.first_needed;
    for (const FoundFile* file : chain) {
      for (const JournalEntry& entry : file->content.entries) {
        if (entry.frame.kind != JournalKind::mark || entry.frame.offset < 0) continue;
        first_needed = std::max(first_needed, static_cast<std::uint64_t>(entry.frame.offset));
      }
    }
    std::erase_if(chain,
                  [&](const FoundFile* file) { return file->header.sequence < first_needed; });
    for (std::size_t i = 0; i < chain.size(); ++i) {
      if (chain[i]->header.sequence != first_needed + i) {
        co_return absence(
            first.shard, first_needed + i,
            fmt::format("{}/{} is missing; acknowledged records may be only there. Put it back",
                        directory, journal_file_name(first.shard, first_needed + i)));
      }
    }
    // One that is about to be used again may have lost its header; one that is needed may not.
    for (const Unreadable& file : unreadable) {
      if (!file.has_entries || file.name.shard != first.shard ||
          file.name.sequence < first_needed ||
          file.name.sequence > chain.back()->header.sequence + 1) {
        continue;
      }
      co_return absence(first.shard, file.name.sequence, {});
    }
    auto judged = judge_chain(chain, directory, found.was_torn);
    if (!judged) co_return std::unexpected(std::move(judged.error()));
    auto secured = co_await secure_last_group(env.disk, directory, chain);
    if (!secured) co_return std::unexpected(std::move(secured.error()));
    for (const FoundFile* file : chain) {
      for (const JournalEntry& entry : file->content.entries) {
        if (entry.frame.kind == JournalKind::mark) continue;
        std::string disagreement;
        apply(found.partitions[entry.frame.partition], entry, file->bytes, disagreement);
        if (!disagreement.empty()) {
          co_return refusal(fmt::format("{}/{}: {}", directory, file->name, disagreement));
        }
        ++found.entries;
        found.bytes += entry.frame.total_bytes();
      }
    }
  }
  co_return found;
}

}  // namespace ottla::storage
