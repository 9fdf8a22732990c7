// The tail in memory and what becomes of it in the segments: over kills, truncation and eviction.
#include "storage/segment_name.h"
#include "storage/segment_sums.h"
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;

class StoreTailTest : public OneNodeTest {
 protected:
  StoreTailTest() : OneNodeTest(3) {}

  // Every segment that has sums has the bytes that they were made of.
  void expect_sums_fit() {
    const std::string folder = kFolder + "/t-0/";
    int fitting = 0;
    for (const std::string& path : node_.disk().files()) {
      if (!path.starts_with(folder) || !path.ends_with(".sums.ottla")) continue;
      const auto name = parse_segment_file_name(path.substr(folder.size()));
      ASSERT_TRUE(name.has_value()) << path;
      const auto sums =
          SegmentSums::parse(*node_.disk().content(path), {{kTopicId, 0}, name->offset});
      ASSERT_TRUE(sums) << path << ": " << sums.error().message;
      const Bytes log =
          *node_.disk().content(folder + segment_file_name(name->offset, SegmentFile::log));
      ASSERT_LE(sums->log_bytes(), log.size()) << path;
      EXPECT_TRUE(sums->damaged(0, ByteView(log).first(sums->log_bytes())).empty()) << path;
      ++fitting;
    }
    EXPECT_GT(fitting, 0);
  }
};

LogConfig config_of(std::int64_t segment_bytes) {
  LogConfig config = small_config();
  config.segment_bytes = segment_bytes;
  return config;
}

// Appends batches whose bytes tell their offset, and reads all there is.
io::Task<int> append_some(io::Env& env, Opened& opened, Offset& end, int batches,
                          io::sim::Prng& prng) {
  auto& [running, log] = opened;
  EXPECT_EQ(log->log_end_offset(), end);
  for (int i = 0; i < batches; ++i, ++end) {
    const Slice batch = make_batch({.value_bytes = 1 + prng.below(prng.chance(0.8) ? 900 : 9000),
                                    .fill = static_cast<std::uint8_t>(end)});
    auto appended = co_await append_when_room(*running.store, *log, batch, {.leader_epoch = 1});
    REQUIRE_OK(appended);
    if (prng.chance(0.2)) REQUIRE_OK(co_await log->wait_durable(end + 1));
    if (prng.chance(0.05)) co_await io::sleep_for(env.clock, 1ms * prng.below(80));
  }
  REQUIRE_OK(co_await log->wait_durable(end));
  auto seen = co_await read_all(*log, 0);
  REQUIRE_OK(seen);
  EXPECT_EQ(static_cast<Offset>(seen->size()), end);
  for (std::size_t i = 0; i < seen->size(); ++i) {
    EXPECT_EQ((*seen)[i].base_offset, static_cast<Offset>(i));
    EXPECT_EQ((*seen)[i].bytes.back(), 0) << "no headers";
    EXPECT_EQ((*seen)[i].bytes[(*seen)[i].bytes.size() - 2], static_cast<std::uint8_t>(i));
  }
  co_return 0;
}

// What a start takes from the journal, and what is appended behind it, are one segment.
TEST_F(StoreTailTest, SumsFitOverKillsAndCleanStops) {
  io::sim::Prng prng(11);
  Offset end = 0;
  for (int life = 0; life < 12; ++life) {
    const bool is_clean = life % 3 == 2;
    const auto main = [&](io::Env& env) -> io::Task<int> {
      auto opened = co_await start_and_open(env, small_limits(), config_of(300 * 1024));
      REQUIRE_OK(opened);
      const int failed = co_await append_some(env, *opened, end, 40, prng);
      if (failed != 0) co_return failed;
      if (is_clean) {
        REQUIRE_OK(co_await opened->running.folder->close_clean({opened->running.store}, 42));
      }
      co_return 0;
    };
    ASSERT_EQ(run(main), 0);
    ASSERT_FALSE(HasFailure()) << world_.report();
    if (is_clean) expect_sums_fit();
  }
}

