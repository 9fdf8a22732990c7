// What every request about a partition is checked for first.
#pragma once

#include <expected>
#include <string>

#include "broker/shard.h"
#include "wire/errors.h"

namespace ottla::broker {

// The topic's partition in the image that this shard serves, or why it can't be had. A topic is
// named by id if the id is not zero.
struct PartitionPlace {
  TopicIdPartition id;
  const metadata::TopicImage* topic = nullptr;
  const metadata::PartitionImage* partition = nullptr;
};
std::expected<PartitionPlace, wire::ErrorCode> locate(const metadata::Image& image,
                                                      const std::string& name, const Uuid& topic_id,
                                                      PartitionIndex index, bool by_id);

// The same by name, and this node must lead it.
std::expected<PartitionPlace, wire::ErrorCode> locate_led(const Shard& shard,
                                                          const std::string& name,
                                                          PartitionIndex index);

// A client's idea of the leader epoch (KIP-320): older is FENCED_LEADER_EPOCH, newer
// UNKNOWN_LEADER_EPOCH; -1 is none.
wire::ErrorCode check_leader_epoch(LeaderEpoch of_client, LeaderEpoch current);

// The partition on its own shard, if this node leads it and the epoch is right.
std::expected<HostedPartition*, wire::ErrorCode> find_led(Shard& owner, const TopicIdPartition& id,
                                                          LeaderEpoch epoch_of_client);

}  // namespace ottla::broker
