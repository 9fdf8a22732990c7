#include "cli/settings.h"

#include <algorithm>
#include <fmt/format.h>

#include "metadata/config_definitions.h"

namespace ottla::cli {
namespace {

using metadata::ConfigDefinition;

constexpr std::string_view kEnvironmentPrefix = "OTTLA_";
constexpr std::string_view kOwnPrefix = "ottla.";

// Read by the commands or by the project's scripts, not settings of a node.
constexpr std::string_view kOtherVariables[] = {"OTTLA_BOOTSTRAP", "OTTLA_CONFIG",
                                                "OTTLA_OUTPUT",    "OTTLA_FAULTS",
                                                "OTTLA_TRACE",     "OTTLA_TRACE_MARKER"};

// Kafka's names that have no place here, and what to write instead.
struct OldName {
  std::string_view name;
  std::string_view remedy;
};
constexpr OldName kOldNames[] = {
    {"broker.id", "Write node.id"},
    {"controller.quorum.bootstrap.servers", "Leave it out: a node is its own quorum of one"},
    {"controller.quorum.voters", "Leave it out: a node is its own quorum of one"},
    {"log.dir", "Write log.dirs"},
    {"log.retention.hours", "Write log.retention.ms"},
    {"log.retention.minutes", "Write log.retention.ms"},
    {"log.roll.hours", "Write log.roll.ms"},
    {"port", "Write listeners = \"PLAINTEXT://:PORT\""},
    {"process.roles", "Leave it out: a node is broker and controller"},
    {"zookeeper.connect", "Leave it out: there is no ZooKeeper"},
};

std::string unknown_remedy(std::string_view key) {
  for (const OldName& old : kOldNames) {
    if (old.name == key) return std::string(old.remedy);
  }
  if (const ConfigDefinition* topic = metadata::find_topic_config(key)) {
    if (!topic->node_name.empty()) {
      return fmt::format("It is a topic's config; its default for all topics is {}",
                         topic->node_name);
    }
    return "It is a topic's config: give it to `ottla topic create --config`";
  }
  const std::string_view nearest = metadata::nearest_config(metadata::broker_configs(), key);
  if (!nearest.empty()) return fmt::format("Did you mean {}?", nearest);
  return "`ottla config` lists all that there are";
}

// The rule alone out of Kafka's sentence, which repeats name and value.
std::string rule_of(const std::string& refusal) {
  const std::size_t at = refusal.find(": ");
  return at == std::string::npos ? refusal : refusal.substr(at + 2);
}

std::string default_remedy(const ConfigDefinition& definition) {
  if (definition.default_value.empty()) return "Correct it or leave it out";
  return fmt::format("Correct it or leave it out; the default is {}", definition.default_value);
}

bool is_shell_word(char letter) {
  return (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9');
}

// "OTTLA_LOG_DIRS" -> "log.dirs", only good for guessing what was meant.
std::string guessed_key(std::string_view variable) {
  std::string key;
  for (const char letter : variable.substr(kEnvironmentPrefix.size())) {
    key += letter == '_'                    ? '.'
           : letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32)
                                            : letter;
  }
  return key;
}

std::string quoted(std::string_view value) {
  std::string text = "\"";
  for (const char letter : value) {
    if (letter == '"' || letter == '\\') text += '\\';
    text += letter;
  }
  return text + '"';
}

std::string toml_value(const ConfigDefinition& definition, std::string_view value) {
  switch (definition.type) {
    case metadata::ConfigType::boolean:
    case metadata::ConfigType::int16:
    case metadata::ConfigType::int32:
    case metadata::ConfigType::int64:
    case metadata::ConfigType::float64:
      return std::string(value);
    case metadata::ConfigType::password:
      return quoted("***");
    case metadata::ConfigType::string:
    case metadata::ConfigType::list:
    case metadata::ConfigType::class_name:
      break;
  }
  return quoted(value);
}

}  // namespace

std::string SettingFault::to_string() const {
  std::string text = place;
  if (!key.empty()) text += fmt::format("{}{}", text.empty() ? "" : ": ", key);
  text += fmt::format(": {}.", cause);
  if (!remedy.empty()) text += fmt::format(" {}{}", remedy, remedy.ends_with('?') ? "" : ".");
  return text;
}

std::string environment_name(std::string_view key) {
  if (key.starts_with(kOwnPrefix)) key.remove_prefix(kOwnPrefix.size());
  std::string name(kEnvironmentPrefix);
  for (const char letter : key) {
    const char upper = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter;
    name += is_shell_word(upper) ? upper : '_';
  }
  return name;
}

void Settings::add(std::string_view key, std::string value, std::string place) {
  const ConfigDefinition* definition = metadata::find_broker_config(key);
  if (!definition) {
    faults_.push_back({std::move(place), std::string(key), "no such setting", unknown_remedy(key)});
    return;
  }
  if (auto valid = metadata::validate_config(*definition, value); !valid) {
    faults_.push_back({std::move(place), std::string(key),
                       fmt::format("\"{}\" is refused: {}", value, rule_of(valid.error())),
                       default_remedy(*definition)});
    return;
  }
  settings_.insert_or_assign(std::string(key), Setting{std::move(value), std::move(place)});
}

void Settings::add_file(std::string_view file_name, const std::vector<FileEntry>& entries) {
  for (const FileEntry& entry : entries) {
    add(entry.key, entry.value, fmt::format("{}:{}", file_name, entry.line));
  }
}

void Settings::add_environment(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::map<std::string, std::string_view> key_of;
  for (const ConfigDefinition& definition : metadata::broker_configs())
    key_of.emplace(environment_name(definition.name), definition.name);
  for (const auto& [name, value] : variables) {
    if (!name.starts_with(kEnvironmentPrefix)) continue;
    if (const auto found = key_of.find(name); found != key_of.end()) {
      add(found->second, value, name);
      continue;
    }
    if (std::ranges::find(kOtherVariables, name) != std::end(kOtherVariables)) continue;
    const std::string_view nearest =
        metadata::nearest_config(metadata::broker_configs(), guessed_key(name));
    if (nearest.empty()) continue;  // of somebody else
    faults_.push_back(
        {name, "", "no such setting", fmt::format("Did you mean {}?", environment_name(nearest))});
  }
}

void Settings::add_flag(std::string_view flag, std::string_view key, std::string value) {
  add(key, std::move(value), std::string(flag));
}

void Settings::add_assignment(std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    faults_.push_back(
        {"--set", std::string(assignment), "there is no value", "Write --set KEY=VALUE"});
    return;
  }
  add(assignment.substr(0, equals), std::string(assignment.substr(equals + 1)), "--set");
}

const Setting* Settings::find(std::string_view key) const {
  const auto found = settings_.find(key);
  return found == settings_.end() ? nullptr : &found->second;
}

std::string Settings::value_or_default(std::string_view key) const {
  if (const Setting* setting = find(key)) return setting->value;
  const ConfigDefinition* definition = metadata::find_broker_config(key);
  return definition ? std::string(definition->default_value) : std::string();
}

std::string Settings::place_of(std::string_view key) const {
  const Setting* setting = find(key);
  return setting ? setting->place : "default";
}

std::string effective_as_toml(const Settings& settings) {
  std::string text;
  for (const ConfigDefinition& definition : metadata::broker_configs()) {
    const Setting* setting = settings.find(definition.name);
    if (!setting && definition.default_is_null) continue;
    text += fmt::format("{} = {}  # {}\n", definition.name,
                        toml_value(definition, settings.value_or_default(definition.name)),
                        settings.place_of(definition.name));
  }
  return text;
}

}  // namespace ottla::cli
