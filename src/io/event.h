// Waiting inside one shard: Event (a flag that many may await, with or without a deadline), OneShot
// (one value, one waiter) and TaskGroup (tasks whose end somebody awaits).
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "io/clock.h"
#include "io/executor.h"
#include "io/list.h"

namespace ottla::io {

class Event {
 public:
  explicit Event(Executor& executor) : executor_(executor) {}

  bool is_set() const { return set_; }
  void reset() { set_ = false; }
  // Wakes all who wait, each in a turn of its own.
  void set() {
    set_ = true;
    wake_all();
  }
  // Wakes all who wait now without staying set.
  void pulse() { wake_all(); }

  class TimedWaiter;

  class Waiter : public ListNode {
   public:
    explicit Waiter(Event& event) : event_(event) {}
    bool await_ready() const { return event_.set_; }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      event_.waiters_.push_back(*this);
    }
    void await_resume() const {}

   private:
    friend class Event;
    Event& event_;
    std::coroutine_handle<> waiter_;
    TimedWaiter* timed_ = nullptr;
  };

  Waiter wait() { return Waiter(*this); }

  // co_await gives true if the event came, false if the deadline did.
  class TimedWaiter : public Timer {
   public:
    TimedWaiter(Event& event, Clock& clock, Instant until) : waiter_(event), clock_(clock) {
      deadline = until;
    }
    bool await_ready() const { return waiter_.await_ready() || deadline <= clock_.now(); }
    void await_suspend(std::coroutine_handle<> waiter) {
      suspended_ = true;
      waiter_.timed_ = this;
      waiter_.await_suspend(waiter);
      if (deadline != Instant::never()) clock_.arm(*this);
    }
    bool await_resume() const { return suspended_ ? !timed_out_ : waiter_.await_ready(); }
    void fire() override {
      timed_out_ = true;
      waiter_.unlink();
      waiter_.waiter_.resume();
    }

   private:
    friend class Event;
    Waiter waiter_;
    Clock& clock_;
    bool suspended_ = false;
    bool timed_out_ = false;
  };

  TimedWaiter wait_until(Clock& clock, Instant deadline) { return {*this, clock, deadline}; }

 private:
  void wake_all();

  Executor& executor_;
  List<Waiter> waiters_;
  bool set_ = false;
};

// One value for one waiter; whichever comes first waits for the other.
template <class T>
class OneShot {
 public:
  explicit OneShot(Executor& executor) : event_(executor) {}
  bool is_set() const { return value_.has_value(); }
  void set(T value) {
    OTTLA_CHECK(!value_.has_value());
    value_.emplace(std::move(value));
    event_.set();
  }
  Task<T> take() {
    co_await event_.wait();
    co_return std::move(*value_);
  }

 private:
  Event event_;
  std::optional<T> value_;
};

// Tasks that end before their group does: the owner awaits join() before it goes.
class TaskGroup {
 public:
  explicit TaskGroup(Executor& executor) : executor_(executor), idle_(executor) { idle_.set(); }

  void spawn(Task<void> task) {
    ++running_;
    idle_.reset();
    executor_.spawn(run(*this, std::move(task)));
  }
  std::size_t running() const { return running_; }
  Task<void> join() {
    while (running_ > 0) co_await idle_.wait();
  }

 private:
  static Task<void> run(TaskGroup& group, Task<void> task) {
    co_await std::move(task);
    if (--group.running_ == 0) group.idle_.set();
  }

  Executor& executor_;
  Event idle_;
  std::size_t running_ = 0;
};

}  // namespace ottla::io
