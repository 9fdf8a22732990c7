#include "io/real/clock.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <rapidcheck/gtest.h>
#include <vector>

namespace ottla::io::real {
namespace {

struct Recorder : Timer {
  Recorder(int number, std::vector<int>& into) : name(number), fired(into) {}
  void fire() override { fired.push_back(name); }
  int name;
  std::vector<int>& fired;
};

// Against the obvious model: a sorted set of deadlines.
RC_GTEST_PROP(WheelClock, FiresWhatIsDueInOrder, ()) {
  WheelClock clock;
  Instant now{*rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 53)};
  clock.set_now(now);
  clock.fire_due();
  std::vector<int> fired;
  std::vector<std::unique_ptr<Recorder>> timers;
  std::map<std::pair<std::int64_t, int>, Recorder*> model;
  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const int kind = *rc::gen::inRange(0, 4);
    const int bits = *rc::gen::inRange(0, 54);
    const std::int64_t by = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << bits);
    if (kind <= 1) {
      timers.push_back(std::make_unique<Recorder>(static_cast<int>(timers.size()), fired));
      timers.back()->deadline = now + Duration(by);
      clock.arm(*timers.back());
      model[{timers.back()->deadline.ns, timers.back()->name}] = timers.back().get();
    } else if (kind == 2 && !model.empty()) {
      auto victim =
          std::next(model.begin(), static_cast<long>(static_cast<std::size_t>(by) % model.size()));
      victim->second->unlink();
      model.erase(victim);
    } else {
      now = now + Duration(by);
      clock.set_now(now);
      fired.clear();
      clock.fire_due();
      std::vector<int> expected;
      while (!model.empty() && model.begin()->first.first <= now.ns) {
        expected.push_back(model.begin()->first.second);
        model.erase(model.begin());
      }
      RC_ASSERT(fired == expected);
    }
    if (!model.empty()) RC_ASSERT(clock.next_wake().ns <= model.begin()->first.first);
  }
}

TEST(WheelClock, SleepsExactlyUntilTheOnlyTimer) {
  WheelClock clock;
  clock.set_now({5'000'000'000'000});
  clock.fire_due();
  std::vector<int> fired;
  Recorder timer(1, fired);
  timer.deadline = {5'123'456'789'012};
  clock.arm(timer);
  EXPECT_EQ(clock.next_wake(), timer.deadline);
}

struct Disarms : Timer {
  explicit Disarms(Timer& victim) : other(victim) {}
  void fire() override { other.unlink(); }
  Timer& other;
};

TEST(WheelClock, ATimerMayDisarmAnotherThatIsDueToo) {
  WheelClock clock;
  clock.set_now({1'000'000'000});
  clock.fire_due();
  std::vector<int> fired;
  Recorder late(1, fired);
  late.deadline = {1'000'000'020};
  Disarms early(late);
  early.deadline = {1'000'000'010};
  clock.arm(late);
  clock.arm(early);
  clock.set_now({1'000'000'030});
  clock.fire_due();
  EXPECT_TRUE(fired.empty());
  EXPECT_EQ(clock.next_wake(), Instant::never());
}

}  // namespace
}  // namespace ottla::io::real
