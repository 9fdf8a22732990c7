// Which brokers get a partition's replicas, by hand or by turns; pure. For CreateTopics and
// CreatePartitions.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "metadata/image.h"
#include "metadata/record.h"
#include "metadata/refusal.h"

namespace ottla::metadata {

struct Placement {
  std::vector<NodeId> replicas;
  std::vector<NodeId> isr;  // those that are alive: never empty
};

// Neither fenced nor on their way out.
std::vector<NodeId> active_brokers(const Image& image);

// What a client has assigned to one partition; `factor` is the number of replicas that the topic's
// other partitions have.
std::expected<Placement, Refusal> place_by_hand(const Image& image, std::int32_t index,
                                                const std::vector<NodeId>& replicas,
                                                std::optional<std::size_t> factor);

// Of partitions [first, first + count): the active brokers take turns, the others come last and
// outside the ISR. REQUIRES: count <= kRecordsMax.
std::expected<std::vector<Placement>, Refusal> place_by_turns(const Image& image,
                                                              std::int32_t first,
                                                              std::int32_t count,
                                                              std::int16_t factor);

// A partition that begins there, led by the first of its ISR.
Record new_partition(const Image& image, const Uuid& topic, std::int32_t index,
                     const Placement& placement);

}  // namespace ottla::metadata
