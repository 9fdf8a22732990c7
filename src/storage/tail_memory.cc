#include "storage/tail_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "storage/large_memory.h"

namespace ottla::storage {

namespace {

constexpr std::size_t kBlock = io::kDirectAlignment;

std::size_t align(std::size_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

}  // namespace

TailMemory::TailMemory(io::Disk& disk, TailLimits limits) : disk_(disk), limits_(limits) {
  limits_.slab_bytes = align(limits_.slab_bytes);
  limits_.chunk_bytes_max = std::max(kBlock, limits_.chunk_bytes_max / kBlock * kBlock);
}

Slice TailMemory::take(std::size_t bytes) {
  bytes = std::max(limits_.slab_bytes, align(bytes));
  const auto spare = std::find_if(spare_.rbegin(), spare_.rend(), [&](const Slice& memory) {
    return memory.size() >= bytes && memory.is_unique();
  });
  if (spare == spare_.rend()) return large_memory(disk_, bytes);
  Slice memory = std::move(*spare);
  spare_.erase(std::next(spare).base());
  return memory;
}

void TailMemory::give_back(Slice memory) {
  // Readers may still hold parts of it.
  if (memory.size() == limits_.slab_bytes &&
      (spare_.size() + 1) * limits_.slab_bytes <= limits_.spare_bytes) {
    spare_.push_back(std::move(memory));
  }
}

bool TailMemory::is_last_of_slab(const TailChunk& chunk) const {
  if (slabs_.empty() || chunk.slab != slabs_.back()->number || chunk.memory.empty()) return false;
  const TailSlab& slab = *slabs_.back();
  return chunk.memory.data() + chunk.memory.size() == slab.memory.data() + slab.used;
}

// Nobody else has begun a chunk behind it: then it goes on.
bool TailMemory::grow(TailChunk& chunk, std::size_t bytes) {
  if (!is_last_of_slab(chunk)) return false;
  TailSlab& slab = *slabs_.back();
  const std::size_t missing = align(bytes - (chunk.memory.size() - chunk.used));
  const std::size_t left = slab.memory.size() - slab.used;
  if (missing > left) return false;
  const std::size_t more = std::min(left, std::max(missing, chunk.bytes_next));
  const auto begin = static_cast<std::size_t>(chunk.memory.data() - slab.memory.data());
  chunk.memory = slab.memory.subslice(begin, chunk.memory.size() + more);
  slab.used += more;
  chunk.bytes_next = std::min(2 * chunk.bytes_next, limits_.chunk_bytes_max);
  return true;
}

void TailMemory::begin_chunk(TailChunk& chunk, std::size_t head, std::size_t bytes) {
  const std::size_t needed = align(head + bytes);
  if (slabs_.empty() || slabs_.back()->memory.size() - slabs_.back()->used < needed) {
    auto slab = std::make_unique<TailSlab>();
    slab->memory = take(needed);
    slab->number = ++last_slab_;
    bytes_ += slab->memory.size();
    slabs_.push_back(std::move(slab));
  }
  TailSlab& slab = *slabs_.back();
  const std::size_t size =
      std::min(slab.memory.size() - slab.used, std::max(needed, chunk.bytes_next));
  chunk.memory = slab.memory.subslice(slab.used, size);
  chunk.used = head;
  chunk.is_fresh = true;
  chunk.slab = slab.number;
  chunk.bytes_next = std::min(2 * std::max(needed, chunk.bytes_next), limits_.chunk_bytes_max);
  slab.used += size;
}

TailMemory::Place TailMemory::place(TailChunk& chunk, std::uint64_t position, std::size_t bytes,
                                    const std::shared_ptr<StoredLog>& log, Offset end) {
  const std::size_t head = position % kBlock;
  if (chunk.memory.empty() || (chunk.memory.size() - chunk.used < bytes && !grow(chunk, bytes))) {
    begin_chunk(chunk, head, bytes);
  }
  OTTLA_CHECK(chunk.used % kBlock == head);
  const Place place{.bytes = chunk.memory.subslice(chunk.used, bytes),
                    .begins_chunk = std::exchange(chunk.is_fresh, false)};
  chunk.used += bytes;
  TailSlab& slab = *slabs_[chunk.slab - slabs_.front()->number];
  touch(slab.touched, slab.number, chunk.mark, log, end);
  return place;
}

void TailMemory::begin_segment(TailChunk& chunk) {
  if (chunk.memory.empty()) return;
  chunk.used = align(chunk.used);
  chunk.is_fresh = true;
}

void TailMemory::leave(TailChunk& chunk) {
  if (chunk.memory.empty()) return;
  const std::size_t used = align(chunk.used);
  if (is_last_of_slab(chunk)) slabs_.back()->used -= chunk.memory.size() - used;
  chunk.bytes_next = std::min(used, limits_.chunk_bytes_max);
  chunk.memory = {};
  chunk.used = 0;
}

TailSlab* TailMemory::oldest() { return slabs_.size() > 1 ? slabs_.front().get() : nullptr; }

void TailMemory::drop_oldest() {
  OTTLA_CHECK(slabs_.size() > 1);
  Slice memory = std::move(slabs_.front()->memory);
  slabs_.pop_front();
  bytes_ -= memory.size();
  give_back(std::move(memory));
}

}  // namespace ottla::storage
