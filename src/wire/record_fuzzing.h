// What the fuzz target (fuzz/record_batch_fuzz.cc) and its short run among the unit tests do with
// bytes: read them as a log would and as a Produce handler would, and hold the results to what the
// headers promise.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include "wire/control_record.h"
#include "wire/record.h"
#include "wire/record_skim.h"
#include "wire/record_validation.h"

namespace ottla::wire::testing {

inline constexpr std::size_t kFuzzOutputMax = 1 << 20;

// Reads all records through the cursor; the sum of what was touched, so that nothing is optimised
// away.
inline std::size_t touch_records(ByteView records, std::int32_t count, bool& is_whole) {
  std::size_t touched = 0;
  RecordCursor cursor(records, count);
  for (Record record; cursor.next(record);) {
    for (const auto& part : {record.key, record.value}) {
      if (part && !part->empty()) touched += part->size() + part->front() + part->back();
    }
    HeaderCursor headers(record);
    for (RecordHeader header; headers.next(header);) touched += header.key.size();
    touched += parse_transaction_marker(record).has_value();
  }
  is_whole = !cursor.error();
  return touched;
}

inline std::size_t fuzz_reading(ByteView bytes) {
  std::size_t touched = 0;
  BatchCursor cursor(bytes);
  for (Batch batch; cursor.next(batch);) {
    touched += crc_matches(batch.bytes) + first_control_key(batch).has_value();
    std::uint8_t stored[kBatchHeaderBytes];
    store_batch_header(stored, batch.header);
    OTTLA_CHECK(std::equal(stored, stored + kBatchHeaderBytes, batch.bytes.begin()));
    bool is_whole = false;
    if (!batch.header.codec()) continue;
    auto records = decompress(*batch.header.codec(), batch.records(), kFuzzOutputMax);
    if (!records) continue;
    OTTLA_CHECK(records->size() <= kFuzzOutputMax);
    touched += touch_records(*records, batch.header.record_count, is_whole);

    // The skimmer is of the same mind.
    Decompressor decompressor;
    Bytes window(std::max<std::size_t>(kSkimWindowBytesMin, bytes[0]));
    RecordSkimmer skimmer(decompressor, window, Codec::none, *records, batch.header.record_count,
                          kFuzzOutputMax);
    for (SkimmedRecord record; skimmer.next(record);) ++touched;
    OTTLA_CHECK(is_whole == !skimmer.error());
  }
  OTTLA_CHECK(cursor.position() <= bytes.size());
  return touched;
}

// As a producer's batch, once as it is and once with the numbers repaired that stop most bytes
// early.
inline void fuzz_validation(ByteView bytes, bool is_repaired, unsigned choice) {
  constexpr TimestampMs kNow = 1'700'000'000'000;
  Slice batch = Slice::copy_of(bytes);
  if (is_repaired) {
    if (batch.size() < kBatchHeaderBytes) return;
    BatchHeader header = load_batch_header(batch.data());
    header.base_offset = 0;
    header.magic = kMagicV2;
    header.batch_length = static_cast<std::int32_t>(batch.size() - kBatchLengthOverhead);
    header.record_count = 1 + (header.record_count & 7);
    header.last_offset_delta = header.record_count - 1;
    header.attributes &= ~kControlBit;
    if (choice & 16) header.base_timestamp = kNow;
    store_batch_header(batch.mutable_data(), header);
    update_crc(batch.mutable_view());
  }
  ValidationSettings settings;
  settings.is_compacted = choice & 1;
  settings.mode = (choice & 2) ? ValidationMode::header : ValidationMode::full;
  if (choice & 4) settings.message_timestamp_type = TimestampType::log_append_time;
  if (choice & 8) settings.compression_type = static_cast<Codec>((choice >> 5) % 5);
  settings.decompressed_bytes_max = kFuzzOutputMax;
  ValidationScratch scratch;
  auto result = validate_batch(std::move(batch), settings, 11, kNow, scratch);
  if (!result) {
    OTTLA_CHECK(!error_name(result.error().code).empty());
    OTTLA_CHECK(result.error().code != ErrorCode::none);
    return;
  }
  OTTLA_CHECK(crc_matches(result->bytes));
  const Batch valid = parse_batch(result->bytes).value();
  OTTLA_CHECK(valid.header == result->header && valid.bytes.size() == result->bytes.size());
  OTTLA_CHECK(valid.header.record_count == valid.header.last_offset_delta + 1);
  OTTLA_CHECK(!valid.header.is_control());
  if (settings.mode == ValidationMode::header && valid.header.is_compressed()) return;
  const Slice records =
      decompress(*valid.header.codec(), valid.records(), 2 * kFuzzOutputMax).value();
  bool is_whole = false;
  touch_records(records, valid.header.record_count, is_whole);
  OTTLA_CHECK(is_whole);
  std::int32_t expected_delta = 0;
  RecordCursor cursor(records, valid.header.record_count);
  for (Record record; cursor.next(record);) OTTLA_CHECK(record.offset_delta == expected_delta++);
}

inline void fuzz_record_batch(ByteView bytes) {
  if (bytes.empty()) return;
  const unsigned choice = bytes[0];
  const ByteView rest = bytes.subspan(1);
  if (rest.empty()) return;
  fuzz_reading(rest);
  fuzz_validation(rest, false, choice);
  fuzz_validation(rest, true, choice);
}

}  // namespace ottla::wire::testing
