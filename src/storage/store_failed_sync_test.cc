// A sync that failed leaves bytes that can be read and that the next loss of power takes, and a
// second sync of them says yes and does nothing. A start builds on none of them.
#include "storage/segment_name.h"
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::ErrorKind;
using io::sim::CrashKind;
using io::sim::Node;
using io::sim::OperationKind;
using io::sim::World;

struct Known {
  Offset acknowledged = 0;
  std::vector<SeenBatch> seen;
};

// Appends until the disk fails, or `batches` are acknowledged; what is there at the start must hold
// what is known, and is known from then on.
io::Task<int> live(io::Env& env, Known& known, int batches, io::sim::Prng prng) {
  auto running = co_await start_folder(env, small_limits());
  if (!running) co_return 1;
  EXPECT_TRUE(running->folder->report().damages.empty());
  auto log = co_await open_or_create(*running, "t", 0, kTopicId, small_config());
  if (!log) co_return 1;
  auto seen = co_await read_all(**log, 0);
  REQUIRE_OK(seen);
  EXPECT_GE((*log)->log_end_offset(), known.acknowledged);
  EXPECT_GE(seen->size(), known.seen.size()) << "what readers have seen is gone";
  for (std::size_t i = 0; i < std::min(seen->size(), known.seen.size()); ++i) {
    EXPECT_EQ((*seen)[i], known.seen[i]);
  }
  known.seen = std::move(*seen);
  known.acknowledged = std::max(known.acknowledged, (*log)->log_end_offset());
  env.executor.spawn(keep_checkpoints(*running));
  for (int i = 0; i < batches; ++i) {
    auto appended = co_await append_when_room(
        *running->store, **log,
        make_batch({.value_bytes = 50 + prng.below(2500), .fill = std::uint8_t(prng.next())}), {});
    if (!appended) co_return 1;
    if (prng.chance(0.5)) {
      auto durable = co_await (*log)->wait_durable(appended->end_offset());
      if (!durable) co_return 1;
      known.acknowledged = appended->end_offset();
    }
    if (prng.chance(0.1)) co_await io::sleep_for(env.clock, 1ms * prng.below(80));
  }
  if (batches > 0) co_await io::sleep_for(env.clock, 100ms);  // until segments have it
  co_return 0;
}

TEST(StoreFailedSync, NothingSeenIsTakenByALaterLossOfPower) {
  int failures = 0;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("b1");
    io::sim::Prng prng = world.prng("test");
    Known known;
    std::uint64_t syncs_left = 5 + prng.below(150);
    node.disk().on_fault([&](OperationKind kind, std::string_view) -> std::optional<ErrorKind> {
      if (kind != OperationKind::sync && kind != OperationKind::sync_directory) return std::nullopt;
      if (syncs_left > 0 && --syncs_left > 0) return std::nullopt;
      return ErrorKind::input_output;
    });
    const auto main = [&](int batches) {
      return [&known, batches, own = io::sim::Prng(prng.next())](io::Env& env) mutable {
        return live(env, known, batches, own);
      };
    };
    if (run(world, node, main(150)) != 0) ++failures;
    node.disk().on_fault({});
    // Alive for a while, then the power goes; twice, as the second start has other journals.
    for (int life = 0; life < 2; ++life) {
      node.start(1, main(static_cast<int>(prng.below(40))));
      const io::Duration while_alive = 1ms * prng.below(200);
      world.run_for(while_alive);
      if (node.is_running()) node.crash(CrashKind::power_loss);
    }
    EXPECT_EQ(run(world, node, main(0)), 0);
    ASSERT_FALSE(HasFailure()) << world.report();
  }
  EXPECT_GT(failures, 40) << "the syncs did not fail";
}

// Kafka ran on the folder after a kill: it keeps the first batches and puts its own behind them.
io::Task<int> write_as_another(io::Env& env) {
  const std::string path = kFolder + "/t-0/" + segment_file_name(0, SegmentFile::log);
  auto file = co_await env.disk.open(path, {.write = true});
  REQUIRE_OK(file);
  auto size = (*file)->size_bytes();
  REQUIRE_OK(size);
  Bytes bytes(*size);
  auto read = co_await (*file)->read(0, bytes);
  REQUIRE_OK(read);
  wire::BatchCursor cursor(bytes);
  wire::Batch batch;
  int passed = 0;
  while (cursor.next(batch) && passed < 12) ++passed;
  if (passed < 12) co_return 2;
  const auto position = static_cast<std::uint64_t>(batch.bytes.data() - bytes.data());
  const Slice other = make_batch({.value_bytes = 20, .fill = 'K'});
  wire::set_base_offset(other.mutable_data(), batch.header.base_offset);
  wire::set_leader_epoch(other.mutable_data(), batch.header.leader_epoch);
  auto written = co_await (*file)->write(position, other);
  REQUIRE_OK(written);
  auto cut = co_await (*file)->truncate(position + other.size());
  REQUIRE_OK(cut);
  auto synced = co_await (*file)->sync_data();
  REQUIRE_OK(synced);
  co_return 0;
}

TEST(StoreFailedSync, ASegmentThatAnotherHasWrittenOnIsRefused) {
  World world({.seed = 3});
  Node& node = world.add_node("b1");
  Known known;
  const io::sim::Prng prng = world.prng("test");
  node.start(1, [&](io::Env& env) { return live(env, known, 20, prng); });
  world.run_for(20s);
  ASSERT_GE(known.acknowledged, 15);
  if (node.is_running()) node.crash(CrashKind::process_kill);
  ASSERT_EQ(run(world, node, write_as_another), 0) << "the segment does not hold enough";
  std::string message;
  const int code = run(world, node, [&](io::Env& env) -> io::Task<int> {
    auto started = co_await start_folder(env, small_limits());
    if (!started) message = started.error().message;
    co_return started ? 0 : 1;
  });
  EXPECT_EQ(code, 1);
  EXPECT_NE(message.find("another batch at offset 12"), std::string::npos) << message;
}

}  // namespace
}  // namespace ottla::storage
