#include "wire/header.h"

#include "wire/messages/request_header.h"
#include "wire/messages/response_header.h"

namespace ottla::wire {
namespace {

constexpr std::size_t kFixedHeaderBytes =
    8;  // key, version, correlation id: the same in every version

// What a message's own facts say about the header before it.
ApiInfo api_of(const MessageInfo& body) {
  return {.key = static_cast<ApiKey>(body.key),
          .name = body.name,
          .versions = body.versions,
          .flexible_from = body.flexible.empty() ? kVersionMax : body.flexible.first,
          .listeners = 0,
          .latest_version_unstable = false};
}

}  // namespace

std::expected<ParsedRequestHeader, DecodeError> parse_request_header(const Slice& frame) {
  Reader reader(frame);
  ParsedRequestHeader parsed;
  parsed.api_key = reader.integer<std::int16_t>();
  parsed.api_version = reader.integer<std::int16_t>();
  parsed.correlation_id = reader.integer<std::int32_t>();
  if (reader.failed()) {
    return std::unexpected(
        DecodeError{reader.error(), RequestHeader::info.name.data(), "", reader.failed_at()});
  }
  parsed.body_offset = kFixedHeaderBytes;
  parsed.api = find_api(parsed.api_key);
  if (parsed.api == nullptr) return parsed;

  reader.seek(0);
  auto header =
      decode_next<RequestHeader>(reader, parsed.api->request_header_version(parsed.api_version));
  if (!header) return std::unexpected(header.error());
  parsed.client_id = std::move(header->client_id);
  parsed.body_offset = reader.position();
  return parsed;
}

Reader body_reader(Slice frame, std::size_t body_offset) {
  OTTLA_CHECK(body_offset <= frame.size());
  Reader reader(std::move(frame));
  reader.seek(body_offset);
  return reader;
}

std::expected<ParsedResponseHeader, DecodeError> parse_response_header(const Slice& frame,
                                                                       const ApiInfo& api,
                                                                       std::int16_t api_version) {
  Reader reader(frame);
  auto header = decode_next<ResponseHeader>(reader, api.response_header_version(api_version));
  if (!header) return std::unexpected(header.error());
  return ParsedResponseHeader{header->correlation_id, reader.position()};
}

std::expected<void, EncodeError> begin_request_frame(Writer& writer, const MessageInfo& body,
                                                     std::int16_t version,
                                                     std::int32_t correlation_id,
                                                     const std::optional<std::string>& client_id) {
  writer.integer(std::int32_t{0});
  RequestHeader header;
  header.request_api_key = body.key;
  header.request_api_version = version;
  header.correlation_id = correlation_id;
  header.client_id = client_id;
  return encode(header, api_of(body).request_header_version(version), writer);
}

void begin_response_frame(Writer& writer, const MessageInfo& body, std::int16_t version,
                          std::int32_t correlation_id) {
  writer.integer(std::int32_t{0});
  writer.integer(correlation_id);
  if (api_of(body).response_header_version(version) > 0)
    writer.integer(std::uint8_t{0});  // no tagged fields
}

std::expected<Gather, EncodeError> finish_frame(Writer writer, const MessageInfo& body) {
  const std::uint64_t size = writer.size_bytes() - kFrameLengthBytes;
  if (size > INT32_MAX) {
    return std::unexpected(EncodeError{EncodeError::Code::kTooLong, body.name.data(), ""});
  }
  writer.patch_int32(0, static_cast<std::int32_t>(size));
  return std::move(writer).finish();
}

}  // namespace ottla::wire
