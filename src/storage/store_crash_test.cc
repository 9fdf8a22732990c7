// Crash points: a workload with every operation of the store is stopped at every write, sync,
// rename, removal, truncation and creation, by a kill and by a loss of power; what is found
// afterwards is held against what was acknowledged (S1 to S9 of the design's list of invariants).
// Also the recovery itself is stopped, and once more the run after it.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "storage/log_directory.h"
#include "storage/segment_files.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/store_test_support.h"
#include "wire/control_record.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::CrashKind;
using io::sim::DiskPoint;
using io::sim::Node;
using io::sim::World;

// What a partition must hold, as its clients know it.
struct Ghost {
  TopicPartition name;
  Uuid topic_id;
  std::map<Offset, Bytes> batches;  // all that were ever appended and not cut, by base offset
  Offset acknowledged_end = 0;
  Offset log_start_asked = 0;
  Offset log_start_acknowledged = 0;
  std::optional<Offset> cut_asked;  // a truncation under way
  bool creation_acknowledged = false;
  bool removal_asked = false;
  bool removal_acknowledged = false;
  TopicIdPartition id() const { return {topic_id, name.partition}; }
};

struct Ghosts {
  Ghost idempotent{.name = {"orders", 0}, .topic_id = {1, 11}};
  Ghost plain{.name = {"orders", 1}, .topic_id = {1, 11}};
  Ghost transactional{.name = {"money", 0}, .topic_id = {1, 12}};
  Ghost cut{.name = {"replica", 0}, .topic_id = {1, 13}};
  Ghost brief{.name = {"brief", 0}, .topic_id = {1, 14}};
  std::vector<Ghost*> all() { return {&idempotent, &plain, &transactional, &cut, &brief}; }
  int lives = 0;
  bool was_closed_clean = false;
  bool was_closing = false;  // when it was stopped: the marker may be there or not
  bool has_ended = false;    // the workload, in this life
};

void note_append(Ghost& ghost, const Slice& batch, const AppendResult& result, LeaderEpoch epoch) {
  Bytes bytes(batch.view().begin(), batch.view().end());
  wire::set_base_offset(bytes.data(), result.first_offset);
  wire::set_leader_epoch(bytes.data(), epoch);
  ghost.batches[result.first_offset] = std::move(bytes);
}

// Appends to one partition and remembers it. The epoch is the life, as every start elects anew.
io::Task<bool> put(Store& store, PartitionLog& log, Ghost& ghost, Slice batch, LeaderEpoch epoch,
                   AppendOrigin origin) {
  auto result =
      co_await append_when_room(store, log, batch, {.leader_epoch = epoch, .origin = origin});
  if (!result) {
    ADD_FAILURE() << "append: " << describe(result.error());
    co_return false;
  }
  if (!result->is_duplicate) note_append(ghost, batch, *result, epoch);
  co_return true;
}

io::Task<bool> acknowledge(PartitionLog& log, Ghost& ghost) {
  const Offset end = log.log_end_offset();
  auto durable = co_await log.wait_durable(end);
  if (!durable) co_return false;
  ghost.acknowledged_end = std::max(ghost.acknowledged_end, end);
  if (end > 0) ghost.creation_acknowledged = true;
  co_return true;
}

Sequence next_sequence_of(const PartitionLog& log, ProducerId producer) {
  const ProducerEntry* entry = log.producers().find(producer);
  return entry && entry->last_sequence() >= 0 ? wire::next_sequence(entry->last_sequence()) : 0;
}

bool producers_are_equal(const ProducerState& a, const ProducerState& b) {
  if (a.producers().size() != b.producers().size()) return false;
  for (const auto& [id, entry] : a.producers()) {
    const ProducerEntry* other = b.find(id);
    if (!other) return false;
    if (entry.epoch != other->epoch || entry.open_transaction != other->open_transaction ||
        entry.last_sequence() != other->last_sequence() ||
        entry.batch_count() != other->batch_count()) {
      return false;
    }
    for (std::size_t i = 0; i < entry.batch_count(); ++i) {
      if (!(entry.batch(i) == other->batch(i))) return false;
    }
  }
  return a.first_unstable_offset() == b.first_unstable_offset();
}

