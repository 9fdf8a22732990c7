#include "broker/api_table.h"

#include <algorithm>

#include "broker/handlers/handlers.h"

namespace ottla::broker {
namespace {

using wire::ApiKey;

constexpr ServedApi all_versions(ApiKey key, wire::Versions versions, Handler handler) {
  return {key, versions, versions.first, handler};
}

constexpr ServedApi kServed[] = {
    // librdkafka before 2.12 sends nothing compressed to a broker that does not offer Produce from
    // 0 (KAFKA-18659)
    {ApiKey::kProduce, {3, 13}, 0, handle_produce},
    all_versions(ApiKey::kFetch, {4, 18}, handle_fetch),
    all_versions(ApiKey::kListOffsets, {1, 11}, handle_list_offsets),
    all_versions(ApiKey::kMetadata, {0, 13}, handle_metadata),
    all_versions(ApiKey::kOffsetCommit, {2, 10}, handle_offset_commit),
    all_versions(ApiKey::kOffsetFetch, {1, 10}, handle_offset_fetch),
    all_versions(ApiKey::kFindCoordinator, {0, 6}, handle_find_coordinator),
    all_versions(ApiKey::kJoinGroup, {0, 9}, handle_join_group),
    all_versions(ApiKey::kHeartbeat, {0, 4}, handle_heartbeat),
    all_versions(ApiKey::kLeaveGroup, {0, 5}, handle_leave_group),
    all_versions(ApiKey::kSyncGroup, {0, 5}, handle_sync_group),
    all_versions(ApiKey::kDescribeGroups, {0, 6}, handle_describe_groups),
    all_versions(ApiKey::kListGroups, {0, 5}, handle_list_groups),
    all_versions(ApiKey::kApiVersions, {0, 4}, handle_api_versions),
    all_versions(ApiKey::kCreateTopics, {2, 7}, handle_create_topics),
    all_versions(ApiKey::kDeleteTopics, {1, 6}, handle_delete_topics),
    all_versions(ApiKey::kDeleteRecords, {0, 2}, handle_delete_records),
    all_versions(ApiKey::kInitProducerId, {0, 5}, handle_init_producer_id),
    all_versions(ApiKey::kOffsetForLeaderEpoch, {2, 4}, handle_offset_for_leader_epoch),
    all_versions(ApiKey::kDescribeConfigs, {1, 4}, handle_describe_configs),
    all_versions(ApiKey::kAlterConfigs, {0, 2}, handle_alter_configs),
    all_versions(ApiKey::kDescribeLogDirs, {1, 5}, handle_describe_log_dirs),
    all_versions(ApiKey::kCreatePartitions, {0, 3}, handle_create_partitions),
    all_versions(ApiKey::kDeleteGroups, {0, 2}, handle_delete_groups),
    all_versions(ApiKey::kIncrementalAlterConfigs, {0, 1}, handle_incremental_alter_configs),
    all_versions(ApiKey::kOffsetDelete, {0, 0}, handle_offset_delete),
    all_versions(ApiKey::kDescribeCluster, {0, 2}, handle_describe_cluster),
    all_versions(ApiKey::kDescribeProducers, {0, 0}, handle_describe_producers),
    all_versions(ApiKey::kConsumerGroupHeartbeat, {0, 1}, handle_consumer_group_heartbeat),
    all_versions(ApiKey::kConsumerGroupDescribe, {0, 1}, handle_consumer_group_describe),
    all_versions(ApiKey::kDescribeTopicPartitions, {0, 0}, handle_describe_topic_partitions),
};
static_assert(std::ranges::is_sorted(kServed, {}, &ServedApi::key));

}  // namespace

std::span<const ServedApi> served_apis() { return kServed; }

const ServedApi* find_served(std::int16_t key) {
  const auto found =
      std::ranges::lower_bound(kServed, static_cast<ApiKey>(key), {}, &ServedApi::key);
  return found != std::end(kServed) && found->key == static_cast<ApiKey>(key) ? &*found : nullptr;
}

}  // namespace ottla::broker
