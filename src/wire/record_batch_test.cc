#include "wire/record_batch.h"

#include <gtest/gtest.h>
#include <limits>

#include "wire/record.h"
#include "wire/record_testing.h"

namespace ottla::wire {
namespace {

Slice three_records(Codec codec = Codec::none) {
  RecordBatchBuilder builder({.base_offset = 100,
                              .leader_epoch = 7,
                              .codec = codec,
                              .producer_id = 42,
                              .producer_epoch = 3,
                              .base_sequence = 9});
  for (int i = 0; i < 3; ++i) {
    builder.append({.timestamp = 1000 + i, .key = as_bytes("key"), .value = as_bytes("value")});
  }
  return builder.build().value();
}

BatchError error_of(ByteView bytes) {
  auto header = parse_batch_header(bytes);
  EXPECT_FALSE(header);
  return header ? BatchError::bad_level : header.error();
}

TEST(BatchHeader, FieldsStandWhereKafkaPutsThem) {
  // A batch of Kafka's own producer, its fields read by eye from the hex.
  const Bytes bytes = testing::read_vector("java-zstd");
  const BatchHeader header = parse_batch_header(bytes).value();
  EXPECT_EQ(header.base_offset, 0);
  EXPECT_EQ(header.total_size(), bytes.size());
  EXPECT_EQ(header.leader_epoch, 0);
  EXPECT_EQ(header.magic, 2);
  EXPECT_EQ(header.codec(), Codec::zstd);
  EXPECT_EQ(header.timestamp_type(), TimestampType::create_time);
  EXPECT_FALSE(header.is_control());
  EXPECT_FALSE(header.is_transactional());
  EXPECT_EQ(header.last_offset_delta, 19);
  EXPECT_EQ(header.base_timestamp, 1'700'000'000'000);
  EXPECT_EQ(header.max_timestamp, 1'700'000'000'133);
  EXPECT_GE(header.producer_id, 0);
  EXPECT_EQ(header.producer_epoch, 0);
  EXPECT_EQ(header.base_sequence, 0);
  EXPECT_EQ(header.record_count, 20);
  EXPECT_TRUE(crc_matches(bytes));
}

TEST(BatchHeader, StoreAndLoadAreInverse) {
  BatchHeader header;
  header.base_offset = 0x0102030405060708;
  header.batch_length = 0x11121314;
  header.leader_epoch = 0x21222324;
  header.crc = 0xf1f2f3f4;
  header.attributes = 0x7a5c;
  header.last_offset_delta = 0x31323334;
  header.base_timestamp = -2;
  header.max_timestamp = 0x4142434445464748;
  header.producer_id = 0x5152535455565758;
  header.producer_epoch = 0x6162;
  header.base_sequence = 0x71727374;
  header.record_count = 0x01020304;
  std::uint8_t bytes[kBatchHeaderBytes] = {};
  store_batch_header(bytes, header);
  EXPECT_EQ(load_batch_header(bytes), header);
}

TEST(BatchHeader, AttributesSayWhatTheirBitsSay) {
  BatchHeader header;
  header.attributes = 0x18 | 3;
  EXPECT_EQ(header.codec(), Codec::lz4);
  EXPECT_EQ(header.timestamp_type(), TimestampType::log_append_time);
  EXPECT_TRUE(header.is_transactional());
  EXPECT_FALSE(header.is_control());
  EXPECT_EQ(header.delete_horizon(), std::nullopt);
  header.attributes = 0x60 | 5;
  header.base_timestamp = 77;
  EXPECT_EQ(header.codec(), std::nullopt);
  EXPECT_TRUE(header.is_compressed());
  EXPECT_TRUE(header.is_control());
  EXPECT_EQ(header.delete_horizon(), 77);
}

TEST(BatchHeader, SequencesWrapFromTheGreatestToZero) {
  constexpr Sequence kGreatest = std::numeric_limits<Sequence>::max();
  EXPECT_EQ(next_sequence(0), 1);
  EXPECT_EQ(next_sequence(kGreatest), 0);
  EXPECT_EQ(sequence_plus(kGreatest - 1, 3), 1);
  EXPECT_EQ(sequence_plus(kGreatest, kGreatest), kGreatest - 1);
  BatchHeader header;
  EXPECT_EQ(header.last_sequence(), -1);
  header.base_sequence = kGreatest;
  header.last_offset_delta = 4;
  EXPECT_EQ(header.last_sequence(), 3);
}

TEST(ParseBatchHeader, NamesEachFault) {
  const Slice good = three_records();
  const auto with = [&](std::size_t at, auto number) {
    Bytes bytes(good.view().begin(), good.view().end());
    store_big(bytes.data() + at, number);
    return bytes;
  };
  EXPECT_EQ(error_of({}), BatchError::truncated);
  EXPECT_EQ(error_of(good.view().first(60)), BatchError::truncated);
  EXPECT_EQ(error_of(with(batch_at::kMagic, std::int8_t{0})), BatchError::old_magic);
  EXPECT_EQ(error_of(with(batch_at::kMagic, std::int8_t{1})), BatchError::old_magic);
  EXPECT_EQ(error_of(with(batch_at::kMagic, std::int8_t{3})), BatchError::unknown_magic);
  EXPECT_EQ(error_of(with(batch_at::kMagic, std::int8_t{-1})), BatchError::unknown_magic);
  EXPECT_EQ(error_of(with(batch_at::kBatchLength, std::int32_t{48})), BatchError::bad_length);
  EXPECT_EQ(error_of(with(batch_at::kBatchLength, std::int32_t{-1})), BatchError::bad_length);
  EXPECT_EQ(error_of(with(batch_at::kBatchLength, std::numeric_limits<std::int32_t>::max())),
            BatchError::too_large);
  EXPECT_EQ(error_of(with(batch_at::kBaseOffset, std::int64_t{-1})), BatchError::bad_field);
  EXPECT_EQ(error_of(with(batch_at::kBaseOffset, std::numeric_limits<std::int64_t>::max() - 1)),
            BatchError::bad_field);
  EXPECT_EQ(error_of(with(batch_at::kLastOffsetDelta, std::int32_t{-1})), BatchError::bad_field);
  EXPECT_EQ(error_of(with(batch_at::kRecordCount, std::int32_t{-1})), BatchError::bad_field);
  EXPECT_TRUE(parse_batch_header(good.view().first(kBatchHeaderBytes)));
}

TEST(ParseBatch, IsTruncatedAtEveryByteButTheLast) {
  const Slice good = three_records(Codec::gzip);
  for (std::size_t size = 0; size < good.size(); ++size) {
    auto batch = parse_batch(good.view().first(size));
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error(), BatchError::truncated) << size;
  }
  EXPECT_TRUE(parse_batch(good));
}

TEST(Crc, EverySingleBitFlipFromTheAttributesOnIsNoticed) {
  for (const Codec codec : testing::kAllCodecs) {
    const Slice good = three_records(codec);
    Bytes bytes(good.view().begin(), good.view().end());
    for (std::size_t bit = batch_at::kCrc * 8; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= 1 << (bit % 8);
      EXPECT_FALSE(crc_matches(bytes)) << "bit " << bit;
      bytes[bit / 8] ^= 1 << (bit % 8);
    }
    EXPECT_TRUE(crc_matches(bytes));
  }
}

// What the CRC leaves out, listed: base offset and leader epoch change silently; a flip of the
// length or of the magic is noticed by the frame or by the CRC over the wrong bytes. Storage has
// sums of its own for these 17 bytes.
TEST(Crc, FlipsBeforeItsRangeAreNoticedExceptOffsetAndEpoch) {
  const Slice good = three_records();
  Bytes bytes(good.view().begin(), good.view().end());
  bytes.resize(bytes.size() + 4096);  // as if other batches followed
  for (std::size_t bit = 0; bit < batch_at::kCrc * 8; ++bit) {
    const std::size_t byte = bit / 8;
    bytes[byte] ^= 1 << (bit % 8);
    auto batch = parse_batch(bytes);
    const bool is_silent = batch && crc_matches(batch->bytes);
    const bool in_offset = byte < batch_at::kBatchLength;
    const bool in_epoch = byte >= batch_at::kLeaderEpoch && byte < batch_at::kMagic;
    const bool is_offset_sign = bit == 7;  // a negative offset is no offset
    EXPECT_EQ(is_silent, (in_offset && !is_offset_sign) || in_epoch) << "bit " << bit;
    bytes[byte] ^= 1 << (bit % 8);
  }
}

TEST(Patching, OffsetAndEpochLeaveTheCrcAlone) {
  const Slice batch = three_records();
  set_base_offset(batch.mutable_data(), 1'000'000'000'000);
  set_leader_epoch(batch.mutable_data(), 12);
  EXPECT_TRUE(crc_matches(batch));
  const BatchHeader header = parse_batch_header(batch).value();
  EXPECT_EQ(header.base_offset, 1'000'000'000'000);
  EXPECT_EQ(header.last_offset(), 1'000'000'000'002);
  EXPECT_EQ(header.next_offset(), 1'000'000'000'003);
  EXPECT_EQ(header.leader_epoch, 12);
}

TEST(Patching, TimestampAndAttributesNeedTheCrcAnew) {
  const Slice batch = three_records();
  set_max_timestamp(batch.mutable_data(), 55);
  set_attributes(batch.mutable_data(), kLogAppendTimeBit);
  EXPECT_FALSE(crc_matches(batch));
  update_crc(batch.mutable_view());
  EXPECT_TRUE(crc_matches(batch));
  const BatchHeader header = parse_batch_header(batch).value();
  EXPECT_EQ(header.max_timestamp, 55);
  EXPECT_EQ(header.timestamp_type(), TimestampType::log_append_time);
}

TEST(BatchCursor, WalksBatchesAndStopsWhereTheyEnd) {
  const Slice one = three_records();
  const Slice two = three_records(Codec::lz4);
  Bytes bytes(one.view().begin(), one.view().end());
  bytes.insert(bytes.end(), two.view().begin(), two.view().end());
  const std::size_t whole = bytes.size();
  bytes.insert(bytes.end(), one.view().begin(), one.view().begin() + 70);

  BatchCursor cursor(bytes);
  Batch batch;
  ASSERT_TRUE(cursor.next(batch));
  EXPECT_EQ(batch.bytes.size(), one.size());
  EXPECT_EQ(batch.records().size(), one.size() - kBatchHeaderBytes);
  ASSERT_TRUE(cursor.next(batch));
  EXPECT_EQ(batch.header.codec(), Codec::lz4);
  EXPECT_FALSE(cursor.next(batch));
  EXPECT_EQ(cursor.error(), BatchError::truncated);
  EXPECT_EQ(cursor.position(), whole);
  EXPECT_FALSE(cursor.next(batch));

  BatchCursor exact(ByteView(bytes).first(whole));
  int count = 0;
  while (exact.next(batch)) ++count;
  EXPECT_EQ(count, 2);
  EXPECT_EQ(exact.error(), std::nullopt);
}

TEST(Codec, NamesAreThoseOfTheConfiguration) {
  for (const Codec codec : testing::kAllCodecs) {
    EXPECT_EQ(parse_codec_name(codec_name(codec)), codec);
  }
  EXPECT_EQ(parse_codec_name("uncompressed"), Codec::none);
  EXPECT_EQ(parse_codec_name("producer"), std::nullopt);
  EXPECT_EQ(parse_codec_name("GZIP"), std::nullopt);
}

}  // namespace
}  // namespace ottla::wire
