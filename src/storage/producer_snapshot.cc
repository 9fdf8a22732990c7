#include "storage/producer_snapshot.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace ottla::storage {
namespace {

constexpr std::int16_t kVersion = 1;
constexpr std::size_t kCrcFrom = 6;  // after version and CRC

// The side file: header, then for each producer 25 bytes and 24 for each older batch.
constexpr std::uint32_t kSideMagic = 0x4f545057;  // "OTPW"
constexpr std::int16_t kSideVersion = 1;
constexpr std::size_t kSideCrcAt = 6;
constexpr std::size_t kSideCrcFrom = 10;
constexpr std::size_t kSideHeaderBytes = 26;
constexpr std::size_t kSideProducerBytes = 25;
constexpr std::size_t kSideBatchBytes = 24;

// Appends big-endian numbers.
class Writer {
 public:
  template <class T>
  Writer& put(T number) {
    bytes_.resize(bytes_.size() + sizeof number);
    store_big(bytes_.data() + bytes_.size() - sizeof number, number);
    return *this;
  }
  Bytes& bytes() { return bytes_; }

 private:
  Bytes bytes_;
};

// Takes them off. REQUIRES: has() as much as is taken.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  bool has(std::size_t count) const { return bytes_.size() >= count; }
  bool at_end() const { return bytes_.empty(); }
  template <class T>
  T take() {
    const T number = load_big<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof number);
    return number;
  }

 private:
  ByteView bytes_;
};

// What a state may hold; `unknown` fields are -1.
bool is_plausible(const ProducerSnapshotEntry& entry) {
  return entry.producer_id >= 0 && entry.epoch >= -1 && entry.last_sequence >= -1 &&
         entry.last_offset >= -1 && entry.offset_delta >= 0 &&
         (entry.last_offset < 0 || entry.offset_delta <= entry.last_offset) &&
         entry.timestamp >= -1 && entry.coordinator_epoch >= -1 && entry.open_transaction >= -1;
}

std::uint32_t stored_crc(ByteView snapshot) { return load_big<std::uint32_t>(snapshot.data() + 2); }

struct SideProducer {
  TimestampMs last_append_ms = -1;
  TimestampMs newest_timestamp = -1;
  std::vector<AppendedBatch> older;
};
using Side = std::map<ProducerId, SideProducer>;

Bytes serialize_side(const ProducerState& state, ByteView snapshot) {
  if (state.producer_count() == 0) return {};
  Writer out;
  out.put(kSideMagic).put(kSideVersion).put<std::uint32_t>(0);
  out.put(state.end_offset()).put(stored_crc(snapshot));
  out.put(static_cast<std::int32_t>(state.producer_count()));
  OTTLA_CHECK(out.bytes().size() == kSideHeaderBytes);
  for (const auto& [producer, entry] : state.producers()) {
    const std::size_t older = entry.batch_count() == 0 ? 0 : entry.batch_count() - 1;
    out.put(producer).put(entry.last_append_ms);
    out.put(entry.batch_count() == 0 ? TimestampMs{-1} : entry.newest().timestamp);
    out.put(static_cast<std::int8_t>(older));
    for (std::size_t i = 0; i < older; ++i) {
      const AppendedBatch& batch = entry.batch(i);
      out.put(batch.last_sequence).put(batch.offset_delta);
      out.put(batch.last_offset).put(batch.timestamp);
    }
  }
  Bytes file = std::move(out.bytes());
  store_big(file.data() + kSideCrcAt, crc32c(ByteView(file).subspan(kSideCrcFrom)));
  return file;
}

// nullopt for a file that is damaged or is not about this snapshot.
std::optional<Side> parse_side(ByteView file, Offset offset, ByteView snapshot) {
  if (file.size() < kSideHeaderBytes) return std::nullopt;
  Reader in(file);
  if (in.take<std::uint32_t>() != kSideMagic) return std::nullopt;
  if (in.take<std::int16_t>() != kSideVersion) return std::nullopt;
  if (in.take<std::uint32_t>() != crc32c(file.subspan(kSideCrcFrom))) return std::nullopt;
  if (in.take<Offset>() != offset) return std::nullopt;
  if (in.take<std::uint32_t>() != stored_crc(snapshot)) return std::nullopt;
  const auto count = in.take<std::int32_t>();
  if (count < 0) return std::nullopt;
  Side side;
  for (std::int32_t i = 0; i < count; ++i) {
    if (!in.has(kSideProducerBytes)) return std::nullopt;
    const auto producer = in.take<ProducerId>();
    SideProducer item{in.take<TimestampMs>(), in.take<TimestampMs>(), {}};
    const auto older = in.take<std::int8_t>();
    if (older < 0 || static_cast<std::size_t>(older) >= kBatchesRemembered) return std::nullopt;
    if (!in.has(static_cast<std::size_t>(older) * kSideBatchBytes)) return std::nullopt;
    for (int batch = 0; batch < older; ++batch) {
      AppendedBatch& read = item.older.emplace_back();
      read.last_sequence = in.take<Sequence>();
      read.offset_delta = in.take<std::int32_t>();
      read.last_offset = in.take<Offset>();
      read.timestamp = in.take<TimestampMs>();
    }
    side.emplace(producer, std::move(item));
  }
  if (!in.at_end()) return std::nullopt;
  return side;
}