// S1, S2, S4, S9, P3: what was recovered against what is known.
io::Task<> judge(PartitionLog& log, Ghost& ghost, bool producers_are_exact) {
  const Offset end = log.log_end_offset();
  const Offset must =
      ghost.cut_asked ? std::min(*ghost.cut_asked, ghost.acknowledged_end) : ghost.acknowledged_end;
  EXPECT_GE(end, must) << ghost.name.topic << ": acknowledged records are lost";
  EXPECT_GE(log.log_start_offset(), ghost.log_start_acknowledged) << "deleted records are back";
  EXPECT_LE(log.log_start_offset(), ghost.log_start_asked);
  auto seen = co_await read_all(log, log.log_start_offset());
  if (!seen) {
    ADD_FAILURE() << ghost.name.topic << ": read: " << describe(seen.error());
    co_return;
  }
  Offset expected = log.log_start_offset();
  ProducerState producers;
  producers.clear(0);
  for (const SeenBatch& batch : *seen) {
    EXPECT_LE(batch.base_offset, expected) << ghost.name.topic << ": a gap";
    const auto known = ghost.batches.find(batch.base_offset);
    if (known == ghost.batches.end()) {
      ADD_FAILURE() << ghost.name.topic << ": a batch at " << batch.base_offset
                    << " that nobody wrote";
    } else {
      EXPECT_EQ(known->second, batch.bytes) << ghost.name.topic << " at " << batch.base_offset;
    }
    expected = batch.next_offset;
  }
  EXPECT_EQ(expected, std::max(end, expected));
  // Un-acknowledged batches that did not survive never were.
  ghost.batches.erase(ghost.batches.lower_bound(end), ghost.batches.end());
  for (const auto& [base, bytes] : ghost.batches) {
    const auto batch = wire::parse_batch(bytes);
    (void)apply_batch(producers, *batch, 0);
  }
  producers.on_high_watermark(log.high_watermark());
  if (producers_are_exact) {
    EXPECT_TRUE(producers_are_equal(producers, log.producers())) << ghost.name.topic;
    EXPECT_EQ(producers.last_stable_offset(log.high_watermark()), log.last_stable_offset());
  }
  ghost.acknowledged_end = std::min(ghost.acknowledged_end, end);
  ghost.acknowledged_end = std::max(ghost.acknowledged_end, end);  // it was recovered: now it stays
  ghost.log_start_acknowledged = ghost.log_start_asked = log.log_start_offset();
  ghost.cut_asked.reset();
}

struct Life {
  Ghosts& ghosts;
  int appends = 0;
  bool ends_clean = false;
};

