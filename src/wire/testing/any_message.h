// AnyMessage: what tests and fuzzers do with every message alike, without naming its type.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wire/codec.h"
#include "wire/message.h"
#include "wire/testing/random_filler.h"

namespace ottla::wire {

struct AnyMessage {
  using Pointer = std::shared_ptr<void>;

  const MessageInfo* info;
  Pointer (*random)(std::uint64_t seed, std::int16_t version, FillOptions options);
  std::expected<Pointer, DecodeError> (*decode)(Slice bytes, std::int16_t version,
                                                const DecodeLimits& limits);
  std::expected<Slice, EncodeError> (*encode)(const void* message, std::int16_t version);
  std::expected<std::uint64_t, EncodeError> (*encoded_size)(const void* message,
                                                            std::int16_t version);
  std::string (*to_json)(const void* message, std::int16_t version);  // as Kafka's converters do
  std::expected<Pointer, std::string> (*from_json)(std::string_view json, std::int16_t version);
  std::string (*print)(const void* message, std::int16_t version);
  bool (*equal)(const void* left, const void* right);
};

// All of them, in the order of the schema's files.
std::vector<const AnyMessage*> all_messages();

// nullptr if there is none of that name.
const AnyMessage* find_message(std::string_view name);

}  // namespace ottla::wire
