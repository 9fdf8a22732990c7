// What a broker checks, and sets, before it appends what a producer sent to a partition: the rules
// of Kafka's LogValidator, of its analysis before the append and of ProduceRequest, as far as one
// batch and the topic's settings decide them. Sequences and epochs need the partition's state and
// are storage's. Pure: `now_ms` is an argument.
//
// Called by the Produce handler on the shard that owns the partition, once for each partition of a
// request.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/compression.h"
#include "wire/errors.h"
#include "wire/record_batch.h"

namespace ottla::wire {

// full: every record is looked at, compressed ones too. header: of a compressed batch only header
// and CRC are, and deltas, keys and timestamps inside are taken on trust; uncompressed batches are
// always looked at.
enum class ValidationMode : std::uint8_t { full, header };

// Of a topic; the names are Kafka's with dots as underscores, the defaults Kafka's.
struct ValidationSettings {
  std::int32_t max_message_bytes = 1'048'588;
  std::int32_t segment_bytes = 1 << 30;
  bool is_compacted = false;  // cleanup.policy contains compact
  TimestampType message_timestamp_type = TimestampType::create_time;
  std::int64_t message_timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t message_timestamp_after_max_ms = 3'600'000;
  std::optional<Codec> compression_type = std::nullopt;  // nullopt: producer, keep what came
  std::optional<int> compression_level = std::nullopt;   // nullopt: the codec's standard
  ValidationMode mode = ValidationMode::full;
  // What the records of one batch may take uncompressed; they are never in memory all at once
  // unless the batch has to be encoded anew. Ours, not Kafka's; beyond it MESSAGE_TOO_LARGE, upon
  // which Java splits the batch.
  std::size_t decompressed_bytes_max = kDecompressedBytesMax;
};

// A batch fit to be appended. Base offset and leader epoch are still the client's (0 and whatever
// came): the log sets them when it assigns offsets (set_base_offset, set_leader_epoch), outside the
// CRC.
struct ValidatedBatch {
  Slice bytes;         // the one batch: the slice given, patched in place, or a new one when it was
                       // encoded anew
  BatchHeader header;  // of `bytes`, after all patches: count, deltas, producer, sequence, codec,
                       // timestamps
  // Offset delta of the first record with the greatest timestamp; the last offset delta under log
  // append time. In mode `header` of a compressed batch, where records are not seen: the last
  // offset delta.
  std::int32_t max_timestamp_offset_delta = 0;
  bool was_rewritten = false;  // bytes is new memory
};

// One record at fault, for BatchIndexAndErrorMessage (Produce v8 and later).
struct RecordFault {
  std::int32_t batch_index = 0;
  std::string message;
};

// How many faults an answer names; the others share the batch's error.
inline constexpr std::size_t kRecordFaultsMax = 100;

struct ValidationFailure {
  ErrorCode code = ErrorCode::none;
  std::string message;
  std::vector<RecordFault> records;
};

// Memory that validation reuses from batch to batch; one per shard. Nothing is taken until the
// first compressed batch.
struct ValidationScratch {
  Decompressor decompressor;
  Bytes window;
};

// Checks the records of one partition of a Produce request of version `produce_version`, and makes
// them fit to append. `records` is what the request holds for the partition; REQUIRES: nobody else
// holds that slice (it is patched).
//
// Outcomes, in the order of the checks:
//   INVALID_RECORD                 no whole batch, or two; magic 0 or 1
//   UNSUPPORTED_COMPRESSION_TYPE   zstd below Produce v7; codec bits 5 to 7
//   INVALID_RECORD                 base offset not 0
//   MESSAGE_TOO_LARGE              more than max.message.bytes, before or after encoding anew;
//   decompression bomb CORRUPT_MESSAGE                an impossible length, an unknown magic, the
//   CRC RECORD_LIST_TOO_LARGE          more than segment.bytes INVALID_RECORD                 count
//   <= 0, or not last offset delta + 1; a control batch; a producer id without
//                                  sequence or epoch; a record that cannot be parsed, more or fewer
//                                  records than the count; compressed records that cannot be
//                                  decompressed; a null key on a compacted topic; a record marked
//                                  as compressed inside a compressed batch
//   INVALID_TIMESTAMP              a create time outside the topic's window; the type bit set by
//   the client
// A fault of one record fails the whole batch; the faulty ones are named by index.
//
// The batch is encoded anew (one allocation and more) when the topic's codec is another one, or
// when the records' deltas are not 0..n-1. Otherwise nothing is allocated once `scratch` is warm,
// and the CRC is computed anew only if the max timestamp or the timestamp type had to be set.
std::expected<ValidatedBatch, ValidationFailure> validate_batch(Slice records,
                                                                const ValidationSettings& settings,
                                                                std::int16_t produce_version,
                                                                TimestampMs now_ms,
                                                                ValidationScratch& scratch);

}  // namespace ottla::wire