io::Task<int> live(io::Env& env, Life life) {
  Ghosts& ghosts = life.ghosts;
  const auto epoch = static_cast<LeaderEpoch>(++ghosts.lives);
  ghosts.has_ended = false;
  auto running = co_await start_folder(env, small_limits());
  REQUIRE_OK(running);
  Store& store = *running->store;
  if (!ghosts.was_closing) {
    EXPECT_EQ(running->folder->report().was_clean, ghosts.was_closed_clean);
  }
  ghosts.was_closing = false;
  EXPECT_TRUE(running->folder->report().damages.empty());
  ghosts.was_closed_clean = false;

  LogConfig config = small_config();
  config.index_interval_bytes = 4096;
  std::map<Ghost*, std::shared_ptr<PartitionLog>> logs;
  std::vector<NewPartition> to_make;
  for (Ghost* ghost : ghosts.all()) {
    auto found = running->folder->take(ghost->id());
    if (found) {
      EXPECT_FALSE(ghost->removal_acknowledged) << "a removed partition is back";
      logs[ghost] = store.open(std::move(*found), config);
      co_await judge(*logs[ghost], *ghost, true);
      ghost->removal_asked = false;
      continue;
    }
    EXPECT_TRUE(!ghost->creation_acknowledged || ghost->removal_asked)
        << ghost->name.topic << "-" << ghost->name.partition << ": lost before life "
        << ghosts.lives << ", acknowledged up to " << ghost->acknowledged_end;
    if (ghost->removal_asked) {
      ghost->removal_acknowledged = true;
      continue;
    }
    if (!ghost->removal_acknowledged) to_make.push_back({ghost->id(), ghost->name, config});
  }
  if (!to_make.empty()) {
    auto made = co_await store.create(std::move(to_make));
    REQUIRE_OK(made);
    for (const auto& log : *made) {
      for (Ghost* ghost : ghosts.all()) {
        if (ghost->id() != log->id()) continue;
        logs[ghost] = log;
        ghost->creation_acknowledged = true;
      }
    }
  }
  env.executor.spawn(keep_checkpoints(*running));

  PartitionLog& idempotent = *logs[&ghosts.idempotent];
  PartitionLog& plain = *logs[&ghosts.plain];
  PartitionLog& money = *logs[&ghosts.transactional];
  PartitionLog& cut = *logs[&ghosts.cut];
  cut.set_high_watermark(cut.durable_end_offset() > 3 ? cut.durable_end_offset() - 3 : 0);
  for (int i = 0; i < life.appends; ++i) {
    const auto fill = static_cast<std::uint8_t>(i * 7 + ghosts.lives);
    const auto size = static_cast<std::size_t>(100 + (i * 37) % 900);
    if (!co_await put(store, idempotent, ghosts.idempotent,
                      make_batch({.producer_id = 5,
                                  .producer_epoch = 0,
                                  .base_sequence = next_sequence_of(idempotent, 5),
                                  .timestamp = 1000 + i,
                                  .records = 1 + i % 3,
                                  .value_bytes = size,
                                  .fill = fill}),
                      epoch, AppendOrigin::client))
      co_return 1;
    if (i % 2 == 0 && !co_await put(store, plain, ghosts.plain,
                                    make_batch({.timestamp = 1000 + i,
                                                .value_bytes = i % 20 == 0 ? 9000 : size,
                                                .fill = fill}),
                                    epoch, AppendOrigin::client))
      co_return 1;
    if (i % 3 == 0) {
      const ProducerId producer = 20 + i % 2;
      const ProducerEntry* entry = money.producers().find(producer);
      if (entry && entry->has_open_transaction() && i % 4 != 1) {
        const auto marker = wire::build_end_txn_batch(
            0, 0, producer, 0,
            {i % 5 == 0 ? wire::ControlRecordType::abort : wire::ControlRecordType::commit, 1},
            1000 + i);
        if (!co_await put(store, money, ghosts.transactional, marker, epoch,
                          AppendOrigin::coordinator))
          co_return 1;
      } else if (!co_await put(store, money, ghosts.transactional,
                               make_batch({.producer_id = producer,
                                           .producer_epoch = 0,
                                           .base_sequence = next_sequence_of(money, producer),
                                           .is_transactional = true,
                                           .timestamp = 1000 + i,
                                           .value_bytes = size,
                                           .fill = fill}),
                               epoch, AppendOrigin::client)) {
        co_return 1;
      }
    }
    if (i % 4 == 0 &&
        !co_await put(store, cut, ghosts.cut,
                      make_batch({.timestamp = 1000 + i, .value_bytes = size, .fill = fill}), epoch,
                      AppendOrigin::client))
      co_return 1;
    if (i % 5 == 0) {
      if (!co_await acknowledge(idempotent, ghosts.idempotent)) co_return 1;
      if (!co_await acknowledge(plain, ghosts.plain)) co_return 1;
    }
    if (i % 9 == 0) {
      if (!co_await acknowledge(money, ghosts.transactional)) co_return 1;
      if (!co_await acknowledge(cut, ghosts.cut)) co_return 1;
      cut.set_high_watermark(cut.durable_end_offset() - 2);
    }
    if (i % 40 == 17) {
      ghosts.plain.log_start_asked = plain.high_watermark() - 3;
      auto deleted = co_await plain.delete_records(ghosts.plain.log_start_asked);
      REQUIRE_OK(deleted);
      ghosts.plain.log_start_acknowledged = *deleted;
    }
    if (i % 35 == 29) {
      const Offset to = cut.high_watermark();
      ghosts.cut.cut_asked = to;
      auto truncated = co_await cut.truncate_to(to);
      REQUIRE_OK(truncated);
      EXPECT_EQ(cut.log_end_offset(), to);
      ghosts.cut.batches.erase(ghosts.cut.batches.lower_bound(to), ghosts.cut.batches.end());
      ghosts.cut.acknowledged_end = std::min(ghosts.cut.acknowledged_end, to);
      ghosts.cut.cut_asked.reset();
    }
    if (auto brief = logs.find(&ghosts.brief); brief != logs.end() && i < 30) {
      if (!co_await put(store, *brief->second, ghosts.brief, make_batch({.fill = fill}), epoch,
                        AppendOrigin::client))
        co_return 1;
      if (i == 25) {
        if (!co_await acknowledge(*brief->second, ghosts.brief)) co_return 1;
        ghosts.brief.removal_asked = true;
        auto removed = co_await store.remove({ghosts.brief.id()});
        REQUIRE_OK(removed);
        ghosts.brief.removal_acknowledged = true;
        logs.erase(brief);
      }
    }
    if (i % 50 == 49) co_await io::sleep_for(env.clock, 150ms);  // settling, checkpoints
  }
  for (auto& [ghost, log] : logs) {
    if (!co_await acknowledge(*log, *ghost)) co_return 1;
    co_await judge(*log, *ghost, ghost != &ghosts.plain);
  }
  if (life.ends_clean) {
    env.stop.set();
    ghosts.was_closing = true;
    auto closed = co_await running->folder->close_clean({running->store}, 7);
    REQUIRE_OK(closed);
    ghosts.was_closing = false;
    ghosts.was_closed_clean = true;
  }
  ghosts.has_ended = true;
  co_return 0;
}

