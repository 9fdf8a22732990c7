// The helpers that touch the disk, on the simulated one: with a power loss at every point.
#include <gtest/gtest.h>
#include <optional>
#include <set>
#include <string>

#include "io/sim/test_support.h"
#include "storage/atomic_file.h"
#include "storage/segment_files.h"
#include "storage/segment_scrub.h"
#include "storage/storage_test_support.h"

namespace ottla::storage {
namespace {

using testing::header_of;
using testing::make_batch;

Bytes content_of(std::size_t size, std::uint8_t value) { return Bytes(size, value); }

struct Machine {
  explicit Machine(std::uint64_t seed = 1, io::sim::SwarmOptions swarm = {})
      : world({.seed = seed, .swarm = swarm}), node(world.add_node("n")), disk(node.disk()) {
    disk.make_directories("d");
  }
  // Runs `body` to its end, or to a crash that the disk's watch makes of it. True if it ended.
  bool run(io::sim::Process::ShardMain body) {
    bool ended = false;
    io::sim::run(world, node, [&](io::Env& env) { return follow(env, body, ended); });
    return ended;
  }
  static io::Task<int> follow(io::Env& env, io::sim::Process::ShardMain& body, bool& ended) {
    const int code = co_await body(env);
    EXPECT_EQ(code, 0);
    ended = true;
    co_return code;
  }

