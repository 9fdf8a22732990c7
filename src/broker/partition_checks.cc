#include "broker/partition_checks.h"

namespace ottla::broker {

using wire::ErrorCode;

std::expected<PartitionPlace, ErrorCode> locate(const metadata::Image& image,
                                                const std::string& name, const Uuid& topic_id,
                                                PartitionIndex index, bool by_id) {
  const metadata::TopicImage* topic =
      by_id ? image.topics->find(topic_id) : image.topics->find(name);
  if (!topic) {
    return std::unexpected(by_id ? ErrorCode::unknown_topic_id
                                 : ErrorCode::unknown_topic_or_partition);
  }
  if (index < 0 || static_cast<std::size_t>(index) >= topic->partitions.size()) {
    return std::unexpected(ErrorCode::unknown_topic_or_partition);
  }
  return PartitionPlace{
      {topic->id, index}, topic, &topic->partitions[static_cast<std::size_t>(index)]};
}

std::expected<PartitionPlace, ErrorCode> locate_led(const Shard& shard, const std::string& name,
                                                    PartitionIndex index) {
  auto place = locate(*shard.image(), name, {}, index, false);
  if (place && place->partition->leader != shard.config.node_id)
    return std::unexpected(ErrorCode::not_leader_or_follower);
  return place;
}

ErrorCode check_leader_epoch(LeaderEpoch of_client, LeaderEpoch current) {
  if (of_client < 0 || of_client == current) return ErrorCode::none;
  return of_client < current ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch;
}

std::expected<HostedPartition*, ErrorCode> find_led(Shard& owner, const TopicIdPartition& id,
                                                    LeaderEpoch epoch_of_client) {
  HostedPartition* partition = owner.find(id);
  if (!partition) return std::unexpected(ErrorCode::not_leader_or_follower);
  const ErrorCode epoch = check_leader_epoch(epoch_of_client, partition->leader_epoch);
  if (epoch != ErrorCode::none) return std::unexpected(epoch);
  return partition;
}

}  // namespace ottla::broker
