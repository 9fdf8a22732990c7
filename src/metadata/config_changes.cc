#include "metadata/config_changes.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

#include "metadata/features.h"
#include "storage/log_directory.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr std::string_view kMinInsync = "min.insync.replicas";

std::unexpected<Refusal> refuse(ErrorCode code, std::string message) {
  return std::unexpected(Refusal{code, std::move(message)});
}

// What the kinds of resource differ in.
struct Kind {
  std::string_view word;
  std::span<const ConfigDefinition> definitions;
  const ConfigDefinition* (*find)(std::string_view name);
  ErrorCode bad_value;  // Kafka has another for brokers
};

std::optional<Kind> kind_of(std::int8_t type) {
  switch (static_cast<ResourceType>(type)) {
    case ResourceType::topic:
      return Kind{"topic", topic_configs(), find_topic_config, ErrorCode::invalid_config};
    case ResourceType::broker:
      return Kind{"broker", broker_configs(), find_broker_config, ErrorCode::invalid_request};
    case ResourceType::group:
      return Kind{"group", group_configs(), find_group_config, ErrorCode::invalid_config};
    case ResourceType::broker_logger:
    case ResourceType::client_metrics:
      break;
  }
  return std::nullopt;
}

std::string why_no_configs(std::int8_t type) {
  switch (static_cast<ResourceType>(type)) {
    case ResourceType::broker_logger:
      return "Levels of loggers can't be changed while the node runs.";
    case ResourceType::client_metrics:
      return "Metrics of clients are not collected here.";
    default:
      return fmt::format("Unknown resource type {}", type);
  }
}

std::expected<void, Refusal> check_form(const ResourceChange& wanted) {
  std::set<std::string_view> names;
  std::vector<std::string_view> without_value;
  for (const ConfigChange& config : wanted.configs) {
    if (!names.insert(config.name).second)
      return refuse(ErrorCode::invalid_request, "Error due to duplicate config keys");
    if (!config.value && config.operation != static_cast<std::int8_t>(ConfigOperation::remove))
      without_value.push_back(config.name);
  }
  if (!without_value.empty()) {
    return refuse(ErrorCode::invalid_request,
                  fmt::format("Null value not supported for : {}", fmt::join(without_value, ", ")));
  }
  return {};
}

// Before anything is looked at in the image.
std::expected<void, Refusal> check_name(const ResourceChange& wanted) {
  const auto invalid = [](std::string message) {
    return refuse(ErrorCode::invalid_request, std::move(message));
  };
  switch (static_cast<ResourceType>(wanted.type)) {
    case ResourceType::topic:
      if (wanted.name.empty()) return invalid("Default topic resources are not allowed.");
      if (storage::topic_name_fault(wanted.name))
        return refuse(ErrorCode::invalid_topic_exception, topic_name_message(wanted.name));
      return {};
    case ResourceType::broker: {
      if (wanted.name.empty()) return {};
      NodeId id = -1;
      const char* end = wanted.name.data() + wanted.name.size();
      const auto [stop, error] = std::from_chars(wanted.name.data(), end, id);
      if (error != std::errc() || stop != end)
        return invalid("Unable to parse broker name as a base 10 number.");
      if (id < 0) return invalid("Invalid negative broker ID.");
      return {};
    }
    default:
      if (wanted.name.empty()) return invalid("Default group resources are not allowed.");
      return {};
  }
}

std::expected<void, Refusal> check_existence(const Image& image, const ResourceChange& wanted) {
  switch (static_cast<ResourceType>(wanted.type)) {
    case ResourceType::topic:
      if (image.topics->find(wanted.name)) return {};
      return refuse(ErrorCode::unknown_topic_or_partition,
                    fmt::format("The topic '{}' does not exist.", wanted.name));
    case ResourceType::broker:
      for (const auto& [id, broker] : image.brokers) {
        if (wanted.name == std::to_string(id)) return {};
      }
      if (wanted.name.empty()) return {};
      return refuse(ErrorCode::broker_id_not_registered,
                    fmt::format("No broker with id {} found.", wanted.name));
    default: {
      const auto& all = image.configs->by_resource;
      if (all.contains({ResourceType::group, wanted.name}) || all.size() < kResourcesWithConfigsMax)
        return {};
      return refuse(ErrorCode::policy_violation,
                    fmt::format("{} topics, brokers and groups have configs of their own already; "
                                "take those of groups that are gone away first.",
                                kResourcesWithConfigsMax));
    }
  }
}