std::string text_of(const TimeIndex& index) {
  std::string text;
  for (std::size_t at = 0; at < index.size(); ++at) {
    text += std::to_string(index.entry(at).timestamp) + "@" +
            std::to_string(index.entry(at).offset) + " ";
  }
  return text;
}

// S5: the derived files of a folder that was closed clean, against what the segments say.
io::Task<int> recompute(io::Env& env) {
  auto root = co_await env.disk.list(kFolder);
  REQUIRE_OK(root);
  for (const io::DirectoryEntry& directory : *root) {
    if (!directory.is_directory) continue;
    const std::string path = kFolder + "/" + directory.name;
    auto files = co_await env.disk.list(path);
    REQUIRE_OK(files);
    ProducerState producers;
    bool is_first = true;
    for (const io::DirectoryEntry& entry : *files) {
      EXPECT_FALSE(would_stop_kafka(entry.name)) << path << "/" << entry.name;
      const auto name = parse_segment_file_name(entry.name);
      if (!name || name->file != SegmentFile::log || name->state != SegmentFileState::live)
        continue;
      auto file = co_await env.disk.open(path + "/" + entry.name, {});
      REQUIRE_OK(file);
      if (std::exchange(is_first, false)) producers.clear(name->offset);
      Segment segment(name->offset, {});
      auto rebuilt =
          co_await rebuild_segment(*file, entry.size_bytes, segment, {.producers = &producers},
                                   {.base_offset = name->offset, .next_offset = name->offset}, 0);
      REQUIRE_OK(rebuilt);
      EXPECT_FALSE(rebuilt->damage.has_value())
          << path << "/" << entry.name << ": " << rebuilt->damage->to_string();
      EXPECT_EQ(rebuilt->valid_end, entry.size_bytes);
      segment.finish_time_index();
      auto stored = co_await load_indexes(env.disk, path, name->offset, entry.size_bytes,
                                          segment.next_offset());
      REQUIRE_OK(stored);
      if (entry.size_bytes == 0) continue;
      EXPECT_TRUE(stored->has_value())
          << path << "/" << entry.name << ": " << stored->error().message;
      if (!*stored) continue;
      EXPECT_EQ((**stored)->offsets, segment.indexes().offsets) << path << "/" << entry.name;
      // A recovery or a clean stop in between has left an entry more, as Kafka's does.
      const std::string times = text_of((**stored)->times);
      for (std::size_t at = 0; at < segment.indexes().times.size(); ++at) {
        const TimestampOffset wanted = segment.indexes().times.entry(at);
        EXPECT_EQ((**stored)->times.lookup(wanted.timestamp), wanted)
            << path << "/" << entry.name << ": " << times;
      }
      if (name->offset == 0) {  // deleted ones may hold the begin of a transaction
        EXPECT_EQ((**stored)->aborted, segment.indexes().aborted) << path << "/" << entry.name;
      }
    }
  }
  co_return 0;
}

