#include "storage/file_batches.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace ottla::storage {

std::string ScanError::to_string() const {
  if (batch) return fmt::format("batch at position {}: {}", position, wire::describe(*batch));
  return io.message;
}

FileBatches::FileBatches(std::shared_ptr<io::File> file, std::uint64_t from, std::uint64_t to,
                         std::size_t piece_bytes)
    : file_(std::move(file)),
      position_(from),
      end_(to),
      piece_bytes_(std::max(piece_bytes, wire::kBatchHeaderBytes)) {
  OTTLA_CHECK(from <= to && !file_->is_direct());
}

std::unexpected<ScanError> FileBatches::fail(wire::BatchError error) {
  failed_ = ScanError{.position = position_, .batch = error, .io = {}};
  return std::unexpected(*failed_);
}

ByteView FileBatches::buffered(std::uint64_t from, std::size_t count) const {
  OTTLA_CHECK(from >= buffer_position_ && from + count <= buffer_position_ + buffered_);
  return ByteView(buffer_).subspan(from - buffer_position_, count);
}

io::Task<Scanned<>> FileBatches::fill(std::uint64_t from, std::size_t count) {
  const std::uint64_t buffer_end = buffer_position_ + buffered_;
  if (from >= buffer_position_ && from + count <= buffer_end) co_return Scanned<>();
  if (from + count > end_) co_return fail(wire::BatchError::truncated);
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes_, end_ - from));
  std::size_t kept = 0;
  if (from >= buffer_position_ && from < buffer_end) {
    kept = static_cast<std::size_t>(buffer_end - from);
    std::memmove(buffer_.data(), buffer_.data() + (from - buffer_position_), kept);
  }
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  buffer_position_ = from;
  buffered_ = kept;
  auto count_read =
      co_await file_->read(from + kept, MutableByteView(buffer_).subspan(kept, wanted - kept));
  if (!count_read) {
    failed_ = ScanError{
        .position = position_, .batch = std::nullopt, .io = std::move(count_read.error())};
    co_return std::unexpected(*failed_);
  }
  buffered_ += *count_read;
  if (buffered_ < count) co_return fail(wire::BatchError::truncated);
  co_return Scanned<>();
}

io::Task<Scanned<wire::BatchHeader>> FileBatches::read_header() {
  // An old batch may be shorter than a header, and should be named as old.
  const std::size_t count =
      static_cast<std::size_t>(std::min<std::uint64_t>(wire::kBatchHeaderBytes, end_ - position_));
  if (auto filled = co_await fill(position_, count); !filled) {
    co_return std::unexpected(std::move(filled.error()));
  }
  auto header = wire::parse_batch_header(buffered(position_, count));
  if (!header) co_return fail(header.error());
  if (header->total_size() > end_ - position_) co_return fail(wire::BatchError::truncated);
  co_return *header;
}

io::Task<Scanned<bool>> FileBatches::sum_in_pieces(wire::BatchHeader header) {
  std::uint64_t at = position_ + wire::batch_at::kAttributes;
  const std::uint64_t end = position_ + header.total_size();
  std::uint32_t crc = 0;
  while (at < end) {
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes_, end - at));
    if (auto filled = co_await fill(at, count); !filled) {
      co_return std::unexpected(std::move(filled.error()));
    }
    crc = crc32c(buffered(at, count), crc);
    at += count;
  }
  co_return crc == header.crc;
}

io::Task<Scanned<std::optional<FileBatch>>> FileBatches::next_header() {
  if (failed_) co_return std::unexpected(*failed_);
  if (position_ == end_) co_return std::nullopt;
  auto header = co_await read_header();
  if (!header) co_return std::unexpected(std::move(header.error()));
  FileBatch batch{.header = *header, .position = position_, .crc_matches = false, .bytes = {}};
  position_ = batch.end_position();
  co_return batch;
}

io::Task<Scanned<std::optional<FileBatch>>> FileBatches::next() {
  if (failed_) co_return std::unexpected(*failed_);
  if (position_ == end_) co_return std::nullopt;
  auto header = co_await read_header();
  if (!header) co_return std::unexpected(std::move(header.error()));
  FileBatch batch{.header = *header, .position = position_, .crc_matches = false, .bytes = {}};
  const std::size_t size = header->total_size();
  if (size <= piece_bytes_) {
    if (auto filled = co_await fill(position_, size); !filled) {
      co_return std::unexpected(std::move(filled.error()));
    }
    batch.bytes = buffered(position_, size);
    batch.crc_matches = wire::crc_matches(batch.bytes);
  } else {
    auto matches = co_await sum_in_pieces(*header);
    if (!matches) co_return std::unexpected(std::move(matches.error()));
    batch.crc_matches = *matches;
  }
  position_ = batch.end_position();
  co_return batch;
}

}  // namespace ottla::storage
