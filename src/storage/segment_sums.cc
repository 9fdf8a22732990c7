#include "storage/segment_sums.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace ottla::storage {
namespace {

constexpr std::uint32_t kMagic = 0x4f545355;  // "OTSU"
constexpr std::int16_t kVersion = 1;
// Where each field begins.
constexpr std::size_t kCrcAt = 6;          // uint32, over all that follows it
constexpr std::size_t kTopicIdAt = 10;     // 2 x uint64
constexpr std::size_t kPartitionAt = 26;   // int32
constexpr std::size_t kBaseOffsetAt = 30;  // int64
constexpr std::size_t kLogBytesAt = 38;    // uint64
constexpr std::size_t kBlockBytesAt = 46;  // uint32
constexpr std::size_t kIndexesAt = 50;     // 3 x {uint64 size, uint32 CRC}
constexpr std::size_t kIndexSumBytes = 12;
constexpr std::size_t kBlocksAt = kIndexesAt + 3 * kIndexSumBytes;

std::size_t blocks_of(std::uint64_t log_bytes) {
  return static_cast<std::size_t>((log_bytes + kSumBlockBytes - 1) / kSumBlockBytes);
}

}  // namespace

FileSum FileSum::of(ByteView file) { return {file.size(), crc32c(file)}; }

Parsed<SegmentSums> SegmentSums::parse(ByteView file, const SumsOwner& owner) {
  if (file.size() < kBlocksAt) return format_error("the file is shorter than its header");
  const std::uint8_t* at = file.data();
  if (load_big<std::uint32_t>(at) != kMagic) return format_error("the magic number is wrong");
  if (const auto version = load_big<std::int16_t>(at + 4); version != kVersion) {
    return format_error(fmt::format("unknown version {}", version));
  }
  if (load_big<std::uint32_t>(at + kCrcAt) != crc32c(file.subspan(kTopicIdAt))) {
    return format_error("the CRC-32C of the sums does not fit");
  }
  SegmentSums sums;
  sums.owner_.partition.topic_id = {load_big<std::uint64_t>(at + kTopicIdAt),
                                    load_big<std::uint64_t>(at + kTopicIdAt + 8)};
  sums.owner_.partition.partition = load_big<PartitionIndex>(at + kPartitionAt);
  sums.owner_.base_offset = load_big<Offset>(at + kBaseOffsetAt);
  if (sums.owner_ != owner) return format_error("the sums are those of another segment");
  sums.log_bytes_ = load_big<std::uint64_t>(at + kLogBytesAt);
  if (load_big<std::uint32_t>(at + kBlockBytesAt) != kSumBlockBytes) {
    return format_error("the sums are of blocks of another size");
  }
  const std::size_t count = (file.size() - kBlocksAt) / 4;
  if (sums.log_bytes_ > std::uint64_t{1} << 40 || count != blocks_of(sums.log_bytes_) ||
      file.size() != kBlocksAt + count * 4) {
    return format_error("the number of sums does not fit the size of the segment");
  }
  for (std::size_t i = 0; i < sums.indexes_.size(); ++i) {
    const std::uint8_t* index = at + kIndexesAt + i * kIndexSumBytes;
    sums.indexes_[i] = {load_big<std::uint64_t>(index), load_big<std::uint32_t>(index + 8)};
  }
  sums.blocks_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    sums.blocks_.push_back(load_big<std::uint32_t>(at + kBlocksAt + i * 4));
  }
  return sums;
}

Bytes SegmentSums::serialize() const {
  Bytes file(kBlocksAt + blocks_.size() * 4);
  std::uint8_t* at = file.data();
  store_big(at, kMagic);
  store_big(at + 4, kVersion);
  store_big(at + kTopicIdAt, owner_.partition.topic_id.high);
  store_big(at + kTopicIdAt + 8, owner_.partition.topic_id.low);
  store_big(at + kPartitionAt, owner_.partition.partition);
  store_big(at + kBaseOffsetAt, owner_.base_offset);
  store_big(at + kLogBytesAt, log_bytes_);
  store_big(at + kBlockBytesAt, kSumBlockBytes);
  for (std::size_t i = 0; i < indexes_.size(); ++i) {
    store_big(at + kIndexesAt + i * kIndexSumBytes, indexes_[i].size_bytes);
    store_big(at + kIndexesAt + i * kIndexSumBytes + 8, indexes_[i].crc);
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) store_big(at + kBlocksAt + i * 4, blocks_[i]);
  store_big(at + kCrcAt, crc32c(ByteView(file).subspan(kTopicIdAt)));
  return file;
}

void SegmentSums::add(ByteView log_bytes) {
  while (!log_bytes.empty()) {
    const std::size_t filled = log_bytes_ % kSumBlockBytes;
    if (filled == 0) blocks_.push_back(0);
    const std::size_t count = std::min<std::size_t>(log_bytes.size(), kSumBlockBytes - filled);
    blocks_.back() = crc32c(log_bytes.first(count), filled == 0 ? 0 : blocks_.back());
    log_bytes_ += count;
    log_bytes = log_bytes.subspan(count);
  }
}

SegmentSums SegmentSums::first(std::uint64_t log_bytes, std::uint32_t last_block) const {
  OTTLA_CHECK(log_bytes <= log_bytes_);
  SegmentSums part(owner_);
  part.log_bytes_ = log_bytes;
  part.blocks_.assign(blocks_.begin(),
                      blocks_.begin() + static_cast<std::ptrdiff_t>(blocks_of(log_bytes)));
  if (!part.blocks_.empty()) part.blocks_.back() = last_block;
  return part;
}

void SegmentSums::truncate_to_block(std::uint64_t position) {
  const std::uint64_t blocks = std::min(position, log_bytes_) / kSumBlockBytes;
  blocks_.resize(static_cast<std::size_t>(blocks));
  log_bytes_ = blocks * kSumBlockBytes;
}

void SegmentSums::set_indexes(ByteView offset_index, ByteView time_index,
                              ByteView transaction_index) {
  indexes_ = {FileSum::of(offset_index), FileSum::of(time_index), FileSum::of(transaction_index)};
}

std::vector<ByteRange> SegmentSums::damaged(std::uint64_t position, ByteView log_bytes) const {
  OTTLA_CHECK(position % kSumBlockBytes == 0 && position + log_bytes.size() <= log_bytes_);
  OTTLA_CHECK((position + log_bytes.size()) % kSumBlockBytes == 0 ||
              position + log_bytes.size() == log_bytes_);
  std::vector<ByteRange> ranges;
  while (!log_bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(log_bytes.size(), kSumBlockBytes);
    const std::size_t block = static_cast<std::size_t>(position / kSumBlockBytes);
    if (crc32c(log_bytes.first(count)) != blocks_[block]) {
      if (!ranges.empty() && ranges.back().to == position) {
        ranges.back().to += count;
      } else {
        ranges.push_back({position, position + count});
      }
    }
    position += count;
    log_bytes = log_bytes.subspan(count);
  }
  return ranges;
}

}  // namespace ottla::storage
