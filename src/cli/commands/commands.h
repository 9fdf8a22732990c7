// The commands: each adds itself to the command line, and sets Invocation::action when it is
// chosen.
#pragma once

#include "cli/invocation.h"

namespace ottla::cli {

void add_serve(CLI::App& app, Invocation& invocation);
void add_dev(CLI::App& app, Invocation& invocation);
void add_config(CLI::App& app, Invocation& invocation);
void add_topic(CLI::App& app, Invocation& invocation);
// The subcommands of `topic` and `config` that change something.
void add_topic_alter(CLI::App& topic, Invocation& invocation);
void add_config_changes(CLI::App& config, Invocation& invocation);
void add_produce(CLI::App& app, Invocation& invocation);
void add_consume(CLI::App& app, Invocation& invocation);
void add_log(CLI::App& app, Invocation& invocation);
void add_version(CLI::App& app, Invocation& invocation);
void add_completion(CLI::App& app, Invocation& invocation);

}  // namespace ottla::cli