// The list that an append or subtraction gives, from what is set or else the default.
std::string changed_list(const ConfigDefinition& definition, std::string_view before,
                         std::string_view items, bool appends) {
  std::vector<std::string_view> list = list_items(before);
  std::erase(list, std::string_view());
  for (const std::string_view item : list_items(items)) {
    if (appends) {
      if (std::ranges::find(list, item) == list.end()) list.push_back(item);
    } else {
      std::erase(list, item);
    }
  }
  return canonical_config(definition, fmt::format("{}", fmt::join(list, ",")));
}

struct NewValue {
  std::string name;
  std::optional<std::string> value;  // none: the config goes
};

std::expected<NewValue, Refusal> new_value(const Kind& kind, const ConfigMap& present,
                                           const ConfigChange& config) {
  if (config.operation < 0 ||
      config.operation > static_cast<std::int8_t>(ConfigOperation::subtract)) {
    return refuse(ErrorCode::invalid_request,
                  fmt::format("Unknown operations type {}", config.operation));
  }
  const auto operation = static_cast<ConfigOperation>(config.operation);
  const ConfigDefinition* definition = kind.find(config.name);
  if (operation == ConfigOperation::remove) return NewValue{config.name, std::nullopt};
  if (operation == ConfigOperation::append || operation == ConfigOperation::subtract) {
    const bool appends = operation == ConfigOperation::append;
    if (!definition || definition->type != ConfigType::list) {
      return refuse(ErrorCode::invalid_config,
                    fmt::format("Can't {} to key {} because its type is not LIST.",
                                appends ? "APPEND" : "SUBTRACT", config.name));
    }
    const auto at = present.find(config.name);
    const std::string_view before = at != present.end() ? at->second : definition->default_value;
    return NewValue{config.name, changed_list(*definition, before, *config.value, appends)};
  }
  if (!definition) return NewValue{config.name, *config.value};  // check_values() says so
  return NewValue{config.name, canonical_config(*definition, *config.value)};
}

std::expected<void, Refusal> check_values(const Kind& kind, const std::vector<NewValue>& values) {
  for (const NewValue& made : values) {
    if (made.value && !kind.find(made.name)) {
      return refuse(ErrorCode::invalid_config,
                    unknown_config_message(kind.word, kind.definitions, made.name));
    }
  }
  std::vector<std::string_view> read_only;
  for (const NewValue& made : values) {
    if (made.value && kind.find(made.name)->is_read_only) read_only.push_back(made.name);
  }
  if (!read_only.empty()) {
    return refuse(kind.bad_value, fmt::format("Cannot update these configs dynamically: [{}]",
                                              fmt::join(read_only, ", ")));
  }
  for (const NewValue& made : values) {
    if (!made.value) continue;
    if (const auto valid = validate_config(*kind.find(made.name), *made.value); !valid)
      return refuse(kind.bad_value, valid.error());
  }
  return {};
}