struct Crash {
  std::uint64_t point = 0;
  DiskPoint::Phase phase = DiskPoint::Phase::before;
  CrashKind kind = CrashKind::process_kill;
};

// One life; true if it came to its end, false if it was stopped.
bool run_life(World& world, Node& node, Life life, std::optional<Crash> crash) {
  const std::uint64_t begin = node.disk().counters().points;
  if (crash) {
    node.disk().on_operation([&node, begin, crash](const DiskPoint& point) {
      if (point.index == begin + crash->point && point.phase == crash->phase && node.is_running()) {
        node.crash(crash->kind);
      }
    });
  }
  life.ghosts.has_ended = false;
  run(world, node, [life](io::Env& env) { return live(env, life); });
  node.disk().on_operation({});
  // Stopped before it could tell whether it found the marker.
  if (!life.ghosts.has_ended && life.ghosts.was_closed_clean) life.ghosts.was_closing = true;
  return life.ghosts.has_ended;
}

constexpr int kAppends = 120;

TEST(StoreCrashTest, NothingAcknowledgedIsLostAtAnyPoint) {
  std::uint64_t points = 0;
  std::uint64_t crashes = 0;
  const char* wanted = std::getenv("OTTLA_CRASH_SEEDS");  // more of them at night
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 2;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    World quiet({.seed = seed});
    Node& node = quiet.add_node("b1");
    Ghosts ghosts;
    ASSERT_TRUE(run_life(quiet, node, {ghosts, kAppends, true}, std::nullopt)) << quiet.report();
    const std::uint64_t here = node.disk().counters().points;
    points += here;
    ASSERT_EQ(run(quiet, node, recompute), 0);
    ASSERT_FALSE(HasFailure()) << quiet.report();

    for (std::uint64_t point = 0; point < here; ++point) {
      for (const CrashKind kind : {CrashKind::process_kill, CrashKind::power_loss}) {
        const std::uint64_t own_seed =
            seed * 1'000'003 + point * 2 + (kind == CrashKind::power_loss);
        World world({.seed = own_seed});
        Node& b1 = world.add_node("b1");
        b1.disk().options().garbage_sector = seed % 2 == 0 ? 0.3 : 0;
        Ghosts known;
        io::sim::Prng prng = world.prng("crash");
        const auto phase = static_cast<DiskPoint::Phase>((point + seed) % 3);
        run_life(world, b1, {known, kAppends, true}, Crash{point, phase, kind});
        ++crashes;
        // The start after it is stopped as well, now and then, and the run behind that.
        if (point % 4 == seed % 4) {
          const Crash again{prng.below(60), static_cast<DiskPoint::Phase>(prng.below(3)),
                            prng.below(2) ? CrashKind::power_loss : CrashKind::process_kill};
          run_life(world, b1, {known, 25, false}, again);
          ++crashes;
        }
        EXPECT_TRUE(run_life(world, b1, {known, 12, true}, std::nullopt));
        if (point % 8 == 0) {
          EXPECT_EQ(run(world, b1, recompute), 0);
        }
        EXPECT_TRUE(run_life(world, b1, {known, 0, false}, std::nullopt));
        if (HasFailure()) {
          FAIL() << "seed " << seed << ", point " << point << " of " << here << ", phase "
                 << static_cast<int>(phase)
                 << (kind == CrashKind::power_loss ? ", power" : ", kill") << "\n"
                 << world.report();
        }
      }
    }
  }
  std::printf("crash points: %llu, crashes: %llu\n", static_cast<unsigned long long>(points),
              static_cast<unsigned long long>(crashes));
}

}  // namespace
}  // namespace ottla::storage
