// The settings of one node, typed. Read from file, environment and flags by cli/; names and
// defaults are Kafka's where Kafka has the setting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "coordinator/group_machine.h"
#include "io/network.h"
#include "metadata/image.h"
#include "rpc/server_connection.h"
#include "storage/store.h"

namespace ottla::broker {

struct ListenerConfig {
  std::string name;  // "PLAINTEXT"
  io::Endpoint bind;
  // What clients are told; without it, the address that each of them used to come here.
  std::optional<io::Endpoint> advertised;
  bool is_controller = false;
};

struct NodeConfig {
  NodeId node_id = 1;      // node.id
  std::string cluster_id;  // only to format an empty folder; else from meta.properties
  std::vector<ListenerConfig> listeners;  // listeners, advertised.listeners
  std::string log_dir;                    // log.dirs
  std::string rack;                       // broker.rack
  bool auto_create_topics = true;         // auto.create.topics.enable
  std::int32_t num_partitions = 1;        // num.partitions
  std::int16_t default_replication_factor = 1;
  std::int32_t fetch_max_bytes = 57'671'680;    // fetch.max.bytes
  std::size_t fetch_sessions_max = 1000;        // max.incremental.fetch.session.cache.slots
  std::int32_t describe_partitions_max = 2000;  // max.request.partition.size.limit
  std::int64_t fetch_wait_ms_max =
      5 * 60 * 1000;                              // a longer max.wait.ms of a client is cut to this
  std::uint64_t queued_bytes_max = 256ull << 20;  // queued.max.request.bytes: of a shard, in memory
  std::size_t connections_max = 100'000;          // max.connections: of a shard
  std::int64_t shutdown_grace_ms = 5000;          // for requests under way when the node stops
  std::int64_t heartbeat_interval_ms = 2000;      // broker.heartbeat.interval.ms
  std::int64_t session_timeout_ms = 9000;         // broker.session.timeout.ms, of the controller
  coordinator::GroupLimits groups;
  std::int32_t offsets_topic_partitions = 50;                    // offsets.topic.num.partitions
  std::optional<std::int16_t> offsets_topic_replication_factor;  // none: min(3, brokers)
  std::int32_t offsets_topic_segment_bytes = 100 << 20;          // offsets.topic.segment.bytes
  rpc::ServerLimits server;
  storage::StoreLimits store;
  metadata::ConfigMap
      broker_configs;  // everything that was set, by Kafka's names, for DescribeConfigs and topics
};

}  // namespace ottla::broker
