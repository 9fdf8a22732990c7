// What a topic's configs mean to the shard that serves its partitions: the topic's own values over
// the brokers' (metadata/topic_config.h) over Kafka's defaults.
#pragma once

#include <cstdint>
#include <string_view>

#include "metadata/image.h"
#include "storage/partition_log.h"
#include "wire/record_validation.h"

namespace ottla::broker {

struct TopicSettings {
  wire::ValidationSettings validation;
  storage::LogConfig log;
  std::int32_t min_insync_replicas = 1;
  std::int64_t segment_jitter_ms = 0;
};

// `node_configs` are those of this node's configuration file (log.segment.bytes and the like).
TopicSettings resolve_topic_settings(const metadata::ConfigsImage& configs,
                                     const metadata::ConfigMap& node_configs, NodeId node_id,
                                     std::string_view topic);

// Of one partition: segment.ms is shorter by its share of segment.jitter.ms, which is always the
// same one, so that partitions that began together do not all begin a segment at once.
storage::LogConfig log_config_of(const TopicSettings& settings, const TopicIdPartition& id);

}  // namespace ottla::broker