// The least ISR decides who is eligible, so it stands in one place: for the whole cluster
// (KIP-966).
std::expected<void, Refusal> check_min_insync(const ResourceChange& wanted,
                                              const std::vector<NewValue>& values) {
  const auto changed = std::ranges::find(values, kMinInsync, &NewValue::name);
  if (static_cast<ResourceType>(wanted.type) != ResourceType::broker || changed == values.end())
    return {};
  if (!wanted.name.empty()) {
    return refuse(ErrorCode::invalid_config,
                  "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
  }
  if (!changed->value) {
    return refuse(ErrorCode::invalid_config,
                  "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
  }
  return {};
}

std::vector<Record> records_for(const Image& image, const ResourceChange& wanted,
                                const ConfigMap& present, const std::vector<NewValue>& values) {
  std::vector<Record> records;
  bool changes_min_insync = false;
  for (const NewValue& made : values) {
    const auto at = present.find(made.name);
    const bool is_so_already =
        at == present.end() ? !made.value : made.value && *made.value == at->second;
    if (is_so_already) continue;
    changes_min_insync = changes_min_insync || made.name == kMinInsync;
    wire::ConfigRecord record;
    record.resource_type = wanted.type;
    record.resource_name = wanted.name;
    record.name = made.name;
    record.value = made.value;
    records.emplace_back(std::move(record));
  }
  // A new least size of the ISR makes those invalid that the old one made eligible.
  if (changes_min_insync && has_elr(image)) {
    wire::ClearElrRecord clear;
    if (static_cast<ResourceType>(wanted.type) == ResourceType::topic)
      clear.topic_name = wanted.name;
    records.emplace_back(std::move(clear));
  }
  return records;
}

}  // namespace

std::expected<std::vector<Record>, Refusal> change_configs(const Image& image,
                                                           const ResourceChange& wanted) {
  if (auto formed = check_form(wanted); !formed) return std::unexpected(std::move(formed.error()));
  const auto kind = kind_of(wanted.type);
  if (!kind) {
    return refuse(ErrorCode::invalid_request, why_no_configs(wanted.type));
  }
  const ConfigMap& present = image.configs->of(static_cast<ResourceType>(wanted.type), wanted.name);
  std::vector<NewValue> values;
  for (const ConfigChange& config : wanted.configs) {
    auto made = new_value(*kind, present, config);
    if (!made) return std::unexpected(std::move(made.error()));
    values.push_back(std::move(*made));
  }
  if (wanted.replaces_all) {
    for (const auto& [name, value] : present) {
      if (std::ranges::find(values, name, &NewValue::name) == values.end())
        values.push_back({name, std::nullopt});
    }
  }
  if (auto named = check_name(wanted); !named) return std::unexpected(std::move(named.error()));
  if (auto valid = check_values(*kind, values); !valid)
    return std::unexpected(std::move(valid.error()));
  if (has_elr(image)) {
    if (auto kept = check_min_insync(wanted, values); !kept)
      return std::unexpected(std::move(kept.error()));
  }
  if (static_cast<ResourceType>(wanted.type) == ResourceType::topic) {
    ConfigMap after = present;
    for (const NewValue& made : values) {
      after.erase(made.name);
      if (made.value) after.emplace(made.name, *made.value);
    }
    if (auto conflict = topic_configs_conflict(after))
      return refuse(ErrorCode::invalid_config, std::move(*conflict));
  }
  if (auto there = check_existence(image, wanted); !there)
    return std::unexpected(std::move(there.error()));
  return records_for(image, wanted, present, values);
}

std::optional<std::string> topic_configs_conflict(const ConfigMap& configs) {
  const auto value_of = [&](std::string_view name) {
    const auto own = configs.find(name);
    const std::string_view text = own != configs.end() ? std::string_view(own->second)
                                                       : find_topic_config(name)->default_value;
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  const std::int64_t least = value_of("min.compaction.lag.ms");
  const std::int64_t most = value_of("max.compaction.lag.ms");
  if (least <= most) return std::nullopt;
  return fmt::format(
      "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
      least, most);
}

bool has_elr(const Image& image) {
  const auto found = image.features.find(std::string(kElrVersion));
  return found != image.features.end() && found->second > 0;
}

std::string unknown_config_message(std::string_view kind, std::span<const ConfigDefinition> among,
                                   std::string_view name) {
  const std::string_view near = nearest_config(among, name);
  return fmt::format("Unknown {} config name: {}{}", kind, name,
                     near.empty() ? std::string() : fmt::format(" (did you mean {}?)", near));
}

std::string topic_name_message(std::string_view name) {
  constexpr std::size_t kTopicNameMax = 249;
  const auto says = [](std::string_view what) {
    return fmt::format("Topic name is invalid: {}", what);
  };
  if (name.empty()) return says("the empty string is not allowed");
  if (name == "." || name == "..") return says(fmt::format("'{}' is not allowed", name));
  if (name.size() > kTopicNameMax) {
    return says(fmt::format("the length of '{}' is longer than the max allowed length {}", name,
                            kTopicNameMax));
  }
  return says(fmt::format(
      "'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
      name));
}

}  // namespace ottla::metadata
