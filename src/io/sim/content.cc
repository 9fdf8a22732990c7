#include "io/sim/content.h"

#include <algorithm>

namespace ottla::io::sim {
namespace {

bool is_zero(ByteView bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Calls `visit(page, offset in page, size)` for each page that a range touches.
template <class Visit>
void for_pages(std::uint64_t position, std::uint64_t size_bytes, Visit visit) {
  constexpr std::uint64_t kPage = SparseBytes::kPageBytes;
  for (std::uint64_t at = position, end = position + size_bytes; at < end;) {
    const std::uint64_t offset = at % kPage;
    const std::uint64_t count = std::min(kPage - offset, end - at);
    visit(at / kPage, offset, count);
    at += count;
  }
}

}  // namespace

const SparseBytes::Page* SparseBytes::find(std::uint64_t page) const {
  const auto chunk = chunks_.find(page / kChunkPages);
  return chunk == chunks_.end() ? nullptr : chunk->second[page % kChunkPages].get();
}

std::uint8_t* SparseBytes::page_to_change(std::uint64_t page, bool whole) {
  PageRef& ref = chunks_[page / kChunkPages][page % kChunkPages];
  Page* old = ref.get();
  if (old && old->references == 1) return old->bytes.data();
  auto* fresh = new Page;
  if (!whole) {
    if (old)
      fresh->bytes = old->bytes;
    else
      fresh->bytes.fill(0);
  }
  ref = PageRef(fresh);
  return fresh->bytes.data();
}

void SparseBytes::drop(std::uint64_t page) {
  const auto chunk = chunks_.find(page / kChunkPages);
  if (chunk != chunks_.end()) chunk->second[page % kChunkPages] = PageRef();
}

void SparseBytes::read(std::uint64_t position, MutableByteView into) const {
  std::uint8_t* to = into.data();
  for_pages(position, into.size(),
            [&](std::uint64_t page, std::uint64_t offset, std::uint64_t count) {
              if (const Page* found = find(page))
                std::memcpy(to, found->bytes.data() + offset, count);
              else
                std::memset(to, 0, count);
              to += count;
            });
}

void SparseBytes::write(std::uint64_t position, ByteView from) {
  const std::uint8_t* at = from.data();
  for_pages(position, from.size(),
            [&](std::uint64_t page, std::uint64_t offset, std::uint64_t count) {
              const bool whole = count == kPageBytes;
              if (whole && is_zero({at, count}))
                drop(page);
              else
                std::memcpy(page_to_change(page, whole) + offset, at, count);
              at += count;
            });
}

void SparseBytes::zero(std::uint64_t position, std::uint64_t size_bytes) {
  for_pages(position, size_bytes,
            [&](std::uint64_t page, std::uint64_t offset, std::uint64_t count) {
              if (count == kPageBytes)
                drop(page);
              else if (find(page))
                std::memset(page_to_change(page, false) + offset, 0, count);
            });
}

void SparseBytes::zero_from(std::uint64_t position) {
  constexpr std::uint64_t kChunkBytes = kChunkPages * kPageBytes;
  const std::uint64_t next_chunk = position / kChunkBytes + 1;
  chunks_.erase(chunks_.lower_bound(next_chunk), chunks_.end());
  if (chunks_.contains(position / kChunkBytes)) zero(position, next_chunk * kChunkBytes - position);
}

void SparseBytes::share(const SparseBytes& other, std::uint64_t position,
                        std::uint64_t size_bytes) {
  for_pages(position, size_bytes, [&](std::uint64_t page, std::uint64_t, std::uint64_t) {
    const auto chunk = other.chunks_.find(page / kChunkPages);
    const auto index = page % kChunkPages;
    if (chunk == other.chunks_.end() || !chunk->second[index].get())
      drop(page);
    else
      chunks_[page / kChunkPages][index] = chunk->second[index];
  });
}

void SparseBytes::flip(std::uint64_t position, unsigned bit) {
  page_to_change(position / kPageBytes, false)[position % kPageBytes] ^=
      static_cast<std::uint8_t>(1u << (bit % 8));
}

std::uint64_t Content::unsynced_bytes() const {
  std::uint64_t sum = 0;
  for (const Change& change : unsynced_) sum += change.size_bytes;
  return sum;
}

std::size_t Content::read(std::uint64_t position, MutableByteView into) const {
  if (position >= size_) return 0;
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - position));
  current_.read(position, into.first(count));
  return count;
}

std::size_t Content::read_durable(std::uint64_t position, MutableByteView into) const {
  if (position >= durable_size_) return 0;
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), durable_size_ - position));
  durable_.read(position, into.first(count));
  return count;
}

void Content::write(std::uint64_t position, ByteView from) {
  if (from.empty()) return;
  Change change{++sequence_, false, position, from.size(), {}};
  if (is_zero(from)) {
    current_.zero(position, from.size());
  } else {
    change.data = Slice::copy_of(from);
    current_.write(position, from);
  }
  size_ = std::max(size_, change.end());
  unsynced_.push_back(std::move(change));
}

