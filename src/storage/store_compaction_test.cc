// Compaction on the simulated disk: the last record of each key is there, before and after any
// crash, for readers that look on all the while; a damaged segment is left alone.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "storage/log_directory.h"
#include "storage/segment_name.h"
#include "storage/store_test_support.h"
#include "wire/control_record.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::CrashKind;
using io::sim::DiskPoint;

constexpr TimestampMs kTimestamp = 1000;

StoreLimits eager_limits() {
  StoreLimits limits = small_limits();
  limits.compaction_backoff_ms = 100;
  return limits;
}

LogConfig compacted_config() {
  LogConfig config = small_config();
  config.segment_bytes = 8 * 1024;
  config.is_deleted_when_old = false;
  config.is_compacted = true;
  config.file_delete_delay_ms = 200;
  config.delete_retention_ms = 400;
  return config;
}

struct Entry {
  std::string key;
  std::optional<std::string> value;
  bool operator==(const Entry&) const = default;
};

Slice batch_of(const std::vector<Entry>& entries, wire::BatchOptions options = {}) {
  wire::RecordBatchBuilder builder(options);
  for (const Entry& entry : entries) {
    builder.append({.timestamp = kTimestamp,
                    .key = as_bytes(entry.key),
                    .value = entry.value ? std::optional(as_bytes(*entry.value)) : std::nullopt});
  }
  return builder.build().value();
}

void add_records(const wire::Batch& batch, std::map<Offset, Entry>& records) {
  if (batch.header.is_control()) return;
  wire::RecordCursor cursor(batch.records(), batch.header.record_count);
  for (wire::Record record; cursor.next(record);) {
    Entry entry{std::string(as_text(record.key.value())), std::nullopt};
    if (record.value) entry.value = std::string(as_text(*record.value));
    EXPECT_EQ(wire::record_timestamp(batch.header, record), kTimestamp);
    records[wire::record_offset(batch.header, record)] = std::move(entry);
  }
}

// All records of data, by offset; there may be gaps between batches.
io::Task<LogResult<std::map<Offset, Entry>>> records_of(PartitionLog& log) {
  std::map<Offset, Entry> records;
  Offset from = log.log_start_offset();
  while (from < log.durable_end_offset()) {
    auto read = co_await log.read({.from = from, .max_bytes = 4096});
    if (!read) co_return std::unexpected(read.error());
    const Offset next = read->next_offset;
    const Bytes bytes = co_await bytes_of(std::move(*read));
    wire::BatchCursor cursor(bytes);
    for (wire::Batch batch; cursor.next(batch);) {
      EXPECT_TRUE(wire::crc_matches(batch.bytes));
      EXPECT_GE(batch.header.next_offset(), from) << "offsets go back";
      EXPECT_LE(batch.header.next_offset(), next);
      add_records(batch, records);
    }
    EXPECT_FALSE(cursor.error().has_value());
    if (next <= from) {
      ADD_FAILURE() << "no progress at " << from << " of " << log.durable_end_offset();
      break;
    }
    from = next;
  }
  co_return records;
}

std::map<std::string, std::string> table_of(const std::map<Offset, Entry>& records) {
  std::map<std::string, std::string> table;
  for (const auto& [offset, entry] : records) {
    if (entry.value) {
      table[entry.key] = *entry.value;
    } else {
      table.erase(entry.key);
    }
  }
  return table;
}

// What was appended, and what is known to be durable.
struct Ghost {
  std::map<Offset, Entry> written;
  Offset acknowledged_end = 0;
  Sequence next_sequence = 0;
  bool has_ended = false;
};

constexpr ProducerId kProducer = 5;

