#include "metadata/placement.h"

#include <algorithm>
#include <fmt/format.h>

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

bool contains(const std::vector<NodeId>& ids, NodeId id) {
  return std::ranges::find(ids, id) != ids.end();
}

std::unexpected<Refusal> refuse(ErrorCode code, std::string message) {
  return std::unexpected(Refusal{code, std::move(message)});
}

Uuid directory_of(const Image& image, NodeId broker) {
  const auto found = image.brokers.find(broker);
  if (found == image.brokers.end() || found->second.directories.size() != 1)
    return kDirectoryUnassigned;
  return found->second.directories.front();
}

}  // namespace

std::vector<NodeId> active_brokers(const Image& image) {
  std::vector<NodeId> active;
  for (const auto& [id, broker] : image.brokers) {
    if (!broker.is_fenced && !broker.is_shutting_down) active.push_back(id);
  }
  return active;
}

std::expected<Placement, Refusal> place_by_hand(const Image& image, std::int32_t index,
                                                const std::vector<NodeId>& replicas,
                                                std::optional<std::size_t> factor) {
  const auto invalid = [](std::string message) {
    return refuse(ErrorCode::invalid_replica_assignment, std::move(message));
  };
  if (replicas.empty())
    return invalid("The manual partition assignment includes an empty replica list.");
  if (factor && replicas.size() != *factor) {
    return invalid(
        fmt::format("The manual partition assignment includes a partition with {} replica(s), but "
                    "this is not consistent with previous partitions, which have {} replica(s).",
                    replicas.size(), *factor));
  }
  const std::vector<NodeId> active = active_brokers(image);
  Placement placement{.replicas = replicas, .isr = {}};
  for (const NodeId id : replicas) {
    if (std::ranges::count(replicas, id) > 1) {
      return invalid(fmt::format(
          "The manual partition assignment includes the broker {} more than once.", id));
    }
    if (!image.brokers.contains(id)) {
      return invalid(fmt::format(
          "The manual partition assignment includes broker {}, but no such broker is registered.",
          id));
    }
    if (contains(active, id)) placement.isr.push_back(id);
  }
  if (placement.isr.empty()) {
    return invalid(
        fmt::format("All brokers specified in the manual partition assignment for partition {} are "
                    "fenced or in controlled shutdown.",
                    index));
  }
  return placement;
}

std::expected<std::vector<Placement>, Refusal> place_by_turns(const Image& image,
                                                              std::int32_t first,
                                                              std::int32_t count,
                                                              std::int16_t factor) {
  const auto unable = [&](std::string_view why) {
    return refuse(ErrorCode::invalid_replication_factor,
                  fmt::format("Unable to replicate the partition {} time(s): {}", factor, why));
  };
  const auto wanted = static_cast<std::size_t>(factor);
  if (wanted > image.brokers.size()) {
    return unable(
        fmt::format("The target replication factor of {} cannot be reached because only {} "
                    "broker(s) are registered or some brokers have all their log directories "
                    "cordoned.",
                    factor, image.brokers.size()));
  }
  const std::vector<NodeId> active = active_brokers(image);
  if (active.empty()) return unable("All brokers are currently fenced.");
  std::vector<NodeId> others;  // take the places that are left, outside the ISR
  for (const auto& [id, broker] : image.brokers) {
    if (!contains(active, id)) others.push_back(id);
  }
  std::vector<Placement> placements;
  for (std::int32_t index = first; index < first + count; ++index) {
    const auto at = static_cast<std::size_t>(index);
    Placement& placement = placements.emplace_back();
    for (std::size_t k = 0; k < std::min(wanted, active.size()); ++k)
      placement.isr.push_back(active[(at + k) % active.size()]);
    placement.replicas = placement.isr;
    for (std::size_t k = 0; placement.replicas.size() < wanted; ++k)
      placement.replicas.push_back(others[(at + k) % others.size()]);
  }
  return placements;
}

Record new_partition(const Image& image, const Uuid& topic, std::int32_t index,
                     const Placement& placement) {
  wire::PartitionRecord record;
  record.partition_id = index;
  record.topic_id = topic;
  record.replicas = placement.replicas;
  record.isr = placement.isr;
  record.leader = placement.isr.front();
  record.leader_epoch = 0;
  record.partition_epoch = 0;
  for (const NodeId replica : placement.replicas)
    record.directories.push_back(directory_of(image, replica));
  return record;
}

}  // namespace ottla::metadata
