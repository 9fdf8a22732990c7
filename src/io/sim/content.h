// What a simulated file holds: the bytes that everybody reads, the bytes that are durable, and the
// changes between the two in the order in which they were made. A power loss keeps the durable
// bytes and any part of those changes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "io/sim/options.h"
#include "io/sim/prng.h"

namespace ottla::io::sim {

// What a disk can keep whole or lose, in bytes.
inline constexpr std::uint64_t kSectorBytes = 512;

// Bytes by page, shared between copies until one changes. Pages of zeros take no memory.
class SparseBytes {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;

  void read(std::uint64_t position, MutableByteView into) const;
  void write(std::uint64_t position, ByteView from);
  void zero(std::uint64_t position, std::uint64_t size_bytes);
  void zero_from(std::uint64_t position);  // to the end of everything
  // Takes the pages over that [position, position + size_bytes) touches.
  void share(const SparseBytes& other, std::uint64_t position, std::uint64_t size_bytes);
  void flip(std::uint64_t position, unsigned bit);

 private:
  static constexpr std::uint64_t kChunkPages = 64;
  struct Page {
    std::uint32_t references = 1;
    std::array<std::uint8_t, kPageBytes> bytes;
  };
  class PageRef {
   public:
    PageRef() = default;
    explicit PageRef(Page* page) : page_(page) {}
    PageRef(const PageRef& other) : page_(other.page_) {
      if (page_) ++page_->references;
    }
    PageRef& operator=(PageRef other) noexcept {
      std::swap(page_, other.page_);
      return *this;
    }
    ~PageRef() {
      if (page_ && --page_->references == 0) delete page_;
    }
    Page* get() const { return page_; }

   private:
    Page* page_ = nullptr;
  };
  using Chunk = std::array<PageRef, kChunkPages>;

  const Page* find(std::uint64_t page) const;
  std::uint8_t* page_to_change(std::uint64_t page, bool whole);
  void drop(std::uint64_t page);

  std::map<std::uint64_t, Chunk> chunks_;
};

// A write (data, or zeros if it is empty) or a truncate.
struct Change {
  std::uint64_t sequence = 0;
  bool is_truncate = false;
  std::uint64_t position = 0;  // of a truncate: the new size
  std::uint64_t size_bytes = 0;
  Slice data;
  std::uint64_t end() const { return position + size_bytes; }
};

// What a power loss did to one file.
struct Loss {
  std::uint64_t bytes_lost = 0;    // written, not synced, gone
  std::uint64_t sectors_torn = 0;  // lost out of the middle of a write
  std::uint64_t sectors_garbage = 0;
  std::uint64_t truncates_lost = 0;
};

class Content {
 public:
  std::uint64_t size_bytes() const { return size_; }
  std::uint64_t durable_size_bytes() const { return durable_size_; }
  std::size_t unsynced_changes() const { return unsynced_.size(); }
  std::uint64_t unsynced_bytes() const;

  // Up to the end of the file.
  std::size_t read(std::uint64_t position, MutableByteView into) const;
  std::size_t read_durable(std::uint64_t position, MutableByteView into) const;
  void write(std::uint64_t position, ByteView from);
  void truncate(std::uint64_t size_bytes);

  // A sync covers what was there when it began: take a mark then, and pass it at its end.
  std::uint64_t mark() const { return sequence_; }
  void sync(std::uint64_t mark);
  // A sync that failed: the changes are clean now and nobody will write them again; some were
  // written.
  void sync_failed(std::uint64_t mark, Prng& prng);
  // The clean pages that never became durable leave the page cache. True if a byte changed.
  bool forget_clean();

  Loss lose_power(const DiskOptions& options, Prng& prng);
  void flip(std::uint64_t position, unsigned bit);

 private:
  void make_durable(const Change& change, bool share);
  void rebuild_current();
  static void apply(const Change& change, SparseBytes& bytes, std::uint64_t& size);
  void keep_some_sectors(const Change& change, const DiskOptions& options, Prng& prng, Loss& loss);

  SparseBytes current_;
  SparseBytes durable_;
  std::uint64_t size_ = 0;
  std::uint64_t durable_size_ = 0;
  std::uint64_t sequence_ = 0;
  std::deque<Change> unsynced_;
  std::vector<Change> clean_;  // by a failed sync: in current_, not in durable_
};

}  // namespace ottla::io::sim
