// The clock of one shard: monotonic time read once per turn of its loop, and its timers in a wheel
// of lists, so that arming and disarming cost a few instructions however many there are.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "io/clock.h"

namespace ottla::io::real {

class WheelClock final : public Clock {
 public:
  WheelClock();

  Instant now() const override { return now_; }
  TimestampMs wall_ms() const override;
  void arm(Timer& timer) override;

  // For the loop. Reads the system's clock.
  void refresh();
  void set_now(Instant now) { now_ = now; }  // instead of refresh(), in tests
  // Fires every timer whose deadline is not after now(). Timers armed meanwhile wait for the next
  // call.
  void fire_due();
  // No timer is due before this; it may be too early, never too late. Instant::never() if there is
  // none.
  Instant next_wake() const { return next_wake_; }

 private:
  // Time is cut into ticks of 2^16 ns. A timer lies in the level of the highest group of 6 bits in
  // which its tick differs from the current tick: level 0 spans 4 ms, each further one 64 times as
  // much, the last 52 days. What is further away is placed again when its slot of the last level
  // comes.
  static constexpr int kTickBits = 16;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 6;
  struct Level {
    std::uint64_t maybe_occupied =
        0;  // a bit may be set over an empty list: timers leave by themselves
    std::array<List<Timer>, kSlots> slots;
  };

  static std::uint64_t tick_of(Instant at) {
    return at.ns <= 0 ? 0 : static_cast<std::uint64_t>(at.ns) >> kTickBits;
  }
  void place(Timer& timer);
  void advance();
  void find_next_wake();

  Instant now_;
  Instant next_wake_ = Instant::never();
  std::uint64_t tick_ = 0;  // all timers in the wheel are of later ticks
  std::uint64_t next_order_ = 0;
  List<Timer> near_;  // of the current tick or before
  std::array<Level, kLevels> levels_;
  std::vector<Timer*> due_;  // scratch of fire_due()
};

}  // namespace ottla::io::real