io::Task<LogResult<>> put(Store& store, PartitionLog& log, Ghost& ghost, int number) {
  std::vector<Entry> entries;
  for (int i = 0; i < 1 + number % 3; ++i) {
    Entry entry{"key-" + std::to_string((number * 7 + i) % 11),
                std::string(300, static_cast<char>('a' + number % 26)) + std::to_string(number)};
    if ((number + i) % 13 == 5) entry.value.reset();
    entries.push_back(std::move(entry));
  }
  const ProducerEntry* producer = log.producers().find(kProducer);
  const Sequence sequence = producer ? wire::next_sequence(producer->last_sequence()) : 0;
  const bool is_idempotent = number % 10 == 0;
  wire::BatchOptions options;
  if (is_idempotent)
    options = {.producer_id = kProducer, .producer_epoch = 0, .base_sequence = sequence};
  auto appended = co_await append_when_room(store, log, batch_of(entries, options), {});
  if (!appended) co_return std::unexpected(appended.error());
  for (std::size_t i = 0; i < entries.size(); ++i)
    ghost.written[appended->first_offset + static_cast<Offset>(i)] = entries[i];
  if (is_idempotent) ghost.next_sequence = sequence + static_cast<Sequence>(entries.size());
  co_return LogResult<>();
}

// Nothing is there that was not written at its offset; and for each key its last value.
io::Task<> judge(PartitionLog& log, Ghost& ghost) {
  EXPECT_GE(log.log_end_offset(), ghost.acknowledged_end) << "acknowledged records are lost";
  ghost.written.erase(ghost.written.lower_bound(log.log_end_offset()), ghost.written.end());
  ghost.acknowledged_end = log.log_end_offset();
  auto records = co_await records_of(log);
  if (!records) {
    ADD_FAILURE() << "read: " << describe(records.error());
    co_return;
  }
  for (const auto& [offset, entry] : *records) EXPECT_EQ(ghost.written[offset], entry) << offset;
  EXPECT_EQ(table_of(*records), table_of(ghost.written));
}

class StoreCompaction : public OneNodeTest {
 protected:
  StoreCompaction() : OneNodeTest(33) {}
};

io::Task<std::set<std::string>> names_in(io::Env& env, std::string directory) {
  std::set<std::string> names;
  auto entries = co_await env.disk.list(directory);
  for (const io::DirectoryEntry& entry : *entries) names.insert(entry.name);
  co_return names;
}

TEST_F(StoreCompaction, KeepsTheLastOfEachKeyAndOutlivesAKill) {
  Ghost ghost;
  Offset first_dirty = 0;
  const auto fill = [&](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), compacted_config());
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Store& store = *opened->running.store;
    env.executor.spawn(keep_checkpoints(opened->running));
    for (int i = 0; i < 300; ++i) {
      REQUIRE_OK(co_await put(store, log, ghost, i));
      if (i % 20 == 0) co_await io::sleep_for(env.clock, 60ms);
    }
    REQUIRE_OK(co_await log.wait_durable(log.log_end_offset()));
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_GT(store.statistics().compactions, 1U);
    EXPECT_LT(log.describe().size_bytes, 40'000U) << "of 190,000";
    co_await judge(log, ghost);
    // No leftovers once file.delete.delay.ms is over.
    for (const std::string& name : co_await names_in(env, kFolder + "/t-0")) {
      const auto parsed = parse_segment_file_name(name);
      EXPECT_TRUE(!parsed || parsed->state == SegmentFileState::live) << name;
    }
    auto again = append(log, batch_of({{"k", "v"}}, {.producer_id = kProducer,
                                                     .producer_epoch = 0,
                                                     .base_sequence = ghost.next_sequence + 1}));
    EXPECT_FALSE(again.has_value()) << "its sequence is known";
    first_dirty = log.describe().segments.back().base_offset;
    co_return 0;
  };
  ASSERT_EQ(run(fill), 0);
  node_.crash(CrashKind::power_loss);
  const auto look = [&](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), compacted_config());
    REQUIRE_OK(opened);
    EXPECT_TRUE(opened->running.folder->report().damages.empty());
    co_await judge(*opened->log, ghost);
    const ProducerEntry* producer = opened->log->producers().find(kProducer);
    EXPECT_TRUE(producer && wire::next_sequence(producer->last_sequence()) == ghost.next_sequence);
    co_await io::sleep_for(env.clock, 1s);
    co_await judge(*opened->log, ghost);
    co_return 0;
  };
  EXPECT_EQ(run(look), 0);
}

