// The cluster features that this build knows, and the levels of each (KIP-584). What is claimed
// here must be spoken: metadata.version also dictates the versions between brokers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ottla::metadata {

struct FeatureRange {
  std::string_view name;
  std::int16_t min_level = 0;
  std::int16_t max_level = 0;
  std::int16_t initial_level = 0;  // of a newly formatted cluster
};

inline constexpr std::string_view kMetadataVersion = "metadata.version";
inline constexpr std::string_view kKraftVersion = "kraft.version";
inline constexpr std::string_view kElrVersion = "eligible.leader.replicas.version";

// By name. kraft.version is supported and negotiated like the others, but its level stands in
// control records.
std::span<const FeatureRange> supported_features();

}  // namespace ottla::metadata
