// Runs a node in this process until it is told to stop. Used by `serve` and `dev`.
#pragma once

#include <functional>

#include "broker/node.h"
#include "cli/invocation.h"
#include "cli/node_settings.h"

namespace ottla::cli {

// What the node says once it serves: when, counted from the start of its shards.
using OnReady = std::function<void(const broker::NodeReady&, io::Duration since_start)>;

// Gives an ExitCode; the same numbers as broker::ExitCode.
int run_node_process(NodeSettings settings, const Invocation& invocation, OnReady on_ready);

// "127.0.0.1:9092": where a client on this machine reaches the listener.
io::Endpoint local_address(const io::Endpoint& bound);

}  // namespace ottla::cli
