// The definitions behind codec.h. Generated sources include this to instantiate them for each
// message, and so may a test for a message of its own; everybody else includes codec.h.
#pragma once

#include "wire/codec.h"
#include "wire/decoder.h"
#include "wire/encoder.h"
#include "wire/header.h"
#include "wire/printer.h"

namespace ottla::wire {

template <class M>
std::expected<M, DecodeError> decode_next(Reader& reader, std::int16_t version,
                                          const DecodeLimits& limits) {
  std::expected<M, DecodeError> result;
  if (!M::info.versions.contains(version)) {
    reader.fail(DecodeError::Code::kUnsupportedVersion);
    result =
        std::unexpected(DecodeError{reader.error(), M::info.name.data(), "", reader.failed_at()});
    return result;
  }
  Decoder decoder(reader, version, M::info.is_flexible(version), limits);
  decoder.message(*result);
  if (reader.failed()) {
    result = std::unexpected(DecodeError{reader.error(), M::info.name.data(),
                                         decoder.failed_field(), reader.failed_at()});
  }
  return result;
}

template <class M>
std::expected<M, DecodeError> decode(Slice bytes, std::int16_t version,
                                     const DecodeLimits& limits) {
  Reader reader(std::move(bytes));
  std::expected<M, DecodeError> result = decode_next<M>(reader, version, limits);
  if (result && reader.remaining() > 0) {
    result = std::unexpected(
        DecodeError{DecodeError::Code::kTrailingBytes, M::info.name.data(), "", reader.position()});
  }
  return result;
}

template <class M, class Sink>
std::expected<void, EncodeError> encode_into(const M& message, std::int16_t version, Sink& sink) {
  if (!M::info.versions.contains(version)) {
    return std::unexpected(
        EncodeError{EncodeError::Code::kUnsupportedVersion, M::info.name.data(), ""});
  }
  Encoder<Sink> encoder(sink, version, M::info.is_flexible(version));
  encoder.message(message);
  if (!encoder.error()) return {};
  EncodeError error = *encoder.error();
  error.message = M::info.name.data();
  return std::unexpected(error);
}

template <class M>
std::expected<void, EncodeError> encode(const M& message, std::int16_t version, Writer& writer) {
  return encode_into(message, version, writer);
}

template <class M>
std::expected<Slice, EncodeError> encode_to_slice(const M& message, std::int16_t version) {
  Writer writer;
  if (auto done = encode(message, version, writer); !done) return std::unexpected(done.error());
  return std::move(writer).finish().flatten();
}

template <class M>
std::expected<std::uint64_t, EncodeError> encoded_size(const M& message, std::int16_t version) {
  SizeCounter counter;
  if (auto done = encode_into(message, version, counter); !done)
    return std::unexpected(done.error());
  return counter.size_bytes();
}

template <class M>
std::string print(const M& message, std::int16_t version) {
  Printer printer(version);
  printer.message(message);
  return std::move(printer).text();
}

template <class M>
std::expected<Gather, EncodeError> request_frame(std::int32_t correlation_id,
                                                 const std::optional<std::string>& client_id,
                                                 const M& body, std::int16_t version) {
  Writer writer;
  if (auto done = begin_request_frame(writer, M::info, version, correlation_id, client_id); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = encode(body, version, writer); !done) return std::unexpected(done.error());
  return finish_frame(std::move(writer), M::info);
}

template <class M>
std::expected<Gather, EncodeError> response_frame(std::int32_t correlation_id, const M& body,
                                                  std::int16_t version) {
  Writer writer;
  begin_response_frame(writer, M::info, version, correlation_id);
  if (auto done = encode(body, version, writer); !done) return std::unexpected(done.error());
  return finish_frame(std::move(writer), M::info);
}

}  // namespace ottla::wire

#define OTTLA_WIRE_MESSAGE(M)                                                                 \
  template std::expected<M, DecodeError> decode_next<M>(Reader&, std::int16_t,                \
                                                        const DecodeLimits&);                 \
  template std::expected<M, DecodeError> decode<M>(Slice, std::int16_t, const DecodeLimits&); \
  template std::expected<void, EncodeError> encode<M>(const M&, std::int16_t, Writer&);       \
  template std::expected<Slice, EncodeError> encode_to_slice<M>(const M&, std::int16_t);      \
  template std::expected<std::uint64_t, EncodeError> encoded_size<M>(const M&, std::int16_t); \
  template std::string print<M>(const M&, std::int16_t);

#define OTTLA_WIRE_REQUEST(M)                                   \
  template std::expected<Gather, EncodeError> request_frame<M>( \
      std::int32_t, const std::optional<std::string>&, const M&, std::int16_t);

#define OTTLA_WIRE_RESPONSE(M)                                                          \
  template std::expected<Gather, EncodeError> response_frame<M>(std::int32_t, const M&, \
                                                                std::int16_t);
