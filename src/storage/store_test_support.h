// Fixtures of the tests of the log on the simulated disk. Private to storage's tests.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "io/sim/test_support.h"
#include "storage/recovery.h"
#include "storage/store.h"
#include "wire/record.h"

namespace ottla::storage::testing {

using namespace std::chrono_literals;

inline const std::string kFolder = "data";
inline constexpr Uuid kTopicId{7, 9};

// Small files, so that rare things are frequent.
inline StoreLimits small_limits() {
  StoreLimits limits;
  limits.journal_file_bytes = 64 * 1024;
  limits.journal_first_file_bytes = 48 * 1024;
  limits.journal_files = 4;
  limits.chunk_bytes = 16 * 1024;
  limits.batch_bytes_max = 24 * 1024;
  limits.tail_bytes = 64 * 1024;
  limits.pending_bytes = 32 * 1024;
  limits.drain_bytes = 8 * 1024;
  limits.drain_after_ms = 50;
  limits.checkpoint_interval_ms = 100;
  return limits;
}

inline LogConfig small_config() {
  LogConfig config;
  config.segment_bytes = 32 * 1024;
  config.index_interval_bytes = 1024;
  return config;
}

struct TestBatch {
  ProducerId producer_id = -1;
  ProducerEpoch producer_epoch = -1;
  Sequence base_sequence = -1;
  bool is_transactional = false;
  TimestampMs timestamp = 1000;
  int records = 1;
  std::size_t value_bytes = 100;
  std::uint8_t fill = 'x';
};

inline Slice make_batch(const TestBatch& what) {
  wire::RecordBatchBuilder builder({.producer_id = what.producer_id,
                                    .producer_epoch = what.producer_epoch,
                                    .base_sequence = what.base_sequence,
                                    .is_transactional = what.is_transactional});
  const Bytes value(what.value_bytes, what.fill);
  for (int i = 0; i < what.records; ++i) {
    builder.append({.timestamp = what.timestamp + i, .key = {}, .value = ByteView(value)});
  }
  return builder.build().value();
}

inline LogResult<AppendResult> append(PartitionLog& log, const Slice& batch,
                                      AppendOptions options = {}) {
  return log.append(batch, wire::load_batch_header(batch.data()), options);
}

// Appends, waiting for room.
inline io::Task<LogResult<AppendResult>> append_when_room(Store& store, PartitionLog& log,
                                                          Slice batch, AppendOptions options) {
  while (true) {
    auto appended = append(log, batch, options);
    if (appended || appended.error() != LogError::no_room) co_return appended;
    co_await store.wait_for_room();
  }
}

// All bytes of a read, from memory or file.
inline io::Task<Bytes> bytes_of(ReadResult result) {
  Bytes bytes;
  for (const Gather::Part& part : result.records.parts()) {
    if (const auto* slice = std::get_if<Slice>(&part)) {
      bytes.insert(bytes.end(), slice->view().begin(), slice->view().end());
      continue;
    }
    const auto& range = std::get<FileRange>(part);
    Bytes piece(range.size_bytes);
    auto read = co_await static_cast<io::File&>(*range.file).read(range.position, piece);
    EXPECT_TRUE(read.has_value());
    EXPECT_EQ(read.value_or(0), piece.size());
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  co_return bytes;
}

// A batch as a reader finds it.
struct SeenBatch {
  Offset base_offset = 0;
  Offset next_offset = 0;
  Bytes bytes;
  bool operator==(const SeenBatch&) const = default;
};

// Everything from `from` up to the durable end, read in pieces of `max_bytes`; each CRC is checked.
inline io::Task<LogResult<std::vector<SeenBatch>>> read_all(PartitionLog& log, Offset from,
                                                            std::size_t max_bytes = 4096) {
  std::vector<SeenBatch> seen;
  while (from < log.durable_end_offset()) {
    auto read = co_await log.read({.from = from, .max_bytes = max_bytes});
    if (!read) co_return std::unexpected(read.error());
    const Offset next = read->next_offset;
    if (next <= from) {
      ADD_FAILURE() << "no progress at " << from << " of " << log.durable_end_offset();
      break;
    }
    const Bytes bytes = co_await bytes_of(std::move(*read));
    wire::BatchCursor cursor(bytes);
    wire::Batch batch;
    while (cursor.next(batch)) {
      EXPECT_TRUE(wire::crc_matches(batch.bytes));
      seen.push_back({batch.header.base_offset, batch.header.next_offset(),
                      Bytes(batch.bytes.begin(), batch.bytes.end())});
    }
    EXPECT_FALSE(cursor.error().has_value());
    if (!seen.empty()) {
      EXPECT_EQ(seen.back().next_offset, next);
    }
    from = next;
  }
  co_return seen;
}

// A running folder with one shard.
struct Running {
  std::shared_ptr<LogFolder> folder;
  std::shared_ptr<Store> store;
};

// Keeps what runs as long as the process: a test that just ends is a process that is killed.
inline io::Task<> hold(io::Executor& executor, std::shared_ptr<Running> running) {
  io::Event never(executor);
  co_await never.wait();
  (void)running;
}

inline io::Task<io::Result<Running>> start_folder(io::Env& env, StoreLimits limits,
                                                  unsigned shards = 1) {
  auto folder =
      co_await recover_log_dir(env, {.path = kFolder, .shards = shards, .limits = limits});
  if (!folder) co_return std::unexpected(folder.error());
  auto store = co_await (*folder)->open_store(env);
  if (!store) co_return std::unexpected(store.error());
  Running running{std::move(*folder), std::move(*store)};
  env.executor.spawn(hold(env.executor, std::make_shared<Running>(running)));
  co_return running;
}

inline io::Task<io::Result<std::shared_ptr<PartitionLog>>> open_or_create(
    Running& running, std::string topic, PartitionIndex index, Uuid topic_id, LogConfig config) {
  const TopicIdPartition id{topic_id, index};
  if (auto found = running.folder->take(id)) {
    co_return running.store->open(std::move(*found), config);
  }
  std::vector<NewPartition> wanted;
  wanted.push_back({id, {topic, index}, config});
  auto made = co_await running.store->create(std::move(wanted));
  if (!made) co_return std::unexpected(made.error());
  co_return made->front();
}

inline io::Task<> keep_checkpoints(Running running) {
  co_await running.folder->keep_checkpoints({running.store});
}

// The partition most tests write to, in a folder that has just started.
struct Opened {
  Running running;
  std::shared_ptr<PartitionLog> log;
};

inline io::Task<io::Result<Opened>> start_and_open(io::Env& env,
                                                   StoreLimits limits = small_limits(),
                                                   LogConfig config = small_config()) {
  auto running = co_await start_folder(env, limits);
  if (!running) co_return std::unexpected(running.error());
  auto log = co_await open_or_create(*running, "t", 0, kTopicId, config);
  if (!log) co_return std::unexpected(log.error());
  co_return Opened{std::move(*running), std::move(*log)};
}

// A world with one machine, whose disk the tests of the log write to.
class OneNodeTest : public ::testing::Test {
 protected:
  explicit OneNodeTest(std::uint64_t seed) : world_({.seed = seed}) {}
  int run(io::sim::Process::ShardMain body) { return io::sim::run(world_, node_, std::move(body)); }
  io::sim::World world_;
  io::sim::Node& node_ = world_.add_node("b1");
};

}  // namespace ottla::storage::testing

// Inside a coroutine that gives an exit code: fails the test and leaves with 1.
#define REQUIRE_OK(expression)                                         \
  do {                                                                 \
    const auto& checked = (expression);                                \
    if (!checked) {                                                    \
      ADD_FAILURE() << #expression << ": " << describe_error(checked); \
      co_return 1;                                                     \
    }                                                                  \
  } while (false)

namespace ottla::storage::testing {
template <class T>
std::string describe_error(const io::Result<T>& result) {
  return result.error().message;
}
template <class T>
std::string describe_error(const LogResult<T>& result) {
  return std::string(describe(result.error()));
}
}  // namespace ottla::storage::testing
