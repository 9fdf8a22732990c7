#include "cli/config_reference.h"

#include <fmt/format.h>
#include <limits>

#include "cli/settings.h"

namespace ottla::cli {
namespace {

using metadata::ConfigDefinition;
using metadata::ConfigType;

constexpr std::string_view kIntroduction = R"(# Configuration

*The tables are printed by `ottla config --markdown`; a test keeps this page equal to it.*

A node needs none: `ottla serve` alone is node 1 on port 9092 with its data in `./data`. Settings have
Kafka's names where Kafka has the setting; ours begin with `ottla.`. They come in layers, a later one
over an earlier one:

| Layer | Example |
|---|---|
| the default | see below |
| a TOML file, `--config FILE` (or `OTTLA_CONFIG`) | `log.dirs = "/var/lib/ottla"`, or `[log]` with `dirs = "/var/lib/ottla"` |
| the environment | `OTTLA_LOG_DIRS=/var/lib/ottla`: upper case, `_` for each `.`, without the `ottla.` of our own |
| flags | `--data-dir`, `--listen`, `--advertise`, `--node-id` |
| `--set KEY=VALUE`, for any of them | `--set num.partitions=4` |

`ottla serve --check` explains a file: every fault at once, each with file, line, key, cause and remedy
(exit code 2), or, if there is none, all settings in force and where each comes from. A name that is not
in the tables is refused, with the nearest one that is.

```toml
# /etc/ottla/node.toml
node.id = 1
listeners = ["PLAINTEXT://:9092"]
log.dirs = "/var/lib/ottla"
num.partitions = 4

[log.retention]
ms = 604800000
```

Lists may be written as TOML lists or as Kafka does, with commas.

## Listeners

`listeners` says where the node listens, as `NAME://host:port`; an empty host means every address, port
0 a free port. Names other than `PLAINTEXT` are mapped to a protocol by
`listener.security.protocol.map`; only PLAINTEXT is served yet. A listener that is named in
`controller.listener.names` serves controllers and is not shown to clients; without one, the controller
is reached inside the process only.

Without `advertised.listeners` each client is told **the address that it came to**, so that a client on
another machine, in another container or behind a forwarded port of the same number needs nothing
set. Where clients come by an address that the node does not see (a forwarded port of another number, a
load balancer), set it.

)";

std::string type_name(ConfigType type) {
  switch (type) {
    case ConfigType::boolean:
      return "true or false";
    case ConfigType::string:
      return "text";
    case ConfigType::int32:
      return "int32";
    case ConfigType::int16:
      return "int16";
    case ConfigType::int64:
      return "int64";
    case ConfigType::float64:
      return "number";
    case ConfigType::list:
      return "list";
    case ConfigType::class_name:
      return "class";
    case ConfigType::password:
      return "password";
  }
  return "";
}

// Whole numbers without an exponent.
std::string plain(double number) {
  const auto whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? std::to_string(whole) : fmt::format("{}", number);
}

std::string in_cell(std::string_view text) {
  std::string cell;
  for (const char letter : text) {
    if (letter == '|') cell += '\\';
    cell += letter;
  }
  return cell;
}

std::string default_of(const ConfigDefinition& definition) {
  if (definition.default_is_null) return "none";
  if (definition.default_value.empty()) return "empty";
  return fmt::format("`{}`", definition.default_value);
}

std::string node_table() {
  std::string table =
      "| Setting | Values | Default | Changes | Meaning |\n"
      "|---|---|---|---|---|\n";
  for (const ConfigDefinition& definition : metadata::broker_configs()) {
    table += fmt::format("| `{}` | {} | {} | {} | {} |\n", definition.name,
                         in_cell(describe_values(definition)), in_cell(default_of(definition)),
                         definition.is_read_only ? "restart" : "at once",
                         in_cell(definition.documentation));
  }
  return table;
}

std::string group_table() {
  std::string table =
      "| Config | Values | Default | Meaning |\n"
      "|---|---|---|---|\n";
  for (const ConfigDefinition& definition : metadata::group_configs()) {
    table += fmt::format("| `{}` | {} | {} | {} |\n", definition.name,
                         in_cell(describe_values(definition)), in_cell(default_of(definition)),
                         in_cell(definition.documentation));
  }
  return table;
}

std::string topic_table() {
  std::string table =
      "| Config | Values | Default | Default's setting of the node | Meaning |\n"
      "|---|---|---|---|---|\n";
  for (const ConfigDefinition& definition : metadata::topic_configs()) {
    table += fmt::format("| `{}` | {} | {} | {} | {} |\n", definition.name,
                         in_cell(describe_values(definition)), in_cell(default_of(definition)),
                         definition.node_name.empty() ? std::string("none")
                                                      : fmt::format("`{}`", definition.node_name),
                         in_cell(definition.documentation));
  }
  return table;
}

}  // namespace

std::string describe_values(const ConfigDefinition& definition) {
  if (!definition.refused_because.empty()) {
    const std::string only = definition.default_value.empty()
                                 ? std::string("empty")
                                 : std::string(definition.default_value);
    return fmt::format("only {}: {}", only, definition.refused_because);
  }
  std::string text = type_name(definition.type);
  if (!definition.one_of.empty()) {
    std::string choices;
    for (const char letter : definition.one_of) {
      if (letter == '|') choices += ", ";
      if (letter != '|') choices += letter;
    }
    return fmt::format("{}of {}", definition.type == ConfigType::list ? "list " : "one ", choices);
  }
  if (definition.at_least > std::numeric_limits<double>::lowest())
    text += fmt::format(", at least {}", plain(definition.at_least));
  if (definition.at_most < std::numeric_limits<double>::max())
    text += fmt::format(", at most {}", plain(definition.at_most));
  return text;
}

std::string configuration_page() {
  std::string page(kIntroduction);
  page +=
      "## Changes while a node runs\n\n"
      "Any Kafka client or tool (`kafka-configs.sh`) changes configs of topics, of one broker, of "
      "all brokers\n"
      "and of groups. What is changed is durable, and in force on this node, when the answer "
      "comes. Of several\n"
      "places the first counts: the topic, the broker, all brokers, the node's own settings, the "
      "default.\n\n"
      "Nothing is accepted that would have no effect: an unknown name, also of a broker (Kafka "
      "keeps those for\n"
      "plug-ins), a setting that needs a restart, and the few values in the tables below that are "
      "not done here\n"
      "are refused with the reason. `flush.messages` and `flush.ms` are always kept, since every "
      "acknowledged\n"
      "record is flushed; `local.retention.*` and `remote.log.*` mean something under tiered "
      "storage only, as in\n"
      "Kafka. An `APPEND` to a list that is not set begins with the default.\n\n"
      "## Settings of a node\n\n"
      "*Changes* says what it takes: *at once* can be changed while the node runs.\n\n" +
      node_table();
  page +=
      "\n## Configs of a topic\n\n"
      "Given to `ottla topic create --config NAME=VALUE`, or by any Kafka client.\n\n" +
      topic_table() +
      "\n## Configs of a group\n\n"
      "Of groups of the consumer protocol (KIP-848).\n\n" +
      group_table();
  return page;
}

}  // namespace ottla::cli
