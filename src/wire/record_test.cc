#include "wire/record.h"

#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck/gtest.h>

#include "wire/record_skim.h"
#include "wire/record_testing.h"
#include "wire/record_varint.h"

namespace ottla::wire {
namespace {

using testing::OptionalText;
using testing::PlainRecord;

// The same grammar once more, as slowly and plainly as it can be written: the model for the
// readers.
class NaiveReader {
 public:
  explicit NaiveReader(ByteView bytes) : bytes_(bytes) {}

  // nullopt where the bytes are no such record list.
  std::optional<std::vector<PlainRecord>> read(std::int32_t count) {
    std::vector<PlainRecord> records;
    for (std::int32_t i = 0; i < count; ++i) {
      const std::int64_t length = varint(32);
      const std::size_t begin = at_;
      if (failed_ || length < 0 || begin + static_cast<std::size_t>(length) > bytes_.size())
        return {};
      // The record's own bytes only.
      NaiveReader body(bytes_.subspan(begin, static_cast<std::size_t>(length)));
      std::optional<PlainRecord> record = body.read_body();
      if (!record) return {};
      records.push_back(*record);
      at_ = begin + static_cast<std::size_t>(length);
    }
    if (at_ != bytes_.size()) return {};
    return records;
  }

 private:
  std::optional<PlainRecord> read_body() {
    PlainRecord record;
    byte();
    record.timestamp = varint(64);
    record.offset = varint(32);
    record.key = text();
    record.value = text();
    const std::int64_t headers = varint(32);
    if (headers < 0) failed_ = true;
    for (std::int64_t i = 0; i < headers && !failed_; ++i) {
      const OptionalText key = text();
      if (!key) failed_ = true;
      record.headers.emplace_back(key.value_or(""), text());
    }
    if (failed_ || at_ != bytes_.size()) return {};
    return record;
  }

  int byte() {
    if (at_ < bytes_.size()) return bytes_[at_++];
    failed_ = true;
    return 0;
  }

  std::int64_t varint(int bits) {
    std::uint64_t sum = 0;
    for (int shift = 0; shift < bits + 6; shift += 7) {
      if (shift >= bits) failed_ = true;
      const int b = byte();
      if (shift < 64) sum += static_cast<std::uint64_t>(b % 128) << shift;
      if (b < 128 || failed_) break;
    }
    if (bits == 32) sum %= std::uint64_t{1} << 32;
    const auto half = static_cast<std::int64_t>(sum / 2);
    return sum % 2 == 0 ? half : -half - 1;
  }

  OptionalText text() {
    const std::int64_t length = varint(32);
    if (failed_ || length < 0) return std::nullopt;
    if (at_ + static_cast<std::size_t>(length) > bytes_.size()) {
      failed_ = true;
      return std::nullopt;
    }
    const ByteView part = bytes_.subspan(at_, static_cast<std::size_t>(length));
    at_ += part.size();
    return std::string(as_text(part));
  }

  ByteView bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

std::optional<std::vector<PlainRecord>> read_with_cursor(ByteView bytes, std::int32_t count) {
  std::vector<PlainRecord> records;
  RecordCursor cursor(bytes, count);
  for (Record record; cursor.next(record);) {
    PlainRecord& plain = records.emplace_back();
    plain.offset = record.offset_delta;
    plain.timestamp = record.timestamp_delta;
    plain.key = testing::to_text(record.key);
    plain.value = testing::to_text(record.value);
    HeaderCursor headers(record);
    for (RecordHeader header; headers.next(header);) {
      plain.headers.emplace_back(header.key, testing::to_text(header.value));
    }
  }
  if (cursor.error()) return {};
  return records;
}

// What the skimmer sees, as far as it looks: offset, timestamp and whether there is a key.
std::optional<std::vector<PlainRecord>> read_with_skimmer(ByteView bytes, std::int32_t count,
                                                          std::size_t window_bytes) {
  std::vector<PlainRecord> records;
  Decompressor decompressor;
  Bytes window(window_bytes);
  RecordSkimmer skimmer(decompressor, window, Codec::none, bytes, count, bytes.size());
  for (SkimmedRecord record; skimmer.next(record);) {
    PlainRecord& plain = records.emplace_back();
    plain.offset = record.offset_delta;
    plain.timestamp = record.timestamp_delta;
    if (record.has_key) plain.key = "";
  }
  if (skimmer.error()) return {};
  return records;
}

std::optional<std::vector<PlainRecord>> only_skimmed(
    std::optional<std::vector<PlainRecord>> records) {
  if (!records) return {};
  for (PlainRecord& record : *records) {
    if (record.key) record.key = "";
    record.value.reset();
    record.headers.clear();
  }
  return records;
}

rc::Gen<OptionalText> any_text() {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 5), rc::gen::inRange(0, 300)),
                      [](std::pair<int, int> choice) -> OptionalText {
                        if (choice.first == 0) return std::nullopt;
                        return std::string(static_cast<std::size_t>(choice.second), 'x');
                      });
}

