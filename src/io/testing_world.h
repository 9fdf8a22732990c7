// The smallest world in which the primitives of io/ can be tested: turns taken by hand, time moved
// by hand.
#pragma once

#include <deque>

#include "io/clock.h"
#include "io/executor.h"

namespace ottla::io {

class HandExecutor final : public Executor {
 public:
  ~HandExecutor() override { destroy_tasks(); }
  void post(std::coroutine_handle<> handle) override { ready_.push_back({handle, nullptr}); }
  void post(Callback callback) override { ready_.push_back({nullptr, std::move(callback)}); }

  // Runs the oldest item; false if there is none.
  bool run_one() {
    if (ready_.empty()) return false;
    Item item = std::move(ready_.front());
    ready_.pop_front();
    if (item.handle) {
      item.handle.resume();
    } else {
      item.callback();
    }
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }
  std::size_t waiting() const { return ready_.size(); }
  void drop_all() { ready_.clear(); }

 private:
  struct Item {
    std::coroutine_handle<> handle;
    Callback callback;
  };
  std::deque<Item> ready_;
};

class HandClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  TimestampMs wall_ms() const override { return now_.ns / 1'000'000; }
  void arm(Timer& timer) override {
    timer.order = ++order_;
    timers_.push_back(timer);
  }
  std::size_t armed() {
    std::size_t count = 0;
    timers_.for_each([&](Timer&) { ++count; });
    return count;
  }
  // Moves time on and fires what is due, the earliest first.
  void move(Duration by) {
    now_ = now_ + by;
    while (true) {
      Timer* next = nullptr;
      timers_.for_each([&](Timer& timer) {
        if (timer.deadline <= now_ && (next == nullptr || timer.deadline < next->deadline))
          next = &timer;
      });
      if (next == nullptr) return;
      next->unlink();
      next->fire();
    }
  }

 private:
  Instant now_;
  std::uint64_t order_ = 0;
  List<Timer> timers_;
};

}  // namespace ottla::io
