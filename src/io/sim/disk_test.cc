// What a crash leaves of files and names, and that each fault of the disk is seen to bite.
#include "io/sim/disk.h"

#include <set>

#include "io/sim/test_support.h"

namespace ottla::io::sim {
namespace {

SwarmOptions keeping(unsigned nothing, unsigned everything, unsigned prefix, unsigned subset) {
  SwarmOptions swarm;
  swarm.disk.keep_nothing = nothing;
  swarm.disk.keep_everything = everything;
  swarm.disk.keep_prefix = prefix;
  swarm.disk.keep_subset = subset;
  swarm.disk.size_without_data = 0;
  swarm.disk.zero_sector = 0;
  return swarm;
}

// One machine.
struct Machine {
  explicit Machine(SwarmOptions swarm = {}, std::uint64_t seed = 1)
      : world({.seed = seed, .swarm = swarm}), node(world.add_node("n")), disk(node.disk()) {}
  int run(Process::ShardMain body) { return sim::run(world, node, std::move(body)); }
  // Runs `body` up to its end and loses power before anybody does anything else.
  int run_then_lose_power(Process::ShardMain body) {
    int code = -1;
    bool done = false;
    run_until_set(world, node, done, [&](Env& env) { return hold(env, body, code, done); });
    node.crash(CrashKind::power_loss);
    return code;
  }
  static Task<int> hold(Env& env, Process::ShardMain& body, int& code, bool& done) {
    code = co_await body(env);
    done = true;
    co_await env.stop.wait();
    co_return 0;
  }

