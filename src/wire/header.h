// Frames on a connection: four bytes of length, a header, a body. Headers are read here before
// anything is known about the body; codec.h writes whole frames (request_frame, response_frame).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "wire/api.h"
#include "wire/codec.h"
#include "wire/message.h"

namespace ottla::wire {

inline constexpr std::size_t kFrameLengthBytes = 4;

// What stands before the body of a request. If Kafka has no API with this key, `api` is null and
// only key, version and correlation id are known. The version is as the client sent it and may be
// one that the API does not have.
struct ParsedRequestHeader {
  const ApiInfo* api = nullptr;
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;
  std::size_t body_offset = 0;  // in the frame that was parsed

  bool is_version_known() const { return api != nullptr && api->versions.contains(api_version); }
};

// `frame` is what follows the length. An error means that the connection cannot go on.
std::expected<ParsedRequestHeader, DecodeError> parse_request_header(const Slice& frame);

// A reader that stands at the body. REQUIRES: offset <= frame.size().
Reader body_reader(Slice frame, std::size_t body_offset);

struct ParsedResponseHeader {
  std::int32_t correlation_id = 0;
  std::size_t body_offset = 0;
};

// For the answer to a request of that API and version.
std::expected<ParsedResponseHeader, DecodeError> parse_response_header(const Slice& frame,
                                                                       const ApiInfo& api,
                                                                       std::int16_t api_version);

// What request_frame() and response_frame() are made of: length (not yet known) and header; then
// the body; then the length. finish_frame fails if the frame is 2 GiB or more.
std::expected<void, EncodeError> begin_request_frame(Writer& writer, const MessageInfo& body,
                                                     std::int16_t version,
                                                     std::int32_t correlation_id,
                                                     const std::optional<std::string>& client_id);
void begin_response_frame(Writer& writer, const MessageInfo& body, std::int16_t version,
                          std::int32_t correlation_id);
std::expected<Gather, EncodeError> finish_frame(Writer writer, const MessageInfo& body);

}  // namespace ottla::wire
