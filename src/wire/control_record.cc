#include "wire/control_record.h"

namespace ottla::wire {
namespace {

// Both the key and a marker's value put the version first, and only add fields at the end.
constexpr std::size_t kVersionAt = 0;
constexpr std::size_t kTypeAt = 2;
constexpr std::size_t kCoordinatorEpochAt = 2;

}  // namespace

std::expected<ControlKey, BatchError> parse_control_key(std::optional<ByteView> key) {
  if (!key || key->size() < kControlKeyBytes) return std::unexpected(BatchError::bad_record);
  const auto version = load_big<std::int16_t>(key->data() + kVersionAt);
  if (version < 0) return std::unexpected(BatchError::bad_record);
  const auto type = load_big<std::int16_t>(key->data() + kTypeAt);
  return ControlKey{version, static_cast<ControlRecordType>(type)};
}

std::expected<TransactionMarker, BatchError> parse_transaction_marker(const Record& record) {
  const auto key = parse_control_key(record.key);
  if (!key) return std::unexpected(key.error());
  if (key->type != ControlRecordType::abort && key->type != ControlRecordType::commit) {
    return std::unexpected(BatchError::bad_record);
  }
  if (!record.value || record.value->size() < kEndTxnValueBytes) {
    return std::unexpected(BatchError::bad_record);
  }
  if (load_big<std::int16_t>(record.value->data() + kVersionAt) < 0) {
    return std::unexpected(BatchError::bad_record);
  }
  return TransactionMarker{key->type,
                           load_big<std::int32_t>(record.value->data() + kCoordinatorEpochAt)};
}

std::optional<ControlKey> first_control_key(const Batch& batch) {
  if (!batch.header.is_control() || batch.header.is_compressed()) return std::nullopt;
  RecordCursor cursor(batch.records(), batch.header.record_count);
  Record record;
  if (!cursor.next(record)) return std::nullopt;
  const auto key = parse_control_key(record.key);
  if (!key) return std::nullopt;
  return *key;
}

ControlKeyBytes encode_control_key(ControlRecordType type, std::int16_t version) {
  ControlKeyBytes key;
  store_big(key.bytes + kVersionAt, version);
  store_big(key.bytes + kTypeAt, static_cast<std::int16_t>(type));
  return key;
}

EndTxnValueBytes encode_end_txn_value(std::int32_t coordinator_epoch, std::int16_t version) {
  EndTxnValueBytes value;
  store_big(value.bytes + kVersionAt, version);
  store_big(value.bytes + kCoordinatorEpochAt, coordinator_epoch);
  return value;
}

Slice build_end_txn_batch(Offset base_offset, LeaderEpoch leader_epoch, ProducerId producer_id,
                          ProducerEpoch producer_epoch, const TransactionMarker& marker,
                          TimestampMs timestamp) {
  OTTLA_CHECK(marker.type == ControlRecordType::abort || marker.type == ControlRecordType::commit);
  RecordBatchBuilder builder({.base_offset = base_offset,
                              .leader_epoch = leader_epoch,
                              .producer_id = producer_id,
                              .producer_epoch = producer_epoch,
                              .is_transactional = true,
                              .is_control = true});
  const ControlKeyBytes key = encode_control_key(marker.type);
  const EndTxnValueBytes value = encode_end_txn_value(marker.coordinator_epoch);
  builder.append({.timestamp = timestamp, .key = key, .value = value});
  return builder.build().value();
}

Slice build_control_batch(Offset base_offset, LeaderEpoch leader_epoch, TimestampMs timestamp,
                          std::span<const ControlRecord> records) {
  OTTLA_CHECK(!records.empty());
  RecordBatchBuilder builder(
      {.base_offset = base_offset, .leader_epoch = leader_epoch, .is_control = true});
  for (const ControlRecord& record : records) {
    const ControlKeyBytes key = encode_control_key(record.type);
    builder.append({.timestamp = timestamp, .key = key, .value = record.value});
  }
  return builder.build().value();
}

}  // namespace ottla::wire
