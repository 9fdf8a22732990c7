// What a crash leaves of files and names, and that each fault of the disk is seen to bite.
#include "io/sim/disk.h"

#include <gtest/gtest.h>

#include "io/sim/world.h"

namespace ottla::io::sim {
namespace {

// A node with one process; do() runs a coroutine on it to its end.
class DiskTest : public testing::Test {
 protected:
  explicit DiskTest(SwarmOptions swarm = {}, std::uint64_t seed = 1)
      : world({.seed = seed, .swarm = swarm}), node(world.add_node("n")), disk(node.disk()) {}

  using Body = std::function<Task<int>(Env&)>;
  int run(Body body) {
    node.start(1, std::move(body));
    EXPECT_TRUE(world.run_until([&] { return !node.is_running(); }, 10min)) << world.report();
    return node.exit_code();
  }
  // Runs it until `done`, and leaves it running.
  void run_until_set(bool& flag, Body body) {
    node.start(1, std::move(body));
    EXPECT_TRUE(world.run_until([&] { return flag; }, 10min)) << world.report();
  }

  World world;
  Node& node;
  SimDisk& disk;
};

Bytes filled(std::size_t size, std::uint8_t value) { return Bytes(size, value); }

Task<Result<std::shared_ptr<File>>> make_file(Env& env, std::string path) {
  return env.disk.open(std::move(path), {.write = true, .create = true});
}

TEST_F(DiskTest, reads_back_what_was_written) {
  EXPECT_EQ(run([](Env& env) -> Task<int> {
              auto file = *co_await make_file(env, "a");
              Bytes out = filled(10'000, 7);
              if (!co_await file->write(5, out)) co_return 1;
              Bytes in(20'000);
              auto got = co_await file->read(0, in);
              if (!got || *got != 10'005) co_return 2;
              co_return in[4] == 0 && in[5] == 7 && in[10'004] == 7 ? 0 : 3;
            }),
            0);
  EXPECT_EQ(disk.content("a")->size(), 10'005u);
}

Task<int> write_then_wait(Env& env, bool sync_file, bool sync_name, bool& done) {
  auto file = *co_await make_file(env, "a");
  Bytes out = filled(8192, 7);
  if (!co_await file->write(0, out)) co_return 1;
  if (sync_file && !co_await file->sync_data()) co_return 2;
  if (sync_name && !co_await env.disk.sync_directory("")) co_return 3;
  done = true;
  co_await env.stop.wait();
  co_return 0;
}

struct PowerLoss : DiskTest {
  static SwarmOptions keep_nothing() {
    SwarmOptions swarm;
    swarm.disk.keep_nothing = 1;
    swarm.disk.keep_everything = swarm.disk.keep_prefix = swarm.disk.keep_subset = 0;
    return swarm;
  }
  PowerLoss() : DiskTest(keep_nothing()) {}
};

TEST_F(PowerLoss, takes_unsynced_writes) {
  bool done = false;
  run_until_set(done, [&](Env& env) { return write_then_wait(env, false, true, done); });
  node.crash(CrashKind::power_loss);
  ASSERT_TRUE(disk.exists("a"));
  EXPECT_EQ(disk.content("a")->size(), 0u);
  EXPECT_EQ(disk.counters().unsynced_bytes_lost, 8192u);
}

TEST_F(PowerLoss, leaves_synced_ones) {
  bool done = false;
  run_until_set(done, [&](Env& env) { return write_then_wait(env, true, true, done); });
  node.crash(CrashKind::power_loss);
  EXPECT_EQ(disk.content("a"), filled(8192, 7));
  EXPECT_EQ(disk.counters().unsynced_bytes_lost, 0u);
}

TEST_F(PowerLoss, process_kill_keeps_the_page_cache) {
  bool done = false;
  run_until_set(done, [&](Env& env) { return write_then_wait(env, false, false, done); });
  node.crash(CrashKind::process_kill);
  EXPECT_EQ(disk.content("a"), filled(8192, 7));
}

}  // namespace
}  // namespace ottla::io::sim
