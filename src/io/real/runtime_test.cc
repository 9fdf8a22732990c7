#include "io/real/runtime.h"

#include <atomic>
#include <csignal>
#include <gtest/gtest.h>
#include <vector>

#include "io/real/runtime_test_support.h"

namespace ottla::io::real {
namespace {

using namespace std::chrono_literals;

Task<int> give(int value) { co_return value; }

TEST(Runtime, GivesTheFirstResultThatIsNotZero) {
  Runtime runtime(quiet(3));
  EXPECT_EQ(runtime.run([](Env& env) {
    return give(env.shard == 0 ? 0 : static_cast<int>(env.shard) + 10);
  }),
            11);
}

Task<int> sleep_in_order(Env& env, std::vector<int>& order) {
  struct Late {
    static Task<void> run(Env& world, Duration after, int name, std::vector<int>& into) {
      co_await sleep_for(world.clock, after);
      into.push_back(name);
    }
  };
  TaskGroup group(env.executor);
  group.spawn(Late::run(env, 3ms, 3, order));
  group.spawn(Late::run(env, 1ms, 1, order));
  group.spawn(Late::run(env, 2ms, 2, order));
  const Instant before = env.clock.now();
  co_await group.join();
  EXPECT_GE(env.clock.now() - before, 3ms);
  co_return 0;
}

TEST(Runtime, TimersFireInOrder) {
  std::vector<int> order;
  Runtime runtime(quiet(1));
  EXPECT_EQ(runtime.run([&](Env& env) { return sleep_in_order(env, order); }), 0);
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

Task<unsigned> shard_of(Env& env) { co_return env.shard; }

Task<int> ask_all_shards(Env& env, std::vector<Env*>& envs, std::atomic<unsigned>& ready) {
  envs[env.shard] = &env;
  ready.fetch_add(1);
  while (ready.load() < env.shards.count()) co_await sleep_for(env.clock, 100us);
  for (int round = 0; round < 200; ++round) {
    for (unsigned shard = 0; shard < env.shards.count(); ++shard) {
      Env* there = envs[shard];
      if (co_await call_on<unsigned>(env, shard, [there] { return shard_of(*there); }) != shard)
        co_return 1;
    }
  }
  co_return 0;
}

TEST(Runtime, ShardsCallEachOther) {
  Runtime runtime(quiet(4));
  std::vector<Env*> envs(4);
  std::atomic<unsigned> ready{0};
  EXPECT_EQ(runtime.run([&](Env& env) { return ask_all_shards(env, envs, ready); }), 0);
}

Task<void> wait_for_ever(Env& env, std::shared_ptr<int> held) {
  co_await env.stop.wait();
  *held = 1;
}

Task<int> leave_running(Env& env, std::shared_ptr<int> held) {
  env.executor.spawn(wait_for_ever(env, held));
  co_return 0;
}

TEST(Runtime, DestroysWhatIsLeftRunning) {
  auto held = std::make_shared<int>(0);
  {
    Runtime runtime(quiet(1));
    runtime.run([&](Env& env) { return leave_running(env, held); });
    EXPECT_EQ(held.use_count(), 1);
  }
  EXPECT_EQ(*held, 0);
}

Task<int> end_at_stop(Env& env) {
  if (env.shard == 0) ::raise(SIGTERM);
  co_await env.stop.wait();
  co_return 7;
}

TEST(Runtime, SigtermSetsStopOnEveryShard) {
  RuntimeOptions options = quiet(2);
  options.handle_signals = true;
  Runtime runtime(options);
  EXPECT_EQ(runtime.run([](Env& env) { return end_at_stop(env); }), 7);
}

Task<int> raise_twice(Env& env) {
  ::raise(SIGINT);
  ::raise(SIGINT);
  co_await env.stop.wait();
  co_return 0;
}

TEST(RuntimeDeathTest, SecondSignalEndsTheProcess) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        RuntimeOptions options = quiet(1);
        options.handle_signals = true;
        Runtime runtime(options);
        runtime.run([](Env& env) { return raise_twice(env); });
      },
      ::testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace ottla::io::real
