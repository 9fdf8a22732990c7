#include "io/fault/fault_disk.h"

#include <gtest/gtest.h>

#include "io/conformance/conformance.h"
#include "io/sim/test_support.h"

namespace ottla::io::fault {
namespace {

using namespace std::chrono_literals;
using sim::filled;
using Body = Task<int> (*)(Disk& disk, Env& env);

Task<int> run_with_rules(Env& env, std::vector<FaultRule> rules, Body body) {
  const auto disk = make_fault_disk(env.disk, env.clock, std::move(rules));
  co_return co_await body(*disk, env);
}

// What `body` gives on a disk with these rules.
int on_disk_with(std::string_view rules, Body body) {
  auto parsed = parse_fault_rules(rules);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error());
  sim::World world({.seed = 1});
  sim::Node& node = world.add_node("host");
  node.disk().make_directories("d");
  return sim::run(world, node, [&](Env& env) { return run_with_rules(env, *parsed, body); });
}

Task<std::shared_ptr<File>> make(Disk& disk, std::string path) {
  auto file = co_await disk.open(std::move(path), {.write = true, .create = true});
  co_return file ? *file : nullptr;
}

// One digit a write: 1 if it succeeded.
Task<int> five_writes(Disk& disk, Env&) {
  auto file = co_await make(disk, "d/a.journal");
  int digits = 0;
  const Bytes bytes = filled(100, 7);
  for (int i = 0; i < 5; ++i) {
    const auto written = co_await file->write(static_cast<std::uint64_t>(i) * 100, bytes);
    digits = digits * 10 + (written ? 1 : 0);
  }
  co_return digits;
}

Task<int> size_after_five_writes(Disk& disk, Env& env) {
  (void)co_await five_writes(disk, env);
  auto status = co_await disk.status("d/a.journal");
  co_return status ? static_cast<int>(status->size_bytes) : -1;
}

TEST(FaultDisk, WithoutRulesChangesNothing) { EXPECT_EQ(on_disk_with("", five_writes), 11111); }

TEST(FaultDisk, CountsCalls) {
  EXPECT_EQ(on_disk_with("fail write from=3", five_writes), 11000);
  EXPECT_EQ(on_disk_with("fail write from=2 count=2", five_writes), 10011);
  EXPECT_EQ(on_disk_with("fail write count=1; fail write from=5", five_writes), 1110);
}

TEST(FaultDisk, LooksAtThePath) {
  EXPECT_EQ(on_disk_with("fail write path=.journal", five_writes), 0);
  EXPECT_EQ(on_disk_with("fail write path=.log", five_writes), 11111);
}

TEST(FaultDisk, IsFullAfterSomeBytes) {
  EXPECT_EQ(on_disk_with("fail write after=250 error=no_space", five_writes), 11000);
  EXPECT_EQ(on_disk_with("fail write after=250 error=no_space", size_after_five_writes), 250);
}

TEST(FaultDisk, CutsAWriteShort) {
  EXPECT_EQ(on_disk_with("short write from=5", five_writes), 11110);
  EXPECT_EQ(on_disk_with("short write from=5", size_after_five_writes), 450);
}

Task<int> micros_of_a_synced_write(Disk& disk, Env& env) {
  auto file = co_await make(disk, "d/a");
  const Bytes bytes = filled(100, 7);
  (void)co_await file->write_synced(0, bytes);
  const Instant before = env.clock.now();
  (void)co_await file->write_synced(0, bytes);
  co_return static_cast<int>((env.clock.now() - before) / 1us);
}

TEST(FaultDisk, DelaysAFlush) {
  const int without = on_disk_with("", micros_of_a_synced_write);
  const int with = on_disk_with("delay sync ms=0.5", micros_of_a_synced_write);
  EXPECT_EQ(with, without + 500);
}

Task<int> failing_sync(Disk& disk, Env&) {
  auto file = co_await make(disk, "d/a");
  const Bytes bytes = filled(100, 7);
  auto written = co_await file->write_synced(0, bytes);
  if (written || written.error().kind != ErrorKind::input_output) co_return 1;
  if (file->size_bytes() != 100u) co_return 2;  // written, not flushed
  co_return co_await file->sync_data() ? 0 : 3;
}

TEST(FaultDisk, FailsAFlush) { EXPECT_EQ(on_disk_with("fail sync count=1", failing_sync), 0); }

Task<int> each_name_operation(Disk& disk, Env&) {
  auto file = co_await make(disk, "d/ok");
  const bool all_fail = !co_await disk.open("d/x", {.write = true, .create = true}) &&
                        !co_await disk.rename("d/ok", "d/x") && !co_await disk.remove("d/x") &&
                        !co_await disk.make_directory("d/x") &&
                        !co_await disk.sync_directory("d/x") && !co_await disk.lock("d/x");
  co_return all_fail&& co_await disk.sync_directory("d") ? 1 : 0;
}

TEST(FaultDisk, FailsOperationsOnNames) {
  EXPECT_EQ(on_disk_with("fail any path=d/x error=permission", each_name_operation), 1);
}

TEST(FaultRules, ExplainsBadText) {
  for (const char* bad :
       {"fail", "break write", "fail wrte", "fail write from=0", "fail write from=x", "short sync",
        "delay sync", "fail sync after=3", "fail write error=odd", "fail write x"}) {
    const auto rules = parse_fault_rules(bad);
    EXPECT_FALSE(rules) << bad;
    if (!rules) EXPECT_NE(rules.error().find(bad), std::string::npos) << rules.error();
  }
}

TEST(FaultRules, ReadsLinesAndComments) {
  const auto rules = parse_fault_rules(
      "# nothing\nfail sync path=a ; delay write ms=0.1 # slow\n\n short write\n");
  ASSERT_TRUE(rules);
  ASSERT_EQ(rules->size(), 3u);
  EXPECT_EQ((*rules)[0].path_part, "a");
  EXPECT_EQ((*rules)[1].delay, 100us);
  EXPECT_EQ((*rules)[2].effect, Effect::cut_short);
}

// A disk with rules that concern nothing behaves as the one below it.
Task<int> conformance_case(Env& env, conformance::Case which, conformance::Checker& checker) {
  const auto disk =
      make_fault_disk(env.disk, env.clock, *parse_fault_rules("fail any path=nowhere"));
  Env wrapped{env.shard,   env.executor, env.clock,  env.random, *disk,
              env.network, env.shards,   env.logger, env.stop};
  conformance::Setting setting{wrapped, "d", "host", checker};
  co_await which.run(setting);
  co_return 0;
}

TEST(FaultDisk, PassesTheConformanceSuite) {
  for (const conformance::Case& which : conformance::all_cases()) {
    sim::World world({.seed = 1});
    sim::Node& node = world.add_node("host");
    node.disk().make_directories("d");
    conformance::Checker checker;
    sim::run(world, node, [&](Env& env) { return conformance_case(env, which, checker); });
    for (const std::string& failure : checker.failures())
      ADD_FAILURE() << which.name << ": " << failure;
  }
}

}  // namespace
}  // namespace ottla::io::fault
