#include "io/executor.h"

namespace ottla::io {
namespace {

// Owns itself: its frame is destroyed at its end, or by destroy_tasks().
struct RootCoroutine {
  struct promise_type : detail::Root {
    static void* operator new(std::size_t size_bytes) { return detail::allocate_frame(size_bytes); }
    static void operator delete(void* memory, std::size_t size_bytes) noexcept {
      detail::free_frame(memory, size_bytes);
    }
    RootCoroutine get_return_object() noexcept {
      frame = std::coroutine_handle<promise_type>::from_promise(*this);
      return {this};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
  promise_type* promise;
};

RootCoroutine run_root(Task<void> task) { co_await std::move(task); }

}  // namespace

void Executor::spawn(Task<void> task) {
  RootCoroutine root = run_root(std::move(task));
  root.promise->executor = this;
  root.promise->sequence = next_root_sequence();
  roots_.push_back(*root.promise);
  root.promise->frame.resume();
}

void Executor::destroy_tasks() {
  while (!roots_.empty()) {
    detail::Root& youngest = roots_.back();
    youngest.unlink();
    youngest.frame.destroy();
  }
}

}  // namespace ottla::io
