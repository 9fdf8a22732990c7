#include "io/event.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "io/env.h"
#include "io/testing_world.h"

namespace ottla::io {
namespace {

using namespace std::chrono_literals;

class EventTest : public testing::Test {
 protected:
  HandExecutor executor;
  HandClock clock;
  Event event{executor};
  std::vector<std::string> seen;

  Task<void> wait(std::string name) {
    co_await event.wait();
    seen.push_back(std::move(name));
  }
  Task<void> wait_until(std::string name, Instant deadline) {
    const bool came = co_await event.wait_until(clock, deadline);
    seen.push_back(name + (came ? " event" : " late"));
  }
};

TEST_F(EventTest, WakesAllInOrderLater) {
  executor.spawn(wait("a"));
  executor.spawn(wait("b"));
  event.set();
  EXPECT_TRUE(seen.empty());
  executor.run_all();
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
}

TEST_F(EventTest, DoesNotMakeWaitIfSet) {
  event.set();
  executor.spawn(wait("a"));
  EXPECT_EQ(seen, std::vector<std::string>{"a"});
  event.reset();
  executor.spawn(wait("b"));
  executor.run_all();
  EXPECT_EQ(seen.size(), 1u);
}

TEST_F(EventTest, PulseWakesOnlyThoseWhoWait) {
  executor.spawn(wait("a"));
  event.pulse();
  executor.spawn(wait("b"));
  executor.run_all();
  EXPECT_EQ(seen, std::vector<std::string>{"a"});
  EXPECT_FALSE(event.is_set());
}

TEST_F(EventTest, SetAndResetBeforeTheWaiterRuns) {
  executor.spawn(wait("a"));
  event.set();
  event.reset();
  executor.run_all();
  EXPECT_EQ(seen, std::vector<std::string>{"a"});
}

TEST_F(EventTest, TimedWaitSeesTheEvent) {
  executor.spawn(wait_until("a", {10}));
  event.set();
  EXPECT_EQ(clock.armed(), 0u);  // else it would be resumed twice
  clock.move(20ns);
  executor.run_all();
  EXPECT_EQ(seen, std::vector<std::string>{"a event"});
}

TEST_F(EventTest, TimedWaitSeesTheDeadline) {
  executor.spawn(wait_until("a", {10}));
  clock.move(9ns);
  EXPECT_TRUE(seen.empty());
  clock.move(1ns);
  EXPECT_EQ(seen, std::vector<std::string>{"a late"});
  event.set();  // else it would be resumed twice
  executor.run_all();
  EXPECT_EQ(seen.size(), 1u);
}

TEST_F(EventTest, TimedWaitWithADeadlineInThePast) {
  clock.move(100ns);
  executor.spawn(wait_until("late", {100}));
  event.set();
  executor.spawn(wait_until("set", {100}));
  EXPECT_EQ(seen, (std::vector<std::string>{"late late", "set event"}));
}

TEST_F(EventTest, TimedWaitForEverArmsNothing) {
  executor.spawn(wait_until("a", Instant::never()));
  EXPECT_EQ(clock.armed(), 0u);
  event.set();
  executor.run_all();
  EXPECT_EQ(seen, std::vector<std::string>{"a event"});
}

TEST_F(EventTest, ADestroyedWaiterLeavesEventAndClock) {
  executor.spawn(wait("a"));
  executor.spawn(wait_until("b", {10}));
  EXPECT_EQ(clock.armed(), 1u);
  executor.destroy_tasks();
  EXPECT_EQ(clock.armed(), 0u);
  event.set();
  clock.move(1s);
  executor.run_all();
  EXPECT_TRUE(seen.empty());
}

Task<void> wait_in_turn(Event& first, Event& second, Clock& clock, std::vector<bool>& came) {
  came.push_back(co_await first.wait_until(clock, {5}));
  came.push_back(co_await second.wait_until(clock, {10}));
  came.push_back(co_await first.wait_until(clock, {20}));
}

TEST_F(EventTest, OneTaskWaitsAgainAndAgain) {
  Event second(executor);
  std::vector<bool> came;
  executor.spawn(wait_in_turn(event, second, clock, came));
  clock.move(6ns);
  second.set();
  executor.run_all();
  event.set();
  clock.move(100ns);
  executor.run_all();
  EXPECT_EQ(came, (std::vector{false, true, true}));
}

Task<void> take(OneShot<std::string>& from, std::string& into) { into = co_await from.take(); }

TEST_F(EventTest, OneShotInEitherOrder) {
  OneShot<std::string> early(executor);
  OneShot<std::string> late(executor);
  std::string first;
  std::string second;
  early.set("one");
  executor.spawn(take(early, first));
  EXPECT_EQ(first, "one");
  executor.spawn(take(late, second));
  late.set("two");
  executor.run_all();
  EXPECT_EQ(second, "two");
}

Task<void> join(TaskGroup& group, bool& joined) {
  co_await group.join();
  joined = true;
}

TEST_F(EventTest, AGroupIsJoinedWhenAllHaveEnded) {
  TaskGroup group(executor);
  bool joined_empty = false;
  executor.spawn(join(group, joined_empty));
  EXPECT_TRUE(joined_empty);
  Event other(executor);
  bool joined = false;
  group.spawn(wait("a"));
  group.spawn(wait("b"));
  executor.spawn(join(group, joined));
  EXPECT_EQ(group.running(), 2u);
  event.set();
  executor.run_one();
  EXPECT_FALSE(joined);
  executor.run_all();
  EXPECT_TRUE(joined);
  EXPECT_EQ(group.running(), 0u);
}

Task<void> spawn_then_join(HandExecutor& executor, Event& go, int& ended) {
  struct Child {
    static Task<void> run(Event& start, int& count) {
      co_await start.wait();
      ++count;
    }
  };
  TaskGroup group(executor);
  for (int i = 0; i < 3; ++i) group.spawn(Child::run(go, ended));
  co_await group.join();
}

TEST_F(EventTest, AGroupMayDieRightAfterItsJoin) {
  int ended = 0;
  executor.spawn(spawn_then_join(executor, event, ended));
  event.set();
  executor.run_all();
  EXPECT_EQ(ended, 3);
  EXPECT_TRUE(executor.tasks().empty());
}

TEST_F(EventTest, AGroupInADestroyedTask) {
  int ended = 0;
  executor.spawn(spawn_then_join(executor, event, ended));
  executor.destroy_tasks();
  event.set();
  executor.run_all();
  EXPECT_EQ(ended, 0);
}

// Two shards over one queue each, run by hand.
struct TwoShards final : Shards {
  HandExecutor executors[2];
  unsigned count() const override { return 2; }
  void post(unsigned shard, Executor::Callback callback) override {
    executors[shard].post(std::move(callback));
  }
  Executor* executor(unsigned shard) override { return &executors[shard]; }
  void run() {
    while (executors[0].run_one() || executors[1].run_one()) {
    }
  }
};

struct NoDisk final : Disk {
  Task<Result<std::shared_ptr<File>>> open(std::string, OpenOptions) override { co_return nullptr; }
  Task<Result<>> make_directory(std::string) override { co_return Result<>{}; }
  Task<Result<>> remove(std::string) override { co_return Result<>{}; }
  Task<Result<>> rename(std::string, std::string) override { co_return Result<>{}; }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string) override {
    co_return std::vector<DirectoryEntry>{};
  }
  Task<Result<DirectoryEntry>> status(std::string) override { co_return DirectoryEntry{}; }
  Task<Result<>> sync_directory(std::string) override { co_return Result<>{}; }
  Task<Result<std::unique_ptr<FileLock>>> lock(std::string) override { co_return nullptr; }
  Task<Result<std::uint64_t>> free_bytes(std::string) override { co_return 0; }
};
struct NoNetwork final : Network {
  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint) override { co_return nullptr; }
  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint) override { co_return nullptr; }
};
struct NoRandom final : Random {
  std::uint64_t next() override { return 4; }
};

