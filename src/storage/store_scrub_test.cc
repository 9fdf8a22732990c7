// The background scrub on a running store: finds rot, keeps its pace, leaves what is being changed.
#include <algorithm>
#include <fmt/format.h>

#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::ErrorKind;
using io::sim::OperationKind;

constexpr Offset kBatches = 400;
const std::string kSegment = "data/t-0/00000000000000000000";

StoreLimits scrubbing_limits() {
  StoreLimits limits = small_limits();
  limits.scrub_bytes_per_second = 16ull << 20;
  limits.scrub_interval_ms = 2000;
  return limits;
}

class StoreScrubTest : public OneNodeTest {
 protected:
  StoreScrubTest() : OneNodeTest(11) {}
  std::size_t times_logged(std::string_view part) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        node_.log(), [&](const auto& line) { return line.text.find(part) != std::string::npos; }));
  }
};

// Some 240 KB in segments of 32 KiB, all of it in files; one record a batch.
io::Task<io::Result<Opened>> start_with_records(io::Env& env, StoreLimits limits,
                                                Offset high_watermark = kBatches) {
  auto opened = co_await start_and_open(env, limits);
  if (!opened) co_return opened;
  PartitionLog& log = *opened->log;
  log.set_high_watermark(0);
  while (log.log_end_offset() < kBatches) {
    const auto fill = static_cast<std::uint8_t>(log.log_end_offset());
    auto appended = co_await append_when_room(*opened->running.store, log,
                                              make_batch({.value_bytes = 500, .fill = fill}), {});
    EXPECT_TRUE(appended.has_value());
  }
  EXPECT_TRUE((co_await log.wait_durable(kBatches)).has_value());
  log.set_high_watermark(high_watermark);
  auto drained = co_await opened->running.store->drain();
  EXPECT_TRUE(drained.has_value());
  co_return opened;
}

// What a fetch at each offset gives: its record, or an error.
io::Task<std::vector<std::optional<LogError>>> read_each(PartitionLog& log) {
  std::vector<std::optional<LogError>> answers;
  for (Offset at = 0; at < kBatches; ++at) {
    auto read = co_await log.read({.from = at, .max_bytes = 1});
    if (!read) {
      answers.emplace_back(read.error());
      continue;
    }
    const Bytes bytes = co_await bytes_of(std::move(*read));
    EXPECT_TRUE(wire::crc_matches(bytes)) << at;
    EXPECT_EQ(wire::load_batch_header(bytes.data()).base_offset, at);
    answers.emplace_back(std::nullopt);
  }
  co_return answers;
}

std::size_t damaged_of(const std::vector<std::optional<LogError>>& answers) {
  return static_cast<std::size_t>(std::ranges::count(answers, LogError::corrupt));
}

// Of the records of the first segment, in the middle of them.
constexpr std::uint64_t kPlace = 20'000;