void Content::truncate(std::uint64_t size_bytes) {
  if (size_bytes == size_) return;
  if (size_bytes < size_) current_.zero_from(size_bytes);
  size_ = size_bytes;
  unsynced_.push_back({++sequence_, true, size_bytes, 0, {}});
}

void Content::apply(const Change& change, SparseBytes& bytes, std::uint64_t& size) {
  if (change.is_truncate) {
    if (change.position < size) bytes.zero_from(change.position);
    size = change.position;
    return;
  }
  if (change.data.empty())
    bytes.zero(change.position, change.size_bytes);
  else
    bytes.write(change.position, change.data);
  size = std::max(size, change.end());
}

void Content::make_durable(const Change& change, bool share) {
  if (!share || change.is_truncate) return apply(change, durable_, durable_size_);
  durable_.share(current_, change.position, change.size_bytes);
  durable_size_ = std::max(durable_size_, change.end());
}

void Content::sync(std::uint64_t mark) {
  // If everything becomes durable, pages are shared instead of copied. A later truncate among the
  // changes may have taken them away again: then the slow way.
  bool share = clean_.empty() && (unsynced_.empty() || unsynced_.back().sequence <= mark);
  for (const Change& change : unsynced_) share = share && !change.is_truncate;
  while (!unsynced_.empty() && unsynced_.front().sequence <= mark) {
    make_durable(unsynced_.front(), share);
    unsynced_.pop_front();
  }
}

void Content::sync_failed(std::uint64_t mark, Prng& prng) {
  while (!unsynced_.empty() && unsynced_.front().sequence <= mark) {
    if (!unsynced_.front().is_truncate && prng.chance(0.3))
      make_durable(unsynced_.front(), false);
    else
      clean_.push_back(std::move(unsynced_.front()));
    unsynced_.pop_front();
  }
}

void Content::rebuild_current() {
  current_ = durable_;
  size_ = durable_size_;
  for (const Change& change : unsynced_) apply(change, current_, size_);
}

bool Content::forget_clean() {
  if (clean_.empty()) return false;
  clean_.clear();
  rebuild_current();
  return true;
}

void Content::keep_some_sectors(const Change& change, const DiskOptions& options, Prng& prng,
                                Loss& loss) {
  std::uint64_t kept_end = 0;
  std::uint64_t lost_here = 0;
  for (std::uint64_t at = change.position; at < change.end();) {
    const std::uint64_t next = std::min(change.end(), (at / kSectorBytes + 1) * kSectorBytes);
    if (prng.chance(0.5)) {
      if (change.data.empty())
        durable_.zero(at, next - at);
      else
        durable_.write(at, change.data.view().subspan(at - change.position, next - at));
      kept_end = next;
    } else {
      ++lost_here;
      loss.bytes_lost += next - at;
      if (prng.chance(options.garbage_sector)) {
        ++loss.sectors_garbage;
        for (std::uint64_t byte = at; byte < next; ++byte) {
          const auto value = static_cast<std::uint8_t>(prng.next());
          durable_.write(byte, {&value, 1});
        }
        kept_end = next;
      } else if (prng.chance(options.zero_sector)) {
        durable_.zero(at, next - at);
      }
    }
    at = next;
  }
  if (kept_end > 0) loss.sectors_torn += lost_here;
  if (prng.chance(options.size_without_data)) kept_end = change.end();
  if (kept_end > durable_size_) durable_size_ = kept_end;
}

Loss Content::lose_power(const DiskOptions& options, Prng& prng) {
  Loss loss;
  clean_.clear();
  const std::uint64_t all =
      options.keep_nothing + options.keep_everything + options.keep_prefix + options.keep_subset;
  std::uint64_t mode = prng.below(all);
  std::size_t whole = 0;  // how many changes are kept whole
  bool subset = false;    // of the others
  if (mode < options.keep_everything) {
    whole = unsynced_.size();
  } else if ((mode -= options.keep_everything) < options.keep_prefix) {
    whole = prng.below(unsynced_.size() + 1);
  } else if ((mode -= options.keep_prefix) < options.keep_subset) {
    subset = true;
  }
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    const Change& change = unsynced_[i];
    // What is kept of a file as a prefix ends in a torn write.
    const bool torn = subset ? prng.chance(0.4) : whole > 0 && i == whole;
    if (i < whole || (subset && !torn && prng.chance(0.5))) {
      make_durable(change, false);
    } else if (change.is_truncate) {
      ++loss.truncates_lost;
    } else if (torn) {
      keep_some_sectors(change, options, prng, loss);
    } else {
      loss.bytes_lost += change.size_bytes;
      if (subset && prng.chance(options.size_without_data))
        durable_size_ = std::max(durable_size_, change.end());
    }
  }
  unsynced_.clear();
  rebuild_current();
  return loss;
}

void Content::flip(std::uint64_t position, unsigned bit) {
  if (position < durable_size_) durable_.flip(position, bit);
  if (position < size_) current_.flip(position, bit);
}

}  // namespace ottla::io::sim
