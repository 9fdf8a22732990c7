// The log on a simulated disk: what is appended, acknowledged, read, and found again.
#include "storage/store.h"

#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::Node;
using io::sim::World;

class StoreTest : public OneNodeTest {
 protected:
  StoreTest() : OneNodeTest(1) {}
};

io::Task<int> append_and_read(io::Env& env, int batches, int& acknowledged, bool stop_clean) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  const Offset begin = log->log_end_offset();
  EXPECT_EQ(begin, acknowledged);
  for (int i = 0; i < batches; ++i) {
    auto appended = co_await append_when_room(
        *running.store, *log, make_batch({.value_bytes = 300, .fill = std::uint8_t(begin + i)}),
        {.leader_epoch = 1});
    REQUIRE_OK(appended);
    EXPECT_EQ(appended->first_offset, begin + i);
    if (i % 7 == 0) {
      auto durable = co_await log->wait_durable(appended->end_offset());
      REQUIRE_OK(durable);
      acknowledged = static_cast<int>(appended->end_offset());
      EXPECT_EQ(log->high_watermark(), log->durable_end_offset());
      EXPECT_GE(log->durable_end_offset(), appended->end_offset());
    }
  }
  auto durable = co_await log->wait_durable(log->log_end_offset());
  REQUIRE_OK(durable);
  acknowledged = static_cast<int>(log->log_end_offset());
  auto seen = co_await read_all(*log, 0);
  REQUIRE_OK(seen);
  EXPECT_EQ(seen->size(), std::size_t(acknowledged));
  for (std::size_t i = 0; i < seen->size(); ++i) {
    const SeenBatch& batch = (*seen)[i];
    EXPECT_EQ(batch.base_offset, Offset(i));
    EXPECT_EQ(batch.bytes[wire::kBatchHeaderBytes + 20], std::uint8_t(i));
  }
  if (stop_clean) {
    auto closed = co_await running.folder->close_clean({running.store}, 42);
    REQUIRE_OK(closed);
  }
  co_return 0;
}

io::Task<int> append_more(io::Env& env, bool stop_clean) {
  LogConfig config = small_config();
  config.segment_bytes = 1 << 20;
  auto opened = co_await start_and_open(env, small_limits(), config);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  for (int i = 0; i < 40; ++i) {
    auto appended =
        co_await append_when_room(*running.store, *log, make_batch({.value_bytes = 500}), {});
    REQUIRE_OK(appended);
  }
  auto durable = co_await log->wait_durable(log->log_end_offset());
  REQUIRE_OK(durable);
  if (stop_clean) REQUIRE_OK(co_await running.folder->close_clean({running.store}, 42));
  co_return 0;
}

// 24 KB before and behind a start, with an entry for each KB or so.
TEST_F(StoreTest, ARecoveredActiveSegmentIsIndexedAsTheTopicSays) {
  for (const bool stop_clean : {false, true}) {
    EXPECT_EQ(run([&](io::Env& env) { return append_more(env, stop_clean); }), 0);
    EXPECT_EQ(run([](io::Env& env) { return append_more(env, true); }), 0);
    const auto index = node_.disk().content("data/t-0/00000000000000000000.index");
    ASSERT_TRUE(index.has_value());
    EXPECT_GE(index->size(), 35u * 8);
    node_.disk().erase("data");
  }
}

struct Reading {
  bool is_over = false;
  int readers = 0;
};

io::Task<> read_behind(io::Env& env, std::shared_ptr<PartitionLog> log, Reading& reading,
                       std::size_t max_bytes, io::sim::Prng prng) {
  Offset next = 0;
  while (!reading.is_over || next < log->durable_end_offset()) {
    const Offset from = next;
    auto read = co_await log->read({.from = from, .max_bytes = max_bytes});
    if (!read) {
      ADD_FAILURE() << "read: " << describe(read.error());
      break;
    }
    next = read->next_offset;
    const Bytes bytes = co_await bytes_of(std::move(*read));
    wire::BatchCursor cursor(bytes);
    wire::Batch batch;
    Offset expected = from;
    while (cursor.next(batch)) {
      EXPECT_EQ(batch.header.base_offset, expected) << "asked for " << from;
      expected = batch.header.next_offset();
    }
    EXPECT_EQ(next, expected) << "asked for " << from;
    if (::testing::Test::HasFailure()) break;
    if (next == from || prng.chance(0.2)) {
      co_await io::sleep_for(env.clock, 100us * (1 + prng.below(60)));
    }
  }
  --reading.readers;
}

