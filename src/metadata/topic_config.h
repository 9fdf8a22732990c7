// Where a topic's config may be set, and which place counts: topic over dynamic broker over dynamic
// default of all brokers over the node's file (KIP-226). One order for who serves by it, who
// decides by it and who shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "metadata/config_definitions.h"
#include "metadata/image.h"

namespace ottla::metadata {

// The numbers are those of DescribeConfigs.
enum class ConfigSource : std::int8_t {
  topic = 1,
  dynamic_broker = 2,
  dynamic_default_broker = 3,
  static_broker = 4,
  standard = 5,
  group = 8,
};

struct TopicConfigLayers {
  const ConfigMap& topic;
  const ConfigMap& broker;   // dynamic, of this node
  const ConfigMap& cluster;  // dynamic, of all nodes
  const ConfigMap& node;     // of the node's file

  // `node_configs` must outlive this.
  static TopicConfigLayers of(const ConfigsImage& configs, const ConfigMap& node_configs,
                              NodeId node_id, std::string_view topic);

  struct Found {
    std::string_view value;
    ConfigSource source;
  };
  // By the topic config's name and that of the broker setting behind it; nullopt: nobody has set
  // it.
  std::optional<Found> find(std::string_view name, std::string_view node_name) const;
  // The default counts where nobody has set it.
  Found get(const ConfigDefinition& definition) const;
};

}  // namespace ottla::metadata
