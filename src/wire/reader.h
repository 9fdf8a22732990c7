// Reader: Kafka's primitive types out of a Slice. The first failure sticks: from then on nothing is
// left to read and every read returns zero, so a caller may check once at the end. Nothing is read
// or allocated beyond what is there.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"

namespace ottla::wire {

struct DecodeError {
  enum class Code : std::uint8_t {
    kNone,
    kTruncated,           // a number, or what a length promises, goes beyond the end
    kVarintTooLong,       // more than five (ten) bytes
    kNegativeLength,      // other than the -1 that means null
    kNullNotAllowed,      // null where this version has no null
    kTooLong,             // a string of more than kStringBytesMax bytes
    kTooManyElements,     // more than the limits allow, or more than the rest of the frame can hold
    kTooManyTags,         // more than kTaggedFieldsMax tagged fields in one struct
    kTaggedFieldSize,     // a tagged field is shorter or longer than it says
    kTrailingBytes,       // the message ended before the bytes did
    kUnsupportedVersion,  // the message has no such version
    kUnknownApi,          // no API has this key
  };
  Code code = Code::kNone;
  const char* message = "";  // "FetchRequest"
  const char* field = "";    // "Topics": the field that was being read
  std::size_t position = 0;  // in the bytes given
  std::string to_string() const;
};

class Reader {
 public:
  explicit Reader(Slice bytes)
      : bytes_(std::move(bytes)), at_(bytes_.data()), end_(at_ + bytes_.size()) {}

  bool failed() const { return error_ != DecodeError::Code::kNone; }
  DecodeError::Code error() const { return error_; }
  std::size_t failed_at() const { return failed_at_; }

  std::size_t position() const { return static_cast<std::size_t>(at_ - bytes_.data()); }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }

  void fail(DecodeError::Code code) {
    if (failed()) return;
    error_ = code;
    failed_at_ = position();
    at_ = end_;
  }

  // A fixed-width big-endian integer.
  template <class T>
  T integer() {
    if (remaining() < sizeof(T)) {
      fail(DecodeError::Code::kTruncated);
      return 0;
    }
    const T number = load_big<T>(at_);
    at_ += sizeof(T);
    return number;
  }
  double float64() { return std::bit_cast<double>(integer<std::uint64_t>()); }
  Uuid uuid() {
    const auto high = integer<std::uint64_t>();
    return {.high = high, .low = integer<std::uint64_t>()};
  }
  std::uint32_t unsigned_varint() {
    if (at_ != end_ && *at_ < 0x80) return *at_++;
    return long_unsigned_varint();
  }

  // The next `size` bytes; empty, and failed, if there are fewer.
  ByteView view(std::size_t size) {
    if (size > remaining()) {
      fail(DecodeError::Code::kTruncated);
      return {};
    }
    const ByteView result(at_, size);
    at_ += size;
    return result;
  }
  // The same as a part of the frame, not copied.
  Slice slice(std::size_t size) {
    const std::size_t from = position();
    return view(size).size() == size && size > 0 ? bytes_.subslice(from, size) : Slice();
  }
  void skip(std::size_t size) { view(size); }

  // Reading is confined to the next `size` bytes until restore(). REQUIRES: size <= remaining().
  const std::uint8_t* confine(std::size_t size) { return std::exchange(end_, at_ + size); }
  void restore(const std::uint8_t* end) {
    if (!failed()) end_ = end;
  }
  // Back to a position seen before. No effect after a failure.
  void seek(std::size_t position) {
    if (!failed()) at_ = bytes_.data() + position;
  }

 private:
  std::uint32_t long_unsigned_varint();

  Slice bytes_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::size_t failed_at_ = 0;
  DecodeError::Code error_ = DecodeError::Code::kNone;
};

}  // namespace ottla::wire