// Who reads all the while sees, at each look, every key's last value.
io::Task<> look_on(io::Env& env, PartitionLog& log, const Ghost& ghost, bool& ends, int& looks) {
  while (!ends) {
    const auto before = ghost.written;
    const Offset end = log.durable_end_offset();
    auto records = co_await records_of(log);
    if (!records) {
      ADD_FAILURE() << "look " << looks << ": " << describe(records.error());
      co_return;
    }
    std::map<std::string, Offset> last;
    for (const auto& [offset, entry] : *records) last[entry.key] = offset;
    for (const auto& [offset, entry] : before) {
      if (offset >= end || !entry.value) continue;
      EXPECT_TRUE(last.contains(entry.key)) << entry.key << " at " << offset;
    }
    auto found = co_await log.find_timestamp(kTimestamp, end);
    EXPECT_TRUE(found.has_value());
    EXPECT_TRUE((co_await log.aborted_transactions(log.log_start_offset(), end)).has_value());
    ++looks;
    co_await io::sleep_for(env.clock, 1ms);
  }
}

TEST_F(StoreCompaction, ReadersAreNotDisturbed) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    LogConfig config = compacted_config();
    config.delete_retention_ms = 3'600'000;
    StoreLimits limits = eager_limits();
    limits.compaction_backoff_ms = 5;
    auto opened = co_await start_and_open(env, limits, config);
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Ghost ghost;
    bool ends = false;
    int looks = 0;
    io::TaskGroup readers(env.executor);
    for (int i = 0; i < 4; ++i) readers.spawn(look_on(env, log, ghost, ends, looks));
    for (int i = 0; i < 400; ++i) {
      REQUIRE_OK(co_await put(*opened->running.store, log, ghost, i * 13 + 1));
      if (i % 5 == 0) co_await io::sleep_for(env.clock, 20ms);
    }
    ends = true;
    co_await readers.join();
    EXPECT_GT(looks, 20);
    EXPECT_GT(opened->running.store->statistics().compactions, 5U);
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

TEST_F(StoreCompaction, ADamagedSegmentIsLeftAlone) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    LogConfig config = compacted_config();
    config.is_compacted = false;
    auto opened = co_await start_and_open(env, eager_limits(), config);
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Ghost ghost;
    for (int i = 0; i < 100; ++i) REQUIRE_OK(co_await put(*opened->running.store, log, ghost, i));
    co_await io::sleep_for(env.clock, 1s);
    const std::string path = kFolder + "/t-0/" + segment_file_name(0, SegmentFile::log);
    auto file = co_await env.disk.open(path, {.write = true});
    REQUIRE_OK(file);
    const Bytes bad = {0xff, 0xee};
    REQUIRE_OK(co_await (*file)->write(2000, bad));
    auto before = co_await env.disk.list(kFolder + "/t-0");
    log.configure(compacted_config());
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_EQ(opened->running.store->statistics().compactions, 0U);
    EXPECT_EQ(*before, *co_await env.disk.list(kFolder + "/t-0"));
    EXPECT_FALSE(opened->running.store->is_fenced());
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

TEST_F(StoreCompaction, AnOpenTransactionHoldsItBack) {
  const auto body = [](io::Env& env) -> io::Task<int> {
    auto opened = co_await start_and_open(env, eager_limits(), compacted_config());
    REQUIRE_OK(opened);
    PartitionLog& log = *opened->log;
    Store& store = *opened->running.store;
    Ghost ghost;
    auto open = append(log, batch_of({{"t", "1"}}, {.producer_id = 9,
                                                    .producer_epoch = 0,
                                                    .base_sequence = 0,
                                                    .is_transactional = true}));
    REQUIRE_OK(open);
    for (int i = 0; i < 100; ++i) REQUIRE_OK(co_await put(store, log, ghost, i));
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_EQ(store.statistics().compactions, 0U);
    REQUIRE_OK(append(
        log, wire::build_end_txn_batch(0, 0, 9, 0, {wire::ControlRecordType::abort, 1}, kTimestamp),
        {.origin = AppendOrigin::coordinator}));
    for (int i = 0; i < 100; ++i) REQUIRE_OK(co_await put(store, log, ghost, i));
    co_await io::sleep_for(env.clock, 1s);
    EXPECT_GT(store.statistics().compactions, 0U);
    auto records = co_await records_of(log);
    REQUIRE_OK(records);
    for (const auto& [offset, entry] : *records) EXPECT_NE(entry.key, "t") << "it was aborted";
    co_return 0;
  };
  EXPECT_EQ(run(body), 0);
}

