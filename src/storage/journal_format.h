// The bytes of a journal file, pure: header, frames of entries, and the walk over a file that tells
// a torn tail from corruption. Grammar and worked example: docs/formats/journal.md.
//
// A file is a header block and groups. A group is what one flush wrote: entries back to back,
// padded with zeros to a multiple of 4096, and it begins at such a multiple. Every entry carries
// the durable end: all of the shard's journal below it was on disk when the group was written,
// which is the beginning of the group itself, since groups are flushed one after the other. So
// whatever is unreadable below the durable end of some readable entry has rotted; what is
// unreadable behind all of them may never have been written.
//
// The frame's CRC covers the frame and those bytes of a batch that Kafka's own CRC leaves out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

inline constexpr std::size_t kJournalBlockBytes = 4096;  // as direct I/O demands
inline constexpr std::size_t kJournalHeaderBytes = kJournalBlockBytes;
inline constexpr std::size_t kJournalFrameBytes = 80;
inline constexpr std::int16_t kJournalVersion = 1;
inline constexpr std::size_t kJournalClusterIdBytesMax = 256;
inline constexpr std::uint64_t kJournalFileBytesMax = 1ull << 30;
// Of a batch, what its own CRC does not cover.
inline constexpr std::size_t kBatchBytesOutsideCrc = 21;

constexpr std::uint64_t journal_align(std::uint64_t bytes) {
  return (bytes + kJournalBlockBytes - 1) / kJournalBlockBytes * kJournalBlockBytes;
}

struct JournalHeader {
  std::string cluster_id;
  Uuid directory_id;
  std::uint64_t run = 0;  // of the folder: rises with each start
  std::uint32_t shard = 0;
  std::uint64_t sequence = 0;  // of the file in its shard; rises by one, over runs too
  std::uint64_t file_id = 0;   // random, new at each use of the file
  std::uint64_t file_bytes = 0;
  // The oldest file of the shard whose entries segments may lack, when this header was written.
  std::uint64_t first_needed = 0;
  bool operator==(const JournalHeader&) const = default;
};

// kJournalHeaderBytes. REQUIRES: cluster_id is no longer than kJournalClusterIdBytesMax.
void store_journal_header(std::uint8_t* block, const JournalHeader& header);
Parsed<JournalHeader> parse_journal_header(ByteView block);

enum class JournalKind : std::uint8_t {
  append = 1,     // body: the batch
  truncate = 2,   // the log now ends at `offset`
  log_start = 3,  // the log now begins at `offset`
  remove = 4,     // the partition is gone
  create = 5,     // body: the topic's name
  mark = 6,       // files of the shard below sequence `offset` are not needed any more
  // What stands in the last, partial block of a segment that is about to be written again. Offset:
  // the segment's base. Body: uint64 position of the block, then its bytes.
  block = 7,
  // Segments below `offset` were compacted, and stand for themselves: what the journal has of the
  // partition before that is as if its files had been used again.
  compact = 8,
};

// A place in a shard's journal.
struct JournalPosition {
  std::uint64_t sequence = 0;
  std::uint64_t position = 0;
  auto operator<=>(const JournalPosition&) const = default;
};

struct JournalFrame {
  JournalKind kind = JournalKind::append;
  TopicIdPartition partition;
  Offset offset = 0;                   // of an append: the base offset
  std::int32_t last_offset_delta = 0;  // of an append
  LeaderEpoch leader_epoch = -1;
  std::uint32_t body_bytes = 0;
  std::uint64_t file_id = 0;
  std::uint64_t position = 0;  // its own, in its file
  JournalPosition durable_end;
  bool operator==(const JournalFrame&) const = default;
  std::uint64_t total_bytes() const { return kJournalFrameBytes + body_bytes; }
};

// Writes the frame before `body`, which stands at once behind it and is final.
void store_journal_frame(std::uint8_t* at, const JournalFrame& frame, ByteView body);

struct JournalEntry {
  JournalFrame frame;
  ByteView body;
  bool body_is_damaged = false;  // the frame holds, the batch's CRC does not
};

// What a file holds. Views point into the bytes given.
struct JournalContent {
  std::vector<JournalEntry> entries;
  // Where something unreadable stands that is not merely the end: at the first of them reading
  // stopped, unless a later group was found.
  struct Gap {
    std::uint64_t from = 0;
    std::uint64_t to = 0;  // where readable entries go on; the end of the file if nowhere
    std::size_t entries_before = 0;
  };
  std::vector<Gap> gaps;
  std::uint64_t end = 0;        // behind the last readable entry
  JournalPosition durable_end;  // the greatest that an entry says
};

// Walks a whole file whose header is `header`. Never fails: judging is the caller's, who knows the
// durable end that later files say.
JournalContent read_journal(ByteView file, const JournalHeader& header);

}  // namespace ottla::storage
