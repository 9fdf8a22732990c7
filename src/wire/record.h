// Records inside a batch v2: reading without copying, and building whole batches (tests, command
// line, metadata log, internal topics, re-encoding on produce).
//
//   record = length:varint attributes:int8 timestampDelta:varlong offsetDelta:varint
//            keyLength:varint key valueLength:varint value headerCount:varint header*
//   header = keyLength:varint key valueLength:varint value
//
// A length of -1 (or, on reading, any below) is null, for a record's key and value and a header's
// value; a header's key is never null. All numbers are zig-zag. Pure; no clock: timestamps are
// arguments.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "wire/record_batch.h"

namespace ottla::wire {

struct RecordHeader {
  std::string_view key;
  std::optional<ByteView> value;
};

// One record, pointing into the bytes that it was read from.
struct Record {
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  ByteView header_bytes;  // header_count headers, already checked; see HeaderCursor
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::int32_t header_count = 0;
  std::int8_t attributes = 0;  // unused in v2
};

// Offset and timestamp of a record of `batch`. Wrap-around of hostile deltas is defined (modulo
// 2^64), not checked. The timestamp is the batch's for log append time, as every reader takes it.
Offset record_offset(const BatchHeader& batch, const Record& record);
TimestampMs record_timestamp(const BatchHeader& batch, const Record& record);

// Walks the headers of a record that was read by RecordCursor.
class HeaderCursor {
 public:
  explicit HeaderCursor(const Record& record)
      : at_(record.header_bytes.data()),
        end_(at_ + record.header_bytes.size()),
        left_(record.header_count) {}
  bool next(RecordHeader& header);

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::int32_t left_;
};

// Walks the uncompressed records of a batch:
//   RecordCursor cursor(batch.records(), batch.header.record_count);
//   for (Record record; cursor.next(record);) use(record);
//   if (cursor.error()) ...
// For a compressed batch give it what decompress() returned. Costs no memory.
class RecordCursor {
 public:
  RecordCursor(ByteView records, std::int32_t record_count)
      : at_(records.data()), end_(at_ + records.size()), left_(record_count) {}

  // Fills `record` and returns true, or returns false at the end or at an error():
  //   bad_record   a length or number does not fit; each record is checked whole, headers included
  //   bad_count    the bytes end before record_count records, or go on after them
  bool next(Record& record);

  std::optional<BatchError> error() const { return error_; }

 private:
  bool fail(BatchError error);

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::int32_t left_;
  std::optional<BatchError> error_;
};

// What is common to all records of a batch to build.
struct BatchOptions {
  Offset base_offset = 0;
  LeaderEpoch leader_epoch = -1;
  Codec codec = Codec::none;
  std::optional<int> compression_level = std::nullopt;  // the codec's standard
  TimestampType timestamp_type = TimestampType::create_time;
  ProducerId producer_id = -1;
  ProducerEpoch producer_epoch = -1;
  Sequence base_sequence = -1;
  bool is_transactional = false;
  bool is_control = false;
  std::optional<TimestampMs> delete_horizon =
      std::nullopt;  // sets the bit, and becomes the base timestamp
};

// A record to write; nothing is kept after append().
struct NewRecord {
  TimestampMs timestamp = -1;
  std::optional<ByteView> key = std::nullopt;
  std::optional<ByteView> value = std::nullopt;
  std::span<const RecordHeader> headers = {};
};

// Builds one batch. Offsets rise from base_offset by one, unless append_at() says otherwise.
//   RecordBatchBuilder builder({.codec = Codec::lz4});
//   builder.append({.timestamp = now, .value = as_bytes("hello")});
//   Slice batch = builder.build().value();
class RecordBatchBuilder {
 public:
  explicit RecordBatchBuilder(BatchOptions options = {});

  // Appends with the next offset.
  RecordBatchBuilder& append(const NewRecord& record);
  // Appends with this offset. Nothing is checked: tests write gaps and disorder with it.
  RecordBatchBuilder& append_at(Offset offset, const NewRecord& record);
  // Appends a record that was read from `batch`: timestamp, key, value, headers; the offset is the
  // next one.
  RecordBatchBuilder& append_copy(const BatchHeader& batch, const Record& record);

  std::int32_t record_count() const { return record_count_; }
  bool empty() const { return record_count_ == 0; }
  // Size of the batch if it were built now without compression.
  std::size_t uncompressed_size() const { return bytes_.size(); }
  TimestampMs max_timestamp() const { return max_timestamp_; }
  std::int32_t max_timestamp_offset_delta() const { return max_timestamp_offset_delta_; }

  // The finished batch with its CRC. Without records: an empty batch, as compaction leaves for a
  // producer's last sequence (count 0, base timestamp -1, last offset delta 0 unless
  // set_last_offset_delta). Errors: bad_level, too_large (beyond kBatchBytesMax). The builder may
  // be used on, and built again.
  std::expected<Slice, BatchError> build() const;

  // Overrides what the header will say of the range; for batches whose last records were compacted
  // away.
  RecordBatchBuilder& set_last_offset_delta(std::int32_t delta);
  // Overrides the max timestamp; for log append time, where readers take it for every record.
  RecordBatchBuilder& set_max_timestamp(TimestampMs timestamp);

 private:
  BatchOptions options_;
  Bytes bytes_;  // room for the header, then the records
  std::int32_t record_count_ = 0;
  std::int32_t last_offset_delta_ = -1;
  TimestampMs base_timestamp_ = -1;
  TimestampMs max_timestamp_ = -1;
  std::int32_t max_timestamp_offset_delta_ = -1;
  std::optional<std::int32_t> last_offset_delta_override_;
  std::optional<TimestampMs> max_timestamp_override_;
};

}  // namespace ottla::wire