  World world;
  Node& node;
  SimDisk& disk;
};

Task<std::shared_ptr<File>> make_file(Env& env, std::string path, bool direct = false) {
  auto file =
      co_await env.disk.open(std::move(path), {.write = true, .create = true, .direct = direct});
  OTTLA_CHECK(file.has_value());
  co_return *file;
}

TEST(Disk, reads_back_what_was_written) {
  Machine m;
  EXPECT_EQ(m.run([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(10'000, 7);
    if (!co_await file->write(5, out)) co_return 1;
    Bytes in(20'000);
    auto got = co_await file->read(0, in);
    if (!got || *got != 10'005) co_return 2;
    co_return in[4] == 0 && in[5] == 7 && in[10'004] == 7 ? 0 : 3;
  }),
            0);
  EXPECT_EQ(m.disk.content("a")->size(), 10'005u);
}

// Writes 8 KiB of sevens to "a", and syncs what it is told to.
Process::ShardMain write_a(bool sync_file, bool sync_name) {
  return [=](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(8192, 7);
    if (!co_await file->write(0, out)) co_return 1;
    if (sync_file && !co_await file->sync_data()) co_return 2;
    if (sync_name && !co_await env.disk.sync_directory("")) co_return 3;
    co_return 0;
  };
}

TEST(PowerLoss, takes_unsynced_writes) {
  Machine m(keeping(1, 0, 0, 0));
  m.run_then_lose_power(write_a(false, true));
  ASSERT_TRUE(m.disk.exists("a"));
  EXPECT_EQ(m.disk.content("a")->size(), 0u);
  EXPECT_EQ(m.disk.counters().unsynced_bytes_lost, 8192u);
}

TEST(PowerLoss, leaves_synced_writes) {
  Machine m(keeping(1, 0, 0, 0));
  m.run_then_lose_power(write_a(true, true));
  EXPECT_EQ(m.disk.content("a"), filled(8192, 7));
  EXPECT_EQ(m.disk.counters().unsynced_bytes_lost, 0u);
}

TEST(PowerLoss, takes_names_that_were_not_synced_in_some_runs) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Machine m({}, seed);
    m.run_then_lose_power(write_a(true, false));
    lost += !m.disk.exists("a");
    EXPECT_EQ(m.disk.counters().names_lost, m.disk.exists("a") ? 0u : 1u);
    if (m.disk.exists("a")) EXPECT_EQ(m.disk.content("a"), filled(8192, 7));
  }
  EXPECT_GT(lost, 5);
  EXPECT_LT(lost, 35);
}

TEST(PowerLoss, takes_a_directory_with_what_is_in_it) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({}, seed);
    m.run_then_lose_power([](Env& env) -> Task<int> {
      static_cast<void>(co_await env.disk.make_directory("d"));
      auto file = co_await make_file(env, "d/a");
      static_cast<void>(co_await file->sync_data());
      static_cast<void>(co_await env.disk.sync_directory("d"));  // but not its parent
      co_return 0;
    });
    lost += !m.disk.exists("d/a");
  }
  EXPECT_GT(lost, 2);
}

// Five creations: with names_in_order what is left is a prefix, else any subset.
TEST(PowerLoss, keeps_names_in_order_or_any_of_them) {
  for (bool in_order : {true, false}) {
    bool saw_a_hole = false;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      SwarmOptions swarm;
      swarm.disk.names_in_order = in_order;
      Machine m(swarm, seed);
      m.run_then_lose_power([](Env& env) -> Task<int> {
        for (const char* name : {"0", "1", "2", "3", "4"}) co_await make_file(env, name);
        co_return 0;
      });
      bool gone = false;
      for (const char* name : {"0", "1", "2", "3", "4"}) {
        saw_a_hole = saw_a_hole || (gone && m.disk.exists(name));
        gone = gone || !m.disk.exists(name);
      }
    }
    EXPECT_EQ(saw_a_hole, !in_order);
  }
}

TEST(PowerLoss, a_rename_leaves_the_old_file_or_the_new_one) {
  std::set<std::uint8_t> seen;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Machine m({}, seed);
    m.disk.put("a", filled(100, 1));
    m.run_then_lose_power([](Env& env) -> Task<int> {
      auto file = co_await make_file(env, "a.tmp");
      const Bytes out = filled(100, 2);
      static_cast<void>(co_await file->write_synced(0, out));
      co_return co_await env.disk.rename("a.tmp", "a") ? 0 : 1;
    });
    ASSERT_EQ(m.disk.content("a")->size(), 100u);
    seen.insert((*m.disk.content("a"))[99]);
  }
  EXPECT_EQ(seen, (std::set<std::uint8_t>{1, 2}));
}

TEST(PowerLoss, a_rename_without_a_sync_of_the_file_can_leave_an_empty_one) {
  Machine m(keeping(1, 0, 0, 0));
  m.disk.put("a", filled(100, 1));
  m.run_then_lose_power([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a.tmp");
    const Bytes out = filled(100, 2);
    static_cast<void>(co_await file->write(0, out));
    static_cast<void>(co_await env.disk.rename("a.tmp", "a"));
    co_return co_await env.disk.sync_directory("") ? 0 : 1;
  });
  EXPECT_EQ(m.disk.content("a")->size(), 0u);
}

TEST(PowerLoss, a_rename_between_directories_is_whole_after_both_are_synced) {
  Machine m;
  m.disk.put("x/a", filled(10, 1));
  m.disk.put("y/a", filled(10, 2));
  m.run_then_lose_power([](Env& env) -> Task<int> {
    static_cast<void>(co_await env.disk.rename("x/a", "y/a"));
    static_cast<void>(co_await env.disk.sync_directory("y"));
    co_return co_await env.disk.sync_directory("x") ? 0 : 1;
  });
  EXPECT_FALSE(m.disk.exists("x/a"));
  EXPECT_EQ(m.disk.content("y/a"), filled(10, 1));
}

TEST(PowerLoss, a_rename_replaces_what_was_there_before_it_in_the_other_directory) {
  Machine m;
  m.disk.put("x/a", filled(10, 1));
  m.disk.make_directories("y");
  m.run_then_lose_power([](Env& env) -> Task<int> {
    co_await make_file(env, "y/a");
    static_cast<void>(co_await env.disk.rename("x/a", "y/a"));
    static_cast<void>(co_await env.disk.sync_directory("x"));
    co_return co_await env.disk.sync_directory("y") ? 0 : 1;
  });
  EXPECT_FALSE(m.disk.exists("x/a"));
  EXPECT_EQ(m.disk.content("y/a"), filled(10, 1));
}

TEST(PowerLoss, brings_back_removed_files_in_some_runs) {
  int back = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({}, seed);
    m.disk.put("a", filled(10, 1));
    m.run_then_lose_power(
        [](Env& env) -> Task<int> { co_return co_await env.disk.remove("a") ? 0 : 1; });
    back += m.disk.exists("a");
  }
  EXPECT_GT(back, 2);
  EXPECT_LT(back, 18);
}