struct Home {
  TwoShards shards;
  HandClock clock;
  NoRandom random;
  NoDisk disk;
  NoNetwork network;
  NullLogger logger;
  Event stop{shards.executors[0]};
  Env env{0, shards.executors[0], clock, random, disk, network, shards, logger, stop};
};

Task<std::string> answer_when(Event& event, std::string text) {
  co_await event.wait();
  co_return text;
}

Task<void> ask(Env& env, unsigned shard, Event& event, std::string& answer) {
  answer =
      co_await call_on<std::string>(env, shard, [&event] { return answer_when(event, "yes"); });
}

TEST(CallOn, BringsTheResultBack) {
  Home home;
  Event there(home.shards.executors[1]);
  std::string answer;
  home.env.executor.spawn(ask(home.env, 1, there, answer));
  home.shards.run();
  EXPECT_TRUE(answer.empty());
  there.set();
  home.shards.run();
  EXPECT_EQ(answer, "yes");
  EXPECT_TRUE(home.shards.executors[1].tasks().empty());
}

TEST(CallOn, OnItsOwnShardIsACall) {
  Home home;
  Event here(home.shards.executors[0]);
  here.set();
  std::string answer;
  home.env.executor.spawn(ask(home.env, 0, here, answer));
  EXPECT_EQ(answer, "yes");
}

TEST(CallOn, TheCallerMayBeGoneWhenTheAnswerComes) {
  Home home;
  Event there(home.shards.executors[1]);
  std::string answer;
  home.env.executor.spawn(ask(home.env, 1, there, answer));
  home.shards.run();
  home.shards.executors[0].destroy_tasks();
  there.set();
  home.shards.run();
  EXPECT_TRUE(answer.empty());
}

}  // namespace
}  // namespace ottla::io
