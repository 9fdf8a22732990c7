// CreatePartitions of one topic (KIP-195); pure. Records that are there stay where they are, so the
// records of a key are in another partition from then on.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "metadata/image.h"
#include "metadata/record.h"
#include "metadata/refusal.h"

namespace ottla::metadata {

struct TopicGrowth {
  std::string topic;
  std::int32_t partitions = 0;  // afterwards
  // Brokers of each new partition; nullopt: they take turns.
  std::optional<std::vector<std::vector<NodeId>>> assignments;
  std::size_t new_partitions_max = 10'000;  // that the request may still make
};

// The new partitions. INVALID_PARTITIONS if they would not be more, POLICY_VIOLATION if they would
// be more than one request may make.
std::expected<std::vector<Record>, Refusal> grow_topic(const Image& image,
                                                       const TopicGrowth& wanted);

}  // namespace ottla::metadata
