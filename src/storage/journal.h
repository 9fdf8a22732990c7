// Journal: the write-ahead log of one shard. What is staged goes to disk by natural group commit:
// one flush at a time, and what came meanwhile goes with the next. Belongs to its Store.
//
// Staging memory is chunks; an entry stands in one, whole. A chunk is used again once its groups
// are flushed: the few that are needed stay in the processor's cache. Readers and segments have the
// batches from elsewhere (tail_memory.h).
//
// Files: `shard-K-N.journal.ottla` in the root of the log dir. One is written, one is prepared
// behind it in time, older ones wait until the segments hold what is in them (release()).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/env.h"
#include "storage/journal_format.h"
#include "storage/touched.h"

namespace ottla::storage {

struct JournalLimits {
  std::uint64_t file_bytes = 16ull << 20;
  std::uint64_t first_file_bytes = 1ull << 20;
  std::uint32_t files = 4;
  std::size_t chunk_bytes = (2ull << 20) - kJournalBlockBytes;
  std::size_t pending_bytes = 8ull << 20;
};

// What is the same in all files of a shard's journal in one run.
struct JournalIdentity {
  std::string directory;  // the log dir
  std::string cluster_id;
  Uuid directory_id;
  std::uint64_t run = 0;
  std::uint32_t shard = 0;
};

std::string journal_file_name(std::uint32_t shard, std::uint64_t sequence);
struct JournalFileName {
  std::uint32_t shard = 0;
  std::uint64_t sequence = 0;
};
std::optional<JournalFileName> parse_journal_file_name(std::string_view name);

// Makes a zero-filled file of header.file_bytes with its header, synced, and leaves it open; its
// name is durable once the caller has synced the directory. REQUIRES: file_bytes is a multiple of
// kJournalBlockBytes, more than one.
io::Task<io::Result<std::shared_ptr<io::File>>> make_journal_file(io::Disk& disk,
                                                                  std::string directory,
                                                                  JournalHeader header);

// Where a log stands in the lists of the present group and file; so that it enters each once.
struct JournalMarks {
  TouchMark group;
  TouchMark file;
};

class Journal {
 public:
  // `on_flushed` is called after each flush with the logs of the group, `on_failed` once.
  struct Callbacks {
    std::function<void(std::vector<Touched>& group)> on_flushed;
    std::function<void(const io::Error&)> on_failed;
    std::function<void()> on_file_switch;  // an older file now waits to be released
  };

  Journal(io::Env& env, JournalIdentity identity, JournalLimits limits, Callbacks callbacks);
  ~Journal();

  // Opens the file `sequence`, made by make_journal_file, to write its first group.
  io::Task<io::Result<>> open(std::uint64_t sequence);

  // Whether an entry with such a body may be staged now. If not: await room().
  bool has_room(std::size_t body_bytes);
  // The same for entries that the log writes for itself, for which room is kept; and for a mark,
  // for which the others leave some: without marks no file is released, and there is never room.
  bool has_room_for_own(std::size_t body_bytes);
  bool has_room_for_mark();
  // So many partitions may want to write a last block before a file is released.
  void reserve_for(std::size_t partitions);
  bool can_ever_hold(std::size_t body_bytes) const;
  io::Task<> room();

  // Where an entry will stand. Its body is to be filled in, then seal() called, before anything
  // else is staged.
  struct Place {
    Slice body;  // in staging memory; mutable until seal(), gone after the flush
    std::uint8_t* frame = nullptr;
    JournalFrame meta;
  };
  // REQUIRES: has_room(body_bytes), not failed.
  Place stage(JournalKind kind, const TopicIdPartition& partition, Offset offset,
              LeaderEpoch leader_epoch, std::size_t body_bytes);
  // Ends the entry: checksum, and the flush is on its way.
  void seal(const Place& place);
  // The same, and on_flushed tells `log` that it is durable up to `end`.
  void seal(const Place& place, const std::shared_ptr<StoredLog>& log, JournalMarks& marks,
            Offset end);

