// The configs of topics, brokers and groups: type, default, range, synonyms and meaning. Names and
// defaults are Kafka's; what begins with `ottla.` is ours. CreateTopics and AlterConfigs validate
// by this table, DescribeConfigs answers from it, and the node's configuration file is read with
// it.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::metadata {

// The numbers are those of DescribeConfigs.
enum class ConfigType : std::int8_t {
  boolean = 1,
  string = 2,
  int32 = 3,
  int16 = 4,
  int64 = 5,
  float64 = 6,
  list = 7,
  class_name = 8,
  password = 9,
};

struct ConfigDefinition {
  std::string_view name;
  ConfigType type = ConfigType::string;
  std::string_view default_value;
  std::string_view documentation;
  double at_least = std::numeric_limits<double>::lowest();
  double at_most = std::numeric_limits<double>::max();
  std::string_view one_of = {};  // "a|b|c": for strings and numbers, and for each item of a list
  // Of a topic or group config: the broker setting that is its default.
  std::string_view node_name = {};
  bool is_read_only = false;  // of a broker config: needs a restart
  bool default_is_null = false;
  // Where Kafka does something that is not done here: why any other value than the default is
  // refused.
  std::string_view refused_because = {};
};

std::span<const ConfigDefinition> topic_configs();   // by name
std::span<const ConfigDefinition> broker_configs();  // by name
std::span<const ConfigDefinition> group_configs();   // by name

// Null if there is none of that name.
const ConfigDefinition* find_topic_config(std::string_view name);
const ConfigDefinition* find_broker_config(std::string_view name);
const ConfigDefinition* find_group_config(std::string_view name);

// What `value` is stored as: without the spaces around it, truth in lower case, and no item of a
// list twice.
std::string canonical_config(const ConfigDefinition& definition, std::string_view value);

// Whether `value`, in its canonical form, may be set; the error is a sentence for the user that
// names the config, the value and the rule.
std::expected<void, std::string> validate_config(const ConfigDefinition& definition,
                                                 std::string_view value);

// The items of a list, without the spaces around them; an empty list has none.
std::vector<std::string_view> list_items(std::string_view list);

// The name that is closest to a misspelt one, for messages; empty if none is near.
std::string_view nearest_config(std::span<const ConfigDefinition> among, std::string_view name);

}  // namespace ottla::metadata
