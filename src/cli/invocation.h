// What the commands share while the command line is parsed and then run.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/output.h"

namespace CLI {
class App;
}

namespace ottla::cli {

struct Invocation {
  CliOptions options;
  std::vector<std::pair<std::string, std::string>> environment;  // OTTLA_ variables
  OutputFormat output = OutputFormat::text;
  std::string bootstrap;          // of the commands that talk to a cluster
  std::function<int()> action;    // set by the command that was chosen
  const CLI::App* app = nullptr;  // the whole tree, for completion

  std::string variable(std::string_view name) const;  // empty if it is not set

  // Runs a command that is no node: one shard, the system's own handling of Ctrl-C.
  int run_here(ShardMain main) const;
};

// --output, with OTTLA_OUTPUT as its default.
void add_output_option(CLI::App& command, Invocation& invocation);
// --bootstrap, with OTTLA_BOOTSTRAP as its default.
void add_bootstrap_option(CLI::App& command, Invocation& invocation);

}  // namespace ottla::cli
