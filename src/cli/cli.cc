#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <fmt/format.h>
#include <map>
#include <utility>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/invocation.h"
#include "cli/process.h"
#include "cli/usage_error.h"
#include "io/real/runtime.h"

namespace ottla::cli {
namespace {

constexpr const char* kFooter = R"(
First steps:
  ottla serve                                   a node on port 9092, data in ./data
  echo 'hello,world' | ottla produce greetings --key-separator ,
  ottla consume greetings --output jsonl

`ottla COMMAND --help` explains one command. Exit codes: 0 done, 1 failed, 2 wrong usage or
settings, 3 port or folder taken, 4 not found, 5 no broker reached.
)";

const std::map<std::string, OutputFormat> kFormats = {
    {"text", OutputFormat::text}, {"json", OutputFormat::json}, {"jsonl", OutputFormat::jsonl}};

int parse_and_run(int argc, const char* const* argv, Invocation& invocation) {
  CLI::App app("Ottla: event streaming that speaks Kafka's protocol.", "ottla");
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", "ottla " OTTLA_VERSION);
  app.set_help_all_flag("--help-all", "Print the help of all commands");
  invocation.app = &app;
  add_serve(app, invocation);
  add_dev(app, invocation);
  add_topic(app, invocation);
  add_produce(app, invocation);
  add_consume(app, invocation);
  add_log(app, invocation);
  add_config(app, invocation);
  add_completion(app, invocation);
  add_version(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // help is an "error" of exit code 0 to this library
    if (error.get_exit_code() == 0) return app.exit(error);
    print_error(describe_usage_error(app, error));
    return to_int(ExitCode::usage);
  }
  const int code = invocation.action();
  flush();
  return code;
}

}  // namespace

std::string Invocation::variable(std::string_view name) const {
  for (const auto& [key, value] : environment) {
    if (key == name) return value;
  }
  return "";
}

int Invocation::run_here(ShardMain main) const {
  io::real::Runtime runtime({.shards = 1, .handle_signals = false});
  return runtime.run(options.around ? options.around(std::move(main)) : std::move(main));
}

void add_output_option(CLI::App& command, Invocation& invocation) {
  command.add_option("-O,--output", invocation.output, "text, json or jsonl (or OTTLA_OUTPUT)")
      ->transform(one_of(kFormats))
      ->envname("OTTLA_OUTPUT")
      ->type_name("FORMAT");
}

void add_bootstrap_option(CLI::App& command, Invocation& invocation) {
  invocation.bootstrap = "127.0.0.1:9092";
  command
      .add_option("-b,--bootstrap,--bootstrap-server", invocation.bootstrap,
                  "brokers to ask first (or OTTLA_BOOTSTRAP)")
      ->envname("OTTLA_BOOTSTRAP")
      ->type_name("HOST:PORT,...")
      ->capture_default_str();
}

int run(int argc, const char* const* argv, CliOptions options) {
  Invocation invocation{.options = std::move(options), .environment = own_variables()};
  try {
    return parse_and_run(argc, argv, invocation);
  } catch (const std::exception& error) {
    print_error(fmt::format("ottla: {}", error.what()));
    return to_int(ExitCode::failed);
  }
}

}  // namespace ottla::cli
