// Time. Monotonic for waiting, wall time only for what Kafka's protocol calls a timestamp.
#pragma once

#include <chrono>
#include <compare>
#include <coroutine>
#include <cstdint>

#include "base/ids.h"
#include "io/list.h"

namespace ottla::io {

using Duration = std::chrono::nanoseconds;

// A point of monotonic time; only differences mean something.
struct Instant {
  std::int64_t ns = 0;
  auto operator<=>(const Instant&) const = default;
  friend Instant operator+(Instant at, Duration by) { return {at.ns + by.count()}; }
  friend Duration operator-(Instant to, Instant from) { return Duration(to.ns - from.ns); }
  static Instant never() { return {INT64_MAX}; }
};

// Something to be done at a time. Linked into its clock while armed; destroying or unlinking it
// disarms it.
class Timer : public ListNode {
 public:
  virtual ~Timer() = default;
  virtual void fire() = 0;  // called once, on the clock's shard, not before `deadline`
  Instant deadline;
  std::uint64_t order =
      0;  // set by the clock: timers of equal deadline fire in the order of arming
};

class Clock {
 public:
  virtual ~Clock() = default;
  // Does not change while one callback or coroutine runs up to its next suspension.
  virtual Instant now() const = 0;
  virtual TimestampMs wall_ms() const = 0;
  // REQUIRES: not armed. Armed timers leave by unlink() or by firing.
  virtual void arm(Timer& timer) = 0;
};

// co_await sleep_until(clock, t)
class SleepUntil : public Timer {
 public:
  SleepUntil(Clock& clock, Instant until) : clock_(clock) { deadline = until; }
  bool await_ready() const { return deadline <= clock_.now(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    clock_.arm(*this);
  }
  void await_resume() const {}
  void fire() override { waiter_.resume(); }

 private:
  Clock& clock_;
  std::coroutine_handle<> waiter_;
};

inline SleepUntil sleep_until(Clock& clock, Instant until) { return {clock, until}; }
inline SleepUntil sleep_for(Clock& clock, Duration how_long) {
  return {clock, clock.now() + how_long};
}

}  // namespace ottla::io
