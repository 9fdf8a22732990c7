// `ottla config`: every setting there is; alter.cc has `config alter` and `config describe`.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/config_reference.h"
#include "cli/exit_code.h"
#include "cli/process.h"
#include "cli/settings.h"
#include "metadata/config_definitions.h"

namespace ottla::cli {
namespace {

struct ConfigFlags {
  std::string part;  // of the name
  bool topics = false;
  bool markdown = false;
};

std::string definition_as_json(const metadata::ConfigDefinition& definition, bool is_topics) {
  JsonWriter json;
  json.begin_object().field("name", definition.name).field("values", describe_values(definition));
  json.key("default");
  if (definition.default_is_null) {
    json.null();
  } else {
    json.value(definition.default_value);
  }
  if (is_topics) {
    if (!definition.node_name.empty()) json.field("node_setting", definition.node_name);
  } else {
    json.field("variable", environment_name(definition.name));
  }
  json.field("meaning", definition.documentation).end_object();
  return std::move(json).take();
}

int list_configs(const ConfigFlags& flags, OutputFormat format) {
  if (flags.markdown) {
    print(configuration_page());
    return to_int(ExitCode::done);
  }
  std::size_t found = 0;
  JsonStream stream(format);
  for (const auto& definition :
       flags.topics ? metadata::topic_configs() : metadata::broker_configs()) {
    if (definition.name.find(flags.part) == std::string_view::npos) continue;
    ++found;
    if (format != OutputFormat::text) {
      stream.add(definition_as_json(definition, flags.topics));
      continue;
    }
    print(fmt::format("{} = {}\n    {}\n    {}\n", definition.name,
                      definition.default_is_null ? "" : definition.default_value,
                      definition.documentation, describe_values(definition)));
  }
  if (format != OutputFormat::text) stream.end();
  if (found > 0) return to_int(ExitCode::done);
  print_error(fmt::format("ottla: no setting's name contains '{}'", flags.part));
  return to_int(ExitCode::not_found);
}

}  // namespace

void add_config(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ConfigFlags>();
  CLI::App* command =
      app.add_subcommand(
             "config",
             "List all settings of a node, or of topics; show and change those of a cluster")
          ->group("Nodes");
  command->add_option("part", flags->part, "only names that contain it")->type_name("TEXT");
  command->add_flag("--topics", flags->topics, "configs of topics instead");
  command->add_flag("--markdown", flags->markdown, "the page docs/configuration.md");
  add_output_option(*command, invocation);
  command->footer(
      "\n`ottla serve --check` prints the values in force and where each comes from.\n");
  add_config_changes(*command, invocation);
  command->callback([command, flags, &invocation] {
    if (!command->get_subcommands().empty()) return;  // it has set the action
    invocation.action = [flags, &invocation] { return list_configs(*flags, invocation.output); };
  });
}

}  // namespace ottla::cli
