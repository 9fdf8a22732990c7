// Env: all that a shard may use of the world. Made by main (io::real::Runtime) or by the simulator
// (io::sim::World), and handed down by reference; nothing above io/ reaches the system in any other
// way.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <utility>

#include "base/logger.h"
#include "io/clock.h"
#include "io/disk.h"
#include "io/event.h"
#include "io/executor.h"
#include "io/network.h"
#include "io/random.h"

namespace ottla::io {

// The other shards of the process. Shards share nothing; they send each other functions to run.
class Shards {
 public:
  virtual ~Shards() = default;
  virtual unsigned count() const = 0;
  // Runs `callback` on `shard` soon, in order with others posted from here to there. From any
  // shard.
  virtual void post(unsigned shard, Executor::Callback callback) = 0;
  // Of another shard: only to be used inside a callback that runs there.
  virtual Executor* executor(unsigned shard) = 0;
};

struct Env {
  unsigned shard;  // which one this is, from 0
  Executor& executor;
  Clock& clock;
  Random& random;
  Disk& disk;
  Network& network;
  Shards& shards;
  Logger& logger;
  Event& stop;  // set once the process is asked to end
};

// Runs `function()`, a coroutine, on `shard`, and gives its result here. `here` is the caller's
// Env. Whatever the function captures is used and destroyed on the other shard. A hop to a sleeping
// shard costs more than a whole request: on the fast path only where the data lives elsewhere.
template <class T>
Task<T> call_on(Env& here, unsigned shard, std::move_only_function<Task<T>()> function) {
  if (shard == here.shard) co_return co_await function();
  struct State {
    explicit State(Executor& executor) : result(executor) {}
    OneShot<T> result;
  };
  auto state = std::make_shared<State>(here.executor);
  struct Remote {
    static Task<void> run(std::move_only_function<Task<T>()> work, Shards& shards, unsigned home,
                          std::shared_ptr<State> back) {
      auto value = co_await work();
      shards.post(home, [back = std::move(back), value = std::move(value)]() mutable {
        back->result.set(std::move(value));
      });
    }
  };
  Executor* remote = here.shards.executor(shard);
  here.shards.post(shard, [remote, work = std::move(function), &shards = here.shards,
                           home = here.shard, state]() mutable {
    remote->spawn(Remote::run(std::move(work), shards, home, std::move(state)));
  });
  co_return co_await state->result.take();
}

}  // namespace ottla::io