// Segments are rolled, written and let go of from memory while readers are in the midst of them.
io::Task<int> append_under_readers(io::Env& env, io::sim::Prng prng) {
  StoreLimits limits = small_limits();
  limits.tail_bytes = 16 * 1024;
  limits.chunk_bytes = 8 * 1024;
  limits.drain_bytes = 1024;
  limits.drain_after_ms = 5;
  LogConfig config = small_config();
  config.segment_bytes = 6 * 1024;
  auto opened = co_await start_and_open(env, limits, config);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  auto reading = std::make_shared<Reading>();
  for (const std::size_t max_bytes : {100u, 2000u, 5000u}) {
    ++reading->readers;
    env.executor.spawn(read_behind(env, log, *reading, max_bytes, prng));
  }
  for (int i = 0; i < 150; ++i) {
    auto appended = co_await append_when_room(*running.store, *log,
                                              make_batch({.value_bytes = 50 + prng.below(1500)}),
                                              {.leader_epoch = 1});
    REQUIRE_OK(appended);
    if (prng.chance(0.7)) {
      auto durable = co_await log->wait_durable(appended->end_offset());
      REQUIRE_OK(durable);
    }
    if (prng.chance(0.2)) co_await io::sleep_for(env.clock, 1ms * prng.below(10));
  }
  auto durable = co_await log->wait_durable(log->log_end_offset());
  REQUIRE_OK(durable);
  reading->is_over = true;
  for (int i = 0; i < 5000 && reading->readers > 0; ++i) co_await io::sleep_for(env.clock, 1ms);
  EXPECT_EQ(reading->readers, 0) << "a reader does not come to the end";
  co_return 0;
}

TEST(StoreReaders, SkipNothingWhileSegmentsAreRolledUnderThem) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("b1");
    node.disk().options().delay = 200us;
    node.disk().options().delay_tail = 0.3;
    const io::sim::Prng prng = world.prng("batches");
    ASSERT_EQ(run(world, node, [prng](io::Env& env) { return append_under_readers(env, prng); }),
              0);
    ASSERT_FALSE(HasFailure()) << world.report();
  }
}

// So many partitions that what the log writes into the journal for itself, a last block for each,
// is more than the room kept for it.
io::Task<int> fill_the_journal(io::Env& env, int partitions, std::uint32_t files) {
  StoreLimits limits = small_limits();
  limits.journal_files = files;
  limits.tail_bytes = 1024 * 1024;
  auto running = co_await start_folder(env, limits);
  REQUIRE_OK(running);
  std::vector<std::shared_ptr<PartitionLog>> logs;
  for (int i = 0; i < partitions; ++i) {
    auto log = co_await open_or_create(*running, "t", i, kTopicId, LogConfig());
    REQUIRE_OK(log);
    logs.push_back(std::move(*log));
  }
  for (int i = 0; i < 40 * partitions; ++i) {
    auto appended = co_await append_when_room(*running->store, *logs[i % partitions],
                                              make_batch({.value_bytes = 1000}), {});
    REQUIRE_OK(appended);
  }
  for (const auto& log : logs) {
    auto durable = co_await log->wait_durable(log->log_end_offset());
    REQUIRE_OK(durable);
  }
  co_return 0;
}

TEST(StoreRoom, IsMadeHoweverManyPartitionsShareTheJournal) {
  for (const std::uint32_t files : {2u, 3u, 4u, 8u}) {
    for (const int partitions : {1, 7, 40, 150}) {
      World world({.seed = files});
      Node& node = world.add_node("b1");
      node.start(1, [&](io::Env& env) { return fill_the_journal(env, partitions, files); });
      EXPECT_TRUE(world.run_until([&] { return !node.is_running(); }, 60s))
          << files << " files, " << partitions << " partitions: nothing is appended any more";
      if (!node.is_running()) {
        EXPECT_EQ(node.exit_code(), 0);
      }
    }
  }
}

