#include "wire/testing/message_fuzzing.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "wire/header.h"
#include "wire/testing/any_message.h"

namespace ottla::wire::testing {
namespace {

// Small enough that a fuzzer finds what breaks them.
constexpr DecodeLimits kLimits{.array_elements_max = 100'000, .decoded_bytes_max = 32u << 20};

void judge(const AnyMessage& message, const Slice& bytes, std::int16_t version) {
  const auto decoded = message.decode(bytes, version, kLimits);
  if (!decoded) {
    OTTLA_CHECK(decoded.error().code != DecodeError::Code::kNone);
    OTTLA_CHECK(decoded.error().position <= bytes.size());
    OTTLA_CHECK(!decoded.error().to_string().empty());
    return;
  }
  OTTLA_CHECK(!message.print(decoded->get(), version).empty());
  const auto encoded = message.encode(decoded->get(), version);
  OTTLA_CHECK(encoded.has_value());
  OTTLA_CHECK(message.encoded_size(decoded->get(), version).value() == encoded->size());
  const auto again = message.decode(*encoded, version, {});
  OTTLA_CHECK(again.has_value());
  // Bytes, not values: a float may be a NaN.
  OTTLA_CHECK(message.encode(again->get(), version).value() == *encoded);
}

}  // namespace

void fuzz_message(ByteView data, std::initializer_list<MessageKind> kinds) {
  if (data.size() < 2) return;
  std::vector<const AnyMessage*> family;
  for (const AnyMessage* message : all_messages()) {
    if (std::ranges::find(kinds, message->info->kind) == kinds.end()) continue;
    if (!message->info->versions.empty()) family.push_back(message);
  }
  const AnyMessage& message = *family[data[0] % family.size()];
  const Versions versions = message.info->versions;
  const int version = versions.first + data[1] % (versions.last - versions.first + 1);
  judge(message, Slice::copy_of(data.subspan(2)), static_cast<std::int16_t>(version));
}

void fuzz_request_frame(ByteView data) {
  const Slice frame = Slice::copy_of(data);
  const auto header = parse_request_header(frame);
  if (!header || !header->is_version_known()) return;
  OTTLA_CHECK(header->body_offset <= frame.size());
  for (const AnyMessage* message : all_messages()) {
    if (message->info->kind != MessageKind::kRequest || message->info->key != header->api_key)
      continue;
    judge(*message, frame.subslice(header->body_offset, frame.size() - header->body_offset),
          header->api_version);
  }
}

}  // namespace ottla::wire::testing
