// Time, scheduling, processes and their deaths.
#include "io/sim/world.h"

#include <set>

#include "io/sim/test_support.h"

namespace ottla::io::sim {
namespace {

// Waits until stopped; `alive` is counted down when its frame is destroyed.
struct Alive {
  explicit Alive(std::vector<int>& gone, int number) : gone(gone), number(number) {}
  ~Alive() { gone.push_back(number); }
  std::vector<int>& gone;
  int number;
};

Task<void> wait_for_ever(Env& env, std::vector<int>& gone, int number) {
  const Alive alive(gone, number);
  Event never(env.executor);
  co_await never.wait();
}

TEST(Time, passes_only_while_nothing_is_runnable) {
  World world;
  Node& node = world.add_node("n");
  std::vector<std::int64_t> seen;
  node.start(1, [&](Env& env) -> Task<int> {
    const Instant begin = env.clock.now();
    for (int i = 0; i < 100; ++i) {
      Event event(env.executor);
      event.set();
      co_await event.wait();
    }
    seen.push_back((env.clock.now() - begin).count());
    co_await sleep_for(env.clock, 24h);
    seen.push_back((env.clock.now() - begin).count());
    co_return 7;
  });
  ASSERT_TRUE(world.run_until([&] { return !node.is_running(); }, 48h));
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, Duration(24h).count()}));
  EXPECT_EQ(node.exit_code(), 7);
  EXPECT_LT(world.steps(), 20u);
}

TEST(Time, run_until_gives_up_at_its_limit) {
  World world;
  Node& node = world.add_node("n");
  node.start(1, [](Env& env) -> Task<int> {
    for (;;) co_await sleep_for(env.clock, 1s);
  });
  EXPECT_FALSE(world.run_until([&] { return !node.is_running(); }, 10s));
  EXPECT_EQ(world.now(), Instant{} + 10s);
  EXPECT_EQ(world.failure(), "");
}

TEST(Time, timers_fire_in_order_and_leave_when_they_are_unlinked) {
  World world;
  Node& node = world.add_node("n");
  std::string order;
  struct Note : Timer {
    void fire() override { *to += name; }
    std::string* to = nullptr;
    char name = 0;
  };
  static constexpr char kNames[] = "edcba";
  node.start(1, [&](Env& env) -> Task<int> {
    Note notes[5];
    for (int i = 0; i < 5; ++i) {
      notes[i].to = &order;
      notes[i].name = kNames[i];
      notes[i].deadline = env.clock.now() + std::chrono::milliseconds(10 - i / 2);
      env.clock.arm(notes[i]);
    }
    notes[3].unlink();
    co_await sleep_for(env.clock, 1s);
    co_return 0;
  });
  world.run_until([&] { return !node.is_running(); });
  EXPECT_EQ(order, "aced");  // of equal deadlines the one armed first
}

TEST(Time, clocks_drift_and_start_anew_after_a_power_loss) {
  SwarmOptions swarm;
  swarm.clock.drift_ppm_max = 1000;
  World world({.swarm = swarm});
  std::set<std::int64_t> lengths;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    Node& node = world.add_node(name);
    const Instant begin = node.monotonic(world.now());
    world.run_for(1000s);
    lengths.insert((node.monotonic(world.now()) - begin).count());
  }
  EXPECT_GT(lengths.size(), 3u);
  EXPECT_GE(*lengths.begin(), Duration(999s).count());
  EXPECT_LE(*lengths.rbegin(), Duration(1001s).count());
  Node& node = *world.find_node("a");
  auto idle = [](Env& env) -> Task<int> {
    co_await env.stop.wait();
    co_return 0;
  };
  node.start(1, idle);
  const Instant before = node.monotonic(world.now());
  node.crash(CrashKind::process_kill);
  node.start(1, idle);
  EXPECT_EQ(node.monotonic(world.now()), before);
  node.crash(CrashKind::power_loss);
  node.start(1, idle);
  EXPECT_NE(node.monotonic(world.now()), before);
}

TEST(Time, a_timer_of_a_drifting_clock_is_never_early) {
  SwarmOptions swarm;
  swarm.clock.drift_ppm_max = 100'000;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.seed = seed, .swarm = swarm});
    Node& node = world.add_node("n");
    const int code = run(world, node, [](Env& env) -> Task<int> {
      for (int i = 0; i < 50; ++i) {
        const Instant until =
            env.clock.now() + Duration(static_cast<std::int64_t>(env.random.below(1ull << 34)));
        co_await sleep_until(env.clock, until);
        if (env.clock.now() < until || env.clock.now() > until + 2ns) co_return 1;
      }
      co_return 0;
    });
    EXPECT_EQ(code, 0);
  }
}

