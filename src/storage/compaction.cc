#include "storage/compaction.h"

#include <algorithm>
#include <utility>

#include "wire/compression.h"
#include "wire/control_record.h"
#include "wire/record.h"

namespace ottla::storage {

namespace {

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TimestampMs sum_at_most(TimestampMs time, std::int64_t delta) {
  constexpr TimestampMs kLast = std::numeric_limits<TimestampMs>::max();
  return delta > kLast - time ? kLast : time + delta;
}

// The records of a batch, unpacked; `memory` holds them.
std::expected<ByteView, wire::BatchError> records_of(const wire::Batch& batch, Slice& memory) {
  if (!batch.header.is_compressed() || batch.header.record_count == 0) return batch.records();
  const auto codec = batch.header.codec();
  if (!codec) return std::unexpected(wire::BatchError::unknown_codec);
  auto unpacked = wire::decompress(*codec, batch.records(), wire::kDecompressedBytesMax);
  if (!unpacked) return std::unexpected(unpacked.error());
  memory = std::move(*unpacked);
  return memory.view();
}

}  // namespace

Cleanable assess(std::span<const CleanableSegment> sealed, Offset first_dirty, Offset stable_end,
                 const CompactionRules& rules, TimestampMs now) {
  Cleanable found{.first_dirty = first_dirty, .end = first_dirty};
  std::uint64_t clean = 0;
  std::uint64_t dirty = 0;
  bool waits_too_long = false;
  for (const CleanableSegment& segment : sealed) {
    if (segment.end_offset > stable_end) break;
    if (segment.end_offset <= first_dirty) {
      clean += segment.bytes;
      continue;
    }
    if (rules.lag_min_ms > 0 && segment.largest_timestamp > now - rules.lag_min_ms) break;
    dirty += segment.bytes;
    found.end = segment.end_offset;
    const std::int64_t lag_max = std::max(rules.lag_max_ms, rules.lag_min_ms);
    const TimestampMs first =
        segment.first_timestamp >= 0 ? segment.first_timestamp : segment.largest_timestamp;
    waits_too_long |= first > 0 && now - first > lag_max;
  }
  if (dirty == 0) return found;
  found.dirty_ratio = static_cast<double>(dirty) / static_cast<double>(clean + dirty);
  found.is_due = waits_too_long || found.dirty_ratio > rules.dirty_ratio_min;
  return found;
}

bool KeyMap::put(ByteView key, Offset offset) {
  const std::string_view text = text_of(key);
  if (const auto at = offsets_.find(text); at != offsets_.end()) {
    at->second = offset;
    return true;
  }
  if (bytes_ + kEntryBytes + key.size() > bytes_max_) return false;
  bytes_ += kEntryBytes + key.size();
  offsets_.emplace(std::string(text), offset);
  return true;
}

std::optional<Offset> KeyMap::find(ByteView key) const {
  const auto at = offsets_.find(text_of(key));
  return at == offsets_.end() ? std::nullopt : std::optional(at->second);
}

// --- transactions

TransactionTrail::TransactionTrail(const std::vector<AbortedTransaction>& aborted) {
  for (const AbortedTransaction& one : aborted) to_come_.emplace(one.first_offset, one);
}

void TransactionTrail::begin_up_to(Offset offset) {
  while (!to_come_.empty() && to_come_.begin()->first <= offset) {
    const AbortedTransaction& one = to_come_.begin()->second;
    aborted_.try_emplace(one.producer_id, Aborted{one, false});
    to_come_.erase(to_come_.begin());
  }
}

bool TransactionTrail::pass_data(const wire::BatchHeader& batch) {
  begin_up_to(batch.last_offset());
  if (!batch.is_transactional()) return false;
  if (const auto at = aborted_.find(batch.producer_id); at != aborted_.end()) {
    at->second.has_data = true;
    return true;
  }
  committed_.insert(batch.producer_id);
  return false;
}

TransactionTrail::Marker TransactionTrail::pass_marker(const wire::Batch& batch) {
  begin_up_to(batch.header.last_offset());
  if (batch.header.record_count == 0) return {true, std::nullopt};  // its record went earlier
  const auto key = wire::first_control_key(batch);
  const ProducerId producer = batch.header.producer_id;
  if (key && key->type == wire::ControlRecordType::abort) {
    const auto at = aborted_.find(producer);
    if (at == aborted_.end()) return {true, std::nullopt};
    const Aborted ended = at->second;
    aborted_.erase(at);
    if (!ended.has_data) return {true, std::nullopt};
    return {false, ended.transaction};
  }
  if (key && key->type == wire::ControlRecordType::commit)
    return {committed_.erase(producer) == 0, std::nullopt};
  return {};
}

// --- the two walks

std::expected<bool, wire::BatchError> KeyCollector::add(const wire::Batch& batch) {
  const wire::BatchHeader& header = batch.header;
  if (header.is_control()) {
    (void)trail_.pass_marker(batch);
  } else if (!trail_.pass_data(header) && header.last_offset() >= first_dirty_) {
    Slice memory;
    const auto records = records_of(batch, memory);
    if (!records) return std::unexpected(records.error());
    wire::RecordCursor cursor(*records, header.record_count);
    for (wire::Record record; cursor.next(record);) {
      const Offset offset = wire::record_offset(header, record);
      if (!record.key || offset < first_dirty_) continue;
      if (!map_.put(*record.key, offset)) return false;
      map_.set_end_offset(offset + 1);
    }
    if (cursor.error()) return std::unexpected(*cursor.error());
  }
  map_.set_end_offset(std::max(map_.end_offset(), header.next_offset()));
  return true;
}

bool BatchCompactor::is_last_of_producer(const wire::BatchHeader& header) const {
  if (!header.has_producer()) return false;
  const auto at = pass_.producers.find(header.producer_id);
  if (at == pass_.producers.end()) return false;
  const LastOfProducer& last = at->second;
  if (last.last_data_offset) return header.last_offset() == *last.last_data_offset;
  return header.is_control() && header.producer_epoch == last.epoch;
}

bool BatchCompactor::is_retained(const wire::BatchHeader& header, Offset offset,
                                 std::optional<ByteView> key, bool has_value) const {
  if (offset >= map_.end_offset()) return true;
  if (!key) return false;
  const auto latest = map_.find(*key);
  if (latest && offset < *latest) return false;
  const auto horizon = header.delete_horizon();
  return has_value || !horizon || pass_.now < *horizon;
}

std::expected<CompactedBatch, wire::BatchError> BatchCompactor::next(const wire::Batch& batch) {
  const wire::BatchHeader& header = batch.header;
  if (!header.is_control()) return rewrite(batch, trail_.pass_data(header), false);
  const TransactionTrail::Marker marker = trail_.pass_marker(batch);
  const auto horizon = header.delete_horizon();
  auto compacted =
      rewrite(batch, marker.is_bare && horizon && *horizon <= pass_.now, marker.is_bare);
  if (compacted && compacted->is_kept) compacted->aborted = marker.aborted;
  return compacted;
}

std::expected<CompactedBatch, wire::BatchError> BatchCompactor::rewrite(const wire::Batch& batch,
                                                                        bool drops_records,
                                                                        bool is_bare_marker) {
  const wire::BatchHeader& header = batch.header;
  const bool stays_empty = is_last_of_producer(header) || header.next_offset() == pass_.end;
  if (drops_records && !stays_empty) return CompactedBatch{};

  Slice memory;
  std::vector<wire::Record> kept;
  bool has_tombstones = false;
  if (!drops_records) {
    const auto records = records_of(batch, memory);
    if (!records) return std::unexpected(records.error());
    wire::RecordCursor cursor(*records, header.record_count);
    for (wire::Record record; cursor.next(record);) {
      const Offset offset = wire::record_offset(header, record);
      if (!header.is_control() &&
          !is_retained(header, offset, record.key, record.value.has_value())) {
        continue;
      }
      has_tombstones |= !record.value;
      kept.push_back(record);
    }
    if (cursor.error()) return std::unexpected(*cursor.error());
  }
  if (kept.empty() && !stays_empty) return CompactedBatch{};

  const bool wants_horizon =
      !kept.empty() && (has_tombstones || is_bare_marker) && !header.delete_horizon();
  const bool is_whole = kept.size() == static_cast<std::size_t>(header.record_count);
  if (is_whole && !wants_horizon) return CompactedBatch{true, std::nullopt, std::nullopt};

  wire::BatchOptions options{.base_offset = header.base_offset,
                             .leader_epoch = header.leader_epoch,
                             .codec = *header.codec(),
                             .timestamp_type = header.timestamp_type(),
                             .producer_id = header.producer_id,
                             .producer_epoch = header.producer_epoch,
                             .base_sequence = header.base_sequence,
                             .is_transactional = header.is_transactional(),
                             .is_control = header.is_control()};
  if (!kept.empty()) {
    options.delete_horizon = wants_horizon
                                 ? std::optional(sum_at_most(pass_.now, pass_.delete_retention_ms))
                                 : header.delete_horizon();
  }
  wire::RecordBatchBuilder builder(options);
  std::vector<wire::RecordHeader> headers;
  for (const wire::Record& record : kept) {
    headers.clear();
    wire::HeaderCursor cursor(record);
    for (wire::RecordHeader one; cursor.next(one);) headers.push_back(one);
    builder.append_at(wire::record_offset(header, record),
                      {.timestamp = wire::record_timestamp(header, record),
                       .key = record.key,
                       .value = record.value,
                       .headers = headers});
  }
  builder.set_last_offset_delta(header.last_offset_delta);
  if (kept.empty() || header.timestamp_type() == wire::TimestampType::log_append_time)
    builder.set_max_timestamp(header.max_timestamp);
  auto built = builder.build();
  if (!built) return std::unexpected(built.error());
  return CompactedBatch{true, std::move(*built), std::nullopt};
}

}  // namespace ottla::storage