  io::sim::World world;
  io::sim::Node& node;
  io::sim::SimDisk& disk;
};

io::Task<int> replace(io::Env& env, Bytes content) {
  auto done = co_await write_file_atomically(env.disk, "d", "state", std::move(content));
  co_return done ? 0 : 1;
}

TEST(AtomicFile, IsDurableWhenItReturns) {
  Machine machine;
  ASSERT_TRUE(machine.run([](io::Env& env) { return replace(env, content_of(5000, 1)); }));
  EXPECT_EQ(machine.disk.durable_content("d/state"), content_of(5000, 1));
  EXPECT_TRUE(machine.disk.is_name_durable("d/state"));
  EXPECT_FALSE(machine.disk.exists("d/state.tmp"));
}

TEST(AtomicFile, EmptyContentIsDurableToo) {
  Machine machine;
  ASSERT_TRUE(machine.run([](io::Env& env) { return replace(env, {}); }));
  EXPECT_EQ(machine.disk.durable_content("d/state"), Bytes());
}

// A power loss before, in and after every operation, with many ways to lose what was not synced.
TEST(AtomicFile, PowerLossLeavesOldOrNew) {
  using Phase = io::sim::DiskPoint::Phase;
  int old_seen = 0;
  int new_seen = 0;
  std::uint64_t points = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    for (const Phase phase : {Phase::before, Phase::during, Phase::after}) {
      for (std::uint64_t point = 0;; ++point) {
        Machine machine(seed);
        machine.disk.put("d/state", content_of(3000, 1));
        const std::uint64_t first = machine.disk.counters().points;
        machine.disk.on_operation([&](const io::sim::DiskPoint& at) {
          if (at.index == first + point && at.phase == phase) {
            machine.node.crash(io::sim::CrashKind::power_loss);
          }
        });
        const bool ended =
            machine.run([](io::Env& env) { return replace(env, content_of(5000, 2)); });
        if (ended) break;
        ++points;
        const auto left = machine.disk.content("d/state");
        ASSERT_TRUE(left) << "seed " << seed << " point " << point;
        const bool is_old = *left == content_of(3000, 1);
        const bool is_new = *left == content_of(5000, 2);
        ASSERT_TRUE(is_old || is_new) << "seed " << seed << " point " << point;
        old_seen += is_old;
        new_seen += is_new;
        // The next try finds what this one left, and succeeds.
        machine.disk.on_operation({});
        ASSERT_TRUE(machine.run([](io::Env& env) { return replace(env, content_of(7, 3)); }));
        ASSERT_EQ(machine.disk.durable_content("d/state"), content_of(7, 3));
      }
    }
  }
  EXPECT_GE(points, 12u * 3 * 5) << "open, write, sync, rename, sync of the directory";
  EXPECT_GT(old_seen, 0);
  EXPECT_GT(new_seen, 0);
}

TEST(AtomicFile, FailureIsReported) {
  for (const auto kind :
       {io::sim::OperationKind::open, io::sim::OperationKind::write, io::sim::OperationKind::sync,
        io::sim::OperationKind::rename, io::sim::OperationKind::sync_directory}) {
    Machine machine;
    machine.disk.put("d/state", content_of(10, 1));
    machine.disk.on_fault(
        [&](io::sim::OperationKind at, std::string_view) -> std::optional<io::ErrorKind> {
          if (at == kind) return io::ErrorKind::input_output;
          return std::nullopt;
        });
    std::optional<io::ErrorKind> error;
    machine.run([&](io::Env& env) -> io::Task<int> {
      auto done = co_await write_file_atomically(env.disk, "d", "state", content_of(20, 2));
      if (!done) error = done.error().kind;
      co_return 0;
    });
    EXPECT_EQ(error, io::ErrorKind::input_output) << io::sim::to_string(kind);
  }
}

TEST(AtomicFile, ReadingIsBounded) {
  Machine machine;
  machine.disk.put("d/state", content_of(100, 1));
  machine.run([](io::Env& env) -> io::Task<int> {
    EXPECT_EQ((co_await read_small_file(env.disk, "d/state", 100)).value(), content_of(100, 1));
    EXPECT_EQ((co_await read_small_file(env.disk, "d/state", 99)).error().kind,
              io::ErrorKind::invalid);
    EXPECT_EQ((co_await read_small_file(env.disk, "d/other", 99)).error().kind,
              io::ErrorKind::not_found);
    EXPECT_TRUE(co_await remove_file_durably(env.disk, "d", "state"));
    EXPECT_TRUE(co_await remove_file_durably(env.disk, "d", "state"));
    co_return 0;
  });
  EXPECT_FALSE(machine.disk.exists("d/state"));
}

Segment sample_segment(bool with_abort) {
  Segment segment(500, {.index_interval_bytes = 100});
  for (int i = 0; i < 20; ++i) {
    segment.append(header_of(make_batch({.base_offset = 500 + i, .timestamp = 1000 + i})));
  }
  if (with_abort) segment.append_aborted({3, 505, 510, 511});
  segment.finish_time_index();
  return segment;
}

TEST(SegmentFiles, IndexesAreReadBack) {
  for (const bool with_abort : {true, false}) {
    Machine machine;
    machine.disk.put("d/00000000000000000500.txnindex", content_of(34, 0));  // of an older time
    const Segment segment = sample_segment(with_abort);
    machine.run([&](io::Env& env) -> io::Task<int> {
      EXPECT_TRUE(co_await save_indexes(env.disk, "d", segment));
      EXPECT_TRUE(co_await env.disk.sync_directory("d"));
      auto loaded =
          co_await load_indexes(env.disk, "d", 500, segment.size_bytes(), segment.next_offset());
      EXPECT_TRUE(loaded && *loaded);
      if (loaded && *loaded) EXPECT_EQ(***loaded, segment.indexes());
      co_return 0;
    });
    EXPECT_EQ(machine.disk.exists("d/00000000000000000500.txnindex"), with_abort);
    EXPECT_EQ(machine.disk.durable_content("d/00000000000000000500.index"),
              segment.indexes().offsets.serialize());
  }
}

TEST(SegmentFiles, MissingOrDamagedIsToBeRebuilt) {
  for (const std::string name : {"index", "timeindex", "txnindex"}) {
    Machine machine;
    const Segment segment = sample_segment(true);
    machine.run([&](io::Env& env) -> io::Task<int> {
      EXPECT_TRUE(co_await save_indexes(env.disk, "d", segment));
      co_return 0;
    });
    const std::string path = "d/00000000000000000500." + name;
    const auto load = [&] {
      bool is_good = false;
      machine.run([&](io::Env& env) -> io::Task<int> {
        auto loaded =
            co_await load_indexes(env.disk, "d", 500, segment.size_bytes(), segment.next_offset());
        EXPECT_TRUE(loaded) << "no matter of the disk";
        is_good = loaded && *loaded;
        co_return 0;
      });
      return is_good;
    };
    EXPECT_TRUE(load());
    machine.disk.flip_bit(path, 0, 7);  // a number becomes negative, or another version
    EXPECT_FALSE(load()) << name;
    machine.disk.put(path, content_of(13, 1));
    EXPECT_FALSE(load()) << name;
    machine.disk.erase(path);
    EXPECT_EQ(load(), name == "txnindex") << name << ": only that one may be missing";
  }
}

TEST(SegmentScrub, NamesWhatIsDamaged) {
  Machine machine;
  const SumsOwner owner{{{7, 8}, 2}, 500};
  const Segment segment = sample_segment(true);
  Bytes log(5 * kSumBlockBytes + 1000);
  for (std::size_t i = 0; i < log.size(); ++i) log[i] = static_cast<std::uint8_t>(i * 7 + i / 300);
  machine.disk.put("d/00000000000000000500.log", log);
  SegmentSums sums(owner);
  sums.add(log);
  sums.set_indexes(segment.indexes().offsets.serialize(), segment.indexes().times.serialize(),
                   segment.indexes().aborted.serialize());
  machine.disk.put("d/00000000000000000500.sums.ottla", sums.serialize());

  std::vector<ByteRange> ranges;
  std::vector<SegmentFile> files;
  const auto scrub = [&](std::uint64_t from, std::uint64_t to) {
    machine.run([&](io::Env& env) -> io::Task<int> {
      auto loaded = co_await load_sums(env.disk, "d", owner);
      if (!loaded || !*loaded) co_return 1;
      auto file = co_await env.disk.open("d/00000000000000000500.log", {});
      if (!file) co_return 2;
      ranges = (co_await scrub_log(*file, **loaded, from, to)).value();
      files = (co_await scrub_indexes(env.disk, "d", **loaded)).value();
      co_return 0;
    });
  };
  machine.run([&](io::Env& env) -> io::Task<int> {
    EXPECT_TRUE(co_await save_indexes(env.disk, "d", segment));
    co_return 0;
  });
  scrub(0, log.size());
  EXPECT_TRUE(ranges.empty());
  EXPECT_TRUE(files.empty());

  machine.disk.flip_bit("d/00000000000000000500.log", kSumBlockBytes + 17, 3);
  machine.disk.flip_bit("d/00000000000000000500.timeindex", 9, 0);
  machine.disk.erase("d/00000000000000000500.txnindex");
  scrub(0, log.size());
  EXPECT_EQ(ranges, (std::vector<ByteRange>{{kSumBlockBytes, 2 * kSumBlockBytes}}));
  EXPECT_EQ(files,
            (std::vector<SegmentFile>{SegmentFile::time_index, SegmentFile::transaction_index}));
  scrub(3 * kSumBlockBytes, log.size());
  EXPECT_TRUE(ranges.empty());
  scrub(kSumBlockBytes + 1, kSumBlockBytes + 2);
  EXPECT_EQ(ranges.size(), 1u);

  // Cut inside of a block: that block and all behind it are damaged.
  log.resize(4 * kSumBlockBytes + 5);
  machine.disk.put("d/00000000000000000500.log", log);
  scrub(0, 1u << 30);
  EXPECT_EQ(ranges, (std::vector<ByteRange>{{4 * kSumBlockBytes, 5 * kSumBlockBytes + 1000}}));
}

TEST(SegmentScrub, NothingIsSaidWithoutSums) {
  Machine machine;
  const SumsOwner owner{{{7, 8}, 2}, 500};
  machine.run([&](io::Env& env) -> io::Task<int> {
    auto missing = co_await load_sums(env.disk, "d", owner);
    EXPECT_TRUE(missing && !*missing);
    co_return 0;
  });
  machine.disk.put("d/00000000000000000500.sums.ottla", content_of(90, 1));
  machine.run([&](io::Env& env) -> io::Task<int> {
    auto damaged = co_await load_sums(env.disk, "d", owner);
    EXPECT_TRUE(damaged && !*damaged);
    co_return 0;
  });
}

}  // namespace
}  // namespace ottla::storage