TEST_F(StoreTailTest, ATruncationInMemoryCutsTheTail) {
  io::sim::Prng prng(12);
  Offset end = 0;
  const auto main = [&](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, small_limits(), config_of(32 * 1024));
    REQUIRE_OK(opened);
    opened->log->set_high_watermark(0);
    for (int round = 0; round < 30; ++round) {
      const int failed =
          co_await append_some(env, *opened, end, 1 + static_cast<int>(prng.below(60)), prng);
      if (failed != 0) co_return failed;
      end -= static_cast<Offset>(prng.below(static_cast<std::uint64_t>(std::min<Offset>(end, 12))));
      REQUIRE_OK(co_await opened->log->truncate_to(end));
    }
    opened->log->set_high_watermark(end);
    REQUIRE_OK(co_await opened->running.folder->close_clean({opened->running.store}, 42));
    co_return 0;
  };
  ASSERT_EQ(run(main), 0);
  ASSERT_FALSE(HasFailure()) << world_.report();
  expect_sums_fit();
  const auto again = [&](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, small_limits(), config_of(32 * 1024));
    REQUIRE_OK(opened);
    co_return co_await append_some(env, *opened, end, 5, prng);
  };
  EXPECT_EQ(run(again), 0);
}

// A reader may be as slow as it likes: its bytes stay, and the bound on what is kept for others
// holds.
TEST_F(StoreTailTest, EvictionLeavesReadersWhatTheyHold) {
  const auto main = [&](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env);
    REQUIRE_OK(opened);
    auto& [running, log] = *opened;
    const StoreLimits limits = small_limits();
    std::vector<ReadResult> held;
    for (int i = 0; i < 300; ++i) {
      const Slice batch = make_batch({.value_bytes = 2000, .fill = static_cast<std::uint8_t>(i)});
      REQUIRE_OK(co_await append_when_room(*running.store, *log, batch, {.leader_epoch = 1}));
      EXPECT_LE(running.store->statistics().tail_bytes,
                2 * limits.tail_bytes + 2 * limits.chunk_bytes);
      REQUIRE_OK(co_await log->wait_durable(i + 1));
      auto read = log->try_read_tail({.from = i, .max_bytes = 1});
      EXPECT_TRUE(read.has_value() && read->has_value());
      if (!read || !*read) co_return 1;
      held.push_back(std::move(**read));
    }
    EXPECT_FALSE(log->try_read_tail({.from = 0, .max_bytes = 1}).has_value()) << "still in memory";
    for (std::size_t i = 0; i < held.size(); ++i) {
      const Bytes bytes = co_await bytes_of(std::move(held[i]));
      EXPECT_TRUE(wire::crc_matches(bytes));
      EXPECT_EQ(wire::load_batch_header(bytes.data()).base_offset, static_cast<Offset>(i));
      EXPECT_EQ(bytes[bytes.size() - 2], static_cast<std::uint8_t>(i));
    }
    co_return 0;
  };
  EXPECT_EQ(run(main), 0);
}

// A few bytes for each of many partitions are within the bound, and all of them are found.
TEST_F(StoreTailTest, ManyPartitionsShareIt) {
  constexpr int kPartitions = 3000;
  const auto main = [&](io::Env& env) -> io::Task<int> {
    StoreLimits limits;
    limits.tail_bytes = 4ull << 20;
    auto running = co_await start_folder(env, limits);
    REQUIRE_OK(running);
    std::vector<NewPartition> wanted;
    for (int i = 0; i < kPartitions; ++i) wanted.push_back({{kTopicId, i}, {"t", i}, LogConfig()});
    auto logs = co_await running->store->create(std::move(wanted));
    REQUIRE_OK(logs);
    for (int round = 0; round < 3; ++round) {
      for (const auto& log : *logs) {
        REQUIRE_OK(co_await append_when_room(*running->store, *log, make_batch({}), {}));
        EXPECT_LE(running->store->statistics().tail_bytes,
                  2 * limits.tail_bytes + 2 * limits.chunk_bytes);
      }
    }
    for (const auto& log : *logs) {
      REQUIRE_OK(co_await log->wait_durable(3));
      auto seen = co_await read_all(*log, 0);
      REQUIRE_OK(seen);
      EXPECT_EQ(seen->size(), 3u);
    }
    co_return 0;
  };
  EXPECT_EQ(run(main), 0);
}

}  // namespace
}  // namespace ottla::storage
