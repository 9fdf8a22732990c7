// Record batch v2 (KIP-98): the header of 61 bytes, its fields, what may be patched in place, and
// the walk over batches that lie one after the other. Pure functions over bytes; the records inside
// are record.h's, compression is compression.h's, the rules for what a producer may send are
// record_validation.h's.
//
// The CRC covers byte 21 to the end. Base offset, length, leader epoch and magic stand before it,
// so a leader assigns offset and epoch without touching the sum; and a flipped bit in them is not
// noticed by it (storage has sums of its own).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace ottla::wire {

// Where each field begins.
namespace batch_at {
inline constexpr std::size_t kBaseOffset = 0;        // int64
inline constexpr std::size_t kBatchLength = 8;       // int32, bytes after this field
inline constexpr std::size_t kLeaderEpoch = 12;      // int32
inline constexpr std::size_t kMagic = 16;            // int8
inline constexpr std::size_t kCrc = 17;              // uint32
inline constexpr std::size_t kAttributes = 21;       // int16; the CRC covers from here to the end
inline constexpr std::size_t kLastOffsetDelta = 23;  // int32
inline constexpr std::size_t kBaseTimestamp = 27;  // int64; the delete horizon when that bit is set
inline constexpr std::size_t kMaxTimestamp = 35;   // int64
inline constexpr std::size_t kProducerId = 43;     // int64
inline constexpr std::size_t kProducerEpoch = 51;  // int16
inline constexpr std::size_t kBaseSequence = 53;   // int32
inline constexpr std::size_t kRecordCount = 57;    // int32
inline constexpr std::size_t kRecords = 61;
}  // namespace batch_at

inline constexpr std::size_t kBatchHeaderBytes = batch_at::kRecords;
// Base offset and batch length: what batchLength itself does not count.
inline constexpr std::size_t kBatchLengthOverhead = 12;
// A size travels as int32 and leaves room for the overhead.
inline constexpr std::size_t kBatchBytesMax = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int8_t kMagicV2 = 2;

static_assert(batch_at::kBatchLength == batch_at::kBaseOffset + 8);
static_assert(batch_at::kLeaderEpoch == batch_at::kBatchLength + 4);
static_assert(batch_at::kLeaderEpoch == kBatchLengthOverhead);
static_assert(batch_at::kMagic == batch_at::kLeaderEpoch + 4);
static_assert(batch_at::kCrc == batch_at::kMagic + 1);
static_assert(batch_at::kAttributes == batch_at::kCrc + 4);
static_assert(batch_at::kLastOffsetDelta == batch_at::kAttributes + 2);
static_assert(batch_at::kBaseTimestamp == batch_at::kLastOffsetDelta + 4);
static_assert(batch_at::kMaxTimestamp == batch_at::kBaseTimestamp + 8);
static_assert(batch_at::kProducerId == batch_at::kMaxTimestamp + 8);
static_assert(batch_at::kProducerEpoch == batch_at::kProducerId + 8);
static_assert(batch_at::kBaseSequence == batch_at::kProducerEpoch + 2);
static_assert(batch_at::kRecordCount == batch_at::kBaseSequence + 4);
static_assert(batch_at::kRecords == batch_at::kRecordCount + 4);

// What can be wrong with a batch, its records or their compression.
enum class BatchError : std::uint8_t {
  truncated,            // fewer bytes than the header, or than its length, needs
  bad_length,           // a length smaller than a header
  old_magic,            // message formats 0 and 1, which Kafka 4 dropped (KIP-724)
  unknown_magic,        // neither 0, 1 nor 2
  bad_crc,              // the sum differs
  bad_field,            // a negative count or offset, or offsets beyond int64
  bad_record,           // a record's numbers or lengths do not fit its bytes
  bad_count,            // more or fewer records than the header says
  unknown_codec,        // codec bits 5 to 7
  corrupt_compression,  // the codec's own stream is damaged, cut, or followed by other bytes
  too_large,            // beyond the caller's or the format's bound
  bad_level             // a compression level outside the codec's range
};
std::string_view describe(BatchError error);

enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
std::string_view codec_name(Codec codec);  // as in compression.type
std::optional<Codec> parse_codec_name(
    std::string_view name);  // nullopt for "producer" and any other

enum class TimestampType : std::uint8_t { create_time = 0, log_append_time = 1 };

// Attribute bits. 7 to 15 are unused; a reader ignores them.
inline constexpr std::int16_t kCodecMask = 0x07;
inline constexpr std::int16_t kLogAppendTimeBit = 0x08;
inline constexpr std::int16_t kTransactionalBit = 0x10;
inline constexpr std::int16_t kControlBit = 0x20;
inline constexpr std::int16_t kDeleteHorizonBit = 0x40;

// The sequence `count` places after `sequence`: 2^31 - 1 is followed by 0. REQUIRES: sequence >= 0,
// count >= 0.
constexpr Sequence sequence_plus(Sequence sequence, std::int32_t count) {
  return static_cast<Sequence>(
      (static_cast<std::uint32_t>(sequence) + static_cast<std::uint32_t>(count)) & 0x7fffffffu);
}
constexpr Sequence next_sequence(Sequence sequence) { return sequence_plus(sequence, 1); }

