// What the tests of record batches share: batches written by other programs
// (tests/vectors/record_batch), records as values, and a seeded source of numbers. Not part of the
// library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/compression.h"
#include "wire/record.h"

namespace ottla::wire::testing {

inline std::filesystem::path vector_folder() {
  return std::filesystem::path(OTTLA_TESTS) / "vectors/record_batch";
}

inline Bytes from_hex(std::string_view text) {
  Bytes bytes;
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

inline Bytes read_vector(const std::string& name) {
  std::ifstream file(vector_folder() / (name + ".hex"));
  EXPECT_TRUE(file) << name;
  return from_hex(std::string(std::istreambuf_iterator<char>(file), {}));
}

using OptionalText = std::optional<std::string>;

// A record with everything that its reader sees, comparable and printable.
struct PlainRecord {
  Offset offset = 0;
  TimestampMs timestamp = 0;
  OptionalText key = std::nullopt;
  OptionalText value = std::nullopt;
  std::vector<std::pair<std::string, OptionalText>> headers = {};
  bool operator==(const PlainRecord&) const = default;
};

inline OptionalText to_text(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(as_text(*bytes));
}
inline std::optional<ByteView> to_bytes(const OptionalText& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}

// All records of a batch, decompressed where needed; fails the test when there is any error.
inline std::vector<PlainRecord> read_records(const Batch& batch) {
  std::vector<PlainRecord> records;
  ByteView bytes = batch.records();
  Slice unpacked;
  if (batch.header.is_compressed() && batch.header.record_count > 0) {
    auto result = decompress(*batch.header.codec(), bytes, kDecompressedBytesMax);
    EXPECT_TRUE(result) << describe(result.error());
    if (!result) return records;
    unpacked = *result;
    bytes = unpacked;
  }
  RecordCursor cursor(bytes, batch.header.record_count);
  for (Record record; cursor.next(record);) {
    PlainRecord& plain = records.emplace_back();
    plain.offset = record_offset(batch.header, record);
    plain.timestamp = record_timestamp(batch.header, record);
    plain.key = to_text(record.key);
    plain.value = to_text(record.value);
    HeaderCursor headers(record);
    for (RecordHeader header; headers.next(header);) {
      plain.headers.emplace_back(header.key, to_text(header.value));
    }
  }
  EXPECT_FALSE(cursor.error()) << describe(*cursor.error());
  return records;
}

inline void append_plain(RecordBatchBuilder& builder, const PlainRecord& record) {
  std::vector<RecordHeader> headers;
  for (const auto& [key, value] : record.headers) headers.push_back({key, to_bytes(value)});
  builder.append_at(record.offset, {.timestamp = record.timestamp,
                                    .key = to_bytes(record.key),
                                    .value = to_bytes(record.value),
                                    .headers = headers});
}

// xorshift64*: enough to mutate bytes, the same everywhere.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull;
  }
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : (next() >> 11) % bound; }

 private:
  std::uint64_t state_;
};

inline constexpr Codec kAllCodecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4,
                                       Codec::zstd};

}  // namespace ottla::wire::testing
