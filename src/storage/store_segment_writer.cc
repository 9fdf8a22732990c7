#include "storage/store_segment_writer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/planted_bug.h"

namespace ottla::storage {

namespace {

constexpr std::uint64_t kBlock = io::kDirectAlignment;

}  // namespace

io::Task<io::Result<>> SegmentWriter::open(std::uint64_t size_bytes) {
  written_ = size_bytes / kBlock * kBlock;
  rest_.clear();
  auto opened = co_await disk_.open(path_, {.write = true, .create = true, .direct = true});
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  file_ = std::move(*opened);
  const auto file_bytes = file_->size_bytes();
  if (!file_bytes) co_return std::unexpected(file_bytes.error());
  if (*file_bytes < size_bytes) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::invalid, path_ + " is shorter than its segment"});
  }
  if (*file_bytes > size_bytes) {
    auto cut = co_await file_->truncate(size_bytes);
    if (!cut) co_return std::unexpected(std::move(cut.error()));
    is_dirty_ = true;
  }
  if (size_bytes > written_) {
    // The last part of a block is read through the page cache, whatever the way of writing is.
    auto reader = co_await disk_.open(path_, {});
    if (!reader) co_return std::unexpected(std::move(reader.error()));
    rest_.resize(size_bytes - written_);
    auto read = co_await (*reader)->read(written_, rest_);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (*read != rest_.size()) {
      co_return std::unexpected(io::Error{io::ErrorKind::input_output, path_ + ": short read"});
    }
  }
  readable_ = size_bytes;
  is_padded_ = false;
  rest_is_durable_ = true;
  co_return io::Result<>();
}

io::Task<io::Result<>> SegmentWriter::append(std::vector<SegmentRun> runs) {
  std::vector<ByteView> pieces;
  std::uint64_t blocks = 0;
  ByteView rest = rest_;
  for (const SegmentRun& run : runs) {
    std::uint8_t* block = run.begin.mutable_data() - rest.size();
    OTTLA_CHECK(reinterpret_cast<std::uintptr_t>(block) % kBlock == 0);
    if (run.begins_chunk && !rest.empty()) std::memcpy(block, rest.data(), rest.size());
    const std::size_t bytes = rest.size() + run.bytes;
    const std::size_t whole = bytes / kBlock * kBlock;
    if (whole > 0) pieces.push_back({block, whole});
    blocks += whole;
    rest = {block + whole, bytes - whole};
  }
  if (blocks > 0) {
    is_dirty_ = true;
    auto written = pieces.size() == 1 ? co_await file_->write(written_, pieces.front())
                                      : co_await file_->write_pieces(written_, std::move(pieces));
    if (!written) co_return written;
    written_ += blocks;
  }
  if (!runs.empty()) rest_.assign(rest.begin(), rest.end());
  // A padded block of an earlier settle() has been written over as a whole, or stands.
  readable_ = std::max(readable_, written_);
  if (written_ >= readable_) is_padded_ = false;
  co_return io::Result<>();
}

io::Task<io::Result<>> SegmentWriter::settle() {
  if (readable_ == size_bytes()) co_return io::Result<>();
  OTTLA_CHECK(!rest_.empty());
  std::size_t bytes = rest_.size();
  io::AlignedBuffer block(kBlock);
  std::memcpy(block.data(), rest_.data(), bytes);
  if (file_->is_direct()) {
    bytes = kBlock;
    is_padded_ = true;
  }
  is_dirty_ = true;
  auto written = co_await file_->write(written_, block.view().first(bytes));
  if (!written) co_return written;
  readable_ = size_bytes();
  co_return io::Result<>();
}

io::Task<io::Result<>> SegmentWriter::sync() {
  auto settled = co_await settle();
  if (!settled) co_return settled;
  rest_is_durable_ = true;
  if (!is_dirty_) co_return io::Result<>();
  is_dirty_ = false;
  if (is_planted(PlantedBug::segment_not_synced)) co_return io::Result<>();
  co_return co_await file_->sync_data();
}

io::Task<io::Result<>> SegmentWriter::finish() {
  auto settled = co_await settle();
  if (!settled) co_return settled;
  if (is_padded_) {
    auto cut = co_await file_->truncate(size_bytes());
    if (!cut) co_return cut;
    is_padded_ = false;
    is_dirty_ = true;
  }
  co_return co_await sync();
}

}  // namespace ottla::storage
