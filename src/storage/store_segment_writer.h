// SegmentWriter: how the bytes of a segment get into its file; the one seam that knows. Direct I/O
// where the file system can: whole blocks only, from where they stand in memory. What is behind the
// last whole block is kept here as well until it is a block, or until settle() writes it padded
// with zeros. finish() cuts the padding.
// Where the file system refuses direct I/O the same calls write without padding. Why:
// docs/decisions/0001.
//
// The last block of a segment is written again and again as it fills. Once it was synced it must
// not be lost by that: the caller puts rest() into the journal first (overwrites_durable()).
//
// Readers must not look beyond readable_bytes(): there is padding, or nothing. One call at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/disk.h"
#include "io/task.h"

namespace ottla::storage {

// Bytes of a segment that stand together in memory, at an address that is congruent with their
// position in the file, modulo a block.
struct SegmentRun {
  Slice begin;  // holds the memory, and is the first of
  std::size_t bytes = 0;
  // Whether nothing of the segment stands before it: then there is room before it for what the
  // block that it goes on with has already, which append() puts there. Otherwise that is there.
  bool begins_chunk = false;
};

class SegmentWriter {
 public:
  SegmentWriter(io::Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}

  // Opens or creates the file, of which the first `size_bytes` are the segment's; what lies behind
  // them is cut.
  io::Task<io::Result<>> open(std::uint64_t size_bytes);

  // Appends the runs, one behind the other.
  io::Task<io::Result<>> append(std::vector<SegmentRun> runs);

  // Makes all that was appended readable.
  io::Task<io::Result<>> settle();
  // And durable. The name of the file is the caller's.
  io::Task<io::Result<>> sync();
  // And gives the file its true size, durably. More appends may follow.
  io::Task<io::Result<>> finish();

  std::uint64_t size_bytes() const { return written_ + rest_.size(); }
  std::uint64_t readable_bytes() const { return readable_; }
  bool is_synced() const { return !is_dirty_; }

  // Whether the next append writes over bytes that nothing else holds any more: rest(), which
  // stands at block_position().
  bool overwrites_durable() const { return rest_is_durable_ && !rest_.empty(); }
  ByteView rest() const { return rest_; }
  std::uint64_t block_position() const { return written_; }
  void note_journaled() { rest_is_durable_ = false; }

 private:
  io::Disk& disk_;
  std::string path_;
  std::shared_ptr<io::File> file_;
  std::uint64_t written_ = 0;   // whole blocks
  std::uint64_t readable_ = 0;  // written_, or size_bytes() after settle()
  Bytes rest_;                  // less than a block
  bool is_padded_ = false;      // the file is longer than size_bytes()
  bool is_dirty_ = false;       // written since the last sync
  bool rest_is_durable_ = false;
};

}  // namespace ottla::storage
