#include "wire/record.h"

#include <algorithm>

#include "wire/compression.h"
#include "wire/record_varint.h"

namespace ottla::wire {
namespace {

// A length and the bytes behind it; negative is null (-1 is written; Kafka's readers take any, and
// so may its logs hold). nullptr when they do not fit.
const std::uint8_t* read_nullable(const std::uint8_t* at, const std::uint8_t* end,
                                  std::optional<ByteView>& bytes) {
  std::int32_t length = 0;
  at = read_varint(at, end, length);
  if (!at) return nullptr;
  if (length < 0) {
    bytes.reset();
    return at;
  }
  if (length > end - at) return nullptr;
  bytes = ByteView(at, static_cast<std::size_t>(length));
  return at + length;
}

const std::uint8_t* read_header(const std::uint8_t* at, const std::uint8_t* end,
                                RecordHeader& header) {
  std::optional<ByteView> key;
  at = read_nullable(at, end, key);
  if (!at || !key) return nullptr;
  header.key = as_text(*key);
  return read_nullable(at, end, header.value);
}

// Reads what follows the length of a record; it must fill [at, end) exactly.
bool read_body(const std::uint8_t* at, const std::uint8_t* end, Record& record) {
  if (at == end) return false;
  record.attributes = static_cast<std::int8_t>(*at++);
  if (!(at = read_varlong(at, end, record.timestamp_delta))) return false;
  if (!(at = read_varint(at, end, record.offset_delta))) return false;
  if (!(at = read_nullable(at, end, record.key))) return false;
  if (!(at = read_nullable(at, end, record.value))) return false;
  if (!(at = read_varint(at, end, record.header_count))) return false;
  record.header_bytes = ByteView(at, end);
  if (record.header_count == 0) return at == end;
  // The smallest header has two bytes, so a hostile count ends the walk no later than the bytes do.
  if (record.header_count < 0) return false;
  RecordHeader header;
  for (std::int32_t i = 0; i < record.header_count; ++i) {
    if (!(at = read_header(at, end, header))) return false;
  }
  return at == end;
}

std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrapping_subtract(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

std::size_t nullable_size(const std::optional<ByteView>& bytes) {
  if (!bytes) return 1;
  return varint_size(zigzag(static_cast<std::int32_t>(bytes->size()))) + bytes->size();
}

std::uint8_t* write_nullable(std::uint8_t* at, const std::optional<ByteView>& bytes) {
  if (!bytes) return write_varint(at, zigzag(std::int32_t{-1}));
  at = write_varint(at, zigzag(static_cast<std::int32_t>(bytes->size())));
  return std::copy(bytes->begin(), bytes->end(), at);
}

}  // namespace

Offset record_offset(const BatchHeader& batch, const Record& record) {
  return wrapping_add(batch.base_offset, record.offset_delta);
}

TimestampMs record_timestamp(const BatchHeader& batch, const Record& record) {
  if (batch.timestamp_type() == TimestampType::log_append_time) return batch.max_timestamp;
  return wrapping_add(batch.base_timestamp, record.timestamp_delta);
}

bool HeaderCursor::next(RecordHeader& header) {
  if (left_ == 0) return false;
  at_ = read_header(at_, end_, header);
  OTTLA_CHECK(at_ != nullptr);  // RecordCursor has walked them
  --left_;
  return true;
}

bool RecordCursor::fail(BatchError error) {
  error_ = error;
  return false;
}

bool RecordCursor::next(Record& record) {
  if (error_) return false;
  if (left_ <= 0) return at_ == end_ ? false : fail(BatchError::bad_count);
  if (at_ == end_) return fail(BatchError::bad_count);
  std::int32_t length = 0;
  const std::uint8_t* body = read_varint(at_, end_, length);
  if (!body || length < 0 || length > end_ - body) return fail(BatchError::bad_record);
  if (!read_body(body, body + length, record)) return fail(BatchError::bad_record);
  at_ = body + length;
  --left_;
  return true;
}

RecordBatchBuilder::RecordBatchBuilder(BatchOptions options)
    : options_(options), bytes_(kBatchHeaderBytes) {}

RecordBatchBuilder& RecordBatchBuilder::append(const NewRecord& record) {
  return append_at(options_.base_offset + last_offset_delta_ + 1, record);
}

RecordBatchBuilder& RecordBatchBuilder::append_at(Offset offset, const NewRecord& record) {
  if (empty()) base_timestamp_ = options_.delete_horizon.value_or(record.timestamp);
  const auto offset_delta =
      static_cast<std::int32_t>(wrapping_subtract(offset, options_.base_offset));
  const std::int64_t timestamp_delta = wrapping_subtract(record.timestamp, base_timestamp_);

  std::size_t size = 1 + varint_size(zigzag(timestamp_delta)) + varint_size(zigzag(offset_delta)) +
                     nullable_size(record.key) + nullable_size(record.value) +
                     varint_size(zigzag(static_cast<std::int32_t>(record.headers.size())));
  for (const RecordHeader& header : record.headers) {
    size += nullable_size(as_bytes(header.key)) + nullable_size(header.value);
  }
  OTTLA_CHECK(size <= kBatchBytesMax);
  const std::uint32_t coded_size = zigzag(static_cast<std::int32_t>(size));
  const std::size_t begin = bytes_.size();
  bytes_.resize(begin + varint_size(coded_size) + size);

  std::uint8_t* at = write_varint(bytes_.data() + begin, coded_size);
  *at++ = 0;
  at = write_varint(at, zigzag(timestamp_delta));
  at = write_varint(at, zigzag(offset_delta));
  at = write_nullable(at, record.key);
  at = write_nullable(at, record.value);
  at = write_varint(at, zigzag(static_cast<std::int32_t>(record.headers.size())));
  for (const RecordHeader& header : record.headers) {
    at = write_nullable(at, as_bytes(header.key));
    at = write_nullable(at, header.value);
  }
  OTTLA_CHECK(at == bytes_.data() + bytes_.size());

  if (empty() || record.timestamp > max_timestamp_) {
    max_timestamp_ = record.timestamp;
    max_timestamp_offset_delta_ = offset_delta;
  }
  last_offset_delta_ = offset_delta;
  ++record_count_;
  return *this;
}

RecordBatchBuilder& RecordBatchBuilder::append_copy(const BatchHeader& batch,
                                                    const Record& record) {
  std::vector<RecordHeader> headers;
  HeaderCursor cursor(record);
  for (RecordHeader header; cursor.next(header);) headers.push_back(header);
  return append({.timestamp = record_timestamp(batch, record),
                 .key = record.key,
                 .value = record.value,
                 .headers = headers});
}

RecordBatchBuilder& RecordBatchBuilder::set_last_offset_delta(std::int32_t delta) {
  last_offset_delta_override_ = delta;
  return *this;
}

RecordBatchBuilder& RecordBatchBuilder::set_max_timestamp(TimestampMs timestamp) {
  max_timestamp_override_ = timestamp;
  return *this;
}

std::expected<Slice, BatchError> RecordBatchBuilder::build() const {
  Slice batch;
  if (options_.codec == Codec::none || empty()) {
    if (bytes_.size() > kBatchBytesMax) return std::unexpected(BatchError::too_large);
    batch = Slice::copy_of(bytes_);
  } else {
    auto compressed = compress(options_.codec, options_.compression_level,
                               ByteView(bytes_).subspan(kBatchHeaderBytes), kBatchHeaderBytes);
    if (!compressed) return std::unexpected(compressed.error());
    batch = std::move(*compressed);
  }

  auto attributes = static_cast<std::int16_t>(empty() ? Codec::none : options_.codec);
  if (options_.timestamp_type == TimestampType::log_append_time) attributes |= kLogAppendTimeBit;
  if (options_.is_transactional) attributes |= kTransactionalBit;
  if (options_.is_control) attributes |= kControlBit;
  if (options_.delete_horizon) attributes |= kDeleteHorizonBit;

  BatchHeader header;
  header.base_offset = options_.base_offset;
  header.batch_length = static_cast<std::int32_t>(batch.size() - kBatchLengthOverhead);
  header.leader_epoch = options_.leader_epoch;
  header.attributes = attributes;
  header.last_offset_delta = last_offset_delta_override_.value_or(std::max(last_offset_delta_, 0));
  header.base_timestamp = empty() ? options_.delete_horizon.value_or(-1) : base_timestamp_;
  header.max_timestamp = max_timestamp_override_.value_or(max_timestamp_);
  header.producer_id = options_.producer_id;
  header.producer_epoch = options_.producer_epoch;
  header.base_sequence = options_.base_sequence;
  header.record_count = record_count_;
  store_batch_header(batch.mutable_data(), header);
  update_crc(batch.mutable_view());
  return batch;
}

}  // namespace ottla::wire
