// Retention on the simulated disk: segments go by age and by size, their readers are not disturbed,
// and a crash at any step of it is harmless.
#include <algorithm>
#include <map>

#include "storage/segment_name.h"
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::CrashKind;
using io::sim::DiskPoint;

constexpr std::int64_t kHourMs = 3'600'000;

StoreLimits eager_limits() {
  StoreLimits limits = small_limits();
  limits.retention_check_interval_ms = 200;
  return limits;
}

LogConfig config_of(std::int64_t retention_ms, std::int64_t retention_bytes,
                    std::int64_t delay_ms = 1000) {
  LogConfig config = small_config();
  config.segment_bytes = 8 * 1024;
  config.retention_ms = retention_ms;
  config.retention_bytes = retention_bytes;
  config.file_delete_delay_ms = delay_ms;
  return config;
}

io::Task<bool> fill(Store& store, PartitionLog& log, int batches, TimestampMs timestamp) {
  for (int i = 0; i < batches; ++i) {
    auto appended = co_await append_when_room(
        store, log, make_batch({.timestamp = timestamp, .value_bytes = 900}), {});
    if (!appended) co_return false;
  }
  co_return (co_await log.wait_durable(log.log_end_offset())).has_value();
}

struct Names {
  int live = 0;
  int deleted = 0;
};
io::Task<Names> names_of(io::Env& env) {
  Names names;
  auto entries = co_await env.disk.list(kFolder + "/t-0");
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (!name || name->file != SegmentFile::log) continue;
    (name->state == SegmentFileState::deleted ? names.deleted : names.live) += 1;
  }
  co_return names;
}

class StoreRetention : public OneNodeTest {
 protected:
  StoreRetention() : OneNodeTest(21) {}
};

