// What AlterConfigs (KIP-133) and IncrementalAlterConfigs (KIP-339) do to one resource: a topic,
// one broker, all brokers (the broker named ""), or a group. Pure: the image and a wish in, records
// or a refusal out. The controller's rules call it; nothing of a resource changes if one of its
// configs is refused.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/config_definitions.h"
#include "metadata/image.h"
#include "metadata/record.h"
#include "metadata/refusal.h"

namespace ottla::metadata {

// Once as many resources have configs, no further group gets some: the number of groups is the
// clients' to choose.
inline constexpr std::size_t kResourcesWithConfigsMax = 100'000;

// The numbers are those of the request.
enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct ConfigChange {
  std::string name;
  std::int8_t operation = 0;  // as it came: may be none that there is
  std::optional<std::string> value;
};

struct ResourceChange {
  std::int8_t type = 0;  // as it came
  std::string name;
  std::vector<ConfigChange> configs;
  bool replaces_all = false;  // AlterConfigs: what it does not name goes
};

// The records, which are none for what is so already. What Kafka accepts and does not do is
// refused: an unknown config of a broker, one that needs a restart, a value of which nothing would
// come (ConfigDefinition::refused_because).
std::expected<std::vector<Record>, Refusal> change_configs(const Image& image,
                                                           const ResourceChange& wanted);

// Why this set of a topic's configs can't be although each of them could; nullopt if it can.
std::optional<std::string> topic_configs_conflict(const ConfigMap& configs);

// Whether eligible leader replicas are on (KIP-966).
bool has_elr(const Image& image);

// "Topic name is invalid: ..." for a name that storage::topic_name_fault does not let through.
std::string topic_name_message(std::string_view name);

// "Unknown topic config name: ...", with the nearest one that there is.
std::string unknown_config_message(std::string_view kind, std::span<const ConfigDefinition> among,
                                   std::string_view name);

}  // namespace ottla::metadata
