// What record_validation_cases_test.cc does not show: limits, memory, the header mode, and a model
// of the rules.
#include "wire/record_validation.h"

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>
#include <rapidcheck/gtest.h>

#include "wire/record_fuzzing.h"
#include "wire/record_testing.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

// Counts what C++ allocates; what the codecs' C code does is counted by bench/record_bench.cc.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ottla::wire {
namespace {

constexpr TimestampMs kNow = 1'700'000'000'000;
constexpr std::int16_t kVersion = 12;

Slice make_batch(Codec codec, int count = 3, std::size_t value_bytes = 10) {
  RecordBatchBuilder builder({.codec = codec});
  const Bytes value(value_bytes, 'v');
  for (int i = 0; i < count; ++i) {
    builder.append({.timestamp = kNow, .key = as_bytes("k"), .value = value});
  }
  return builder.build().value();
}

std::expected<ValidatedBatch, ValidationFailure> validate(const Slice& batch,
                                                          const ValidationSettings& settings = {}) {
  ValidationScratch scratch;
  return validate_batch(Slice::copy_of(batch), settings, kVersion, kNow, scratch);
}

ErrorCode error_of(const Slice& batch, const ValidationSettings& settings = {}) {
  auto result = validate(batch, settings);
  return result ? ErrorCode::none : result.error().code;
}

TEST(Validation, AValidBatchIsNeitherCopiedNorChangedAndTakesNoMemory) {
  for (const Codec codec : testing::kAllCodecs) {
    SCOPED_TRACE(codec_name(codec));
    const Slice batch = make_batch(codec, 200, 1'000);
    const Slice before = Slice::copy_of(batch);
    ValidationScratch scratch;
    const ValidationSettings settings;
    ASSERT_TRUE(validate_batch(batch, settings, kVersion, kNow, scratch));

    const std::size_t allocations_before = allocations;
    auto result = validate_batch(batch, settings, kVersion, kNow, scratch);
    EXPECT_EQ(allocations, allocations_before);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->bytes.data(), batch.data());
    EXPECT_TRUE(std::ranges::equal(batch.view(), before.view()));
    EXPECT_FALSE(result->was_rewritten);
  }
}

TEST(Validation, RecordsLargerThanTheWindowAreSkimmed) {
  for (const Codec codec : testing::kAllCodecs) {
    RecordBatchBuilder builder({.codec = codec});
    const Bytes value(kSkimWindowBytes * 3 + 17, 'v');
    const RecordHeader headers[] = {{"h", value}};
    for (int i = 0; i < 3; ++i) {
      builder.append({.timestamp = kNow + i, .value = value, .headers = headers});
    }
    ValidationSettings settings;
    settings.max_message_bytes = 1 << 24;
    auto result = validate(builder.build().value(), settings);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->header.max_timestamp, kNow + 2);
    EXPECT_EQ(result->max_timestamp_offset_delta, 2);
    settings.is_compacted = true;
    EXPECT_EQ(error_of(builder.build().value(), settings), ErrorCode::invalid_record);
  }
}

TEST(Validation, EverySingleBitFlipIsNoticedButInTheLeaderEpoch) {
  for (const Codec codec : {Codec::none, Codec::zstd}) {
    const Slice good = make_batch(codec);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      Slice flipped = Slice::copy_of(good);
      flipped.mutable_data()[bit / 8] ^= 1 << (bit % 8);
      const std::size_t byte = bit / 8;
      // The leader overwrites the epoch in any case.
      const bool in_epoch = byte >= batch_at::kLeaderEpoch && byte < batch_at::kMagic;
      EXPECT_EQ(error_of(flipped) == ErrorCode::none, in_epoch) << "bit " << bit;
    }
  }
}

TEST(Validation, WholeBatchesOnlyAtEveryCut) {
  const Slice good = make_batch(Codec::lz4);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(error_of(good.subslice(0, size)), ErrorCode::invalid_record) << size;
  }
}

TEST(Validation, ABatchLargerThanASegmentIsRefused) {
  ValidationSettings settings;
  settings.segment_bytes = 100;
  EXPECT_EQ(error_of(make_batch(Codec::none, 10), settings), ErrorCode::record_list_too_large);
}

