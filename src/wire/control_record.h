// Control records: what brokers and controllers write among the data of a log, in batches with the
// control bit. The key is {int16 version, int16 type}; a reader takes higher versions (and what
// they append) and unknown types, and skips those (KIP-98, KIP-595, KIP-630, KIP-853). Values begin
// with their own int16 version; those of types 2 to 6 are generated messages and stay bytes here.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "wire/record.h"

namespace ottla::wire {

// Any other number may come from a newer writer; a switch over it needs a default.
enum class ControlRecordType : std::int16_t {
  abort = 0,
  commit = 1,
  leader_change = 2,
  snapshot_header = 3,
  snapshot_footer = 4,
  kraft_version = 5,
  kraft_voters = 6,
};

inline constexpr std::size_t kControlKeyBytes = 4;
inline constexpr std::size_t kEndTxnValueBytes = 6;

struct ControlKey {
  std::int16_t version = 0;
  ControlRecordType type = ControlRecordType::abort;
  bool operator==(const ControlKey&) const = default;
};

// The end of a transaction on one partition: value {int16 version, int32 coordinatorEpoch}.
struct TransactionMarker {
  ControlRecordType type = ControlRecordType::abort;  // abort or commit
  std::int32_t coordinator_epoch = -1;
  bool operator==(const TransactionMarker&) const = default;
};

// Errors: bad_record when the key is null, shorter than 4 bytes or its version negative.
std::expected<ControlKey, BatchError> parse_control_key(std::optional<ByteView> key);

// Errors: bad_record when the key is no abort or commit, or the value null, too short or of a
// negative version.
std::expected<TransactionMarker, BatchError> parse_transaction_marker(const Record& record);

// The key of the first record of a control batch, which is all that most callers need: nullopt when
// the batch is no control batch, has no records (compaction) or is damaged. Control batches are
// never compressed by Kafka.
std::optional<ControlKey> first_control_key(const Batch& batch);

struct ControlKeyBytes {
  std::uint8_t bytes[kControlKeyBytes];
  operator ByteView() const { return bytes; }  // NOLINT(google-explicit-constructor)
};
ControlKeyBytes encode_control_key(ControlRecordType type, std::int16_t version = 0);

struct EndTxnValueBytes {
  std::uint8_t bytes[kEndTxnValueBytes];
  operator ByteView() const { return bytes; }  // NOLINT(google-explicit-constructor)
};
EndTxnValueBytes encode_end_txn_value(std::int32_t coordinator_epoch, std::int16_t version = 0);

// The batch that WriteTxnMarkers appends: one record, transactional and control bits, the
// producer's id and the marker's epoch, no sequence.
Slice build_end_txn_batch(Offset base_offset, LeaderEpoch leader_epoch, ProducerId producer_id,
                          ProducerEpoch producer_epoch, const TransactionMarker& marker,
                          TimestampMs timestamp);

// A control record of the metadata log or of a snapshot: its type and the encoded message, version
// first.
struct ControlRecord {
  ControlRecordType type;
  ByteView value;
};

// One control batch of such records (a LeaderChange, a snapshot's header with KRaftVersion and
// voters, ...), without producer. REQUIRES: records are not empty.
Slice build_control_batch(Offset base_offset, LeaderEpoch leader_epoch, TimestampMs timestamp,
                          std::span<const ControlRecord> records);

}  // namespace ottla::wire
