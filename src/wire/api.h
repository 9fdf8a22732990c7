// The table of Kafka's APIs, generated from schema/api: what exists, not what a broker serves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/api_key.h"
#include "wire/message.h"

namespace ottla::wire {

// Where Kafka serves an API.
inline constexpr std::uint8_t kOnBroker = 1;
inline constexpr std::uint8_t kOnController = 2;

struct ApiInfo {
  ApiKey key;
  std::string_view name;         // "Produce"
  Versions versions;             // empty for an API that Kafka no longer has
  std::int16_t flexible_from;    // kVersionMax: never
  std::uint8_t listeners;        // kOnBroker | kOnController
  bool latest_version_unstable;  // Kafka does not offer the last version unless told to

  // Of the header before a request, respectively response, of this version.
  constexpr std::int16_t request_header_version(std::int16_t version) const {
    return version >= flexible_from ? 2 : 1;
  }
  constexpr std::int16_t response_header_version(std::int16_t version) const {
    // An answer to ApiVersions must be readable by a client that does not know yet what the broker
    // speaks.
    return key != ApiKey::kApiVersions && version >= flexible_from ? 1 : 0;
  }
};

// By ascending key.
extern const ApiInfo kApis[];
extern const std::size_t kApiCount;
inline std::span<const ApiInfo> apis() { return {kApis, kApiCount}; }

// nullptr if there is no such API. Constant time.
const ApiInfo* find_api(std::int16_t key);

}  // namespace ottla::wire
