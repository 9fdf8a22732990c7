// `ottla dev`: a node for tests and trials. Its data is in a temporary folder that goes with it.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/node_settings.h"
#include "cli/process.h"
#include "cli/run_node.h"
#include "cli/settings.h"

namespace ottla::cli {
namespace {

constexpr const char* kFooter = R"(
Prints where it listens, then runs until Ctrl-C or SIGTERM; its folder is gone afterwards.
One shard is used unless --set ottla.shards=N says otherwise.

Examples:
  ottla dev                                     on a free port
  ottla dev --port 9092 --set num.partitions=4
)";

struct DevFlags {
  std::uint16_t port = 0;
  std::vector<std::string> assignments;
};

void print_address(const broker::NodeReady& ready, const std::string& folder, OutputFormat format) {
  const std::string address = local_address(ready.listeners.front().second).to_string();
  if (format == OutputFormat::text) {
    print(
        fmt::format("ready: bootstrap address {}\n\n"
                    "  export OTTLA_BOOTSTRAP={}\n"
                    "  echo hello | ottla produce greetings && ottla consume greetings\n\n"
                    "The data is in {} until this node ends (Ctrl-C).\n",
                    address, address, folder));
  } else {
    JsonWriter json;
    json.begin_object().field("event", "ready").field("bootstrap", address);
    json.field("folder", folder).field("cluster_id", ready.cluster_id).end_object();
    print(json.text());
    print("\n");
  }
  flush();
}

int dev(const DevFlags& flags, const Invocation& invocation) {
  const std::string folder = make_temporary_folder();
  if (folder.empty()) return to_int(ExitCode::failed);
  Settings settings;
  settings.add_flag("--port", "listeners", fmt::format("PLAINTEXT://127.0.0.1:{}", flags.port));
  settings.add_flag("dev", "log.dirs", folder);
  settings.add_flag("dev", "ottla.shards", "1");
  for (const std::string& assignment : flags.assignments) settings.add_assignment(assignment);
  auto node = resolve_node(settings);
  int code = to_int(ExitCode::usage);
  if (node) {
    code = run_node_process(std::move(*node), invocation,
                            [&](const broker::NodeReady& ready, io::Duration) {
                              print_address(ready, folder, invocation.output);
                            });
  } else {
    for (const SettingFault& fault : node.error())
      print_error(fmt::format("ottla: {}", fault.to_string()));
  }
  remove_folder(folder);
  return code;
}

}  // namespace

void add_dev(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<DevFlags>();
  CLI::App* command =
      app.add_subcommand("dev", "Run a throw-away node in a temporary folder")->group("Nodes");
  command->add_option("-p,--port", flags->port, "port on 127.0.0.1; a free one without it")
      ->type_name("PORT");
  command->add_option("--set", flags->assignments, "any setting; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_output_option(*command, invocation);
  command->footer(kFooter);
  command->callback([flags, &invocation] {
    invocation.action = [flags, &invocation] { return dev(*flags, invocation); };
  });
}

}  // namespace ottla::cli