ProducerEntry to_entry(const ProducerSnapshotEntry& from, const SideProducer* side,
                       TimestampMs now) {
  ProducerEntry entry;
  entry.epoch = from.epoch;
  entry.coordinator_epoch = from.coordinator_epoch;
  entry.last_timestamp = from.timestamp;
  entry.last_append_ms = std::min(now, side ? side->last_append_ms : from.timestamp);
  entry.open_transaction = from.open_transaction;
  if (from.last_offset < 0) return entry;
  if (side) {
    for (const AppendedBatch& batch : side->older) entry.add(batch);
  }
  entry.add({.last_sequence = from.last_sequence,
             .offset_delta = from.offset_delta,
             .last_offset = from.last_offset,
             .timestamp = side ? side->newest_timestamp : from.timestamp});
  return entry;
}

}  // namespace

Bytes serialize_producer_snapshot(const std::vector<ProducerSnapshotEntry>& entries) {
  Writer out;
  out.put(kVersion).put<std::uint32_t>(0).put(static_cast<std::int32_t>(entries.size()));
  for (const ProducerSnapshotEntry& entry : entries) {
    out.put(entry.producer_id).put(entry.epoch).put(entry.last_sequence).put(entry.last_offset);
    out.put(entry.offset_delta).put(entry.timestamp).put(entry.coordinator_epoch);
    out.put(entry.open_transaction);
  }
  Bytes file = std::move(out.bytes());
  OTTLA_CHECK(file.size() == kSnapshotHeaderBytes + entries.size() * kSnapshotEntryBytes);
  store_big(file.data() + 2, crc32c(ByteView(file).subspan(kCrcFrom)));
  return file;
}

Parsed<std::vector<ProducerSnapshotEntry>> parse_producer_snapshot(ByteView file) {
  if (file.size() < kSnapshotHeaderBytes) return format_error("the file is shorter than a header");
  Reader in(file);
  const auto version = in.take<std::int16_t>();
  if (version != kVersion) return format_error(fmt::format("unknown version {}", version));
  if (in.take<std::uint32_t>() != crc32c(file.subspan(kCrcFrom))) {
    return format_error("the CRC-32C does not fit");
  }
  const auto count = in.take<std::int32_t>();
  const std::size_t body_bytes = file.size() - kSnapshotHeaderBytes;
  if (count < 0 || body_bytes != static_cast<std::size_t>(count) * kSnapshotEntryBytes) {
    return format_error(fmt::format("{} producers do not take {} bytes", count, body_bytes));
  }
  std::vector<ProducerSnapshotEntry> entries;
  entries.reserve(static_cast<std::size_t>(count));
  std::set<ProducerId> seen;
  for (std::int32_t i = 0; i < count; ++i) {
    ProducerSnapshotEntry entry;
    entry.producer_id = in.take<ProducerId>();
    entry.epoch = in.take<ProducerEpoch>();
    entry.last_sequence = in.take<Sequence>();
    entry.last_offset = in.take<Offset>();
    entry.offset_delta = in.take<std::int32_t>();
    entry.timestamp = in.take<TimestampMs>();
    entry.coordinator_epoch = in.take<std::int32_t>();
    entry.open_transaction = in.take<Offset>();
    if (!is_plausible(entry)) return format_error(fmt::format("entry {} is no producer's", i));
    if (!seen.insert(entry.producer_id).second) {
      return format_error(fmt::format("producer {} is there twice", entry.producer_id));
    }
    entries.push_back(entry);
  }
  return entries;
}

ProducerSnapshotFiles snapshot_of(const ProducerState& state) {
  std::vector<ProducerSnapshotEntry> entries;
  entries.reserve(state.producer_count());
  for (const auto& [producer, entry] : state.producers()) {
    ProducerSnapshotEntry& line = entries.emplace_back();
    line.producer_id = producer;
    line.epoch = entry.epoch;
    line.timestamp = entry.last_timestamp;
    line.coordinator_epoch = entry.coordinator_epoch;
    line.open_transaction = entry.open_transaction;
    if (entry.batch_count() == 0) continue;
    line.last_sequence = entry.newest().last_sequence;
    line.last_offset = entry.newest().last_offset;
    line.offset_delta = entry.newest().offset_delta;
  }
  ProducerSnapshotFiles files;
  files.snapshot = serialize_producer_snapshot(entries);
  files.side = serialize_side(state, files.snapshot);
  return files;
}

Parsed<RestoredProducers> restore_producers(Offset offset, ByteView snapshot, ByteView side,
                                            TimestampMs now) {
  auto entries = parse_producer_snapshot(snapshot);
  if (!entries) return std::unexpected(std::move(entries.error()));
  const auto beside = parse_side(side, offset, snapshot);
  RestoredProducers restored;
  restored.side_was_used = beside.has_value();
  restored.state.clear(offset);
  std::set<Offset> open;
  for (const ProducerSnapshotEntry& line : *entries) {
    if (line.last_offset >= offset || line.open_transaction >= offset) {
      return format_error(
          fmt::format("producer {} has written behind the snapshot's offset", line.producer_id));
    }
    if (line.open_transaction >= 0 && !open.insert(line.open_transaction).second) {
      return format_error(
          fmt::format("two transactions begin at offset {}", line.open_transaction));
    }
    const SideProducer* item = nullptr;
    if (beside) {
      const auto found = beside->find(line.producer_id);
      if (found != beside->end()) item = &found->second;
    }
    restored.state.restore(line.producer_id, to_entry(line, item, now));
  }
  return restored;
}

}  // namespace ottla::storage
