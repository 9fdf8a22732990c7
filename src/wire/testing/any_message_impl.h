// The definitions behind any_message.h, for generated sources.
#pragma once

#include "wire/printer.h"
#include "wire/testing/any_message.h"
#include "wire/testing/json_reader.h"

namespace ottla::wire {

template <class M>
struct AnyMessageOf {
  using Pointer = AnyMessage::Pointer;
  static const M& at(const void* message) { return *static_cast<const M*>(message); }

  static Pointer random(std::uint64_t seed, std::int16_t version, FillOptions options) {
    auto message = std::make_shared<M>();
    RandomFiller(seed, version, M::info.is_flexible(version), options).message(*message);
    return message;
  }
  static std::expected<Pointer, DecodeError> decode(Slice bytes, std::int16_t version,
                                                    const DecodeLimits& limits) {
    auto message = wire::decode<M>(std::move(bytes), version, limits);
    if (!message) return std::unexpected(message.error());
    return std::make_shared<M>(*std::move(message));
  }
  static std::expected<Slice, EncodeError> encode(const void* message, std::int16_t version) {
    return encode_to_slice(at(message), version);
  }
  static std::expected<std::uint64_t, EncodeError> size(const void* message, std::int16_t version) {
    return encoded_size(at(message), version);
  }
  static std::string to_json(const void* message, std::int16_t version) {
    Printer printer(version, Printer::Style::kKafka);
    printer.message(at(message));
    return std::move(printer).text();
  }
  static std::expected<Pointer, std::string> from_json(std::string_view json,
                                                       std::int16_t version) {
    JsonDocument document(json);
    auto message = std::make_shared<M>();
    if (document.error().empty()) JsonReader(document.root(), version).message(*message);
    if (!document.error().empty()) return std::unexpected(document.error());
    return message;
  }
  static std::string print(const void* message, std::int16_t version) {
    return wire::print(at(message), version);
  }
  static bool equal(const void* left, const void* right) { return at(left) == at(right); }
};

template <class M>
constexpr AnyMessage any_message() {
  using Of = AnyMessageOf<M>;
  return {.info = &M::info,
          .random = Of::random,
          .decode = Of::decode,
          .encode = Of::encode,
          .encoded_size = Of::size,
          .to_json = Of::to_json,
          .from_json = Of::from_json,
          .print = Of::print,
          .equal = Of::equal};
}

}  // namespace ottla::wire
