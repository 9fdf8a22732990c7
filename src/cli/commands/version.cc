// `ottla version`
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/process.h"

namespace ottla::cli {
namespace {

constexpr const char* kKafkaLevel = "4.3";  // whose protocol and files these are

int version(const Invocation& invocation) {
  if (invocation.output == OutputFormat::text) {
    print(fmt::format("ottla {} (Kafka {} protocol, {} build)\n", OTTLA_VERSION, kKafkaLevel,
                      OTTLA_BUILD_TYPE));
  } else {
    JsonWriter json;
    json.begin_object().field("version", OTTLA_VERSION).field("kafka", kKafkaLevel);
    json.field("build", OTTLA_BUILD_TYPE).end_object();
    print(json.text() + "\n");
  }
  return to_int(ExitCode::done);
}

}  // namespace

void add_version(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("version", "Print the version")->group("This program");
  add_output_option(*command, invocation);
  command->callback(
      [&invocation] { invocation.action = [&invocation] { return version(invocation); }; });
}

}  // namespace ottla::cli
