#include "wire/record_validation.h"

#include <algorithm>
#include <utility>

#include "wire/record.h"
#include "wire/record_skim.h"

namespace ottla::wire {
namespace {

using Failure = std::unexpected<ValidationFailure>;

Failure failure(ErrorCode code, std::string_view message) {
  return Failure(ValidationFailure{code, std::string(message), {}});
}

constexpr std::int16_t kFirstProduceVersionWithZstd = 7;

// How Kafka looks for batches before it knows anything else of them: a size that cannot be and a
// magic that is none are corrupt; a piece without a whole batch is no batch, and is cut off.
constexpr std::size_t kFrameBytes = batch_at::kMagic + 1;
constexpr std::int32_t kOldestBatchLengthMin = 14;  // of a message of format 0

struct Frame {
  std::size_t size = 0;  // 0: no whole batch
  bool is_corrupt = false;
};

Frame find_frame(ByteView bytes) {
  if (bytes.size() < kBatchLengthOverhead) return {};
  const auto length = load_big<std::int32_t>(bytes.data() + batch_at::kBatchLength);
  if (length < kOldestBatchLengthMin) return {0, true};
  if (bytes.size() < kFrameBytes) return {};
  const auto magic = load_big<std::int8_t>(bytes.data() + batch_at::kMagic);
  if (magic < 0 || magic > kMagicV2) return {0, true};
  const std::size_t size = static_cast<std::size_t>(length) + kBatchLengthOverhead;
  if (bytes.size() < size) return {};
  return {size, false};
}

// The one batch in `records`, and nothing behind it.
std::expected<Slice, ValidationFailure> only_batch(Slice records, std::int16_t produce_version) {
  const Frame first = find_frame(records);
  if (first.is_corrupt) {
    return failure(ErrorCode::corrupt_message, "The batch's length or magic byte is impossible.");
  }
  if (first.size == 0) {
    return failure(ErrorCode::invalid_record, "The request holds no whole record batch.");
  }
  if (load_big<std::int8_t>(records.data() + batch_at::kMagic) != kMagicV2) {
    return failure(ErrorCode::invalid_record,
                   "Produce version 3 and later takes record batches of format 2 only.");
  }
  if (first.size < kBatchHeaderBytes) {
    return failure(ErrorCode::corrupt_message, "The batch is shorter than its header.");
  }
  const BatchHeader header = load_batch_header(records.data());
  if (header.codec() == Codec::zstd && produce_version < kFirstProduceVersionWithZstd) {
    return failure(ErrorCode::unsupported_compression_type,
                   "zstd needs Produce version 7 or later.");
  }
  const Frame second = find_frame(records.view().subspan(first.size));
  if (second.is_corrupt) {
    return failure(ErrorCode::corrupt_message, "Behind the batch stands something else.");
  }
  if (second.size != 0) {
    return failure(ErrorCode::invalid_record,
                   "The request holds more than one record batch for the partition.");
  }
  if (first.size == records.size()) return records;
  return records.subslice(0, first.size);
}

std::expected<void, ValidationFailure> check_size(std::size_t size, std::int32_t limit) {
  if (size <= static_cast<std::size_t>(std::max(limit, 0))) return {};
  return failure(ErrorCode::message_too_large, "The batch has " + std::to_string(size) +
                                                   " bytes, max.message.bytes is " +
                                                   std::to_string(limit) + ".");
}

// What the header alone decides. `batch` is whole.
std::expected<void, ValidationFailure> check_header(const BatchHeader& header, ByteView batch,
                                                    const ValidationSettings& settings) {
  if (header.base_offset != 0) {
    return failure(ErrorCode::invalid_record, "The base offset of a producer's batch must be 0.");
  }
  if (auto fits = check_size(batch.size(), settings.max_message_bytes); !fits) return fits;
  if (!crc_matches(batch)) {
    return failure(ErrorCode::corrupt_message, "The CRC-32C of the batch does not fit its bytes.");
  }
  if (!header.codec()) {
    return failure(ErrorCode::unsupported_compression_type,
                   "The batch names a compression codec that does not exist.");
  }
  if (header.record_count <= 0 || header.last_offset_delta != header.record_count - 1) {
    return failure(ErrorCode::invalid_record,
                   "The record count and the last offset delta of the batch do not agree.");
  }
  if (header.is_control()) {
    return failure(ErrorCode::invalid_record, "Clients may not write control records.");
  }
  if (header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0)) {
    return failure(ErrorCode::invalid_record,
                   "A batch with a producer id needs a producer epoch and a sequence.");
  }
  return {};
}

// Looks at each record of a batch, in order, and keeps what the answer and the header need.
class RecordRules {
 public:
  RecordRules(const BatchHeader& header, const ValidationSettings& settings, TimestampMs now_ms)
      : header_(header), settings_(settings), now_ms_(now_ms) {}

