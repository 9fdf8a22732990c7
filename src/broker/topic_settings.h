// What a topic's configs mean to the shard that serves its partitions: the topic's own values over
// the cluster's defaults over Kafka's.
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
};

// `node_configs` are those of this node's configuration file (log.segment.bytes and the like).
TopicSettings resolve_topic_settings(const metadata::ConfigsImage& configs,
                                     const metadata::ConfigMap& node_configs,
                                     std::string_view topic);

}  // namespace ottla::broker
