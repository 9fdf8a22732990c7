#include "wire/record_batch.h"

#include <iterator>

#include "base/crc32c.h"

namespace ottla::wire {

std::string_view describe(BatchError error) {
  switch (error) {
    case BatchError::truncated:
      return "the batch is cut off";
    case BatchError::bad_length:
      return "the batch length is smaller than a batch header";
    case BatchError::old_magic:
      return "message formats 0 and 1 are not supported";
    case BatchError::unknown_magic:
      return "the magic byte is not that of a known format";
    case BatchError::bad_crc:
      return "the CRC-32C does not fit";
    case BatchError::bad_field:
      return "a count or an offset in the batch header is out of range";
    case BatchError::bad_record:
      return "a record's lengths do not fit its bytes";
    case BatchError::bad_count:
      return "the number of records is not that in the batch header";
    case BatchError::unknown_codec:
      return "the compression codec is unknown";
    case BatchError::corrupt_compression:
      return "the compressed records are damaged";
    case BatchError::too_large:
      return "the batch exceeds a size limit";
    case BatchError::bad_level:
      return "the compression level is out of the codec's range";
  }
  return "unknown error";
}

namespace {
constexpr std::string_view kCodecNames[] = {"none", "gzip", "snappy", "lz4", "zstd"};
}  // namespace

std::string_view codec_name(Codec codec) {
  const auto index = static_cast<std::size_t>(codec);
  return index < std::size(kCodecNames) ? kCodecNames[index] : "unknown";
}

std::optional<Codec> parse_codec_name(std::string_view name) {
  if (name == "uncompressed") return Codec::none;
  for (std::size_t i = 0; i < std::size(kCodecNames); ++i) {
    if (name == kCodecNames[i]) return static_cast<Codec>(i);
  }
  return std::nullopt;
}

BatchHeader load_batch_header(const std::uint8_t* bytes) {
  BatchHeader header;
  header.base_offset = load_big<std::int64_t>(bytes + batch_at::kBaseOffset);
  header.batch_length = load_big<std::int32_t>(bytes + batch_at::kBatchLength);
  header.leader_epoch = load_big<std::int32_t>(bytes + batch_at::kLeaderEpoch);
  header.magic = load_big<std::int8_t>(bytes + batch_at::kMagic);
  header.crc = load_big<std::uint32_t>(bytes + batch_at::kCrc);
  header.attributes = load_big<std::int16_t>(bytes + batch_at::kAttributes);
  header.last_offset_delta = load_big<std::int32_t>(bytes + batch_at::kLastOffsetDelta);
  header.base_timestamp = load_big<std::int64_t>(bytes + batch_at::kBaseTimestamp);
  header.max_timestamp = load_big<std::int64_t>(bytes + batch_at::kMaxTimestamp);
  header.producer_id = load_big<std::int64_t>(bytes + batch_at::kProducerId);
  header.producer_epoch = load_big<std::int16_t>(bytes + batch_at::kProducerEpoch);
  header.base_sequence = load_big<std::int32_t>(bytes + batch_at::kBaseSequence);
  header.record_count = load_big<std::int32_t>(bytes + batch_at::kRecordCount);
  return header;
}

void store_batch_header(std::uint8_t* bytes, const BatchHeader& header) {
  store_big(bytes + batch_at::kBaseOffset, header.base_offset);
  store_big(bytes + batch_at::kBatchLength, header.batch_length);
  store_big(bytes + batch_at::kLeaderEpoch, header.leader_epoch);
  store_big(bytes + batch_at::kMagic, header.magic);
  store_big(bytes + batch_at::kCrc, header.crc);
  store_big(bytes + batch_at::kAttributes, header.attributes);
  store_big(bytes + batch_at::kLastOffsetDelta, header.last_offset_delta);
  store_big(bytes + batch_at::kBaseTimestamp, header.base_timestamp);
  store_big(bytes + batch_at::kMaxTimestamp, header.max_timestamp);
  store_big(bytes + batch_at::kProducerId, header.producer_id);
  store_big(bytes + batch_at::kProducerEpoch, header.producer_epoch);
  store_big(bytes + batch_at::kBaseSequence, header.base_sequence);
  store_big(bytes + batch_at::kRecordCount, header.record_count);
}

std::expected<BatchHeader, BatchError> parse_batch_header(ByteView bytes) {
  if (bytes.size() <= batch_at::kMagic) return std::unexpected(BatchError::truncated);
  // Magic before length: a batch of an older format may be shorter than a v2 header, and should be
  // named as such.
  const auto magic = load_big<std::int8_t>(bytes.data() + batch_at::kMagic);
  if (magic == 0 || magic == 1) return std::unexpected(BatchError::old_magic);
  if (magic != kMagicV2) return std::unexpected(BatchError::unknown_magic);
  const auto length = load_big<std::int32_t>(bytes.data() + batch_at::kBatchLength);
  if (length < static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLengthOverhead)) {
    return std::unexpected(BatchError::bad_length);
  }
  if (static_cast<std::size_t>(length) > kBatchBytesMax - kBatchLengthOverhead) {
    return std::unexpected(BatchError::too_large);
  }
  if (bytes.size() < kBatchHeaderBytes) return std::unexpected(BatchError::truncated);

  BatchHeader header = load_batch_header(bytes.data());
  const bool sane =
      header.base_offset >= 0 && header.last_offset_delta >= 0 && header.record_count >= 0 &&
      header.base_offset < std::numeric_limits<Offset>::max() - header.last_offset_delta;
  if (!sane) return std::unexpected(BatchError::bad_field);
  return header;
}

std::expected<Batch, BatchError> parse_batch(ByteView bytes) {
  auto header = parse_batch_header(bytes);
  if (!header) return std::unexpected(header.error());
  if (bytes.size() < header->total_size()) return std::unexpected(BatchError::truncated);
  return Batch{*header, bytes.first(header->total_size())};
}

std::uint32_t compute_batch_crc(ByteView batch) {
  OTTLA_CHECK(batch.size() >= kBatchHeaderBytes);
  return crc32c(batch.subspan(batch_at::kAttributes));
}

bool crc_matches(ByteView batch) {
  return compute_batch_crc(batch) == load_big<std::uint32_t>(batch.data() + batch_at::kCrc);
}

void set_base_offset(std::uint8_t* batch, Offset base_offset) {
  store_big(batch + batch_at::kBaseOffset, base_offset);
}
void set_leader_epoch(std::uint8_t* batch, LeaderEpoch leader_epoch) {
  store_big(batch + batch_at::kLeaderEpoch, leader_epoch);
}
void set_max_timestamp(std::uint8_t* batch, TimestampMs max_timestamp) {
  store_big(batch + batch_at::kMaxTimestamp, max_timestamp);
}
void set_attributes(std::uint8_t* batch, std::int16_t attributes) {
  store_big(batch + batch_at::kAttributes, attributes);
}
void update_crc(MutableByteView batch) {
  store_big(batch.data() + batch_at::kCrc, compute_batch_crc(batch));
}

bool BatchCursor::next(Batch& batch) {
  if (error_ || position_ == bytes_.size()) return false;
  auto parsed = parse_batch(bytes_.subspan(position_));
  if (!parsed) {
    error_ = parsed.error();
    return false;
  }
  batch = *parsed;
  position_ += batch.bytes.size();
  return true;
}

}  // namespace ottla::wire