rc::Gen<PlainRecord> any_record() {
  return rc::gen::build<PlainRecord>(
      rc::gen::set(&PlainRecord::timestamp, rc::gen::arbitrary<std::int64_t>()),
      rc::gen::set(&PlainRecord::key, any_text()), rc::gen::set(&PlainRecord::value, any_text()),
      rc::gen::set(&PlainRecord::headers,
                   rc::gen::container<std::vector<std::pair<std::string, OptionalText>>>(
                       rc::gen::pair(rc::gen::string<std::string>(), any_text()))));
}

RC_GTEST_PROP(Records, WhatIsBuiltIsReadAgain, ()) {
  auto records = *rc::gen::container<std::vector<PlainRecord>>(any_record());
  const auto codec = *rc::gen::elementOf(
      std::vector<Codec>(std::begin(testing::kAllCodecs), std::end(testing::kAllCodecs)));
  const Offset base_offset = *rc::gen::inRange<Offset>(0, std::int64_t{1} << 62);
  RecordBatchBuilder builder({.base_offset = base_offset, .codec = codec});
  Offset offset = base_offset;
  for (PlainRecord& record : records) {
    record.offset = offset;
    offset += *rc::gen::inRange(1, 100'000);
    testing::append_plain(builder, record);
  }
  const Slice bytes = builder.build().value();
  const Batch batch = parse_batch(bytes).value();
  RC_ASSERT(crc_matches(bytes));
  RC_ASSERT(testing::read_records(batch) == records);
  if (!records.empty()) RC_ASSERT(batch.header.last_offset() == records.back().offset);
}

// Mutated records: the cursor, the skimmer through any window, and the model agree on what is a
// record and what not.
RC_GTEST_PROP(Records, ReadersAgreeWithTheNaiveModelOnDamagedBytes, ()) {
  const auto records = *rc::gen::container<std::vector<PlainRecord>>(any_record());
  RecordBatchBuilder builder;
  for (const PlainRecord& record : records) {
    PlainRecord at_next = record;
    at_next.offset = builder.record_count();
    testing::append_plain(builder, at_next);
  }
  const Slice batch = builder.build().value();
  Bytes bytes(batch.view().begin() + kBatchHeaderBytes, batch.view().end());
  std::int32_t count = builder.record_count();

  const int mutations = *rc::gen::inRange(0, 4);
  for (int i = 0; i < mutations && !bytes.empty(); ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        bytes[at] = *rc::gen::arbitrary<std::uint8_t>();
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 0x80);
        break;
      case 3:
        count += *rc::gen::inRange(-1, 2);
        break;
    }
  }
  count = std::max(count, 0);
  const auto expected = NaiveReader(bytes).read(count);
  RC_ASSERT(read_with_cursor(bytes, count) == expected);
  const auto window = *rc::gen::inRange<std::size_t>(kSkimWindowBytesMin, 400);
  RC_ASSERT(read_with_skimmer(bytes, count, window) == only_skimmed(expected));
}

TEST(Records, AreRefusedWhenCutAtAnyByte) {
  RecordBatchBuilder builder;
  const RecordHeader headers[] = {{"name", as_bytes("value")}, {"", std::nullopt}};
  for (int i = 0; i < 3; ++i) {
    builder.append(
        {.timestamp = i, .key = as_bytes("k"), .value = as_bytes("v"), .headers = headers});
  }
  const Slice batch = builder.build().value();
  const ByteView bytes = parse_batch(batch).value().records();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(read_with_cursor(bytes.first(size), 3)) << size;
    EXPECT_FALSE(read_with_skimmer(bytes.first(size), 3, kSkimWindowBytesMin)) << size;
  }
  EXPECT_TRUE(read_with_cursor(bytes, 3));
  EXPECT_FALSE(read_with_cursor(bytes, 2));
  EXPECT_FALSE(read_with_cursor(bytes, 4));
}

TEST(Records, AnEmptyListIsNotAnError) {
  RecordCursor cursor({}, 0);
  Record record;
  EXPECT_FALSE(cursor.next(record));
  EXPECT_FALSE(cursor.error());
  RecordCursor negative({}, -1);
  EXPECT_FALSE(negative.next(record));
  EXPECT_FALSE(negative.error());
}