// What each partition syncs at a clean stop is waited for together with the others'.
io::Task<int> close_many(io::Env& env, int partitions, io::Duration& took) {
  auto running = co_await start_folder(env, small_limits());
  REQUIRE_OK(running);
  for (int i = 0; i < partitions; ++i) {
    auto log = co_await open_or_create(*running, "t", i, kTopicId, LogConfig());
    REQUIRE_OK(log);
    auto appended = co_await append_when_room(*running->store, **log, make_batch({}), {});
    REQUIRE_OK(appended);
  }
  const io::Instant began = env.clock.now();
  auto closed = co_await running->folder->close_clean({running->store}, 3);
  REQUIRE_OK(closed);
  took = env.clock.now() - began;
  co_return 0;
}

TEST(StoreClose, WaitsForTheDiskForManyPartitionsTogether) {
  io::sim::SwarmOptions swarm;
  swarm.disk.delay = 10ms;
  const auto seconds_for = [&](int partitions) {
    World world({.seed = 1, .swarm = swarm});
    Node& node = world.add_node("b1");
    io::Duration took{};
    node.start(1, [&](io::Env& env) { return close_many(env, partitions, took); });
    EXPECT_TRUE(world.run_until([&] { return !node.is_running(); }, 600s));
    EXPECT_EQ(node.exit_code(), 0);
    return std::chrono::duration<double>(took).count();
  };
  EXPECT_LT(seconds_for(48), 8 * seconds_for(1));
}

constexpr std::uint64_t kWrittenBytes = 96ull << 20;

io::Task<int> write_much(io::Env& env, std::uint64_t bytes) {
  auto opened = co_await start_and_open(env, StoreLimits(), LogConfig());
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  env.executor.spawn(keep_checkpoints(running));
  const Slice batch = make_batch({.value_bytes = 512 * 1024});
  for (std::uint64_t written = 0; written < bytes; written += batch.size()) {
    auto appended = co_await append_when_room(*running.store, *log, batch, {});
    REQUIRE_OK(appended);
  }
  auto durable = co_await log->wait_durable(log->log_end_offset());
  REQUIRE_OK(durable);
  co_return 0;
}

io::Task<int> start_and_report(io::Env& env, RecoveryReport& report) {
  auto running = co_await start_folder(env, StoreLimits());
  REQUIRE_OK(running);
  report = running->folder->report();
  co_return 0;
}

TEST(StoreStart, ReadsOfALongSegmentOnlyItsEnd) {
  for (const std::uint64_t more : {0, 9}) {
    World world({.seed = 7 + more});
    Node& node = world.add_node("b1");
    ASSERT_EQ(run(world, node,
                  [&](io::Env& env) { return write_much(env, kWrittenBytes + (more << 20)); }),
              0);
    RecoveryReport report;
    ASSERT_EQ(run(world, node, [&](io::Env& env) { return start_and_report(env, report); }), 0);
    EXPECT_FALSE(report.was_clean);
    EXPECT_GT(report.scanned_bytes, 0u);
    // Snapshots and indexes are never further apart.
    EXPECT_LE(report.scanned_bytes, 24ull << 20);
  }
}

// Counts what becomes of it; owns itself, as an append of the broker does.
class SelfOwned final : public DurableWaiter {
 public:
  SelfOwned(int& told, int& abandoned, Offset wait_for) : told_(told), abandoned_(abandoned) {
    end = wait_for;
  }
  void on_durable(LogResult<>) override {
    ++told_;
    delete this;
  }
  void on_abandoned() override {
    ++abandoned_;
    delete this;
  }

 private:
  int& told_;
  int& abandoned_;
};

