// `<base>.sums.ottla` of a sealed segment: CRC-32C of each 64 KiB of its `.log`, and of the index
// files beside it, bound to the partition that it belongs to. Pure. It covers what Kafka's batch
// CRC leaves out (base offset, length, epoch, magic) and the indexes, which have no checksum at
// all; verified at an unclean start and by the scrub. Damage found here is corruption, never a torn
// tail: the segment was whole when it was summed. Grammar: docs/formats/segment_sums.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

inline constexpr std::uint32_t kSumBlockBytes = 64 * 1024;
// Of a segment of 2 GiB.
inline constexpr std::size_t kSumsFileBytesMax = 256 * 1024;

// Whose segment it is; in the file, so that a file in the wrong place is noticed.
struct SumsOwner {
  TopicIdPartition partition;
  Offset base_offset = 0;
  bool operator==(const SumsOwner&) const = default;
};

struct ByteRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool operator==(const ByteRange&) const = default;
};

// A file that is summed as one piece.
struct FileSum {
  std::uint64_t size_bytes = 0;
  std::uint32_t crc = 0;
  static FileSum of(ByteView file);
  bool operator==(const FileSum&) const = default;
};

class SegmentSums {
 public:
  SegmentSums() = default;
  explicit SegmentSums(SumsOwner owner) : owner_(owner) {}

  // Refused: another magic or version, a wrong CRC over the file, sizes that do not fit, an owner
  // that is not `owner`.
  static Parsed<SegmentSums> parse(ByteView file, const SumsOwner& owner);
  Bytes serialize() const;

  // Adds the next bytes of the `.log`, in pieces of any size.
  void add(ByteView log_bytes);
  // Of the last block so far: what first() wants to know. 0 if there is none.
  std::uint32_t last_block() const { return blocks_.empty() ? 0 : blocks_.back(); }
  // The sums as they were when log_bytes() was `log_bytes` and last_block() `last_block`.
  SegmentSums first(std::uint64_t log_bytes, std::uint32_t last_block) const;
  // Forgets all but the whole blocks that end at or before `position`, from where on add() goes on.
  void truncate_to_block(std::uint64_t position);
  // Of the files of `indexes` as they are written; empty ones have size 0.
  void set_indexes(ByteView offset_index, ByteView time_index, ByteView transaction_index);

  // Compares the `.log` bytes that begin at `position`, a multiple of kSumBlockBytes, and end at a
  // multiple of it or at log_bytes(). Returns the damaged ranges, adjacent blocks joined.
  std::vector<ByteRange> damaged(std::uint64_t position, ByteView log_bytes) const;

  std::uint64_t log_bytes() const { return log_bytes_; }
  const SumsOwner& owner() const { return owner_; }
  const FileSum& offset_index() const { return indexes_[0]; }
  const FileSum& time_index() const { return indexes_[1]; }
  const FileSum& transaction_index() const { return indexes_[2]; }
  bool operator==(const SegmentSums&) const = default;

 private:
  SumsOwner owner_;
  std::uint64_t log_bytes_ = 0;
  std::vector<std::uint32_t> blocks_;  // the last one may be of fewer bytes
  std::array<FileSum, 3> indexes_;
};

}  // namespace ottla::storage