TEST(PowerLoss, undoes_truncates_that_were_not_synced) {
  Machine m(keeping(1, 0, 0, 0));
  m.disk.put("a", filled(10'000, 3));
  m.run_then_lose_power([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    co_return co_await file->truncate(10) ? 0 : 1;
  });
  EXPECT_EQ(m.disk.content("a"), filled(10'000, 3));
  EXPECT_EQ(m.disk.counters().truncates_lost, 1u);
}

// Each sector after a power loss is an old or a new one (or zeros or garbage if the model says so),
// never a mixture.
void check_sectors(bool zero, bool garbage) {
  std::uint64_t torn = 0;
  std::uint64_t strange = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SwarmOptions swarm = keeping(0, 0, 50, 50);
    swarm.disk.zero_sector = zero ? 0.5 : 0;
    swarm.disk.garbage_sector = garbage ? 0.5 : 0;
    Machine m(swarm, seed);
    m.disk.put("a", filled(16 << 10, 1));
    m.run_then_lose_power([](Env& env) -> Task<int> {
      auto file = co_await make_file(env, "a");
      for (std::uint8_t value : {2, 3, 4}) {
        const Bytes out = filled(10'000, value);
        if (!co_await file->write(value * 500u, out)) co_return 1;
      }
      co_return 0;
    });
    const Bytes left = *m.disk.content("a");
    ASSERT_EQ(left.size(), 16u << 10);
    for (std::size_t sector = 0; sector < left.size(); sector += kSectorBytes) {
      for (std::size_t i = 0; i < kSectorBytes; ++i) {
        const auto at = sector + i;
        std::set<std::uint8_t> allowed{1};
        for (std::uint8_t value : {2, 3, 4})
          if (at >= value * 500u && at < value * 500u + 10'000) allowed.insert(value);
        if (!allowed.contains(left[at])) ++strange;
      }
    }
    torn += m.disk.counters().sectors_torn;
  }
  EXPECT_GT(torn, 0u);
  EXPECT_EQ(strange > 0, zero || garbage);
}

TEST(PowerLoss, tears_writes_at_sectors) { check_sectors(false, false); }
TEST(PowerLoss, leaves_zeros_where_allowed) { check_sectors(true, false); }
TEST(PowerLoss, leaves_garbage_where_allowed) { check_sectors(false, true); }

TEST(PowerLoss, grows_a_file_without_its_data_where_allowed) {
  bool seen = false;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SwarmOptions swarm = keeping(0, 0, 0, 1);
    swarm.disk.size_without_data = 1;
    Machine m(swarm, seed);
    m.run_then_lose_power(write_a(false, true));
    const Bytes left = *m.disk.content("a");
    seen = seen || (left.size() == 8192 && left[8191] == 0);
  }
  EXPECT_TRUE(seen);
}

TEST(PowerLoss, a_sync_covers_only_what_was_written_before_it_began) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m(keeping(1, 0, 0, 0), seed);
    m.run_then_lose_power([](Env& env) -> Task<int> {
      auto file = co_await make_file(env, "a");
      static_cast<void>(co_await env.disk.sync_directory(""));
      const Bytes first = filled(512, 1);
      static_cast<void>(co_await file->write(0, first));
      struct Late {
        static Task<void> write(std::shared_ptr<File> file) {
          const Bytes second = filled(512, 2);
          static_cast<void>(co_await file->write(512, second));
        }
      };
      TaskGroup group(env.executor);
      group.spawn(Late::write(file));
      static_cast<void>(co_await file->sync_data());
      co_await group.join();
      co_return 0;
    });
    ASSERT_EQ(m.disk.content("a"), filled(512, 1));
    lost += m.disk.counters().unsynced_bytes_lost == 512;
  }
  EXPECT_EQ(lost, 20);
}

TEST(PowerLoss, write_synced_is_durable) {
  Machine m(keeping(1, 0, 0, 0));
  m.run_then_lose_power([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    static_cast<void>(co_await env.disk.sync_directory(""));
    const Bytes out = filled(600, 1);
    co_return co_await file->write_synced(0, out) ? 0 : 1;
  });
  EXPECT_EQ(m.disk.content("a"), filled(600, 1));
}

TEST(ProcessKill, keeps_the_page_cache_and_a_later_power_loss_does_not) {
  Machine m(keeping(1, 0, 0, 0));
  bool done = false;
  run_until_set(m.world, m.node, done, [&](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(8192, 7);
    static_cast<void>(co_await file->write(0, out));
    static_cast<void>(co_await env.disk.sync_directory(""));
    done = true;
    co_await env.stop.wait();
    co_return 0;
  });
  m.node.crash(CrashKind::process_kill);
  EXPECT_EQ(m.disk.content("a"), filled(8192, 7));
  m.node.crash(CrashKind::power_loss);
  EXPECT_EQ(m.disk.content("a")->size(), 0u);
}

TEST(ProcessKill, leaves_a_part_of_a_write_in_flight) {
  std::set<std::size_t> sizes;
  std::uint64_t cut = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({}, seed);
    bool started = false;
    run_until_set(m.world, m.node, started, [&](Env& env) -> Task<int> {
      auto file = co_await make_file(env, "a");
      const Bytes out = filled(100'000, 7);
      started = true;
      co_return co_await file->write(0, out) ? 0 : 1;
    });
    m.node.crash(CrashKind::process_kill);
    sizes.insert(m.disk.content("a")->size());
    cut += m.disk.counters().cut_in_flight;
  }
  EXPECT_EQ(cut, 20u);
  EXPECT_GT(sizes.size(), 5u);
}

// A crash at each point of a small program, before it, during it and after it.
TEST(CrashPoints, each_one_is_hit_and_takes_effect) {
  using Phase = DiskPoint::Phase;
  auto program = [](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");  // 0
    const Bytes out = filled(4096, 7);
    static_cast<void>(co_await file->write(0, out));          // 1
    static_cast<void>(co_await file->sync_data());            // 2
    static_cast<void>(co_await env.disk.rename("a", "b"));    // 3
    static_cast<void>(co_await env.disk.sync_directory(""));  // 4
    static_cast<void>(co_await file->truncate(10));           // 5
    static_cast<void>(co_await env.disk.remove("b"));         // 6
    co_return 0;
  };
  for (std::uint64_t index = 0; index <= 6; ++index) {
    for (Phase phase : {Phase::before, Phase::during, Phase::after}) {
      Machine m({}, index * 3 + static_cast<std::uint64_t>(phase));
      bool crashed = false;
      m.disk.on_operation([&](const DiskPoint& point) {
        if (point.index != index || point.phase != phase) return;
        crashed = true;
        m.node.crash(CrashKind::process_kill);
      });
      m.run(program);
      EXPECT_TRUE(crashed);
      if (phase == Phase::during) continue;
      const std::uint64_t done = index + (phase == Phase::after);
      EXPECT_EQ(m.disk.exists("a"), done >= 1 && done < 4) << done;
      EXPECT_EQ(m.disk.exists("b"), done >= 4 && done < 7) << done;
      if (done == 1) EXPECT_EQ(m.disk.content("a")->size(), 0u);
      if (done == 3) EXPECT_EQ(m.disk.durable_content("a")->size(), 4096u);
      if (done == 2) EXPECT_EQ(m.disk.durable_content("a")->size(), 0u);
      if (done == 6) EXPECT_EQ(m.disk.content("b")->size(), 10u);
    }
  }
}

TEST(DiskFaults, a_failed_sync_makes_pages_clean_without_making_them_durable) {
  int lost = 0;
  int evicted = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Machine m({}, seed);
    bool failed = false;
    m.disk.on_fault([&](OperationKind kind, std::string_view) -> std::optional<ErrorKind> {
      if (kind != OperationKind::sync || failed) return std::nullopt;
      failed = true;
      return ErrorKind::input_output;
    });
    const bool kill_only = seed % 2 == 0;
    bool done = false;
    run_until_set(m.world, m.node, done, [&](Env& env) -> Task<int> {
      auto file = co_await make_file(env, "a");
      static_cast<void>(co_await env.disk.sync_directory(""));
      const Bytes out = filled(4096, 7);
      static_cast<void>(co_await file->write(0, out));
      auto synced = co_await file->sync_data();
      EXPECT_EQ(synced.error().kind, ErrorKind::input_output);
      EXPECT_TRUE(co_await file->sync_data());  // "succeeds"
      Bytes in(4096);
      static_cast<void>(co_await file->read(0, in));
      EXPECT_EQ(in, out);  // and everything looks fine
      done = true;
      co_await env.stop.wait();
      co_return 0;
    });
    m.node.crash(kill_only ? CrashKind::process_kill : CrashKind::power_loss);
    const bool gone = m.disk.content("a")->empty();
    (kill_only ? evicted : lost) += gone;
    if (gone) EXPECT_EQ(m.disk.counters().clean_pages_lost, 1u);
    EXPECT_EQ(m.disk.counters().sync_errors, 1u);
  }
  EXPECT_GT(lost, 5);
  EXPECT_GT(evicted, 1);
  EXPECT_LT(evicted, 18);
}

TEST(DiskFaults, reads_writes_and_syncs_fail_by_chance) {
  SwarmOptions swarm;
  swarm.disk.read_error = swarm.disk.write_error = swarm.disk.sync_error = 0.5;
  Machine m(swarm);
  m.run([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(4096, 7);
    Bytes in(4096);
    for (int i = 0; i < 50; ++i) {
      static_cast<void>(co_await file->write(0, out));
      static_cast<void>(co_await file->sync_data());
      static_cast<void>(co_await file->read(0, in));
    }
    co_return 0;
  });
  for (std::uint64_t errors : {m.disk.counters().read_errors, m.disk.counters().write_errors,
                               m.disk.counters().sync_errors}) {
    EXPECT_GT(errors, 10u);
    EXPECT_LT(errors, 40u);
  }
}

TEST(DiskFaults, a_failed_write_may_have_written_a_part) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({}, seed);
    m.disk.on_fault([](OperationKind kind, std::string_view) {
      return kind == OperationKind::write ? std::optional(ErrorKind::input_output) : std::nullopt;
    });
    EXPECT_EQ(m.run(write_a(false, false)), 1);
    sizes.insert(m.disk.content("a")->size());
  }
  EXPECT_GT(sizes.size(), 5u);
}