  // Everything staged so far is durable when it returns true; false if the journal failed.
  io::Task<bool> flushed();

  bool has_failed() const { return failed_.has_value(); }
  const io::Error& failure() const { return *failed_; }
  void fail(io::Error error);  // from outside: the same disk failed elsewhere

  // The logs that have entries in files below `sequence`, some of them several times.
  std::vector<Touched> touched_before(std::uint64_t sequence) const;
  // Segments hold, synced, all entries of the files below `sequence`: those may be used again.
  // REQUIRES: they are flushed; the file being written is not among them.
  void release_before(std::uint64_t sequence);
  std::uint64_t current_sequence() const { return files_.back()->sequence; }
  std::size_t older_files() const { return files_.size() - 1; }

  // Gives back chunks that are not filled just now: nothing has been appended for a while.
  void release_spares();

  std::uint64_t flushes() const { return flushes_; }
  std::uint64_t written_bytes() const { return written_bytes_; }
  std::uint64_t undrained_bytes() const;

  // Ends the background work; nothing is flushed any more.
  io::Task<> close();

 private:
  struct File {
    std::shared_ptr<io::File> file;
    std::uint64_t sequence = 0;
    std::uint64_t file_id = 0;
    std::uint64_t bytes = 0;
    std::uint64_t end = 0;  // where the next group begins, aligned
    std::vector<Touched> touched;
  };
  struct Group {
    File* file = nullptr;
    std::uint64_t position = 0;  // in the file
    Slice memory;                // the rest of the chunk, from the group's beginning on
    std::size_t bytes = 0;
    std::uint64_t number = 0;
    JournalPosition durable_end;
    std::vector<Touched> touched;
  };

  bool is_room(std::size_t body_bytes, std::size_t reserve);
  std::size_t reserved_bytes_max() const;
  bool fits_open_group(std::size_t entry_bytes) const;
  bool fits_file(const File& file, std::size_t entry_bytes) const;
  void begin_group(std::size_t entry_bytes);
  void close_group();
  void take_chunk(std::size_t bytes_min);
  void want_flush();
  io::Task<> flush_loop();
  void want_prepared_file();
  io::Task<> prepare_file();
  io::Task<io::Result<std::unique_ptr<File>>> recycle(std::unique_ptr<File> file,
                                                      JournalHeader header);
  io::Task<io::Result<std::unique_ptr<File>>> make(JournalHeader header);
  io::Task<> remove_file(std::string name);
  JournalHeader header_of(std::uint64_t sequence, std::uint64_t bytes);

  io::Env& env_;
  JournalIdentity identity_;
  JournalLimits limits_;
  Callbacks callbacks_;

  std::deque<std::unique_ptr<File>> files_;  // oldest first; the last one is written
  std::unique_ptr<File> prepared_;
  std::vector<std::unique_ptr<File>> free_;
  bool is_preparing_ = false;
  bool lacks_space_ = false;  // for another file; somebody was told
  JournalPosition end_;  // behind the last group begun: what is durable once that one is flushed

  Slice chunk_;  // is filled
  std::size_t chunk_used_ = 0;
  std::vector<Slice> chunks_;  // kept, to be used again once no group holds them
  std::deque<Group> groups_;   // the first may be in flight; the last may be open
  bool group_is_open_ = false;
  bool is_flushing_ = false;
  bool is_closing_ = false;
  std::size_t pending_bytes_ = 0;
  std::uint64_t last_group_ = 0;  // numbers from 1
  std::uint64_t flushed_group_ = 0;
  std::size_t refused_bytes_ = 0;  // what room() waits for
  std::size_t reserved_bytes_;     // that has_room() leaves

  std::optional<io::Error> failed_;
  io::Event room_;
  io::Event flushed_;
  io::TaskGroup tasks_;
  std::uint64_t flushes_ = 0;
  std::uint64_t written_bytes_ = 0;
};

}  // namespace ottla::storage