TEST_F(StoreRetention, OldSegmentsGoByTime) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), config_of(kHourMs, -1));
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Store& store = *opened->running.store;
    const TimestampMs now = env.clock.wall_ms();
    EXPECT_TRUE(co_await fill(store, log, 40, now - kHourMs - 1));
    EXPECT_TRUE(co_await fill(store, log, 40, now - kHourMs + 60'000));
    const std::size_t before = log.describe().segments.size();
    co_await io::sleep_for(env.clock, 400ms);
    const Offset start = log.log_start_offset();
    EXPECT_GT(start, 30);
    EXPECT_LE(start, 40) << "a segment with a younger record stays";
    EXPECT_LT(log.describe().segments.size(), before);
    EXPECT_EQ(log.describe().segments.front().base_offset, start);
    auto below = co_await log.read({.from = start - 1, .max_bytes = 100});
    EXPECT_FALSE(below.has_value());
    if (!below) {
      EXPECT_EQ(below.error(), LogError::offset_out_of_range);
    }
    auto rest = co_await read_all(log, start);
    REQUIRE_OK(rest);
    EXPECT_EQ(rest->front().base_offset, start);
    EXPECT_EQ(rest->back().next_offset, 80);
    Names names = co_await names_of(env);
    EXPECT_GT(names.deleted, 0);
    co_await io::sleep_for(env.clock, 1s);
    names = co_await names_of(env);
    EXPECT_EQ(names.deleted, 0) << "after file.delete.delay.ms";
    EXPECT_EQ(static_cast<std::size_t>(names.live), log.describe().segments.size());
    // Once all of it is old all of it goes, the active segment too; offsets go on.
    co_await io::sleep_for(env.clock, 61s);
    EXPECT_EQ(log.log_start_offset(), 80);
    EXPECT_EQ(log.describe().size_bytes, 0U);
    EXPECT_TRUE(co_await fill(store, log, 1, env.clock.wall_ms()));
    EXPECT_EQ(log.log_end_offset(), 81);
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

TEST_F(StoreRetention, NothingGoesWhereRecordsStayForEver) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    LogConfig config = config_of(1, 0);
    config.is_deleted_when_old = false;
    auto opened = co_await start_and_open(env, eager_limits(), config);
    REQUIRE_OK(opened);
    EXPECT_TRUE(co_await fill(*opened->running.store, *opened->log, 40, 1000));
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_EQ(opened->log->log_start_offset(), 0);
    opened->log->configure(LogConfig{});  // what the metadata log has
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_EQ(opened->log->log_start_offset(), 0);
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

TEST_F(StoreRetention, BySizeAndNotAboveTheHighWatermark) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), config_of(-1, 30'000));
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    log.set_high_watermark(0);
    EXPECT_TRUE(co_await fill(*opened->running.store, log, 100, env.clock.wall_ms()));
    co_await io::sleep_for(env.clock, 500ms);
    EXPECT_EQ(log.log_start_offset(), 0);
    log.set_high_watermark(20);
    co_await io::sleep_for(env.clock, 500ms);
    EXPECT_GT(log.log_start_offset(), 0);
    EXPECT_LE(log.log_start_offset(), 20);
    log.set_high_watermark(100);
    co_await io::sleep_for(env.clock, 500ms);
    EXPECT_GE(log.describe().size_bytes, 30'000U);
    EXPECT_LT(log.describe().size_bytes, 30'000U + 8 * 1024);
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

// Who has got a range of a file reads it to its end, whatever has happened to the name.
TEST_F(StoreRetention, AReaderKeepsItsSegment) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), config_of(kHourMs, -1, 0));
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Store& store = *opened->running.store;
    log.configure(config_of(-1, -1));
    EXPECT_TRUE(co_await fill(store, log, 100, 1000));
    co_await io::sleep_for(env.clock, 500ms);
    auto held = co_await log.read({.from = 0, .max_bytes = 5000});
    REQUIRE_OK(held);
    EXPECT_FALSE(held->records.in_memory());
    const Bytes before = co_await bytes_of(*held);
    log.configure(config_of(kHourMs, -1, 0));
    co_await io::sleep_for(env.clock, 500ms);
    EXPECT_GT(log.log_start_offset(), 8);
    const Names names = co_await names_of(env);
    EXPECT_EQ(names.deleted, 0);
    EXPECT_EQ(co_await bytes_of(*held), before);
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

// What outlives the crashes.
struct Ghost {
  std::map<Offset, Bytes> batches;
  Offset acknowledged_end = 0;
  Offset start_seen = 0;  // by consumers, and durable
  bool has_ended = false;
};

io::Task<int> live(io::Env& env, Ghost& ghost, int batches) {
  ghost.has_ended = false;
  auto opened = co_await start_and_open(env, eager_limits(), config_of(kHourMs, 40'000, 300));
  REQUIRE_OK(opened);
  Store& store = *opened->running.store;
  PartitionLog& log = *opened->log;
  EXPECT_TRUE(opened->running.folder->report().damages.empty());
  EXPECT_GE(log.log_start_offset(), ghost.start_seen) << "deleted records are back";
  EXPECT_GE(log.log_end_offset(), ghost.acknowledged_end) << "acknowledged records are lost";
  ghost.acknowledged_end = log.log_end_offset();
  ghost.batches.erase(ghost.batches.lower_bound(ghost.acknowledged_end), ghost.batches.end());
  auto seen = co_await read_all(log, log.log_start_offset());
  REQUIRE_OK(seen);
  Offset expected = log.log_start_offset();
  for (const SeenBatch& batch : *seen) {
    EXPECT_EQ(batch.base_offset, expected) << "a gap, or a start inside a batch";
    EXPECT_EQ(ghost.batches.at(batch.base_offset), batch.bytes);
    expected = batch.next_offset;
  }
  EXPECT_EQ(expected, log.log_end_offset());
  env.executor.spawn(keep_checkpoints(opened->running));

  for (int i = 0; i < batches; ++i) {
    const TimestampMs timestamp = env.clock.wall_ms() - (i % 3 == 0 ? 2 * kHourMs : 0);
    Slice batch = make_batch({.timestamp = timestamp,
                              .value_bytes = 600 + static_cast<std::size_t>(i * 37 % 500),
                              .fill = static_cast<std::uint8_t>(i)});
    auto appended = co_await append_when_room(store, log, batch, {});
    REQUIRE_OK(appended);
    Bytes bytes(batch.view().begin(), batch.view().end());
    wire::set_base_offset(bytes.data(), appended->first_offset);
    wire::set_leader_epoch(bytes.data(), 0);
    ghost.batches[appended->first_offset] = std::move(bytes);
    if (i % 10 == 9) {
      if (!co_await log.wait_durable(log.log_end_offset())) co_return 1;
      ghost.acknowledged_end = log.log_end_offset();
      co_await io::sleep_for(env.clock, 70ms);
      ghost.start_seen = log.describe().segments.front().base_offset;
    }
  }
  co_await io::sleep_for(env.clock, 700ms);
  ghost.start_seen = log.log_start_offset();
  ghost.has_ended = true;
  co_return 0;
}

TEST(StoreRetentionCrash, IsHarmlessAtAnyPoint) {
  constexpr int kBatches = 60;
  const auto life = [](io::sim::World& world, io::sim::Node& node, Ghost& ghost, int batches) {
    ghost.has_ended = false;
    io::sim::run(world, node,
                 [&ghost, batches](io::Env& env) { return live(env, ghost, batches); });
    node.disk().on_operation({});
    return ghost.has_ended;
  };
  io::sim::World quiet({.seed = 1});
  io::sim::Node& first = quiet.add_node("b1");
  Ghost known;
  ASSERT_TRUE(life(quiet, first, known, kBatches)) << quiet.report();
  EXPECT_GT(known.start_seen, 5) << "retention has something to do";
  const std::uint64_t points = first.disk().counters().points;
  for (std::uint64_t point = 0; point < points; ++point) {
    const CrashKind kind = point / 3 % 3 == 0 ? CrashKind::process_kill : CrashKind::power_loss;
    io::sim::World world({.seed = point});
    io::sim::Node& node = world.add_node("b1");
    Ghost ghost;
    const auto phase = static_cast<DiskPoint::Phase>(point % 3);
    node.disk().on_operation([&](const DiskPoint& at) {
      if (at.index == point && at.phase == phase && node.is_running()) node.crash(kind);
    });
    life(world, node, ghost, kBatches);
    EXPECT_TRUE(life(world, node, ghost, 20));
    EXPECT_TRUE(life(world, node, ghost, 0));
    if (HasFailure()) FAIL() << "point " << point << " of " << points << "\n" << world.report();
  }
}

}  // namespace
}  // namespace ottla::storage