io::Task<int> append_and_end(io::Env& env, int& told, int& abandoned, bool first_is_awaited) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  for (int i = 0; i < 2; ++i) {
    const auto appended = append(*opened->log, make_batch({}), {.leader_epoch = 1});
    REQUIRE_OK(appended);
    const bool is_waiting =
        opened->log->wait_durable(*new SelfOwned(told, abandoned, appended->end_offset()));
    EXPECT_TRUE(is_waiting);
    if (i == 0 && first_is_awaited) {
      REQUIRE_OK(co_await opened->log->wait_durable(appended->end_offset()));
    }
  }
  co_return 0;
}

TEST_F(StoreTest, WaitersThatOwnThemselvesEndWithTheLog) {
  for (const bool first_is_awaited : {false, true}) {
    int told = 0;
    int abandoned = 0;
    EXPECT_EQ(
        run([&](io::Env& env) { return append_and_end(env, told, abandoned, first_is_awaited); }),
        0);
    EXPECT_EQ(told, first_is_awaited ? 1 : 0);
    EXPECT_EQ(abandoned, first_is_awaited ? 1 : 2);
  }
}

io::Task<io::Result<std::shared_ptr<PartitionLog>>> append_to_new(io::Env& env, Uuid topic_id) {
  auto running = co_await start_folder(env, small_limits());
  if (!running) co_return std::unexpected(running.error());
  auto log = co_await open_or_create(*running, "t", 0, topic_id, small_config());
  if (!log) co_return log;
  EXPECT_TRUE(append(**log, make_batch({})).has_value());
  EXPECT_TRUE((co_await (*log)->wait_durable(1)).has_value());
  co_return log;
}

// A topic was made again; what a journal says of the making of the first one must not claim the
// folder of the second, whose own partition.metadata did not reach the disk.
TEST_F(StoreTest, ATopicThatWasMadeAgainIsNotTakenForTheOneThatWent) {
  static constexpr Uuid kGone{9, 9};
  static constexpr Uuid kThere{1, 1};
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              REQUIRE_OK(co_await append_to_new(env, kGone));
              co_return 0;
            }),
            0);
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              // As a removal leaves it that a failed disk cut short of its entry in the journal.
              const auto renamed = co_await env.disk.rename(
                  "data/t-0", "data/t-0.0123456789abcdef0123456789abcdef-delete");
              REQUIRE_OK(renamed);
              REQUIRE_OK(co_await append_to_new(env, kThere));
              co_return 0;
            }),
            0);
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              auto file = co_await env.disk.open("data/t-0/partition.metadata",
                                                 {.write = true, .truncate = true});
              REQUIRE_OK(file);
              auto running = co_await start_folder(env, small_limits());
              REQUIRE_OK(running);
              auto found = running->folder->take({kThere, 0});
              EXPECT_TRUE(found.has_value());
              if (found) {
                const auto log = running->store->open(std::move(*found), small_config());
                EXPECT_EQ(log->log_end_offset(), 1);
              }
              co_return 0;
            }),
            0)
      << world_.report();
}

TEST_F(StoreTest, FindsAgainWhatWasAcknowledgedBeforeAKill) {
  int acknowledged = 0;
  for (int life = 0; life < 5; ++life) {
    EXPECT_EQ(run([&](io::Env& env) { return append_and_read(env, 300, acknowledged, false); }), 0);
    ASSERT_EQ(acknowledged, 300 * (life + 1)) << world_.report();
  }
}

TEST_F(StoreTest, FindsAgainWhatWasThereAtACleanStop) {
  int acknowledged = 0;
  for (int life = 0; life < 4; ++life) {
    EXPECT_EQ(run([&](io::Env& env) { return append_and_read(env, 200, acknowledged, true); }), 0);
    ASSERT_EQ(acknowledged, 200 * (life + 1)) << world_.report();
    EXPECT_TRUE(node_.disk().exists("data/.kafka_cleanshutdown"));
    for (const std::string& file : node_.disk().files()) {
      EXPECT_EQ(file.find("journal"), std::string::npos) << file;
    }
  }
}

}  // namespace
}  // namespace ottla::storage