// All fields of a header, by value. From parse_batch_header() it satisfies: magic is 2,
// total_size() is in [61, kBatchBytesMax], base_offset >= 0, last_offset_delta >= 0, record_count
// >= 0, last_offset() does not overflow. Nothing else is promised: the CRC may be wrong, the codec
// unknown, the count not that of the records.
struct BatchHeader {
  Offset base_offset = 0;
  std::int32_t batch_length = 0;
  LeaderEpoch leader_epoch = -1;
  std::int8_t magic = kMagicV2;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  TimestampMs base_timestamp = -1;
  TimestampMs max_timestamp = -1;
  ProducerId producer_id = -1;
  ProducerEpoch producer_epoch = -1;
  Sequence base_sequence = -1;
  std::int32_t record_count = 0;

  std::size_t total_size() const {
    return static_cast<std::size_t>(batch_length) + kBatchLengthOverhead;
  }
  Offset last_offset() const { return base_offset + last_offset_delta; }
  Offset next_offset() const { return last_offset() + 1; }
  std::optional<Codec> codec() const {
    const int bits = attributes & kCodecMask;
    if (bits > static_cast<int>(Codec::zstd)) return std::nullopt;
    return static_cast<Codec>(bits);
  }
  bool is_compressed() const { return (attributes & kCodecMask) != 0; }
  TimestampType timestamp_type() const {
    return (attributes & kLogAppendTimeBit) ? TimestampType::log_append_time
                                            : TimestampType::create_time;
  }
  bool is_transactional() const { return (attributes & kTransactionalBit) != 0; }
  bool is_control() const { return (attributes & kControlBit) != 0; }
  std::optional<TimestampMs> delete_horizon() const {
    if (!(attributes & kDeleteHorizonBit)) return std::nullopt;
    return base_timestamp;
  }
  bool has_producer() const { return producer_id >= 0; }
  // Of the last record. By offsets, not by count: compaction removes records and keeps the range.
  // -1 where none.
  Sequence last_sequence() const {
    return base_sequence < 0 ? -1 : sequence_plus(base_sequence, last_offset_delta);
  }

  bool operator==(const BatchHeader&) const = default;
};

// The fields at the beginning of `bytes`, as they are. REQUIRES: bytes.size() >= kBatchHeaderBytes.
BatchHeader load_batch_header(const std::uint8_t* bytes);

// Writes all fields, the CRC included as given. REQUIRES: kBatchHeaderBytes at `bytes`.
void store_batch_header(std::uint8_t* bytes, const BatchHeader& header);

// Reads and checks the header at the beginning of `bytes`. The records need not be there (recovery
// reads headers alone): compare header.total_size() with what there is.
//   truncated      fewer than 61 bytes (or fewer than 17, if the magic cannot be told yet)
//   bad_length     batchLength < 49
//   too_large      the whole would exceed kBatchBytesMax
//   old_magic / unknown_magic
//   bad_field      see BatchHeader
std::expected<BatchHeader, BatchError> parse_batch_header(ByteView bytes);

// One batch in memory owned by somebody else; valid as long as those bytes are.
struct Batch {
  BatchHeader header;
  ByteView bytes;  // the whole batch; exactly header.total_size()

  ByteView records() const {
    return bytes.subspan(kBatchHeaderBytes);
  }  // compressed if the header says so
};

// The batch at the beginning of `bytes`; bytes behind it are ignored. Errors of parse_batch_header,
// and truncated when the batch is longer than `bytes`. The CRC is not looked at.
std::expected<Batch, BatchError> parse_batch(ByteView bytes);

// Whether the CRC of the batch fits. REQUIRES: batch.size() >= kBatchHeaderBytes, and it is exactly
// one batch.
bool crc_matches(ByteView batch);
std::uint32_t compute_batch_crc(ByteView batch);

// Patches outside the CRC. REQUIRES: kBatchHeaderBytes at `batch`.
void set_base_offset(std::uint8_t* batch, Offset base_offset);
void set_leader_epoch(std::uint8_t* batch, LeaderEpoch leader_epoch);

// Patches inside the CRC: call update_crc() after the last of them. REQUIRES: as above; update_crc
// the whole batch.
void set_max_timestamp(std::uint8_t* batch, TimestampMs max_timestamp);
void set_attributes(std::uint8_t* batch, std::int16_t attributes);
void update_crc(MutableByteView batch);

// Walks batches that lie back to back, without copying:
//   BatchCursor cursor(bytes);
//   for (Batch batch; cursor.next(batch);) use(batch);
//   if (cursor.error()) ...
// A range may end inside a batch (Fetch answers do, and a torn log): that is the error `truncated`,
// and position() says where whole batches end.
class BatchCursor {
 public:
  explicit BatchCursor(ByteView bytes) : bytes_(bytes) {}

  // Fills `batch` and returns true, or returns false: at the end (no error()), or at a bad batch
  // (error() of parse_batch), which begins at position(). Once false, always false.
  bool next(Batch& batch);

  std::optional<BatchError> error() const { return error_; }

  // Bytes of all batches returned so far.
  std::size_t position() const { return position_; }

 private:
  ByteView bytes_;
  std::size_t position_ = 0;
  std::optional<BatchError> error_;
};

}  // namespace ottla::wire
