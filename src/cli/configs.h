// Configs of topics, brokers and groups, as commands show and change them: over Kafka's protocol,
// so of any cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster.h"

namespace ottla::cli {

// The numbers are those of DescribeConfigs.
enum class ConfigResource : std::int8_t { topic = 2, broker = 4, group = 32 };

struct ConfigTarget {
  ConfigResource kind = ConfigResource::topic;
  std::string name;              // of a broker its id; empty: all brokers
  std::string describe() const;  // "topic 'orders'"
};

struct ConfigChange {
  std::string name;
  std::int8_t operation = 0;  // of IncrementalAlterConfigs
  std::optional<std::string> value;
};

// What flags ask for, each a NAME=VALUE or, of `removed`, a NAME.
struct ConfigChangeFlags {
  std::vector<std::string> set, removed, appended, subtracted;
};
Answer<std::vector<ConfigChange>> parse_changes(const ConfigChangeFlags& flags);

io::Task<Answer<>> change_configs(Cluster& cluster, ConfigTarget target,
                                  std::vector<ConfigChange> changes, bool dry_run);

struct ShownConfig {
  std::string name;
  std::optional<std::string> value;
  std::string source;  // "topic", "broker", "all brokers", "file", "group", "default"
  bool is_read_only = false;
  std::string documentation;
};

// By name.
io::Task<Answer<std::vector<ShownConfig>>> describe_configs(Cluster& cluster, ConfigTarget target);

// The new number of a topic's partitions.
io::Task<Answer<>> add_partitions(Cluster& cluster, std::string topic, std::int32_t count,
                                  bool dry_run);

}  // namespace ottla::cli