io::Task<int> live(io::Env& env, Ghost& ghost, int batches, bool ends_clean) {
  ghost.has_ended = false;
  auto opened = co_await start_and_open(env, eager_limits(), compacted_config());
  REQUIRE_OK(opened);
  PartitionLog& log = *opened->log;
  EXPECT_TRUE(opened->running.folder->report().damages.empty());
  co_await judge(log, ghost);
  env.executor.spawn(keep_checkpoints(opened->running));
  const int begin = static_cast<int>(log.log_end_offset());
  for (int i = 0; i < batches; ++i) {
    REQUIRE_OK(co_await put(*opened->running.store, log, ghost, begin + i));
    if (i % 10 != 9) continue;
    REQUIRE_OK(co_await log.wait_durable(log.log_end_offset()));
    ghost.acknowledged_end = log.log_end_offset();
    co_await io::sleep_for(env.clock, 60ms);
  }
  co_await io::sleep_for(env.clock, 500ms);
  co_await judge(log, ghost);
  if (ends_clean) {
    env.stop.set();
    REQUIRE_OK(co_await opened->running.folder->close_clean({opened->running.store}, 7));
  }
  ghost.has_ended = true;
  co_return 0;
}

TEST(StoreCompactionCrash, IsHarmlessAtAnyPoint) {
  constexpr int kBatches = 70;
  const auto life = [](io::sim::World& world, io::sim::Node& node, Ghost& ghost, int batches,
                       bool ends_clean) {
    ghost.has_ended = false;
    io::sim::run(world, node, [&ghost, batches, ends_clean](io::Env& env) {
      return live(env, ghost, batches, ends_clean);
    });
    node.disk().on_operation({});
    return ghost.has_ended;
  };
  io::sim::World quiet({.seed = 1});
  io::sim::Node& first = quiet.add_node("b1");
  Ghost known;
  ASSERT_TRUE(life(quiet, first, known, kBatches, true)) << quiet.report();
  const std::uint64_t points = first.disk().counters().points;
  const char* wanted = std::getenv("OTTLA_CRASH_SEEDS");  // every point, and so often
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 1;
  const std::uint64_t step = wanted ? 1 : 5;
  for (std::uint64_t at = 0; at < points * seeds; at += step) {
    const std::uint64_t point = at % points;
    const CrashKind kind = at / 3 % 3 == 0 ? CrashKind::process_kill : CrashKind::power_loss;
    io::sim::World world({.seed = at});
    io::sim::Node& node = world.add_node("b1");
    Ghost ghost;
    const auto phase = static_cast<DiskPoint::Phase>(at % 3);
    const auto crash_at = [&](std::uint64_t wanted_point) {
      node.disk().on_operation([&, wanted_point](const DiskPoint& now) {
        if (now.index == wanted_point && now.phase == phase && node.is_running()) node.crash(kind);
      });
    };
    crash_at(point);
    life(world, node, ghost, kBatches, true);
    if (at % 4 == 0) {  // and the start that brings it in order
      crash_at(node.disk().counters().points + at / 4 % 40);
      life(world, node, ghost, 10, false);
    }
    EXPECT_TRUE(life(world, node, ghost, 20, at % 2 == 0));
    EXPECT_TRUE(life(world, node, ghost, 0, false));
    if (::testing::Test::HasFailure()) {
      FAIL() << "at " << at << ", point " << point << " of " << points << "\n" << world.report();
    }
  }
  std::printf("crash points: %llu\n", static_cast<unsigned long long>(points));
}

}  // namespace
}  // namespace ottla::storage
