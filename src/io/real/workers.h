// Threads for calls that block. Started when there is work, ended when there has been none for a
// while, so that an idle process has none.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <type_traits>
#include <utility>

#include "io/real/loop.h"

namespace ottla::io::real {

// One call. Lives in the frame of the coroutine that awaits it (see blocking()).
class Job : public MailboxItem {
 public:
  virtual void work() = 0;  // on a worker

  Loop* home = nullptr;

 protected:
  ~Job() = default;

 private:
  friend class Workers;
  Job* next_job_ = nullptr;
};

// A queue with up to `threads_max` threads, in the order of submission.
class Workers {
 public:
  explicit Workers(unsigned threads_max) : threads_max_(threads_max) {}
  // Works on what is left, then waits for its threads to end.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void submit(Job& job);
  std::size_t threads() const;

 private:
  static void* start(void* self);
  void serve();

  const unsigned threads_max_;
  mutable std::mutex mutex_;
  std::condition_variable work_came_;
  std::condition_variable thread_ended_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::size_t queued_ = 0;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

// co_await blocking(loop, workers, [..] { return ...; }): the function runs on a worker, its result
// comes back here.
template <class Function>
class Blocking final : public Job {
 public:
  using Value = std::invoke_result_t<Function>;
  Blocking(Loop& loop, Workers& workers, Function function)
      : workers_(workers), function_(std::move(function)) {
    home = &loop;
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    home->begin_outside();
    workers_.submit(*this);
  }
  Value await_resume() { return std::move(*value_); }

  void work() override { value_.emplace(function_()); }
  void deliver(bool dropped) override {
    home->end_outside();
    if (!dropped) home->post(waiter_);
  }

 private:
  Workers& workers_;
  Function function_;
  std::optional<Value> value_;
  std::coroutine_handle<> waiter_;
};

template <class Function>
Blocking<Function> blocking(Loop& loop, Workers& workers, Function function) {
  return Blocking<Function>(loop, workers, std::move(function));
}

}  // namespace ottla::io::real
