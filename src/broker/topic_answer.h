// What Metadata and DescribeTopicPartitions say alike of a topic.
#pragma once

#include <cstdint>
#include <string_view>

#include "metadata/image.h"
#include "wire/errors.h"

namespace ottla::broker {

// Kafka's own topics; never deleted or written to by chance.
bool is_internal_topic(std::string_view name);

// What anybody may do without an authorizer, as a bit field of operation codes (AclOperation).
inline constexpr std::int32_t kTopicOperationsAll =
    0xdf8;  // read .. describe, describe and alter configs
inline constexpr std::int32_t kClusterOperationsAll =
    0x1fa0;  // create, alter, describe, cluster action, configs, idempotent write
inline constexpr std::int32_t kGroupOperationsAll =
    0xd48;  // read, delete, describe, describe and alter configs
inline constexpr std::int32_t kOperationsNotAsked = INT32_MIN;

// Kafka's two words for a topic that is not there: its name could never be one, or nobody has made
// it.
wire::ErrorCode missing_topic_error(std::string_view name);

// The fields which both answers have under the same names.
template <class PartitionAnswer>
void describe_partition(const metadata::Image& image, const metadata::PartitionImage& partition,
                        std::int32_t index, PartitionAnswer& answer) {
  answer.partition_index = index;
  answer.leader_id = partition.leader;
  answer.leader_epoch = partition.leader_epoch;
  answer.replica_nodes = partition.replicas;
  answer.isr_nodes = partition.isr;
  for (const NodeId replica : partition.replicas) {
    const auto broker = image.brokers.find(replica);
    if (broker == image.brokers.end() || broker->second.is_fenced)
      answer.offline_replicas.push_back(replica);
  }
  if (partition.leader < 0)
    answer.error_code = static_cast<std::int16_t>(wire::ErrorCode::leader_not_available);
}

}  // namespace ottla::broker