TEST(Validation, ABombEndsAtItsBound) {
  ValidationSettings settings;
  settings.decompressed_bytes_max = 100'000;
  for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    EXPECT_EQ(error_of(make_batch(codec, 1, 99'000), settings), ErrorCode::none);
    EXPECT_EQ(error_of(make_batch(codec, 1, 101'000), settings), ErrorCode::message_too_large);
    EXPECT_EQ(error_of(make_batch(codec, 1'000, 150), settings), ErrorCode::message_too_large);
  }
}

TEST(Validation, ABatchThatGrowsTooLargeByEncodingAnewIsRefused) {
  ValidationSettings settings;
  settings.max_message_bytes = 10'000;
  const Slice small = make_batch(Codec::gzip, 100, 1'000);
  EXPECT_EQ(error_of(small, settings), ErrorCode::none);
  settings.compression_type = Codec::none;
  EXPECT_EQ(error_of(small, settings), ErrorCode::message_too_large);
}

TEST(Validation, TheTopicsCodecAndLevelAreUsed) {
  ValidationSettings settings;
  settings.compression_type = Codec::zstd;
  settings.compression_level = 19;
  auto result = validate(make_batch(Codec::none, 50, 500), settings);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->was_rewritten);
  EXPECT_EQ(result->header.codec(), Codec::zstd);
  EXPECT_EQ(testing::read_records(parse_batch(result->bytes).value()).size(), 50u);
}

TEST(Validation, EncodingAnewKeepsProducerTransactionAndCreateTimes) {
  RecordBatchBuilder builder({.timestamp_type = TimestampType::log_append_time,
                              .producer_id = 77,
                              .producer_epoch = 5,
                              .base_sequence = 1'000,
                              .is_transactional = true});
  builder.append_at(1, {.timestamp = kNow - 2, .value = as_bytes("a")});
  builder.append_at(0, {.timestamp = kNow - 1, .value = as_bytes("b")});
  const Slice batch = builder.set_last_offset_delta(1).build().value();
  auto result = validate(batch);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->was_rewritten);
  EXPECT_EQ(result->header.producer_id, 77);
  EXPECT_EQ(result->header.producer_epoch, 5);
  EXPECT_EQ(result->header.base_sequence, 1'000);
  EXPECT_TRUE(result->header.is_transactional());
  EXPECT_EQ(result->header.timestamp_type(), TimestampType::create_time);
  EXPECT_EQ(result->header.max_timestamp, kNow - 1);
  EXPECT_EQ(result->max_timestamp_offset_delta, 1);
  const auto records = testing::read_records(parse_batch(result->bytes).value());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0], (testing::PlainRecord{.offset = 0, .timestamp = kNow - 2, .value = "a"}));
  EXPECT_EQ(records[1], (testing::PlainRecord{.offset = 1, .timestamp = kNow - 1, .value = "b"}));
}

TEST(Validation, HeaderModeTakesCompressedRecordsOnTrust) {
  ValidationSettings settings;
  settings.mode = ValidationMode::header;
  const auto damaged = [](Codec codec) {
    const Slice batch = make_batch(codec);
    batch.mutable_data()[kBatchHeaderBytes] ^= 0xff;
    update_crc(batch.mutable_view());
    return batch;
  };
  EXPECT_EQ(error_of(damaged(Codec::gzip), settings), ErrorCode::none);
  EXPECT_EQ(error_of(damaged(Codec::none), settings), ErrorCode::invalid_record);
  EXPECT_EQ(error_of(damaged(Codec::gzip)), ErrorCode::invalid_record);
  // To encode them anew they must be read.
  settings.compression_type = Codec::lz4;
  EXPECT_EQ(error_of(damaged(Codec::gzip), settings), ErrorCode::invalid_record);
  settings.compression_type.reset();
  auto result = validate(make_batch(Codec::gzip), settings);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->max_timestamp_offset_delta, 2);
  const Slice marked = make_batch(Codec::gzip);
  set_attributes(marked.mutable_data(), 1 | kLogAppendTimeBit);
  update_crc(marked.mutable_view());
  EXPECT_EQ(error_of(marked, settings), ErrorCode::invalid_timestamp);
}

TEST(Validation, NamesABoundedNumberOfFaults) {
  RecordBatchBuilder builder;
  for (int i = 0; i < 1'000; ++i) builder.append({.timestamp = kNow});
  ValidationSettings settings;
  settings.is_compacted = true;
  auto result = validate(builder.build().value(), settings);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_record);
  ASSERT_EQ(result.error().records.size(), kRecordFaultsMax);
  EXPECT_EQ(result.error().records.back().batch_index, 99);
}

// The rules for records once more, as a reader of Kafka's documentation would write them down.
RC_GTEST_PROP(Validation, RecordRulesAgreeWithANaiveModel, ()) {
  struct Row {
    TimestampMs timestamp;
    bool has_key;
  };
  const auto rows = *rc::gen::nonEmpty(rc::gen::container<std::vector<Row>>(rc::gen::map(
      rc::gen::pair(rc::gen::inRange(-5, 5), rc::gen::inRange(0, 10)),
      [](std::pair<int, int> choice) {  // few timestamps, so that some are equal
        return Row{choice.first == -5 ? -1 : kNow + choice.first * 10, choice.second > 0};
      })));
  const auto codec = *rc::gen::elementOf(
      std::vector<Codec>(std::begin(testing::kAllCodecs), std::end(testing::kAllCodecs)));
  ValidationSettings settings;
  settings.is_compacted = *rc::gen::arbitrary<bool>();
  settings.message_timestamp_before_max_ms = *rc::gen::inRange(20, 60);
  settings.message_timestamp_after_max_ms = *rc::gen::inRange(20, 60);
  const bool is_append_time = *rc::gen::arbitrary<bool>();
  if (is_append_time) settings.message_timestamp_type = TimestampType::log_append_time;

  RecordBatchBuilder builder({.codec = codec});
  std::vector<std::int32_t> faulty;
  bool is_time_wrong = false;
  TimestampMs greatest = -1;
  std::int32_t greatest_at = static_cast<std::int32_t>(rows.size()) - 1;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    NewRecord record{.timestamp = row.timestamp};
    if (row.has_key) record.key = as_bytes("key");
    builder.append(record);
    const bool is_outside = !is_append_time && row.timestamp != -1 &&
                            (row.timestamp < kNow - settings.message_timestamp_before_max_ms ||
                             row.timestamp > kNow + settings.message_timestamp_after_max_ms);
    const bool is_keyless = settings.is_compacted && !row.has_key;
    if (is_keyless || is_outside) faulty.push_back(static_cast<std::int32_t>(i));
    is_time_wrong |= is_outside && !is_keyless;
    if (row.timestamp > greatest) {
      greatest = row.timestamp;
      greatest_at = static_cast<std::int32_t>(i);
    }
  }
  auto result = validate(builder.build().value(), settings);
  RC_ASSERT(result.has_value() == faulty.empty());
  if (!result) {
    RC_ASSERT(result.error().code ==
              (is_time_wrong ? ErrorCode::invalid_timestamp : ErrorCode::invalid_record));
    for (std::size_t i = 0; i < std::min(faulty.size(), kRecordFaultsMax); ++i) {
      RC_ASSERT(result.error().records.at(i).batch_index == faulty[i]);
    }
    return;
  }
  RC_ASSERT(result->header.timestamp_type() == settings.message_timestamp_type);
  RC_ASSERT(result->header.max_timestamp == (is_append_time ? kNow : greatest));
  RC_ASSERT(result->max_timestamp_offset_delta ==
            (is_append_time ? static_cast<std::int32_t>(rows.size()) - 1 : greatest_at));
  RC_ASSERT(crc_matches(result->bytes));
}

TEST(Fuzzing, AShortRunOverMutatedSeedsFindsNothing) {
  constexpr int kRoundsPerSeed = 150;
  testing::Numbers numbers(20'240'101);
  std::vector<Bytes> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(testing::vector_folder())) {
    if (entry.path().extension() == ".hex")
      seeds.push_back(testing::read_vector(entry.path().stem()));
  }
  ASSERT_GT(seeds.size(), 20u);
  std::ranges::sort(seeds);  // a folder has no order
  for (const Bytes& seed : seeds) {
    for (int round = 0; round < kRoundsPerSeed; ++round) {
      Bytes bytes = seed;
      bytes.insert(bytes.begin(), static_cast<std::uint8_t>(numbers.next()));
      const std::size_t mutations = numbers.below(6);
      for (std::size_t i = 0; i < mutations; ++i) {
        const std::size_t at = numbers.below(bytes.size());
        switch (numbers.below(4)) {
          case 0:
            bytes[at] ^= 1 << numbers.below(8);
            break;
          case 1:
            bytes[at] = static_cast<std::uint8_t>(numbers.next());
            break;
          case 2:
            bytes.resize(std::max<std::size_t>(at, 1));
            break;
          case 3:
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 0xff);
            break;
        }
      }
      testing::fuzz_record_batch(bytes);
    }
  }
}

}  // namespace
}  // namespace ottla::wire
