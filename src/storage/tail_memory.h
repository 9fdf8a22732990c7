// TailMemory: where the batches stand that readers get from memory and that go to the segments from
// there. Belongs to a ShardStore; used by its logs. Private to storage.
//
// Memory comes in slabs, of a huge page each. A log takes a chunk of the slab that is filled, and
// puts its batches there one behind the other, each at an address that is congruent with its place
// in the segment's file, modulo a block: so whole blocks go to the file from where they stand. What
// does not fit begins a new chunk, at the place of the block that was begun; the bytes of that
// block that stand elsewhere are filled in by who writes it (SegmentWriter).
//
// A chunk begins at what one batch needs and doubles as the log fills one after the other, so that
// thousands of logs with little traffic take a block each.
//
// Slabs are given back oldest first, once files have what is in them (ShardStore::evict). Slices
// stay valid while anybody holds them; a slab is used again after that.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "io/disk.h"
#include "storage/touched.h"

namespace ottla::storage {

struct TailLimits {
  std::size_t slab_bytes = 0;
  std::size_t chunk_bytes_max = 0;  // larger only where one batch is
  std::size_t spare_bytes = 0;      // of slabs that nobody needs just now
};

// What a log has of it. Kept by the log.
struct TailChunk {
  Slice memory;           // aligned to a block; empty if it has none
  std::size_t used = 0;   // congruent with the end of the segment
  bool is_fresh = false;  // nothing of the segment stands before `used`
  std::size_t bytes_next = 0;
  std::uint64_t slab = 0;
  TouchMark mark;
};

struct TailSlab {
  Slice memory;
  std::size_t used = 0;
  std::uint64_t number = 0;
  std::vector<Touched> touched;  // for eviction
};

class TailMemory {
 public:
  TailMemory(io::Disk& disk, TailLimits limits);

  struct Place {
    Slice bytes;                // to be filled in
    bool begins_chunk = false;  // otherwise what stands before it in the segment stands before it
  };
  // For the batch that stands at `position` of the segment, behind what stood in `chunk` last, and
  // after which `log` ends at `end`.
  Place place(TailChunk& chunk, std::uint64_t position, std::size_t bytes,
              const std::shared_ptr<StoredLog>& log, Offset end);

  // The next batch begins a segment.
  void begin_segment(TailChunk& chunk);
  // The next batch goes elsewhere.
  void leave(TailChunk& chunk);

  // The oldest slab, if there is more than the one being filled.
  TailSlab* oldest();
  // REQUIRES: no log has its chunk there.
  void drop_oldest();

  // Memory for a write that is under way; aligned. Counted nowhere: a log writes one at a time.
  Slice borrow(std::size_t bytes) { return take(bytes); }
  void give_back(Slice memory);

  // Gives back what is kept for new slabs: nothing has been appended for a while.
  void release_spares() { spare_ = {}; }

  std::size_t bytes() const { return bytes_; }

 private:
  Slice take(std::size_t bytes);
  bool grow(TailChunk& chunk, std::size_t bytes);
  void begin_chunk(TailChunk& chunk, std::size_t head, std::size_t bytes);
  bool is_last_of_slab(const TailChunk& chunk) const;

  io::Disk& disk_;
  TailLimits limits_;
  std::deque<std::unique_ptr<TailSlab>> slabs_;  // the last one is filled
  std::vector<Slice> spare_;  // memory of dropped slabs: new pages would cost a fault each
  std::size_t bytes_ = 0;     // of slabs_
  std::uint64_t last_slab_ = 0;
};

}  // namespace ottla::storage