io::Task<int> meet_rot(io::Env& env, io::sim::SimDisk& disk, Offset& damaged) {
  auto opened = co_await start_with_records(env, scrubbing_limits());
  REQUIRE_OK(opened);
  Store& store = *opened->running.store;
  co_await io::sleep_for(env.clock, 10s);
  const StoreStatistics before = store.statistics();
  EXPECT_GT(before.scrubbed_segments, 10u);
  EXPECT_GT(before.scrubbed_bytes, 300'000u);
  EXPECT_EQ(before.scrub_damages, 0u);
  disk.flip_bit(kSegment + ".log", kPlace, 3);
  co_await io::sleep_for(env.clock, 10s);
  EXPECT_EQ(store.statistics().scrub_damages, 1u) << "once, though it was read several times";
  const auto answers = co_await read_each(*opened->log);
  EXPECT_EQ(damaged_of(answers), 1u);
  damaged = std::ranges::find(answers, LogError::corrupt) - answers.begin();
  EXPECT_FALSE(store.is_fenced());
  co_return 0;
}

TEST_F(StoreScrubTest, NamesRotOnARunningNodeAndServesTheRest) {
  Offset damaged = -1;
  EXPECT_EQ(run([&](io::Env& env) { return meet_rot(env, node_.disk(), damaged); }), 0);
  EXPECT_EQ(times_logged(fmt::format("offsets {} to {}", damaged, damaged)), 1u);
  EXPECT_EQ(times_logged("the scrub"), 1u);
}

io::Task<int> meet_rot_without_sums(io::Env& env, io::sim::SimDisk& disk) {
  auto opened = co_await start_with_records(env, scrubbing_limits());
  REQUIRE_OK(opened);
  disk.erase(kSegment + ".sums.ottla");
  co_await io::sleep_for(env.clock, 10s);
  EXPECT_EQ(opened->running.store->statistics().scrub_damages, 0u);
  disk.flip_bit(kSegment + ".log", kPlace, 3);
  co_await io::sleep_for(env.clock, 10s);
  EXPECT_EQ(damaged_of(co_await read_each(*opened->log)), 1u);
  co_return 0;
}

TEST_F(StoreScrubTest, JudgesBatchesWhereThereAreNoSums) {
  EXPECT_EQ(run([&](io::Env& env) { return meet_rot_without_sums(env, node_.disk()); }), 0);
}

io::Task<int> meet_rotten_index(io::Env& env, io::sim::SimDisk& disk) {
  auto opened = co_await start_with_records(env, scrubbing_limits());
  REQUIRE_OK(opened);
  disk.flip_bit(kSegment + ".timeindex", 3, 1);
  co_await io::sleep_for(env.clock, 10s);
  EXPECT_GE(opened->running.store->statistics().scrub_damages, 1u);
  EXPECT_EQ(damaged_of(co_await read_each(*opened->log)), 0u);
  co_return 0;
}

TEST_F(StoreScrubTest, NamesARottenIndex) {
  EXPECT_EQ(run([&](io::Env& env) { return meet_rotten_index(env, node_.disk()); }), 0);
  EXPECT_TRUE(node_.has_logged("index files damaged: 00000000000000000000.timeindex"));
}

io::Task<int> meet_read_errors(io::Env& env, bool& fails) {
  auto opened = co_await start_with_records(env, scrubbing_limits());
  REQUIRE_OK(opened);
  fails = true;
  co_await io::sleep_for(env.clock, 10s);
  fails = false;
  EXPECT_GE(opened->running.store->statistics().scrub_damages, 1u);
  EXPECT_FALSE(opened->running.store->is_fenced());
  EXPECT_EQ(damaged_of(co_await read_each(*opened->log)), 0u);
  co_return 0;
}

TEST_F(StoreScrubTest, NamesWhatCanNotBeReadAndTheStoreGoesOn) {
  bool fails = false;
  node_.disk().on_fault([&](OperationKind kind, std::string_view path) -> std::optional<ErrorKind> {
    if (fails && kind == OperationKind::read && path == kSegment + ".log")
      return ErrorKind::input_output;
    return std::nullopt;
  });
  EXPECT_EQ(run([&](io::Env& env) { return meet_read_errors(env, fails); }), 0);
  EXPECT_TRUE(node_.has_logged("the scrub can't read segment 0"));
}

// 256 KiB a second, and that is what the smallest segment counts for.
io::Task<int> scrub_slowly(io::Env& env, std::uint64_t& reads, io::sim::SimDisk& disk) {
  StoreLimits limits = scrubbing_limits();
  limits.scrub_bytes_per_second = 256 << 10;
  auto opened = co_await start_with_records(env, limits);
  REQUIRE_OK(opened);
  co_await io::sleep_for(env.clock, 3s);
  const std::uint64_t reads_before = disk.counters().reads;
  const StoreStatistics before = opened->running.store->statistics();
  co_await io::sleep_for(env.clock, 20s);
  const StoreStatistics after = opened->running.store->statistics();
  reads = disk.counters().reads - reads_before;
  EXPECT_GE(after.scrubbed_segments - before.scrubbed_segments, 10u);
  EXPECT_LE(after.scrubbed_segments - before.scrubbed_segments, 21u);
  co_return 0;
}

TEST_F(StoreScrubTest, KeepsItsPace) {
  std::uint64_t reads = 0;
  EXPECT_EQ(run([&](io::Env& env) { return scrub_slowly(env, reads, node_.disk()); }), 0);
  EXPECT_LE(reads, 21u * 8);
}

io::Task<int> do_not_scrub(io::Env& env, StoreLimits limits) {
  auto opened = co_await start_with_records(env, limits);
  REQUIRE_OK(opened);
  co_await io::sleep_for(env.clock, 20min);
  EXPECT_EQ(opened->running.store->statistics().scrubbed_segments, 0u);
  auto closed = co_await opened->running.folder->close_clean({opened->running.store}, 1);
  REQUIRE_OK(closed);
  co_return 0;
}

TEST_F(StoreScrubTest, IsOffAtZeroAndLeavesWhatWasSealedJustNow) {
  StoreLimits limits = small_limits();
  EXPECT_EQ(run([&](io::Env& env) { return do_not_scrub(env, limits); }), 0);
  limits = scrubbing_limits();
  limits.scrub_bytes_per_second = 0;
  EXPECT_EQ(run([&](io::Env& env) { return do_not_scrub(env, limits); }), 0);
}

io::Task<int> count_scrubbed(io::Env& env, io::Duration after, std::uint64_t& segments) {
  StoreLimits limits = small_limits();
  limits.scrub_interval_ms = 600'000;
  auto opened = co_await start_and_open(env, limits);
  REQUIRE_OK(opened);
  co_await io::sleep_for(env.clock, after);
  segments = opened->running.store->statistics().scrubbed_segments;
  auto closed = co_await opened->running.folder->close_clean({opened->running.store}, 1);
  REQUIRE_OK(closed);
  co_return 0;
}

io::Task<int> fill_and_die(io::Env& env) {
  auto opened = co_await start_with_records(env, small_limits());
  REQUIRE_OK(opened);
  co_return 0;
}

// Ten minutes apart.
TEST_F(StoreScrubTest, AfterAnUncleanStartAllIsDueAndAfterACleanOneItIsSpread) {
  ASSERT_EQ(run([](io::Env& env) { return fill_and_die(env); }), 0);
  std::uint64_t segments = 0;
  EXPECT_EQ(run([&](io::Env& env) { return count_scrubbed(env, 90s, segments); }), 0);
  const std::uint64_t all = segments;
  EXPECT_GE(all, 6u);
  EXPECT_EQ(run([&](io::Env& env) { return count_scrubbed(env, 90s, segments); }), 0);
  EXPECT_LE(segments, all / 2);
  EXPECT_EQ(run([&](io::Env& env) { return count_scrubbed(env, 12min, segments); }), 0);
  EXPECT_GE(segments, all);
}

// Slow enough that the scrub is always in the midst of something.
io::Task<int> change_meanwhile(io::Env& env) {
  StoreLimits limits = scrubbing_limits();
  limits.scrub_bytes_per_second = 512 << 10;
  limits.scrub_interval_ms = 50;
  auto opened = co_await start_with_records(env, limits, 100);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  for (std::uint8_t round = 0; round < 40; ++round) {
    auto cut = co_await log->truncate_to(389 - 6 * round);
    REQUIRE_OK(cut);
    while (log->log_end_offset() < kBatches) {
      auto appended = co_await append_when_room(
          *running.store, *log, make_batch({.value_bytes = 500, .fill = round}), {});
      REQUIRE_OK(appended);
    }
    co_await io::sleep_for(env.clock, 1ms * (1 + env.random.below(700)));
  }
  auto deleted = co_await log->delete_records(100);
  REQUIRE_OK(deleted);
  auto removed = co_await running.store->remove({log->id()});
  REQUIRE_OK(removed);
  co_await io::sleep_for(env.clock, 2s);
  EXPECT_GT(running.store->statistics().scrubbed_segments, 10u);
  EXPECT_EQ(running.store->statistics().scrub_damages, 0u);
  co_return 0;
}

TEST_F(StoreScrubTest, TakesNoChangeForDamage) {
  EXPECT_EQ(run([](io::Env& env) { return change_meanwhile(env); }), 0);
  EXPECT_EQ(times_logged("the scrub"), 0u);
}

}  // namespace
}  // namespace ottla::storage
