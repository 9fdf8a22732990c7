// Endpoints and feature ranges have the same fields in the requests and records that carry them,
// but a type of their own in each: here is the one place that copies them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "metadata/features.h"
#include "metadata/image.h"

namespace ottla::metadata {

template <class Wire>
EndpointImage endpoint_of(const Wire& wire) {
  return {wire.name, wire.host, wire.port, wire.security_protocol};
}

template <class Wire>
std::vector<EndpointImage> endpoints_of(const std::vector<Wire>& wires) {
  std::vector<EndpointImage> endpoints;
  endpoints.reserve(wires.size());
  for (const Wire& wire : wires) endpoints.push_back(endpoint_of(wire));
  return endpoints;
}

template <class Wire>
void add_endpoint(std::vector<Wire>& to, const EndpointImage& endpoint) {
  Wire& wire = to.emplace_back();
  wire.name = endpoint.listener;
  wire.host = endpoint.host;
  wire.port = endpoint.port;
  wire.security_protocol = endpoint.security_protocol;
}

template <class Wire>
void add_endpoints(std::vector<Wire>& to, const std::vector<EndpointImage>& endpoints) {
  for (const EndpointImage& endpoint : endpoints) add_endpoint(to, endpoint);
}

template <class Wire>
FeatureLevels features_of(const std::vector<Wire>& wires) {
  FeatureLevels features;
  for (const Wire& wire : wires)
    features[wire.name] = {wire.min_supported_version, wire.max_supported_version};
  return features;
}

template <class Wire>
void add_feature(std::vector<Wire>& to, std::string_view name, std::int16_t low,
                 std::int16_t high) {
  Wire& wire = to.emplace_back();
  wire.name = name;
  wire.min_supported_version = low;
  wire.max_supported_version = high;
}

template <class Wire>
void add_features(std::vector<Wire>& to, const FeatureLevels& features) {
  for (const auto& [name, levels] : features) add_feature(to, name, levels.first, levels.second);
}

// All that this build supports.
template <class Wire>
void add_supported_features(std::vector<Wire>& to) {
  for (const FeatureRange& range : supported_features())
    add_feature(to, range.name, range.min_level, range.max_level);
}

}  // namespace ottla::metadata