  void see(std::int64_t timestamp_delta, std::int32_t offset_delta, bool has_key) {
    const std::int32_t index = count_++;
    is_sequential_ &= offset_delta == index;
    const TimestampMs timestamp =
        static_cast<TimestampMs>(static_cast<std::uint64_t>(header_.base_timestamp) +
                                 static_cast<std::uint64_t>(timestamp_delta));
    if (timestamp > max_timestamp_) {
      max_timestamp_ = timestamp;
      max_timestamp_index_ = index;
    }
    if (settings_.is_compacted && !has_key) [[unlikely]] {
      fault(index, ErrorCode::invalid_record, timestamp);
    } else if (!timestamp_is_allowed(timestamp)) [[unlikely]] {
      fault(index, ErrorCode::invalid_timestamp, timestamp);
    }
  }

  std::int32_t count() const { return count_; }
  bool is_sequential() const { return is_sequential_; }
  TimestampMs max_timestamp() const { return max_timestamp_; }
  std::int32_t max_timestamp_index() const { return max_timestamp_index_; }
  bool has_faults() const { return !faults_.empty(); }

  Failure take_failure() {
    const bool is_time = code_ == ErrorCode::invalid_timestamp;
    return Failure(ValidationFailure{code_,
                                     is_time
                                         ? "Records have timestamps that the topic does not take."
                                         : "Records break the rules of the topic.",
                                     std::move(faults_)});
  }

 private:
  // Kafka tests the window first, and the type bit only where there is no window.
  bool has_window(TimestampMs timestamp) const {
    return settings_.message_timestamp_type == TimestampType::create_time && timestamp != -1;
  }

  bool timestamp_is_allowed(TimestampMs timestamp) const {
    if (!has_window(timestamp)) return header_.timestamp_type() == TimestampType::create_time;
    std::int64_t age_ms = 0;
    if (__builtin_sub_overflow(now_ms_, timestamp, &age_ms)) return false;
    return age_ms <= settings_.message_timestamp_before_max_ms &&
           age_ms >= -settings_.message_timestamp_after_max_ms;
  }

  void fault(std::int32_t index, ErrorCode code, TimestampMs timestamp) {
    // A wrong timestamp names the whole batch's error, whatever else is wrong (as in Kafka).
    if (code_ != ErrorCode::invalid_timestamp) code_ = code;
    // Sentences are made for those that are named only: a hostile batch has millions of faulty
    // records.
    if (faults_.size() < kRecordFaultsMax)
      faults_.push_back({index, describe_fault(code, timestamp)});
  }

  std::string describe_fault(ErrorCode code, TimestampMs timestamp) const {
    if (code == ErrorCode::invalid_record)
      return "A compacted topic takes no record without a key.";
    if (!has_window(timestamp))
      return "A producer may not set the timestamp type to LogAppendTime.";
    return "Timestamp " + std::to_string(timestamp) + " is further from the broker's " +
           std::to_string(now_ms_) + " than message.timestamp.before.max.ms or " +
           "message.timestamp.after.max.ms allow.";
  }

