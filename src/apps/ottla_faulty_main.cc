// `ottla-faulty`: the same command over a disk that fails by rule, and with a trace of what it does
// to disk and network. For tests of the real binary; never shipped.
//
//   OTTLA_FAULTS        rules of io/fault/fault_rules.h, as "fail sync path=.journal from=3"
//   OTTLA_TRACE         file for the trace of io/fault/trace.h
//   OTTLA_TRACE_MARKER  what the trace looks for in records
//   OTTLA_PLANT         a bug of base/planted_bug.h, in a build that has them
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/planted_bug.h"
#include "cli/cli.h"
#include "cli/exit_code.h"
#include "io/fault/fault_disk.h"
#include "io/fault/trace.h"

namespace {

using namespace ottla;

// What stands between one shard and the real world; lives until the process ends, since files of
// the disk may outlive the shard's main.
struct FaultyShard {
  std::unique_ptr<io::Disk> faulty_disk;
  std::unique_ptr<io::Disk> traced_disk;
  std::unique_ptr<io::Network> network;
  std::unique_ptr<io::Env> env;
};

struct FaultyWorld {
  std::vector<io::fault::FaultRule> rules;
  std::unique_ptr<io::fault::TraceLog> trace;
  std::mutex mutex;  // of shards: each adds itself
  std::vector<std::unique_ptr<FaultyShard>> shards;

  io::Env& around(io::Env& real) {
    auto shard = std::make_unique<FaultyShard>();
    io::Disk* disk = &real.disk;
    io::Network* network = &real.network;
    if (!rules.empty()) {
      shard->faulty_disk = io::fault::make_fault_disk(*disk, real.clock, rules);
      disk = shard->faulty_disk.get();
    }
    // Above the faults: the trace shows what the broker was told, and when.
    if (trace) {
      shard->traced_disk = io::fault::make_trace_disk(*disk, real.shard, real.clock, *trace);
      shard->network = io::fault::make_trace_network(*network, real.shard, real.clock, *trace);
      disk = shard->traced_disk.get();
      network = shard->network.get();
    }
    shard->env =
        std::make_unique<io::Env>(io::Env{real.shard, real.executor, real.clock, real.random, *disk,
                                          *network, real.shards, real.logger, real.stop});
    const std::scoped_lock lock(mutex);
    shards.push_back(std::move(shard));
    return *shards.back()->env;
  }
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

int main(int argc, char** argv) {
  auto rules = io::fault::parse_fault_rules(variable("OTTLA_FAULTS"));
  if (!rules) {
    std::fprintf(stderr, "OTTLA_FAULTS: %s\n", rules.error().c_str());
    return cli::to_int(cli::ExitCode::usage);
  }
  if (const std::string bug = variable("OTTLA_PLANT"); !bug.empty() && !plant_bug(bug)) {
    std::fprintf(stderr, "OTTLA_PLANT: this build has no bug %s\n", bug.c_str());
    return cli::to_int(cli::ExitCode::usage);
  }
  FaultyWorld world;
  world.rules = std::move(*rules);
  if (const std::string path = variable("OTTLA_TRACE"); !path.empty()) {
    world.trace = io::fault::TraceLog::open(path, variable("OTTLA_TRACE_MARKER"));
    if (!world.trace) {
      std::fprintf(stderr, "OTTLA_TRACE: %s can't be written\n", path.c_str());
      return cli::to_int(cli::ExitCode::usage);
    }
  }
  return cli::run(argc, argv, {.around = [&world](cli::ShardMain main) -> cli::ShardMain {
                    return [&world, main = std::move(main)](io::Env& env) {
                      return main(world.around(env));
                    };
                  }});
}
