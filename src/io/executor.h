// Executor: what runs the coroutines of one shard, one at a time. Real: the shard's event loop.
// Simulated: a queue from which the seed picks.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>

#include "io/list.h"
#include "io/task.h"

namespace ottla::io {

class Executor;

namespace detail {

// The outermost frame of a spawned task; known to its executor until it ends.
struct Root : ListNode {
  Executor* executor = nullptr;
  std::uint64_t sequence = 0;  // order of spawning, over all executors of a simulated world
  std::coroutine_handle<> frame;
};

}  // namespace detail

class Executor {
 public:
  using Callback = std::move_only_function<void()>;

  virtual ~Executor() = default;

  // Resumes `handle` in a later turn, never inside this call. Only from the executor's own shard
  // (see Shards::post).
  virtual void post(std::coroutine_handle<> handle) = 0;
  virtual void post(Callback callback) = 0;

  // Runs `task` to its first suspension at once, and to its end in the background. Whoever spawns
  // sees to it that what the task refers to outlives it (TaskGroup).
  void spawn(Task<void> task);

  // Destroys all tasks that have not ended, the youngest first: what a crash does to a process.
  void destroy_tasks();
  List<detail::Root>& tasks() { return roots_; }

 protected:
  virtual std::uint64_t next_root_sequence() { return ++root_sequence_; }

 private:
  List<detail::Root> roots_;
  std::uint64_t root_sequence_ = 0;
};

}  // namespace ottla::io
