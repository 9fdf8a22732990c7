#include "metadata/topic_growth.h"

#include <fmt/format.h>

#include "metadata/placement.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

std::unexpected<Refusal> refuse(ErrorCode code, std::string message) {
  return std::unexpected(Refusal{code, std::move(message)});
}

}  // namespace

std::expected<std::vector<Record>, Refusal> grow_topic(const Image& image,
                                                       const TopicGrowth& wanted) {
  const TopicImage* topic = image.topics->find(wanted.topic);
  if (!topic) return refuse(ErrorCode::unknown_topic_or_partition, {});
  const auto present = static_cast<std::int32_t>(topic->partitions.size());
  if (wanted.partitions == present) {
    return refuse(ErrorCode::invalid_partitions,
                  fmt::format("Topic already has {} partition(s).", present));
  }
  if (wanted.partitions < present) {
    return refuse(ErrorCode::invalid_partitions,
                  fmt::format("The topic {} currently has {} partition(s); {} would not be an "
                              "increase.",
                              wanted.topic, present, wanted.partitions));
  }
  const std::int32_t more = wanted.partitions - present;
  if (wanted.assignments && wanted.assignments->size() != static_cast<std::size_t>(more)) {
    return refuse(ErrorCode::invalid_replica_assignment,
                  fmt::format("Attempted to add {} additional partition(s), but only {} "
                              "assignment(s) were specified.",
                              more, wanted.assignments->size()));
  }
  if (static_cast<std::size_t>(more) > wanted.new_partitions_max) {
    return refuse(ErrorCode::policy_violation,
                  "Excessively large number of partitions per request.");
  }
  const std::size_t factor = topic->partitions.front().replicas.size();
  std::vector<Record> records;
  if (!wanted.assignments) {
    auto placements = place_by_turns(image, present, more, static_cast<std::int16_t>(factor));
    if (!placements) return std::unexpected(std::move(placements.error()));
    for (const Placement& placement : *placements) {
      records.push_back(new_partition(
          image, topic->id, present + static_cast<std::int32_t>(records.size()), placement));
    }
    return records;
  }
  for (const std::vector<NodeId>& replicas : *wanted.assignments) {
    const std::int32_t index = present + static_cast<std::int32_t>(records.size());
    auto placement = place_by_hand(image, index, replicas, factor);
    if (!placement) return std::unexpected(std::move(placement.error()));
    records.push_back(new_partition(image, topic->id, index, *placement));
  }
  return records;
}

}  // namespace ottla::metadata