TEST(DiskFaults, a_full_disk_refuses_and_recovers) {
  SwarmOptions swarm;
  swarm.disk.size_bytes = 64 << 10;
  Machine m(swarm);
  EXPECT_EQ(m.run([](Env& env) -> Task<int> {
    auto reserved = co_await make_file(env, "reserved");
    if (!co_await reserved->reserve(32 << 10)) co_return 1;
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(40 << 10, 7);
    auto full = co_await file->write(0, out);
    if (full || full.error().kind != ErrorKind::no_space) co_return 2;
    if (!co_await reserved->write(0, ByteView(out).first(32 << 10))) co_return 3;  // was reserved
    if (*co_await env.disk.free_bytes("") > 32 << 10) co_return 4;
    reserved.reset();
    if (!co_await env.disk.remove("reserved")) co_return 5;
    co_return co_await file->write(0, out) ? 0 : 6;
  }),
            0);
  EXPECT_EQ(m.disk.counters().no_space, 1u);
  EXPECT_EQ(m.disk.used_bytes(), 40u << 10);
}

TEST(DiskFaults, a_flipped_bit_stays_flipped_until_written_over) {
  Machine m;
  m.disk.put("a", filled(10'000, 0));
  m.disk.flip_bit("a", 5000, 3);
  auto read_5000 = [](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    Bytes in(1);
    static_cast<void>(co_await file->read(5000, in));
    co_return in[0];
  };
  EXPECT_EQ(m.run(read_5000), 8);
  m.node.crash(CrashKind::power_loss);
  EXPECT_EQ(m.run(read_5000), 8);
  m.run([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    const Bytes out = filled(1, 1);
    co_return co_await file->write(5000, out) ? 0 : 1;
  });
  EXPECT_EQ(m.run(read_5000), 1);
}

TEST(DiskFaults, rot_stays_inside_of_the_atlas) {
  Machine m;
  m.disk.put("kept", filled(100'000, 0));
  m.disk.put("rots", filled(100'000, 0));
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(m.disk.rot([](std::string_view path, std::uint64_t position) {
      return path == "rots" && position < 50'000;
    }));
  EXPECT_EQ(m.disk.content("kept"), filled(100'000, 0));
  const Bytes rotten = *m.disk.content("rots");
  EXPECT_TRUE(std::all_of(rotten.begin() + 50'000, rotten.end(), [](auto b) { return b == 0; }));
  EXPECT_GT(std::count_if(rotten.begin(), rotten.end(), [](auto b) { return b != 0; }), 40);
  EXPECT_FALSE(m.disk.rot([](auto, auto) { return false; }));
}

TEST(DiskFaults, bits_rot_under_reads) {
  SwarmOptions swarm;
  swarm.disk.rot_on_read = 1;
  Machine m(swarm);
  m.disk.put("a", filled(1000, 0));
  m.run([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    Bytes in(1000);
    static_cast<void>(co_await file->read(0, in));
    EXPECT_NE(in, filled(1000, 0));
    co_return 0;
  });
  EXPECT_EQ(m.disk.counters().bits_flipped, 1u);
  EXPECT_NE(m.disk.durable_content("a"), filled(1000, 0));
}

TEST(DiskFaults, a_slow_disk_takes_virtual_time) {
  SwarmOptions swarm;
  swarm.disk.stall = 1;
  swarm.disk.stall_max = 20s;
  Machine m(swarm);
  m.run(write_a(true, true));
  EXPECT_EQ(m.disk.counters().stalls, 4u);
  EXPECT_GT(m.world.now(), Instant{} + 1s);
}

TEST(Disk, writes_in_flight_that_overlap_fail_the_run) {
  Machine m;
  m.node.start(1, [](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a");
    static const Bytes out = filled(100, 7);
    struct Write {
      static Task<void> at(std::shared_ptr<File> file, std::uint64_t position) {
        static_cast<void>(co_await file->write(position, out));
      }
    };
    env.executor.spawn(Write::at(file, 0));
    env.executor.spawn(Write::at(file, 99));
    co_await env.stop.wait();
    co_return 0;
  });
  m.world.run_for(1s);
  EXPECT_TRUE(m.world.failure().contains("overlap")) << m.world.failure();
}

TEST(Disk, direct_files_demand_alignment) {
  Machine m;
  EXPECT_EQ(m.run([](Env& env) -> Task<int> {
    auto file = co_await make_file(env, "a", true);
    if (!file->is_direct()) co_return 1;
    AlignedBuffer buffer(8192);
    if (!co_await file->write(4096, buffer.view().first(4096))) co_return 2;
    auto odd = co_await file->write(100, buffer.view().first(4096));
    if (odd || odd.error().kind != ErrorKind::invalid) co_return 3;
    odd = co_await file->write(0, buffer.view().first(100));
    if (odd || odd.error().kind != ErrorKind::invalid) co_return 4;
    odd = co_await file->write(0, buffer.view().subspan(512, 4096));
    co_return odd ? 5 : 0;
  }),
            0);
}

TEST(Disk, one_process_at_a_time_holds_a_lock) {
  Machine m;
  bool done = false;
  run_until_set(m.world, m.node, done, [&](Env& env) -> Task<int> {
    auto lock = co_await env.disk.lock("lock");
    EXPECT_TRUE(lock);
    auto again = co_await env.disk.lock("lock");
    EXPECT_EQ(again.error().kind, ErrorKind::in_use);
    done = true;
    co_await env.stop.wait();
    co_return 0;
  });
  m.node.crash(CrashKind::process_kill);
  EXPECT_EQ(m.run([](Env& env) -> Task<int> { co_return co_await env.disk.lock("lock") ? 0 : 1; }),
            0);
}

TEST(Disk, copies_a_folder_in_and_out) {
  Machine m;
  m.disk.put("from/a", filled(5000, 1));
  m.disk.put("from/d/b", filled(10, 2));
  const auto folder = std::filesystem::path(testing::TempDir()) / "sim_copies";
  std::filesystem::remove_all(folder);
  m.disk.copy_out("from", folder);
  m.disk.copy_in(folder, "to");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(m.disk.files(), (std::vector<std::string>{"from/a", "from/d/b", "to/a", "to/d/b"}));
  EXPECT_EQ(m.disk.durable_content("to/a"), filled(5000, 1));
  EXPECT_TRUE(m.disk.is_name_durable("to/d/b"));
}

}  // namespace
}  // namespace ottla::io::sim