TEST(Time, wall_clocks_step_both_ways) {
  SwarmOptions swarm;
  swarm.clock.wall_step = 0.5;
  swarm.clock.wall_step_max = 10s;
  World world({.swarm = swarm});
  Node& node = world.add_node("n");
  bool back = false;
  bool forth = false;
  TimestampMs last = node.wall_ms();
  for (int i = 0; i < 20; ++i) {
    const TimestampMs now = node.wall_ms();
    back = back || now < last;
    forth = forth || now > last;
    last = now;
  }
  EXPECT_TRUE(back && forth);
}

TEST(Schedule, a_busy_loop_fails_the_run) {
  World world({.events_per_instant_max = 1000});
  Node& node = world.add_node("n");
  node.start(1, [](Env& env) -> Task<int> {
    for (;;) {
      Event event(env.executor);
      event.set();
      env.executor.post([] {});
      co_await sleep_for(env.clock, 0ns);
      struct Yield {
        Executor& executor;
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> handle) { executor.post(handle); }
        void await_resume() {}
      };
      co_await Yield{env.executor};
    }
  });
  EXPECT_FALSE(world.run_until([] { return false; }, 1s));
  EXPECT_TRUE(world.failure().contains("busy loop")) << world.failure();
}

// Two shards post numbers to a third: the order of each is kept, the two mix.
TEST(Schedule, posts_keep_the_order_of_each_sender_and_no_other) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("n");
    std::string order;
    node.start(3, [&](Env& env) -> Task<int> {
      if (env.shard > 0)
        for (int i = 0; i < 5; ++i)
          env.shards.post(
              0, [&order, c = static_cast<char>((env.shard == 1 ? 'a' : 'A') + i)] { order += c; });
      co_await sleep_for(env.clock, 1ms);
      co_return 0;
    });
    world.run_until([&] { return !node.is_running(); });
    std::string lower;
    std::string upper;
    for (char c : order) (c >= 'a' ? lower : upper) += c;
    EXPECT_EQ(lower, "abcde");
    EXPECT_EQ(upper, "ABCDE");
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST(Schedule, the_seed_picks_what_runs_next) {
  std::set<std::string> orders;
  for (double shuffle : {0.0, 1.0}) {
    orders.clear();
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SwarmOptions swarm;
      swarm.schedule.shuffle = shuffle;
      World world({.seed = seed, .swarm = swarm});
      Node& node = world.add_node("n");
      std::string order;
      node.start(1, [&](Env& env) -> Task<int> {
        for (char c : {'a', 'b', 'c', 'd'}) env.executor.post([&order, c] { order += c; });
        co_await sleep_for(env.clock, 1ms);
        co_return 0;
      });
      world.run_until([&] { return !node.is_running(); });
      orders.insert(order);
    }
    if (shuffle == 0) EXPECT_EQ(orders, std::set<std::string>{"abcd"});
  }
  EXPECT_GT(orders.size(), 10u);
}

TEST(Process, stop_reaches_every_shard_and_the_first_bad_code_counts) {
  World world;
  Node& node = world.add_node("n");
  node.start(3, [](Env& env) -> Task<int> {
    co_await env.stop.wait();
    co_return static_cast<int>(env.shard) * 2;
  });
  world.run_for(1s);
  ASSERT_TRUE(node.is_running());
  node.stop();
  world.run_for(1s);
  EXPECT_FALSE(node.is_running());
  EXPECT_EQ(node.exit_code(), 2);
}

TEST(Process, its_end_destroys_what_is_left_the_youngest_first) {
  World world;
  Node& node = world.add_node("n");
  std::vector<int> gone;
  node.start(2, [&](Env& env) -> Task<int> {
    // 1 and 3 on shard 0, 2 on shard 1, by time.
    co_await sleep_for(env.clock, std::chrono::milliseconds(1 + env.shard));
    env.executor.spawn(wait_for_ever(env, gone, 1 + static_cast<int>(env.shard)));
    co_await sleep_for(env.clock, 5ms);
    if (env.shard == 0) env.executor.spawn(wait_for_ever(env, gone, 3));
    co_await sleep_for(env.clock, 5ms);
    co_return 0;
  });
  world.run_until([&] { return !node.is_running(); });
  EXPECT_EQ(gone, (std::vector<int>{3, 2, 1}));
}

TEST(Process, a_crash_destroys_timers_posts_and_tasks) {
  World world;
  Node& node = world.add_node("n");
  std::vector<int> gone;
  bool fired = false;
  bool started = false;
  run_until_set(world, node, started, [&](Env& env) -> Task<int> {
    env.executor.spawn(wait_for_ever(env, gone, 1));
    started = true;
    env.executor.post([&fired] { fired = true; });
    co_await sleep_for(env.clock, 1ms);
    fired = true;
    co_return 0;
  });
  node.crash(CrashKind::process_kill);
  EXPECT_FALSE(node.is_running());
  world.run_for(1s);
  EXPECT_EQ(gone, std::vector<int>{1});
  EXPECT_FALSE(fired);
}

