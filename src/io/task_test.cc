#include "io/task.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/event.h"
#include "io/testing_world.h"

namespace ottla::io {
namespace {

Task<int> give(int value) { co_return value; }

Task<std::string> join_words(std::string first, std::string second) {
  const int three = co_await give(3);
  co_return first + second + std::to_string(three);
}

Task<void> store(Task<std::string> from, std::string& into) { into = co_await std::move(from); }

TEST(Task, GivesItsResult) {
  HandExecutor executor;
  std::string result;
  executor.spawn(store(join_words("a", "b"), result));
  EXPECT_EQ(result, "ab3");
  EXPECT_TRUE(executor.tasks().empty());
}

Task<void> count_start(int& starts) {
  ++starts;
  co_return;
}

TEST(Task, IsLazyAndMayBeDropped) {
  int starts = 0;
  {
    Task<void> task = count_start(starts);
    Task<void> moved = std::move(task);
    task = std::move(moved);
  }
  EXPECT_EQ(starts, 0);
}

Task<std::unique_ptr<int>> give_pointer(int value) { co_return std::make_unique<int>(value); }

Task<void> add_pointers(int& sum) {
  std::vector<Task<std::unique_ptr<int>>> tasks;
  for (int i = 1; i <= 3; ++i) tasks.push_back(give_pointer(i));
  for (auto& task : tasks) sum += *co_await std::move(task);
}

TEST(Task, MovesResultsOut) {
  HandExecutor executor;
  int sum = 0;
  executor.spawn(add_pointers(sum));
  EXPECT_EQ(sum, 6);
}

Task<int> count_down(int from) {
  if (from == 0) co_return 0;
  co_return 1 + co_await count_down(from - 1);
}

Task<void> await_many(int times, std::int64_t& sum) {
  for (int i = 0; i < times; ++i) sum += co_await give(1);
}

Task<void> store_depth(int depth, int& into) { into = co_await count_down(depth); }

// Control passes between coroutines without the stack growing.
TEST(Task, ALoopOfAwaitsNeedsNoStack) {
  HandExecutor executor;
  std::int64_t sum = 0;
  executor.spawn(await_many(1'000'000, sum));
  EXPECT_EQ(sum, 1'000'000);
  int depth = 0;
  executor.spawn(store_depth(100'000, depth));
  EXPECT_EQ(depth, 100'000);
}

// Notes when it is destroyed.
struct Mark {
  Mark(std::vector<int>& into, int number) : marks(into), name(number) {}
  ~Mark() { marks.push_back(name); }
  std::vector<int>& marks;
  int name;
};

Task<void> wait_inside(Event& event, std::vector<int>& marks, int name) {
  Mark mark(marks, name);
  co_await event.wait();
}

Task<void> wait_outside(Event& event, std::vector<int>& marks, int name) {
  Mark mark(marks, name);
  co_await wait_inside(event, marks, name + 1);
}

TEST(Executor, DestroysSuspendedTasksTheYoungestFirstAndTheInnermostFirst) {
  std::vector<int> marks;
  HandExecutor executor;
  Event event(executor);
  executor.spawn(wait_outside(event, marks, 10));
  executor.spawn(wait_outside(event, marks, 20));
  executor.destroy_tasks();
  EXPECT_EQ(marks, (std::vector{21, 20, 11, 10}));
  event.set();  // nobody waits any more
  EXPECT_EQ(executor.waiting(), 0u);
}

TEST(Executor, ForgetsATaskThatHasEnded) {
  std::vector<int> marks;
  HandExecutor executor;
  Event event(executor);
  executor.spawn(wait_outside(event, marks, 10));
  executor.spawn(wait_outside(event, marks, 20));
  EXPECT_FALSE(executor.tasks().empty());
  event.set();
  EXPECT_TRUE(marks.empty());
  executor.run_all();
  EXPECT_EQ(marks, (std::vector{11, 10, 21, 20}));
  EXPECT_TRUE(executor.tasks().empty());
}

Task<void> hold(std::shared_ptr<int> held, Event& event) {
  co_await event.wait();
  ++*held;
}

TEST(Executor, FreesWhatATaskWasGiven) {
  auto held = std::make_shared<int>(0);
  HandExecutor executor;
  Event event(executor);
  executor.spawn(hold(held, event));
  EXPECT_EQ(held.use_count(), 2);
  event.set();
  executor.run_all();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 1);
}

TEST(FrameMemory, FramesMayEndOnAnotherThread) {
  for (int round = 0; round < 3; ++round) {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 1'000; ++i) tasks.push_back(give(i));
    std::thread([moved = std::move(tasks)]() mutable { moved.clear(); }).join();
  }
}

}  // namespace
}  // namespace ottla::io
