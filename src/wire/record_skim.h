// Walks the records of a compressed batch while they are decompressed, in a window of constant
// size: what a broker needs to know of them is in a few numbers each, and a batch that unpacks to a
// thousand times its size costs time below a named bound, but no memory. Used by
// record_validation.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/compression.h"
#include "wire/record_batch.h"

namespace ottla::wire {

// Large enough that the codecs' usual blocks (64 KiB) are unpacked straight into it beside the rest
// of a record.
inline constexpr std::size_t kSkimWindowBytes = 128 * 1024;
// Smaller ones serve tests; a window must hold a record's numbers.
inline constexpr std::size_t kSkimWindowBytesMin = 32;

// What is seen of a record.
struct SkimmedRecord {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  bool has_key = false;
};

class RecordSkimmer {
 public:
  // Walks `record_count` records in `compressed`. The decompressor, the window and the compressed
  // bytes must outlive the walk. At most `output_bytes_max` bytes are unpacked. REQUIRES:
  // window.size() >= kSkimWindowBytesMin.
  RecordSkimmer(Decompressor& decompressor, MutableByteView window, Codec codec,
                ByteView compressed, std::int32_t record_count, std::size_t output_bytes_max);

  // Fills `record` and returns true, or returns false: at the end, or at an error(): those of the
  // decompressor, bad_record, bad_count (as RecordCursor), too_large.
  bool next(SkimmedRecord& record);

  std::optional<BatchError> error() const { return error_; }

 private:
  bool fail(BatchError error);
  bool refill();
  bool ensure(std::size_t count);
  bool skip(std::int64_t count);
  bool read_number(std::int64_t& left, std::int32_t& number);
  bool read_long_number(std::int64_t& left, std::int64_t& number);
  bool skip_nullable(std::int64_t& left, bool& is_null);
  bool next_in_pieces(SkimmedRecord& record);

  std::size_t held() const { return static_cast<std::size_t>(end_ - at_); }

  Decompressor& decompressor_;
  MutableByteView window_;
  std::uint8_t* at_;  // [at_, end_) is unpacked and not yet walked
  std::uint8_t* end_;
  std::size_t output_left_;
  std::int32_t records_left_;
  bool has_ended_ = false;
  std::optional<BatchError> error_;
};

}  // namespace ottla::wire
