// ApiVersions (key 18), v0 to v4. A newer version than ours is answered in version 0 with
// UNSUPPORTED_VERSION and our ranges, so that the client can ask again. v3 carries the client's
// name and version and is told the cluster's features; v4 may be told features whose lowest level
// is 0 (KAFKA-17011).
#include <algorithm>

#include "broker/api_table.h"
#include "broker/handlers/handlers.h"
#include "metadata/features.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"

namespace ottla::broker {
namespace {

constexpr std::int16_t kClientNameFrom = 3;
constexpr std::int16_t kZeroLevelsFrom = 4;

// [a-zA-Z0-9] at both ends, and - and . between (KIP-511).
bool is_software_name(const std::string& text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && is_plain(text.front()) && is_plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}

}  // namespace

void handle_api_versions(RequestContext context) {
  wire::ApiVersionsResponse response;
  const std::int16_t version = context.request.api_version;
  const ServedApi& self = *find_served(static_cast<std::int16_t>(wire::ApiKey::kApiVersions));
  if (!self.served.contains(version)) {
    response.error_code = static_cast<std::int16_t>(wire::ErrorCode::unsupported_version);
    auto& range = response.api_keys.emplace_back();
    range.api_key = static_cast<std::int16_t>(self.key);
    range.min_version = self.served.first;
    range.max_version = self.served.last;
    return context.answer(response, 0);
  }
  const auto request = context.decode<wire::ApiVersionsRequest>();
  if (!request) return;
  if (version >= kClientNameFrom && (!is_software_name(request->client_software_name) ||
                                     !is_software_name(request->client_software_version))) {
    response.error_code = static_cast<std::int16_t>(wire::ErrorCode::invalid_request);
    return context.answer(response);
  }
  for (const ServedApi& api : served_apis()) {
    auto& range = response.api_keys.emplace_back();
    range.api_key = static_cast<std::int16_t>(api.key);
    range.min_version = api.advertised_from;
    range.max_version = api.served.last;
  }
  if (version >= kClientNameFrom) {
    for (const metadata::FeatureRange& feature : metadata::supported_features()) {
      if (feature.min_level == 0 && version < kZeroLevelsFrom) continue;
      auto& supported = response.supported_features.emplace_back();
      supported.name = feature.name;
      supported.min_version = feature.min_level;
      supported.max_version = feature.max_level;
    }
    const metadata::ImagePtr& image = context.shard.image();
    response.finalized_features_epoch = image->provenance.offset;
    const auto add = [&](std::string_view name, std::int16_t level) {
      if (level == 0) return;
      auto& finalized = response.finalized_features.emplace_back();
      finalized.name = name;
      finalized.max_version_level = level;
      finalized.min_version_level = level;
    };
    for (const auto& [name, level] : image->features) add(name, level);
    add(metadata::kKraftVersion, image->kraft_version);
  }
  context.answer(response);
}

}  // namespace ottla::broker
