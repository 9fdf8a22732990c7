// decode() and encode() for every generated message (include its header from wire/messages/).
// Templates that are declared here and instantiated in generated sources, so that including this
// costs little.
//
// Bytes from outside are never trusted: each length and count is checked against what is left and
// against DecodeLimits before memory is taken. Depth needs no limit: a message cannot contain
// itself (the generator refuses that).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/gather.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace ottla::wire {

// The most that one message may hold.
inline constexpr std::uint32_t kArrayElementsMax = 1'000'000;  // in one array
inline constexpr std::uint32_t kTaggedFieldsMax = 10'000;      // in one struct
inline constexpr std::uint32_t kStringBytesMax =
    32'767;  // as in Kafka: a string's length is an int16
inline constexpr std::size_t kDecodedBytesMax =
    256u << 20;  // memory of all arrays of one message together

struct DecodeLimits {
  std::uint32_t array_elements_max = kArrayElementsMax;
  std::size_t decoded_bytes_max = kDecodedBytesMax;
};

struct EncodeError {
  enum class Code : std::uint8_t {
    kUnsupportedVersion,  // the message has no such version
    kFieldNotInVersion,   // a field that may not be ignored is set, and this version lacks it
    kNullNotAllowed,      // null where this version cannot say so
    kTooLong,             // a string of more than kStringBytesMax bytes, or 2 GiB of anything
    kTagsNotInVersion,    // unknown tagged fields, and this version has none
    kTagsOutOfOrder,      // unknown tagged fields out of order, or with the number of a known one
  };
  Code code = Code::kUnsupportedVersion;
  const char* message = "";  // "FetchRequest"
  const char* field = "";    // "Topics"; empty if it concerns the message as a whole
  std::string to_string() const;
};

// Reads a whole message. Bytes after its end are an error.
// Records and zero-copy fields of the result share the memory of `bytes`.
template <class M>
std::expected<M, DecodeError> decode(Slice bytes, std::int16_t version,
                                     const DecodeLimits& limits = {});

// Reads a message where `reader` stands, and leaves the reader behind it, or failed. For what
// follows a header.
template <class M>
std::expected<M, DecodeError> decode_next(Reader& reader, std::int16_t version,
                                          const DecodeLimits& limits = {});

// Appends the message to `writer`. After an error the writer holds a part of it and must be thrown
// away.
template <class M>
std::expected<void, EncodeError> encode(const M& message, std::int16_t version, Writer& writer);

// The same as bytes. REQUIRES: no Records in it that lie in a file.
template <class M>
std::expected<Slice, EncodeError> encode_to_slice(const M& message, std::int16_t version);

// How many bytes encode() would append, Records included.
template <class M>
std::expected<std::uint64_t, EncodeError> encoded_size(const M& message, std::int16_t version);

// One line for a log or a person, JSON-like: secrets as "***", Records as their size, long arrays
// and bytes cut.
template <class M>
std::string print(const M& message, std::int16_t version);

// A complete frame, length included: header and body. Only for requests, respectively responses.
// The header's version follows from the body's (ApiVersions answers always carry header 0).
template <class M>
std::expected<Gather, EncodeError> request_frame(std::int32_t correlation_id,
                                                 const std::optional<std::string>& client_id,
                                                 const M& body, std::int16_t version);
template <class M>
std::expected<Gather, EncodeError> response_frame(std::int32_t correlation_id, const M& body,
                                                  std::int16_t version);

}  // namespace ottla::wire
