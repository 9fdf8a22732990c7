#include "cli/run_node.h"

#include <utility>

#include "cli/exit_code.h"
#include "io/real/runtime.h"

namespace ottla::cli {
namespace {

static_assert(to_int(ExitCode::failed) == static_cast<int>(broker::ExitCode::failed));
static_assert(to_int(ExitCode::usage) == static_cast<int>(broker::ExitCode::configuration));
static_assert(to_int(ExitCode::in_use) == static_cast<int>(broker::ExitCode::in_use));

io::real::DiskBackend to_backend(ProcessSettings::DiskBackend backend) {
  switch (backend) {
    case ProcessSettings::DiskBackend::io_uring:
      return io::real::DiskBackend::io_uring;
    case ProcessSettings::DiskBackend::threads:
      return io::real::DiskBackend::threads;
    case ProcessSettings::DiskBackend::automatic:
      break;
  }
  return io::real::DiskBackend::automatic;
}

}  // namespace

io::Endpoint local_address(const io::Endpoint& bound) {
  const bool is_any = bound.host.empty() || bound.host == "0.0.0.0" || bound.host == "::";
  return {is_any ? "127.0.0.1" : bound.host, bound.port};
}

int run_node_process(NodeSettings settings, const Invocation& invocation, OnReady on_ready) {
  io::real::Runtime runtime({.shards = settings.process.shards,
                             .disk_backend = to_backend(settings.process.disk_backend),
                             .direct_io = settings.process.direct_io});
  // Both of shard 0, which sets the first and calls the callback.
  io::Clock* clock = nullptr;
  io::Instant started;
  auto meeting =
      broker::make_meeting_point(settings.node, {.on_ready = [&](const broker::NodeReady& ready) {
                                   on_ready(ready, clock->now() - started);
                                 }});
  ShardMain shard_main = [&](io::Env& env) {
    if (env.shard == 0) {
      clock = &env.clock;
      started = env.clock.now();
    }
    return broker::run_node(env, meeting);
  };
  if (invocation.options.around) shard_main = invocation.options.around(std::move(shard_main));
  return runtime.run(shard_main);
}

}  // namespace ottla::cli
