// Runtime: the real world for a process: one thread with one event loop for each shard, and an Env
// for each.
//
//   io::real::Runtime runtime({.shards = 2});
//   return runtime.run([&](io::Env& env) { return serve(env, config); });
//
// `serve` is a coroutine, called once on each shard. It should end soon after env.stop was set.
#pragma once

#include <functional>
#include <memory>

#include "io/env.h"

namespace ottla::io::real {

enum class DiskBackend {
  automatic,  // io_uring where the kernel allows it
  io_uring,   // insist on it: run() gives up with exit code 1 where it is not allowed
  threads,
};

struct RuntimeOptions {
  unsigned shards = 0;  // 0: one for each core that the process may use
  DiskBackend disk_backend = DiskBackend::automatic;
  bool direct_io = true;  // false: files are never opened past the page cache
  bool handle_signals =
      true;  // SIGTERM and SIGINT set env.stop; the second ends the process with 130
  Logger* logger = nullptr;  // null: lines to stderr, from level info on
};

// How many cores the process may use.
unsigned cores_allowed();

class Runtime {
 public:
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();

  unsigned shards() const;
  // Whether direct I/O and flushes go through io_uring.
  bool uses_io_uring() const;

  // Runs `shard_main` on every shard and returns when all have ended: the first result (by shard)
  // that is not 0. What a shard leaves running is destroyed. A loop goes on serving the other
  // shards until all mains have ended. Shard 0 runs on the calling thread. Once only.
  int run(std::function<Task<int>(Env&)> shard_main);

 private:
  struct Shard;
  struct World;
  std::unique_ptr<World> world_;
};

}  // namespace ottla::io::real
