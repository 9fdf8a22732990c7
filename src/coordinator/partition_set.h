// Sets of partitions as sorted vectors, and what is done with them when groups are reconciled.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "base/ids.h"

namespace ottla::coordinator {

using PartitionSet = std::vector<TopicIdPartition>;  // sorted, none twice

inline PartitionSet set_of(PartitionSet partitions) {
  std::ranges::sort(partitions);
  partitions.erase(std::ranges::unique(partitions).begin(), partitions.end());
  return partitions;
}

inline bool contains(const PartitionSet& set, const TopicIdPartition& partition) {
  return std::ranges::binary_search(set, partition);
}

inline PartitionSet in_both(const PartitionSet& left, const PartitionSet& right) {
  PartitionSet result;
  std::ranges::set_intersection(left, right, std::back_inserter(result));
  return result;
}

inline PartitionSet without(const PartitionSet& left, const PartitionSet& right) {
  PartitionSet result;
  std::ranges::set_difference(left, right, std::back_inserter(result));
  return result;
}

// Messages name partitions topic by topic.
template <class TopicPartitions>
PartitionSet partitions_in(const std::vector<TopicPartitions>& topics) {
  PartitionSet partitions;
  for (const auto& topic : topics) {
    for (const PartitionIndex index : topic.partitions)
      partitions.push_back({topic.topic_id, index});
  }
  return set_of(std::move(partitions));
}

template <class TopicPartitions>
std::vector<TopicPartitions> by_topic(const PartitionSet& partitions) {
  std::vector<TopicPartitions> topics;
  for (const TopicIdPartition& partition : partitions) {
    if (topics.empty() || topics.back().topic_id != partition.topic_id)
      topics.emplace_back().topic_id = partition.topic_id;
    topics.back().partitions.push_back(partition.partition);
  }
  return topics;
}

}  // namespace ottla::coordinator