TEST(Records, HostileCountsEndWithTheBytes) {
  // One record that claims 2^31 - 1 headers: no loop, no memory.
  Bytes body = {0, 0, 0, 1, 1};
  std::uint8_t count[kVarintBytesMax];
  std::uint8_t* end = write_varint(count, zigzag(std::numeric_limits<std::int32_t>::max()));
  body.insert(body.end(), &count[0], end);
  Bytes record = {static_cast<std::uint8_t>(zigzag(static_cast<std::int32_t>(body.size())))};
  record.insert(record.end(), body.begin(), body.end());
  EXPECT_FALSE(read_with_cursor(record, 1));
  EXPECT_FALSE(read_with_skimmer(record, 1, kSkimWindowBytesMin));
  EXPECT_FALSE(read_with_cursor(record, std::numeric_limits<std::int32_t>::max()));
}

TEST(Varints, ReadWhatTheyWriteAndRefuseTooLongOnes) {
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{64}, std::int64_t{-65},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    std::uint8_t bytes[kVarlongBytesMax];
    const std::uint8_t* end = write_varint(bytes, zigzag(number));
    EXPECT_EQ(static_cast<std::size_t>(end - bytes), varint_size(zigzag(number)));
    std::int64_t read = 0;
    EXPECT_EQ(read_varlong(bytes, end, read), end);
    EXPECT_EQ(read, number);
    EXPECT_EQ(read_varlong(bytes, end - 1, read), nullptr);
  }
  const Bytes endless(20, 0xff);
  std::int32_t small = 0;
  std::int64_t large = 0;
  EXPECT_EQ(read_varint(endless.data(), endless.data() + endless.size(), small), nullptr);
  EXPECT_EQ(read_varlong(endless.data(), endless.data() + endless.size(), large), nullptr);
  // Needless zero groups are taken, as Kafka does.
  const Bytes overlong = {0x82, 0x80, 0x00};
  EXPECT_EQ(read_varint(overlong.data(), overlong.data() + 3, small), overlong.data() + 3);
  EXPECT_EQ(small, 1);
}

TEST(RecordTimestamp, IsTheBatchsUnderLogAppendTime) {
  BatchHeader header;
  header.base_timestamp = 100;
  header.max_timestamp = 500;
  Record record;
  record.timestamp_delta = 7;
  EXPECT_EQ(record_timestamp(header, record), 107);
  header.attributes = kLogAppendTimeBit;
  EXPECT_EQ(record_timestamp(header, record), 500);
}

TEST(RecordBatchBuilder, AnEmptyBatchKeepsTheProducersLastSequence) {
  // What compaction leaves behind (interop: count 0, base timestamp -1, sequence kept).
  RecordBatchBuilder builder({.base_offset = 50,
                              .codec = Codec::gzip,
                              .producer_id = 4,
                              .producer_epoch = 1,
                              .base_sequence = 30});
  const Slice bytes = builder.set_last_offset_delta(9).build().value();
  const BatchHeader header = parse_batch_header(bytes).value();
  EXPECT_EQ(bytes.size(), kBatchHeaderBytes);
  EXPECT_TRUE(crc_matches(bytes));
  EXPECT_EQ(header.codec(), Codec::none);
  EXPECT_EQ(header.record_count, 0);
  EXPECT_EQ(header.base_timestamp, -1);
  EXPECT_EQ(header.max_timestamp, -1);
  EXPECT_EQ(header.last_offset(), 59);
  EXPECT_EQ(header.last_sequence(), 39);
}

TEST(RecordBatchBuilder, TheDeleteHorizonIsTheBaseOfTheTimestamps) {
  RecordBatchBuilder builder({.delete_horizon = 9'000});
  builder.append({.timestamp = 1'000, .key = as_bytes("tombstone")});
  builder.append({.timestamp = 1'500, .key = as_bytes("another")});
  const Slice bytes = builder.build().value();
  const Batch batch = parse_batch(bytes).value();
  EXPECT_EQ(batch.header.delete_horizon(), 9'000);
  EXPECT_EQ(batch.header.max_timestamp, 1'500);
  EXPECT_EQ(testing::read_records(batch)[0].timestamp, 1'000);
}

TEST(RecordBatchBuilder, MayBeBuiltTwiceAndInBetween) {
  RecordBatchBuilder builder;
  builder.append({.timestamp = 5, .value = as_bytes("one")});
  const Slice first = builder.build().value();
  builder.append({.timestamp = 5, .value = as_bytes("two")});
  const Slice second = builder.build().value();
  EXPECT_EQ(parse_batch_header(first)->record_count, 1);
  EXPECT_EQ(parse_batch_header(second)->record_count, 2);
  EXPECT_EQ(builder.uncompressed_size(), second.size());
  EXPECT_EQ(builder.max_timestamp(), 5);
  EXPECT_EQ(builder.max_timestamp_offset_delta(), 0);
  EXPECT_FALSE(
      RecordBatchBuilder({.codec = Codec::gzip, .compression_level = 10}).append({}).build());
}

}  // namespace
}  // namespace ottla::wire
