#include "wire/codec.h"

namespace ottla::wire {
namespace {

std::string_view reason(EncodeError::Code code) {
  using enum EncodeError::Code;
  switch (code) {
    case kUnsupportedVersion:
      return "no such version";
    case kFieldNotInVersion:
      return "is set, but this version does not have it";
    case kNullNotAllowed:
      return "null where null is not allowed";
    case kTooLong:
      return "is too long";
    case kTagsNotInVersion:
      return "tagged fields in a version that has none";
    case kTagsOutOfOrder:
      return "unknown tagged fields out of order";
  }
  return "unknown error";
}

}  // namespace

std::string EncodeError::to_string() const {
  std::string text(message);
  if (*field) text.append(".").append(field);
  return text.append(": ").append(reason(code));
}

}  // namespace ottla::wire
