#include "storage/journal_format.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "wire/record_batch.h"

namespace ottla::storage {

namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {'O', 'T', 'T', 'L', 'A', 'J', 'R', 'N'};

namespace header_at {
constexpr std::size_t kVersion = 8;
constexpr std::size_t kRun = 16;
constexpr std::size_t kSequence = 24;
constexpr std::size_t kFileId = 32;
constexpr std::size_t kFileBytes = 40;
constexpr std::size_t kFirstNeeded = 48;
constexpr std::size_t kDirectoryId = 56;
constexpr std::size_t kShard = 72;
constexpr std::size_t kClusterIdLength = 76;
constexpr std::size_t kClusterId = 80;
constexpr std::size_t kCrc = kJournalHeaderBytes - 4;
}  // namespace header_at

namespace frame_at {
constexpr std::size_t kCrc = 0;
constexpr std::size_t kBodyBytes = 4;
constexpr std::size_t kKind = 8;
constexpr std::size_t kPartition = 12;
constexpr std::size_t kFileId = 16;
constexpr std::size_t kPosition = 24;
constexpr std::size_t kDurableSequence = 32;
constexpr std::size_t kDurablePosition = 40;
constexpr std::size_t kTopicId = 48;
constexpr std::size_t kOffset = 64;
constexpr std::size_t kLeaderEpoch = 72;
constexpr std::size_t kLastOffsetDelta = 76;
}  // namespace frame_at

static_assert(frame_at::kLastOffsetDelta + 4 == kJournalFrameBytes);
static_assert(kBatchBytesOutsideCrc == wire::batch_at::kAttributes);

// What the frame's CRC covers of a body: of a batch, the part that the batch's own does not.
std::size_t covered_bytes(JournalKind kind, std::size_t body_bytes) {
  return kind == JournalKind::append ? std::min(body_bytes, kBatchBytesOutsideCrc) : body_bytes;
}

std::uint32_t frame_crc(const std::uint8_t* at, ByteView covered_body) {
  return crc32c(covered_body, crc32c({at + 4, kJournalFrameBytes - 4}));
}

// The entry at `position`, or nullopt if no readable frame stands there.
std::optional<JournalEntry> entry_at(ByteView file, const JournalHeader& header,
                                     std::uint64_t position) {
  if (position + kJournalFrameBytes > file.size()) return std::nullopt;
  const std::uint8_t* at = file.data() + position;
  JournalFrame frame;
  frame.file_id = load_big<std::uint64_t>(at + frame_at::kFileId);
  frame.position = load_big<std::uint64_t>(at + frame_at::kPosition);
  if (frame.file_id != header.file_id || frame.position != position) return std::nullopt;
  frame.body_bytes = load_big<std::uint32_t>(at + frame_at::kBodyBytes);
  if (frame.body_bytes > file.size() - position - kJournalFrameBytes) return std::nullopt;
  const std::uint8_t kind = at[frame_at::kKind];
  if (kind < 1 || kind > static_cast<std::uint8_t>(JournalKind::compact)) return std::nullopt;
  frame.kind = static_cast<JournalKind>(kind);
  const ByteView body(at + kJournalFrameBytes, frame.body_bytes);
  const auto crc = frame_crc(at, body.first(covered_bytes(frame.kind, body.size())));
  const bool is_torn = crc != load_big<std::uint32_t>(at + frame_at::kCrc);
  if (is_torn && !is_planted(PlantedBug::torn_tail_kept)) return std::nullopt;
  frame.partition.partition = load_big<std::int32_t>(at + frame_at::kPartition);
  frame.partition.topic_id = {load_big<std::uint64_t>(at + frame_at::kTopicId),
                              load_big<std::uint64_t>(at + frame_at::kTopicId + 8)};
  frame.durable_end = {load_big<std::uint64_t>(at + frame_at::kDurableSequence),
                       load_big<std::uint64_t>(at + frame_at::kDurablePosition)};
  frame.offset = load_big<std::int64_t>(at + frame_at::kOffset);
  frame.leader_epoch = load_big<std::int32_t>(at + frame_at::kLeaderEpoch);
  frame.last_offset_delta = load_big<std::int32_t>(at + frame_at::kLastOffsetDelta);
  JournalEntry entry{frame, body, false};
  if (frame.kind == JournalKind::append) {
    const auto batch = wire::parse_batch(body);
    entry.body_is_damaged = !batch || batch->bytes.size() != body.size() ||
                            (!wire::crc_matches(body) && !is_planted(PlantedBug::torn_tail_kept));
  }
  return entry;
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// The next block at or behind `from` where a group begins.
std::optional<std::uint64_t> find_group(ByteView file, const JournalHeader& header,
                                        std::uint64_t from) {
  for (std::uint64_t at = journal_align(from); at + kJournalFrameBytes <= file.size();
       at += kJournalBlockBytes) {
    const auto entry = entry_at(file, header, at);
    if (!entry) continue;
    const JournalPosition own{header.sequence, at};
    if (entry->frame.durable_end == own) return at;
    // The first group of a file: what is durable is the end of the file before.
    if (at == kJournalHeaderBytes && entry->frame.durable_end < own) return at;
  }
  return std::nullopt;
}

}  // namespace

void store_journal_header(std::uint8_t* block, const JournalHeader& header) {
  OTTLA_CHECK(header.cluster_id.size() <= kJournalClusterIdBytesMax);
  std::memset(block, 0, kJournalHeaderBytes);
  std::memcpy(block, kMagic.data(), kMagic.size());
  store_big<std::int16_t>(block + header_at::kVersion, kJournalVersion);
  store_big<std::uint64_t>(block + header_at::kRun, header.run);
  store_big<std::uint64_t>(block + header_at::kSequence, header.sequence);
  store_big<std::uint64_t>(block + header_at::kFileId, header.file_id);
  store_big<std::uint64_t>(block + header_at::kFileBytes, header.file_bytes);
  store_big<std::uint64_t>(block + header_at::kFirstNeeded, header.first_needed);
  store_big<std::uint64_t>(block + header_at::kDirectoryId, header.directory_id.high);
  store_big<std::uint64_t>(block + header_at::kDirectoryId + 8, header.directory_id.low);
  store_big<std::uint32_t>(block + header_at::kShard, header.shard);
  store_big<std::uint32_t>(block + header_at::kClusterIdLength,
                           static_cast<std::uint32_t>(header.cluster_id.size()));
  std::memcpy(block + header_at::kClusterId, header.cluster_id.data(), header.cluster_id.size());
  store_big<std::uint32_t>(block + header_at::kCrc, crc32c({block, header_at::kCrc}));
}

Parsed<JournalHeader> parse_journal_header(ByteView block) {
  if (block.size() < kJournalHeaderBytes) return format_error("shorter than a journal's header");
  const std::uint8_t* at = block.data();
  if (std::memcmp(at, kMagic.data(), kMagic.size()) != 0) return format_error("no journal");
  if (crc32c({at, header_at::kCrc}) != load_big<std::uint32_t>(at + header_at::kCrc)) {
    return format_error("the header's checksum differs");
  }
  const auto version = load_big<std::int16_t>(at + header_at::kVersion);
  if (version != kJournalVersion) {
    return format_error("journal format " + std::to_string(version) + ", but this program knows " +
                        std::to_string(kJournalVersion));
  }
  JournalHeader header;
  header.run = load_big<std::uint64_t>(at + header_at::kRun);
  header.sequence = load_big<std::uint64_t>(at + header_at::kSequence);
  header.file_id = load_big<std::uint64_t>(at + header_at::kFileId);
  header.file_bytes = load_big<std::uint64_t>(at + header_at::kFileBytes);
  header.first_needed = load_big<std::uint64_t>(at + header_at::kFirstNeeded);
  header.directory_id = {load_big<std::uint64_t>(at + header_at::kDirectoryId),
                         load_big<std::uint64_t>(at + header_at::kDirectoryId + 8)};
  header.shard = load_big<std::uint32_t>(at + header_at::kShard);
  const auto length = load_big<std::uint32_t>(at + header_at::kClusterIdLength);
  if (length > kJournalClusterIdBytesMax || header.file_bytes > kJournalFileBytesMax ||
      header.file_bytes % kJournalBlockBytes != 0) {
    return format_error("a journal's header with impossible sizes");
  }
  header.cluster_id = as_text(block.subspan(header_at::kClusterId, length));
  return header;
}

void store_journal_frame(std::uint8_t* at, const JournalFrame& frame, ByteView body) {
  std::memset(at, 0, kJournalFrameBytes);
  store_big<std::uint32_t>(at + frame_at::kBodyBytes, frame.body_bytes);
  at[frame_at::kKind] = static_cast<std::uint8_t>(frame.kind);
  store_big<std::int32_t>(at + frame_at::kPartition, frame.partition.partition);
  store_big<std::uint64_t>(at + frame_at::kFileId, frame.file_id);
  store_big<std::uint64_t>(at + frame_at::kPosition, frame.position);
  store_big<std::uint64_t>(at + frame_at::kDurableSequence, frame.durable_end.sequence);
  store_big<std::uint64_t>(at + frame_at::kDurablePosition, frame.durable_end.position);
  store_big<std::uint64_t>(at + frame_at::kTopicId, frame.partition.topic_id.high);
  store_big<std::uint64_t>(at + frame_at::kTopicId + 8, frame.partition.topic_id.low);
  store_big<std::int64_t>(at + frame_at::kOffset, frame.offset);
  store_big<std::int32_t>(at + frame_at::kLeaderEpoch, frame.leader_epoch);
  store_big<std::int32_t>(at + frame_at::kLastOffsetDelta, frame.last_offset_delta);
  const ByteView covered = body.first(covered_bytes(frame.kind, body.size()));
  store_big<std::uint32_t>(at + frame_at::kCrc, frame_crc(at, covered));
}

JournalContent read_journal(ByteView file, const JournalHeader& header) {
  JournalContent content;
  content.end = kJournalHeaderBytes;
  std::uint64_t at = kJournalHeaderBytes;
  while (at < file.size()) {
    if (auto entry = entry_at(file, header, at)) {
      content.durable_end = std::max(content.durable_end, entry->frame.durable_end);
      at += entry->frame.total_bytes();
      content.end = at;
      content.entries.push_back(*entry);
      continue;
    }
    // Padding ends a group; behind it the next one begins, or nothing more was written.
    const std::uint64_t block = journal_align(at);
    const auto next = find_group(file, header, at);
    const bool is_padding = at != block && is_zero(file.subspan(at, block - at));
    if (!next) {
      // Blocks that are not this use of the file's are its unwritten rest, unless somebody who
      // knows a durable end beyond says otherwise.
      content.gaps.push_back({is_padding ? block : at, file.size(), content.entries.size()});
      break;
    }
    if (!is_padding || *next != block) content.gaps.push_back({at, *next, content.entries.size()});
    at = *next;
  }
  return content;
}

}  // namespace ottla::storage
