#include <algorithm>
#include <memory>

#include "io/conformance/conformance.h"

namespace ottla::io::conformance {
namespace {

using namespace std::chrono_literals;

Task<void> nobody_wakes_early(Setting& setting) {
  Clock& clock = setting.env.clock;
  for (const Duration how_long :
       {Duration(0), Duration(1us), Duration(300us), Duration(2ms), Duration(7ms)}) {
    const Instant before = clock.now();
    co_await sleep_for(clock, how_long);
    OTTLA_EXPECT(clock.now() - before >= how_long);
  }
  const Instant before = clock.now();
  co_await sleep_until(clock, {before.ns - 5});
  OTTLA_EXPECT(clock.now() >= before);
}

Task<void> note_after(Clock& clock, Duration how_long, int name, std::vector<int>& into) {
  co_await sleep_for(clock, how_long);
  into.push_back(name);
}

Task<void> timers_fire_in_the_order_of_their_deadlines(Setting& setting) {
  std::vector<int> order;
  TaskGroup group(setting.env.executor);
  for (const int ms : {30, 10, 50, 20, 40}) {
    group.spawn(note_after(setting.env.clock, std::chrono::milliseconds(ms), ms, order));
  }
  co_await group.join();
  OTTLA_EXPECT((order == std::vector{10, 20, 30, 40, 50}));
}

struct Flag : Timer {
  void fire() override { fired = true; }
  bool fired = false;
};

Task<void> a_timer_can_be_disarmed(Setting& setting) {
  Clock& clock = setting.env.clock;
  Flag kept;
  Flag unlinked;
  kept.deadline = unlinked.deadline = clock.now() + 2ms;
  clock.arm(kept);
  clock.arm(unlinked);
  {
    Flag destroyed;
    destroyed.deadline = kept.deadline;
    clock.arm(destroyed);
  }
  unlinked.unlink();
  co_await sleep_for(clock, 5ms);
  OTTLA_EXPECT(kept.fired && !kept.is_linked() && !unlinked.fired);
  kept.fired = false;
  kept.deadline = clock.now() + 1ms;
  clock.arm(kept);
  co_await sleep_for(clock, 3ms);
  OTTLA_EXPECT(kept.fired);
}

Task<void> set_after(Clock& clock, Duration how_long, Event& event) {
  co_await sleep_for(clock, how_long);
  event.set();
}

Task<void> a_wait_ends_at_its_deadline_or_before(Setting& setting) {
  Clock& clock = setting.env.clock;
  Event event(setting.env.executor);
  const Instant before = clock.now();
  OTTLA_EXPECT(!co_await event.wait_until(clock, before + 3ms));
  OTTLA_EXPECT(clock.now() - before >= 3ms);
  OTTLA_EXPECT(!co_await event.wait_until(clock, before));
  TaskGroup group(setting.env.executor);
  group.spawn(set_after(clock, 2ms, event));
  OTTLA_EXPECT(co_await event.wait_until(clock, clock.now() + 10s));
  OTTLA_EXPECT(clock.now() - before < 9s);
  OTTLA_EXPECT(co_await event.wait_until(clock, before));
  event.reset();
  group.spawn(set_after(clock, 2ms, event));
  OTTLA_EXPECT(co_await event.wait_until(clock, Instant::never()));
  co_await group.join();
}

Task<void> note_at_once(bool& started, Event& go, bool& ended) {
  started = true;
  co_await go.wait();
  ended = true;
}

Task<void> spawn_starts_at_once(Setting& setting) {
  Event go(setting.env.executor);
  bool started = false;
  bool ended = false;
  TaskGroup group(setting.env.executor);
  group.spawn(note_at_once(started, go, ended));
  OTTLA_EXPECT(started && !ended);
  go.set();
  OTTLA_EXPECT(!ended);  // woken in a turn of its own
  co_await group.join();
  OTTLA_EXPECT(ended);
}

Task<void> posted_callbacks_run_later(Setting& setting) {
  Event done(setting.env.executor);
  int calls = 0;
  for (int i = 0; i < 10; ++i) {
    setting.env.executor.post(Executor::Callback([&] {
      if (++calls == 10) done.set();
    }));
  }
  OTTLA_EXPECT(calls == 0);
  co_await done.wait();
  OTTLA_EXPECT(calls == 10);
}

Task<void> posts_to_a_shard_keep_their_order(Setting& setting) {
  Env& env = setting.env;
  for (unsigned shard = 0; shard < env.shards.count(); ++shard) {
    auto seen = std::make_shared<std::vector<int>>();
    auto done = std::make_shared<Event>(env.executor);
    for (int i = 0; i < 100; ++i) {
      env.shards.post(shard, [i, seen, done, home = env.shard, &shards = env.shards] {
        seen->push_back(i);
        if (i == 99) shards.post(home, [done] { done->set(); });
      });
    }
    co_await done->wait();
    OTTLA_EXPECT(seen->size() == 100 && std::ranges::is_sorted(*seen));
  }
}

Task<int> twice(int number) { co_return 2 * number; }

Task<void> calls_to_shards_bring_back_results(Setting& setting) {
  Env& env = setting.env;
  for (unsigned shard = 0; shard < env.shards.count(); ++shard) {
    const int number = static_cast<int>(shard) + 20;
    OTTLA_EXPECT(co_await call_on<int>(env, shard, [number] { return twice(number); }) ==
                 2 * number);
  }
}

Task<void> wall_time_and_randomness(Setting& setting) {
  Env& env = setting.env;
  const TimestampMs before = env.clock.wall_ms();
  OTTLA_EXPECT(before > 946'684'800'000);  // the year 2000
  co_await sleep_for(env.clock, 3ms);
  OTTLA_EXPECT(env.clock.wall_ms() >= before);
  OTTLA_EXPECT(env.random.uuid() != env.random.uuid());
  for (int i = 0; i < 100; ++i) OTTLA_EXPECT(env.random.below(7) < 7);
}

}  // namespace

std::vector<Case> time_cases() {
  return {
      {"time/nobody_wakes_early", nobody_wakes_early},
      {"time/timers_fire_in_the_order_of_their_deadlines",
       timers_fire_in_the_order_of_their_deadlines},
      {"time/a_timer_can_be_disarmed", a_timer_can_be_disarmed},
      {"time/a_wait_ends_at_its_deadline_or_before", a_wait_ends_at_its_deadline_or_before},
      {"time/spawn_starts_at_once", spawn_starts_at_once},
      {"time/posted_callbacks_run_later", posted_callbacks_run_later},
      {"time/posts_to_a_shard_keep_their_order", posts_to_a_shard_keep_their_order},
      {"time/calls_to_shards_bring_back_results", calls_to_shards_bring_back_results},
      {"time/wall_time_and_randomness", wall_time_and_randomness},
  };
}

}  // namespace ottla::io::conformance
