// `ottla serve`: runs a node. Settings come from a file, the environment and flags, later over
// earlier; --check explains them instead.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/node_settings.h"
#include "cli/process.h"
#include "cli/run_node.h"
#include "cli/settings.h"
#include "cli/toml_file.h"
#include "metadata/config_definitions.h"

namespace ottla::cli {
namespace {

constexpr const char* kFooter = R"(
Settings have Kafka's names (`ottla config` lists them) and come, later over earlier, from
  1. --config FILE         TOML: log.dirs = "/var/lib/ottla", or [log] with dirs = "..."
  2. the environment       OTTLA_LOG_DIRS=/var/lib/ottla; OTTLA_SHARDS=1 for ottla.shards
  3. flags, then --set     --data-dir /var/lib/ottla --set num.partitions=4

Once it serves it prints a line to stdout; its log goes to stderr. SIGTERM or Ctrl-C stop it
cleanly, a second one at once.

Exit codes: 0 stopped as asked, 1 a disk or the folder failed, 2 bad settings, 3 the port or the
folder belongs to another process.

Examples:
  ottla serve                                   node 1 on port 9092, data in ./data
  ottla serve --config node.toml --check        explain the settings, start nothing
  ottla serve --listen PLAINTEXT://:9192 --data-dir /tmp/two --set node.id=2
)";

struct ServeFlags {
  std::string config_file;
  std::string node_id, listen, advertise, data_dir;
  std::vector<std::string> assignments;
  bool check = false;
};

Settings gather(const ServeFlags& flags, const Invocation& invocation) {
  Settings settings;
  const std::string file =
      flags.config_file.empty() ? invocation.variable("OTTLA_CONFIG") : flags.config_file;
  if (!file.empty()) {
    if (auto text = read_text_file(file); !text) {
      settings.add_fault({file, "", fmt::format("the file can't be read: {}", text.error()),
                          "Name a readable TOML file with --config"});
    } else if (auto content = read_toml(file, *text); !content) {
      settings.add_fault(std::move(content.error()));
    } else {
      settings.add_file(file, content->entries);
      for (SettingFault& fault : content->faults) settings.add_fault(std::move(fault));
    }
  }
  settings.add_environment(invocation.environment);
  if (!flags.node_id.empty()) settings.add_flag("--node-id", "node.id", flags.node_id);
  if (!flags.listen.empty()) settings.add_flag("--listen", "listeners", flags.listen);
  if (!flags.advertise.empty())
    settings.add_flag("--advertise", "advertised.listeners", flags.advertise);
  if (!flags.data_dir.empty()) settings.add_flag("--data-dir", "log.dirs", flags.data_dir);
  for (const std::string& assignment : flags.assignments) settings.add_assignment(assignment);
  return settings;
}

std::string effective_as_json(const Settings& settings) {
  JsonWriter json;
  json.begin_object();
  for (const metadata::ConfigDefinition& definition : metadata::broker_configs()) {
    const Setting* setting = settings.find(definition.name);
    if (!setting && definition.default_is_null) continue;
    json.key(definition.name).begin_object();
    json.field("value", definition.type == metadata::ConfigType::password
                            ? std::string("***")
                            : settings.value_or_default(definition.name));
    json.field("from", settings.place_of(definition.name)).end_object();
  }
  json.end_object();
  return std::move(json).take() + "\n";
}

void print_faults(const std::vector<SettingFault>& faults, const Invocation& invocation) {
  for (const SettingFault& fault : faults) {
    if (invocation.output == OutputFormat::text) {
      print_error(fmt::format("ottla: {}", fault.to_string()));
      continue;
    }
    JsonWriter json;
    json.begin_object().field("place", fault.place).field("key", fault.key);
    json.field("cause", fault.cause).field("remedy", fault.remedy).end_object();
    print_error(json.text());
  }
}

void print_ready(const broker::NodeReady& ready, io::Duration since_start, OutputFormat format) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
  if (format == OutputFormat::text) {
    std::string where;
    for (const auto& [name, bound] : ready.listeners)
      where += fmt::format(" {}://{}", name, local_address(bound).to_string());
    print(fmt::format("ready:{} cluster {} node {} in {} ms\n", where, ready.cluster_id,
                      ready.node_id, ms));
  } else {
    JsonWriter json;
    json.begin_object().field("event", "ready").key("listeners").begin_array();
    for (const auto& [name, bound] : ready.listeners) {
      json.begin_object().field("name", name).field("host", local_address(bound).host);
      json.field("port", bound.port).end_object();
    }
    json.end_array().field("cluster_id", ready.cluster_id).field("node_id", ready.node_id);
    json.field("start_ms", ms).end_object();
    print(json.text());
    print("\n");
  }
  flush();
}

int serve(const ServeFlags& flags, const Invocation& invocation) {
  const Settings settings = gather(flags, invocation);
  auto node = resolve_node(settings);
  if (!node) {
    print_faults(node.error(), invocation);
    return to_int(ExitCode::usage);
  }
  if (flags.check) {
    print(invocation.output == OutputFormat::text ? effective_as_toml(settings)
                                                  : effective_as_json(settings));
    return to_int(ExitCode::done);
  }
  const OutputFormat format = invocation.output;
  return run_node_process(std::move(*node), invocation,
                          [format](const broker::NodeReady& ready, io::Duration since_start) {
                            print_ready(ready, since_start, format);
                          });
}

}  // namespace

void add_serve(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = app.add_subcommand("serve", "Run a node")->group("Nodes");
  command->add_option("-c,--config", flags->config_file, "TOML file (or OTTLA_CONFIG)")
      ->type_name("FILE");
  command->add_option("--node-id", flags->node_id, "node.id")->type_name("N");
  command->add_option("--listen", flags->listen, "listeners, as PLAINTEXT://:9092")
      ->type_name("LISTENERS");
  command
      ->add_option("--advertise", flags->advertise,
                   "advertised.listeners; without it clients are told the address they came to")
      ->type_name("LISTENERS");
  command->add_option("--data-dir", flags->data_dir, "log.dirs")->type_name("DIR");
  command->add_option("--set", flags->assignments, "any setting; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--check", flags->check,
                    "explain every fault, or print the settings in force and their origin");
  add_output_option(*command, invocation);
  command->footer(kFooter);
  command->callback([flags, &invocation] {
    invocation.action = [flags, &invocation] { return serve(*flags, invocation); };
  });
}

}  // namespace ottla::cli
