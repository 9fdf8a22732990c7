// FileBatches: walks the batches of a `.log` file with bounded memory. Used by recovery, by the
// search in a segment, by verification and by `ottla log dump`.
//
// The file is read in pieces. A batch larger than a piece is never held: its CRC is computed
// while passing, and its bytes are not offered. So memory is bounded whatever a length says.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "io/disk.h"
#include "io/task.h"
#include "wire/record_batch.h"

namespace ottla::storage {

// How much is read at a time: when whole batches are looked at, and when only headers are.
inline constexpr std::size_t kScanPieceBytes = 256 * 1024;
inline constexpr std::size_t kHopPieceBytes = 4096;

struct FileBatch {
  wire::BatchHeader header;
  std::uint64_t position = 0;
  // The following only from next(), not from next_header():
  bool crc_matches = false;
  ByteView bytes;  // the whole batch if it fits into a piece, else empty; until the next call

  std::uint64_t end_position() const { return position + header.total_size(); }
};

struct ScanError {
  std::uint64_t position = 0;             // where the batch begins
  std::optional<wire::BatchError> batch;  // what is wrong with it; `truncated` at the end
  io::Error io;                           // if nothing is wrong with the batch: the disk
  bool is_damage() const { return batch.has_value(); }
  std::string to_string() const;
};

template <class T = void>
using Scanned = std::expected<T, ScanError>;

class FileBatches {
 public:
  // The batches in [from, to); `from` is where one begins, `to` at most the size of the file.
  // REQUIRES: the file is not direct.
  FileBatches(std::shared_ptr<io::File> file, std::uint64_t from, std::uint64_t to,
              std::size_t piece_bytes = kScanPieceBytes);

  // The next batch, its CRC compared but not judged; nullopt at `to`. Errors: those of
  // wire::parse_batch_header, `truncated` when the batch does not end before `to`, and the disk's.
  // After an error it returns it again.
  io::Task<Scanned<std::optional<FileBatch>>> next();

  // The same without reading the records.
  io::Task<Scanned<std::optional<FileBatch>>> next_header();

  // Where the next batch begins: all before it were returned.
  std::uint64_t position() const { return position_; }

 private:
  // Sees to it that [from, from + count) is in the buffer; `truncated` if the file ends before.
  io::Task<Scanned<>> fill(std::uint64_t from, std::size_t count);
  io::Task<Scanned<wire::BatchHeader>> read_header();
  io::Task<Scanned<bool>> sum_in_pieces(wire::BatchHeader header);
  ByteView buffered(std::uint64_t from, std::size_t count) const;
  std::unexpected<ScanError> fail(wire::BatchError error);

  std::shared_ptr<io::File> file_;
  std::uint64_t position_;
  std::uint64_t end_;
  std::size_t piece_bytes_;
  // bytes of [buffer_position_, buffer_position_ + buffered_)
  Bytes buffer_;
  std::uint64_t buffer_position_ = 0;
  std::size_t buffered_ = 0;
  std::optional<ScanError> failed_;
};

}  // namespace ottla::storage
