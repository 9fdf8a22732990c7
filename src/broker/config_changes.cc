#include "broker/config_changes.h"

#include <charconv>
#include <fmt/format.h>

namespace ottla::broker {

std::optional<std::string> not_for_this_broker(const Shard& shard, std::int8_t resource_type,
                                               const std::string& resource_name) {
  if (static_cast<metadata::ResourceType>(resource_type) != metadata::ResourceType::broker ||
      resource_name.empty() || resource_name == std::to_string(shard.config.node_id)) {
    return std::nullopt;
  }
  NodeId id = -1;
  const char* end = resource_name.data() + resource_name.size();
  const auto [stop, error] = std::from_chars(resource_name.data(), end, id);
  if (error != std::errc() || stop != end)
    return fmt::format("Node id must be an integer, but it is: {}", resource_name);
  return fmt::format("Unexpected broker id, expected {}, but received {}", shard.config.node_id,
                     resource_name);
}

}  // namespace ottla::broker