TEST(Process, may_crash_itself_and_is_gone_at_its_next_suspension) {
  World world;
  Node& node = world.add_node("n");
  std::string seen;
  node.start(1, [&](Env& env) -> Task<int> {
    node.crash(CrashKind::power_loss);
    seen += "still here";
    co_await sleep_for(env.clock, 1ms);
    seen += ", and after";
    co_return 0;
  });
  world.run_for(1s);
  EXPECT_EQ(seen, "still here");
  EXPECT_FALSE(node.is_running());
}

TEST(Process, a_paused_one_does_nothing_until_it_is_resumed) {
  World world;
  Node& node = world.add_node("n");
  int ticks = 0;
  node.start(1, [&](Env& env) -> Task<int> {
    for (;; ++ticks) co_await sleep_for(env.clock, 1ms);
  });
  world.run_for(10ms);
  node.pause();
  const int before = ticks;
  world.run_for(10s);
  EXPECT_EQ(ticks, before);
  node.resume();
  world.run_for(10ms);
  EXPECT_GT(ticks, before + 5);
}

TEST(Process, logs_are_kept_and_an_error_can_fail_the_run) {
  World world({.fail_on_error_log = true});
  Node& node = world.add_node("n");
  node.start(1, [](Env& env) -> Task<int> {
    env.logger.info("all {}", "well");
    co_await sleep_for(env.clock, 1s);
    env.logger.error("not well");
    co_return 0;
  });
  world.run_for(10s);
  EXPECT_TRUE(node.has_logged("all well"));
  EXPECT_EQ(world.failure(), "n logged an error: not well");
  EXPECT_TRUE(world.report().contains("not well"));
}

TEST(World, at_runs_faults_by_plan) {
  World world;
  Node& node = world.add_node("n");
  node.start(1, [](Env& env) -> Task<int> {
    co_await env.stop.wait();
    co_return 0;
  });
  world.at(Instant{} + 3s, [&] { node.crash(CrashKind::process_kill); });
  world.run_until([&] { return !node.is_running(); });
  EXPECT_EQ(world.now(), Instant{} + 3s);
}

TEST(World, end_faults_leaves_a_calm_world) {
  SwarmOptions swarm;
  swarm.disk.write_error = swarm.network.refuse = 1;
  World world({.swarm = swarm});
  Node& a = world.add_node("a");
  Node& b = world.add_node("b");
  world.network().isolate("a");
  b.start(1, [](Env& env) -> Task<int> {
    auto listener = co_await env.network.listen({"", 1});
    co_return co_await (*listener)->accept() ? 0 : 1;
  });
  b.pause();
  auto work = [](Env& env) -> Task<int> {
    auto file = co_await env.disk.open("a", {.write = true, .create = true});
    const Bytes out = filled(10, 1);
    if (!co_await (*file)->write(0, out)) co_return 1;
    co_return co_await env.network.connect({"b", 1}) ? 0 : 2;
  };
  EXPECT_EQ(run(world, a, work), 1);
  world.end_faults();
  world.run_for(1s);
  EXPECT_EQ(run(world, a, work), 0) << world.report();
}

// As docs/testing.md has the columns.
TEST(World, prints_its_trace_when_asked) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::tmpfile(), std::fclose);
  World world({.trace_text = out.get()});
  Node& node = world.add_node("n");
  run(world, node, [](Env& env) -> Task<int> {
    auto file = co_await env.disk.open("a", {.write = true, .create = true});
    const Bytes bytes = filled(10, 1);
    co_return co_await (*file)->write(4096, bytes) ? 0 : 1;
  });
  std::rewind(out.get());
  std::string written;
  std::string last;
  for (char line[200]; std::fgets(line, sizeof line, out.get());) {
    last = line;
    if (last.contains(" write ")) written = last;
  }
  EXPECT_TRUE(written.contains("  0/0 write          4096       10 ")) << written;
  EXPECT_TRUE(written.ends_with(" a\n")) << written;
  char hash[20];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(world.trace_hash()));
  EXPECT_TRUE(last.contains(hash)) << last;
}

TEST(Swarm, each_seed_draws_another_mixture) {
  std::set<std::string> drawn;
  int without_resets = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const SwarmOptions swarm = SwarmOptions::draw(seed);
    drawn.insert(swarm.to_string());
    without_resets += swarm.network.reset == 0;
    EXPECT_EQ(swarm.disk.sync_error, 0);
  }
  EXPECT_EQ(drawn.size(), 100u);
  EXPECT_GT(without_resets, 25);
  EXPECT_LT(without_resets, 75);
}

}  // namespace
}  // namespace ottla::io::sim