  const BatchHeader& header_;
  const ValidationSettings& settings_;
  const TimestampMs now_ms_;
  std::int32_t count_ = 0;
  bool is_sequential_ = true;
  TimestampMs max_timestamp_ = -1;
  std::int32_t max_timestamp_index_ = -1;
  ErrorCode code_ = ErrorCode::none;
  std::vector<RecordFault> faults_;
};

Failure walk_failure(BatchError error) {
  const ErrorCode code =
      error == BatchError::too_large ? ErrorCode::message_too_large : ErrorCode::invalid_record;
  return failure(code, std::string("Record batch: ") + std::string(describe(error)) + ".");
}

std::expected<void, ValidationFailure> walk_records(const BatchHeader& header, ByteView records,
                                                    const ValidationSettings& settings,
                                                    ValidationScratch& scratch,
                                                    RecordRules& rules) {
  std::optional<BatchError> error;
  if (!header.is_compressed()) {
    RecordCursor cursor(records, header.record_count);
    for (Record record; cursor.next(record);) {
      rules.see(record.timestamp_delta, record.offset_delta, record.key.has_value());
    }
    error = cursor.error();
  } else {
    if (scratch.window.empty()) scratch.window.resize(kSkimWindowBytes);
    RecordSkimmer skimmer(scratch.decompressor, scratch.window, *header.codec(), records,
                          header.record_count, settings.decompressed_bytes_max);
    for (SkimmedRecord record; skimmer.next(record);) {
      rules.see(record.timestamp_delta, record.offset_delta, record.has_key);
    }
    error = skimmer.error();
  }
  if (error) return walk_failure(*error);
  if (rules.has_faults()) return rules.take_failure();
  return {};
}

// Encodes the records anew, with deltas 0..n-1 and the topic's codec. They have been walked: they
// are well formed.
std::expected<Slice, ValidationFailure> rewrite(const BatchHeader& header, ByteView records,
                                                Codec codec, const ValidationSettings& settings,
                                                ValidationScratch& scratch) {
  Slice unpacked;
  if (header.is_compressed()) {
    auto result =
        decompress(scratch.decompressor, *header.codec(), records, settings.decompressed_bytes_max);
    if (!result) return walk_failure(result.error());
    unpacked = std::move(*result);
    records = unpacked;
  }
  // The topic's level belongs to the topic's codec.
  const auto level = settings.compression_type ? settings.compression_level : std::nullopt;
  RecordBatchBuilder builder({.leader_epoch = header.leader_epoch,
                              .codec = codec,
                              .compression_level = level,
                              .producer_id = header.producer_id,
                              .producer_epoch = header.producer_epoch,
                              .base_sequence = header.base_sequence,
                              .is_transactional = header.is_transactional(),
                              .delete_horizon = header.delete_horizon()});
  BatchHeader as_created = header;  // timestamps are the records' own, whatever the type bit says
  as_created.attributes &= ~kLogAppendTimeBit;
  RecordCursor cursor(records, header.record_count);
  for (Record record; cursor.next(record);) builder.append_copy(as_created, record);
  auto built = builder.build();
  if (!built) return walk_failure(built.error());
  if (auto fits = check_size(built->size(), settings.max_message_bytes); !fits) {
    return std::unexpected(std::move(fits.error()));
  }
  return std::move(*built);
}

// Sets type and max timestamp where they differ; most batches are right as they came, and keep
// their CRC.
void set_time(Slice& batch, TimestampType type, TimestampMs max_timestamp) {
  std::uint8_t* bytes = batch.mutable_data();
  const BatchHeader header = load_batch_header(bytes);
  if (header.timestamp_type() == type && header.max_timestamp == max_timestamp) return;
  const auto cleared = static_cast<std::int16_t>(header.attributes & ~kLogAppendTimeBit);
  const std::int16_t bit = type == TimestampType::log_append_time ? kLogAppendTimeBit : 0;
  set_attributes(bytes, static_cast<std::int16_t>(cleared | bit));
  set_max_timestamp(bytes, max_timestamp);
  update_crc(batch.mutable_view());
}

}  // namespace

std::expected<ValidatedBatch, ValidationFailure> validate_batch(Slice records,
                                                                const ValidationSettings& settings,
                                                                std::int16_t produce_version,
                                                                TimestampMs now_ms,
                                                                ValidationScratch& scratch) {
  auto found = only_batch(std::move(records), produce_version);
  if (!found) return Failure(std::move(found.error()));
  ValidatedBatch result;
  result.bytes = std::move(*found);
  const BatchHeader header = load_batch_header(result.bytes.data());
  if (auto right = check_header(header, result.bytes, settings); !right) {
    return Failure(std::move(right.error()));
  }

  const Codec codec = settings.compression_type.value_or(*header.codec());
  const bool must_recompress = codec != *header.codec();
  const bool must_walk =
      !header.is_compressed() || must_recompress || settings.mode == ValidationMode::full;
  const ByteView payload = result.bytes.view().subspan(kBatchHeaderBytes);

  RecordRules rules(header, settings, now_ms);
  if (must_walk) {
    if (auto right = walk_records(header, payload, settings, scratch, rules); !right) {
      return Failure(std::move(right.error()));
    }
  } else if (header.timestamp_type() == TimestampType::log_append_time) {
    return failure(ErrorCode::invalid_timestamp,
                   "A producer may not set the timestamp type to LogAppendTime.");
  }
  if (must_recompress || (must_walk && !rules.is_sequential())) {
    auto rewritten = rewrite(header, payload, codec, settings, scratch);
    if (!rewritten) return Failure(std::move(rewritten.error()));
    result.bytes = std::move(*rewritten);
    result.was_rewritten = true;
  }

  if (settings.message_timestamp_type == TimestampType::log_append_time) {
    set_time(result.bytes, TimestampType::log_append_time, now_ms);
    result.max_timestamp_offset_delta = header.last_offset_delta;
  } else if (must_walk) {
    set_time(result.bytes, TimestampType::create_time, rules.max_timestamp());
    // Without any timestamp the last record stands for all.
    result.max_timestamp_offset_delta =
        rules.max_timestamp_index() >= 0 ? rules.max_timestamp_index() : header.last_offset_delta;
  } else {
    result.max_timestamp_offset_delta = header.last_offset_delta;
  }

  if (result.bytes.size() > static_cast<std::size_t>(std::max(settings.segment_bytes, 0))) {
    return failure(ErrorCode::record_list_too_large, "The batch is larger than segment.bytes.");
  }
  result.header = load_batch_header(result.bytes.data());
  return result;
}

}  // namespace ottla::wire
