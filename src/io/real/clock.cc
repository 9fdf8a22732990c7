#include "io/real/clock.h"

#include <algorithm>
#include <bit>
#include <ctime>
#include <tuple>

namespace ottla::io::real {

WheelClock::WheelClock() {
  refresh();
  tick_ = tick_of(now_);
}

void WheelClock::refresh() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  now_ = {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

TimestampMs WheelClock::wall_ms() const {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

void WheelClock::arm(Timer& timer) {
  timer.order = ++next_order_;
  place(timer);
  next_wake_ = std::min(next_wake_, timer.deadline);
}

void WheelClock::place(Timer& timer) {
  const std::uint64_t tick = tick_of(timer.deadline);
  if (tick <= tick_) {
    near_.push_back(timer);
    return;
  }
  const int highest_bit = 63 - std::countl_zero(tick ^ tick_);
  const int level = std::min(highest_bit / kSlotBits, kLevels - 1);
  const int shift = level * kSlotBits;
  // Only in the last level can it be as far away as a whole round; it then waits in the slot that
  // comes last.
  const std::uint64_t distance =
      std::min<std::uint64_t>((tick >> shift) - (tick_ >> shift), kSlots - 1);
  const std::uint64_t slot = ((tick_ >> shift) + distance) & (kSlots - 1);
  levels_[level].slots[slot].push_back(timer);
  levels_[level].maybe_occupied |= 1ull << slot;
}

// Brings the wheel to now(): every timer of a tick up to the current one lies in near_ afterwards.
void WheelClock::advance() {
  const std::uint64_t target = tick_of(now_);
  if (target <= tick_) return;
  const std::uint64_t from = tick_;
  tick_ = target;
  for (int level = kLevels - 1; level >= 0; --level) {
    const int shift = level * kSlotBits;
    const std::uint64_t passed = (target >> shift) - (from >> shift);
    if (passed == 0) continue;
    Level& here = levels_[level];
    const std::uint64_t first = ((from >> shift) + 1) & (kSlots - 1);
    const std::uint64_t count = std::min<std::uint64_t>(passed, kSlots);
    for (std::uint64_t step = 0; step < count; ++step) {
      const std::uint64_t slot = (first + step) & (kSlots - 1);
      if (((here.maybe_occupied >> slot) & 1) == 0) continue;
      here.maybe_occupied &= ~(1ull << slot);
      // a timer may be placed into the list that it comes from: empty it first
      List<Timer> taken;
      while (!here.slots[slot].empty()) taken.push_back(here.slots[slot].pop_front());
      while (!taken.empty()) place(taken.pop_front());
    }
  }
}

void WheelClock::find_next_wake() {
  next_wake_ = Instant::never();
  const auto take_earliest = [this](List<Timer>& list) {
    list.for_each([this](Timer& timer) { next_wake_ = std::min(next_wake_, timer.deadline); });
  };
  take_earliest(near_);
  for (int level = 0; level < kLevels && next_wake_ == Instant::never(); ++level) {
    Level& here = levels_[level];
    const std::uint64_t current = (tick_ >> (level * kSlotBits)) & (kSlots - 1);
    for (std::uint64_t step = 1; step < kSlots; ++step) {
      const std::uint64_t slot = (current + step) & (kSlots - 1);
      if (((here.maybe_occupied >> slot) & 1) == 0) continue;
      if (here.slots[slot].empty()) {
        here.maybe_occupied &= ~(1ull << slot);
        continue;
      }
      take_earliest(here.slots[slot]);
      if (level < kLevels - 1)
        break;  // later slots hold later timers, but for those beyond the wheel
    }
  }
}

void WheelClock::fire_due() {
  if (now_ < next_wake_) return;
  advance();
  // Timers that a fired one disarms must be able to leave: they stay linked, in `due`, until their
  // turn.
  std::vector<Timer*>& sorted = due_;
  sorted.clear();
  near_.for_each([&](Timer& timer) {
    if (timer.deadline <= now_) sorted.push_back(&timer);
  });
  std::ranges::sort(sorted, {},
                    [](const Timer* timer) { return std::tuple(timer->deadline, timer->order); });
  List<Timer> due;
  for (Timer* timer : sorted) {
    timer->unlink();
    due.push_back(*timer);
  }
  find_next_wake();
  while (!due.empty()) due.pop_front().fire();
}

}  // namespace ottla::io::real
