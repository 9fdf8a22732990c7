#include "metadata/topic_config.h"

#include <string>
#include <utility>

namespace ottla::metadata {

TopicConfigLayers TopicConfigLayers::of(const ConfigsImage& configs, const ConfigMap& node_configs,
                                        NodeId node_id, std::string_view topic) {
  return {configs.of(ResourceType::topic, topic),
          configs.of(ResourceType::broker, std::to_string(node_id)),
          configs.of(ResourceType::broker, ""), node_configs};
}

std::optional<TopicConfigLayers::Found> TopicConfigLayers::find(std::string_view name,
                                                                std::string_view node_name) const {
  if (const auto at = topic.find(name); at != topic.end())
    return Found{at->second, ConfigSource::topic};
  if (node_name.empty()) return std::nullopt;
  for (const auto& [layer, source] : {std::pair{&broker, ConfigSource::dynamic_broker},
                                      {&cluster, ConfigSource::dynamic_default_broker},
                                      {&node, ConfigSource::static_broker}}) {
    if (const auto at = layer->find(node_name); at != layer->end())
      return Found{at->second, source};
  }
  return std::nullopt;
}

TopicConfigLayers::Found TopicConfigLayers::get(const ConfigDefinition& definition) const {
  return find(definition.name, definition.node_name)
      .value_or(Found{definition.default_value, ConfigSource::standard});
}

}  // namespace ottla::metadata
