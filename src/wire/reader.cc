#include "wire/reader.h"

namespace ottla::wire {
namespace {

std::string_view reason(DecodeError::Code code) {
  using enum DecodeError::Code;
  switch (code) {
    case kNone:
      return "no error";
    case kTruncated:
      return "the bytes end too early";
    case kVarintTooLong:
      return "a varint has too many bytes";
    case kNegativeLength:
      return "a length is negative";
    case kNullNotAllowed:
      return "null where null is not allowed";
    case kTooLong:
      return "a string is too long";
    case kTooManyElements:
      return "more elements than allowed or than the frame can hold";
    case kTooManyTags:
      return "too many tagged fields";
    case kTaggedFieldSize:
      return "a tagged field does not have the size that it says";
    case kTrailingBytes:
      return "bytes are left after the end";
    case kUnsupportedVersion:
      return "no such version";
    case kUnknownApi:
      return "no such API";
  }
  return "unknown error";
}

}  // namespace

std::string DecodeError::to_string() const {
  std::string text(message);
  if (*field) text.append(".").append(field);
  return text.append(": ")
      .append(reason(code))
      .append(" (byte ")
      .append(std::to_string(position))
      .append(")");
}

std::uint32_t Reader::long_unsigned_varint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const auto byte = integer<std::uint8_t>();
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return failed() ? 0 : value;
  }
  fail(DecodeError::Code::kVarintTooLong);
  return 0;
}

}  // namespace ottla::wire
