// What the log does when the disk fails, fills, or lies.
#include <cctype>

#include "storage/producer_snapshot.h"
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::ErrorKind;
using io::sim::Node;
using io::sim::OperationKind;
using io::sim::World;

class StoreFaultTest : public OneNodeTest {
 protected:
  StoreFaultTest() : OneNodeTest(5) {}
  // The machine with the same disk in another world.
  Node& copy_to(World& other) {
    Node& node = other.add_node("b1");
    for (const std::string& file : node_.disk().files())
      node.disk().put(file, *node_.disk().content(file));
    return node;
  }
};

// Appends `batches`, each acknowledged, and ends without a clean stop.
io::Task<int> fill(io::Env& env, int batches, std::size_t value_bytes) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  for (int i = 0; i < batches; ++i) {
    auto appended = co_await append_when_room(
        *running.store, *log, make_batch({.value_bytes = value_bytes, .fill = std::uint8_t(i)}),
        {});
    REQUIRE_OK(appended);
    auto durable = co_await log->wait_durable(appended->end_offset());
    REQUIRE_OK(durable);
  }
  co_return 0;
}

struct Failing {
  bool fails = false;
  bool was_told = false;
  Offset acknowledged = 0;
};

io::Task<int> append_until_fenced(io::Env& env, Failing& state) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  running.store->on_fenced([&](const io::Error&) { state.was_told = true; });
  for (int i = 0; i < 2000; ++i) {
    if (i == 20) state.fails = true;
    auto appended = co_await append_when_room(*running.store, *log, make_batch({}), {});
    if (!appended) {
      EXPECT_EQ(appended.error(), LogError::fenced);
      break;
    }
    auto durable = co_await log->wait_durable(appended->end_offset());
    if (durable) {
      state.acknowledged = appended->end_offset();
    } else {
      EXPECT_EQ(durable.error(), LogError::fenced);
    }
  }
  EXPECT_TRUE(running.store->is_fenced());
  EXPECT_TRUE(log->is_fenced());
  EXPECT_EQ(append(*log, make_batch({})).error(), LogError::fenced);
  auto read = co_await log->read({.from = 0, .max_bytes = 100});
  EXPECT_EQ(read.error(), LogError::fenced);
  auto drained = co_await running.store->drain();
  EXPECT_FALSE(drained.has_value());
  auto closed = co_await running.folder->close_clean({running.store}, 1);
  EXPECT_FALSE(closed.has_value());
  co_return 0;
}

TEST_F(StoreFaultTest, AFailedSyncOfTheJournalFences) {
  Failing state;
  node_.disk().on_fault([&](OperationKind kind, std::string_view path) -> std::optional<ErrorKind> {
    if (state.fails && kind == OperationKind::sync &&
        path.find("journal") != std::string_view::npos) {
      return ErrorKind::input_output;
    }
    return std::nullopt;
  });
  EXPECT_EQ(run([&](io::Env& env) { return append_until_fenced(env, state); }), 0);
  EXPECT_TRUE(state.was_told);
  EXPECT_EQ(state.acknowledged, 20);
  EXPECT_FALSE(node_.disk().exists("data/.kafka_cleanshutdown"));
}

TEST_F(StoreFaultTest, AFailedWriteOfASegmentFences) {
  Failing state;
  node_.disk().on_fault([&](OperationKind kind, std::string_view path) -> std::optional<ErrorKind> {
    if (state.fails && kind == OperationKind::write && path.ends_with(".log")) {
      return ErrorKind::input_output;
    }
    return std::nullopt;
  });
  EXPECT_EQ(run([&](io::Env& env) { return append_until_fenced(env, state); }), 0);
  EXPECT_TRUE(state.was_told);
  EXPECT_GE(state.acknowledged, 20);
}

io::Task<int> append_on_full_disk(io::Env& env, Node& node, int& acknowledged) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  node.disk().options().size_bytes = node.disk().used_bytes() + 200 * 1024;
  int refusals = 0;
  for (int i = 0; i < 4000; ++i) {
    auto appended = append(*log, make_batch({.value_bytes = 1000}));
    if (!appended && appended.error() == LogError::no_room && ++refusals < 100) {
      co_await io::sleep_for(env.clock, 50ms);
      continue;
    }
    // Refused, and nothing that was acknowledged is at stake.
    if (!appended) co_return 0;
    refusals = 0;
    auto durable = co_await log->wait_durable(appended->end_offset());
    if (!durable) co_return 0;
    acknowledged = static_cast<int>(appended->end_offset());
  }
  ADD_FAILURE() << "the disk did not fill";
  co_return 1;
}

io::Task<int> count(io::Env& env, int& found) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  auto seen = co_await read_all(*log, 0);
  REQUIRE_OK(seen);
  found = static_cast<int>(seen->size());
  co_return 0;
}

TEST_F(StoreFaultTest, AFullDiskLosesNothing) {
  int acknowledged = 0;
  EXPECT_EQ(run([&](io::Env& env) { return append_on_full_disk(env, node_, acknowledged); }), 0);
  EXPECT_GT(acknowledged, 10);
  EXPECT_GT(node_.disk().counters().no_space, 0u);
  node_.disk().options().size_bytes = 1ull << 40;
  int found = 0;
  EXPECT_EQ(run([&](io::Env& env) { return count(env, found); }), 0);
  EXPECT_GE(found, acknowledged);
}

io::Task<int> must_refuse(io::Env& env, std::string part) {
  auto running = co_await start_folder(env, small_limits());
  if (running) co_return 1;
  EXPECT_EQ(running.error().kind, ErrorKind::invalid);
  EXPECT_NE(running.error().message.find(part), std::string::npos) << running.error().message;
  co_return 0;
}

TEST_F(StoreFaultTest, AMissingJournalIsRefused) {
  ASSERT_EQ(run([](io::Env& env) { return fill(env, 300, 500); }), 0);
  std::vector<std::string> journals;
  for (const std::string& file : node_.disk().files()) {
    if (file.find("shard-0") != std::string::npos) journals.push_back(file);
  }
  ASSERT_GE(journals.size(), 2u);
  // Those that were released, and the one prepared behind the last, hold nothing; others are
  // missed.
  std::size_t refused = 0;
  for (const std::string& journal : journals) {
    const Bytes bytes = *node_.disk().content(journal);
    node_.disk().erase(journal);
    World other({.seed = 6});
    const auto refuse = [](io::Env& env) { return must_refuse(env, "missing"); };
    if (io::sim::run(other, copy_to(other), refuse) == 0) ++refused;
    node_.disk().put(journal, bytes);
  }
  EXPECT_GE(refused, 1u);
}

TEST_F(StoreFaultTest, AJournalWithARottenHeaderIsNotCalledMissing) {
  ASSERT_EQ(run([](io::Env& env) { return fill(env, 300, 500); }), 0);
  std::size_t refused = 0;
  for (const std::string& file : node_.disk().files()) {
    if (file.find("shard-0") == std::string::npos) continue;
    node_.disk().flip_bit(file, 33, 2);
    World other({.seed = 6});
    io::Result<Running> started;
    const auto start = [&](io::Env& env) -> io::Task<int> {
      started = co_await start_folder(env, small_limits());
      co_return 0;
    };
    io::sim::run(other, copy_to(other), start);
    node_.disk().flip_bit(file, 33, 2);
    if (started) continue;  // it was not needed
    ++refused;
    for (const std::string& part : {file, std::string("is there, but"), std::string("good copy")}) {
      EXPECT_NE(started.error().message.find(part), std::string::npos) << started.error().message;
    }
  }
  EXPECT_GE(refused, 2u);
}

TEST_F(StoreFaultTest, AFileThatCanNotBeReadIsNamedWithAWayOut) {
  ASSERT_EQ(run([](io::Env& env) { return fill(env, 300, 500); }), 0);
  const std::string file = "data/t-0/00000000000000000000.log";
  node_.disk().on_fault([&](OperationKind kind, std::string_view path) -> std::optional<ErrorKind> {
    if (kind == OperationKind::read && path == file) return ErrorKind::input_output;
    return std::nullopt;
  });
  node_.disk().erase("data/t-0/00000000000000000000.index");
  io::Result<Running> started;
  const auto start = [&](io::Env& env) -> io::Task<int> {
    started = co_await start_folder(env, small_limits());
    co_return 0;
  };
  EXPECT_EQ(run(start), 0);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().kind, ErrorKind::input_output);
  for (const std::string& part :
       {std::string("t-0 can't be loaded"), file, std::string("ddrescue")})
    EXPECT_NE(started.error().message.find(part), std::string::npos) << started.error().message;
}

io::Task<int> fill_and_stop(io::Env& env) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  for (Sequence i = 0; i < 20; ++i) {
    const auto batch = make_batch({.producer_id = 9, .producer_epoch = 0, .base_sequence = i});
    REQUIRE_OK(append(*opened->log, batch));
  }
  REQUIRE_OK(co_await opened->running.folder->close_clean({opened->running.store}, 1));
  co_return 0;
}

io::Task<int> go_on_without_the_folder(io::Env& env) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  const auto& damages = opened->running.folder->report().damages;
  EXPECT_EQ(damages.size(), 1u);
  for (const std::string& damage : damages)
    EXPECT_NE(damage.find("t-0: the folder is gone, with records up to offset 19"),
              std::string::npos);
  PartitionLog& log = *opened->log;
  auto read = co_await log.read({.from = 20, .max_bytes = 100});
  EXPECT_EQ(read.error(), LogError::offset_out_of_range);
  auto appended =
      append(log, make_batch({.producer_id = 9, .producer_epoch = 0, .base_sequence = 20}));
  REQUIRE_OK(appended);
  EXPECT_EQ(appended->first_offset, 0);
  auto repeated =
      append(log, make_batch({.producer_id = 9, .producer_epoch = 0, .base_sequence = 20}));
  REQUIRE_OK(repeated);
  EXPECT_TRUE(repeated->is_duplicate);
  co_return 0;
}

// As docs/non-obvious.md says.
TEST_F(StoreFaultTest, AFolderRemovedAfterACleanStopIsNamedAndMadeAgainEmpty) {
  ASSERT_EQ(run([](io::Env& env) { return fill_and_stop(env); }), 0);
  node_.disk().erase("data/t-0");
  EXPECT_EQ(run([](io::Env& env) { return go_on_without_the_folder(env); }), 0);
}

TEST_F(StoreFaultTest, AnotherProcessIsKeptOut) {
  bool is_up = false;
  struct Hold {
    static io::Task<int> run(io::Env& env, bool& up) {
      auto running = co_await start_folder(env, small_limits());
      REQUIRE_OK(running);
      up = true;
      auto second = co_await recover_log_dir(
          env, {.path = kFolder, .cluster_id = {}, .node_id = {}, .limits = small_limits()});
      EXPECT_FALSE(second.has_value());
      EXPECT_EQ(second.error().kind, ErrorKind::in_use);
      co_return 0;
    }
  };
  EXPECT_EQ(run([&](io::Env& env) { return Hold::run(env, is_up); }), 0);
  EXPECT_TRUE(is_up);
}

struct Verdict {
  bool was_refused = false;
  bool was_noticed = false;  // damages, or an answer CORRUPT_MESSAGE
  int intact = 0;            // batches read with their own bytes
  int wrong = 0;             // batches with other bytes: never
};

io::Task<int> read_after_flip(io::Env& env, Verdict& verdict) {
  auto running = co_await start_folder(env, small_limits());
  if (!running) {
    verdict.was_refused = true;
    co_return 0;
  }
  verdict.was_noticed =
      !running->folder->report().damages.empty() || running->folder->report().was_lossy;
  auto log = co_await open_or_create(*running, "t", 0, kTopicId, small_config());
  REQUIRE_OK(log);
  for (Offset at = 0; at < (*log)->durable_end_offset(); ++at) {
    auto read = co_await (*log)->read({.from = at, .max_bytes = 1});
    if (!read) {
      EXPECT_EQ(read.error(), LogError::corrupt);
      verdict.was_noticed = true;
      continue;
    }
    const Bytes bytes = co_await bytes_of(std::move(*read));
    const auto batch = wire::parse_batch(bytes);
    if (batch && batch->header.base_offset == at && wire::crc_matches(batch->bytes) &&
        bytes[wire::kBatchHeaderBytes + 20] == std::uint8_t(at)) {
      ++verdict.intact;
    } else {
      ++verdict.wrong;
    }
  }
  co_return 0;
}

TEST_F(StoreFaultTest, AFlippedBitInTheJournalIsNoticed) {
  constexpr int kBatches = 30;
  ASSERT_EQ(run([](io::Env& env) { return fill(env, kBatches, 200); }), 0);
  std::string journal;
  for (const std::string& file : node_.disk().files()) {
    if (file.find("shard-0") != std::string::npos) journal = file;
  }
  const Bytes bytes = *node_.disk().content(journal);
  int flips = 0;
  for (std::size_t position = 0; position < bytes.size(); position += 97) {
    if (bytes[position] == 0 && position % 4096 > 400) continue;  // padding says nothing
    World other({.seed = position});
    Node& node = copy_to(other);
    node.disk().flip_bit(journal, position, position % 8);
    // The segment that was settled has the records as well; here only the journal shall have them.
    node.disk().erase("data/t-0/00000000000000000000.log");
    Verdict verdict;
    ASSERT_EQ(
        io::sim::run(other, node, [&](io::Env& env) { return read_after_flip(env, verdict); }), 0);
    ++flips;
    EXPECT_EQ(verdict.wrong, 0) << "byte " << position;
    // Of the last group nobody can say that it had been written.
    EXPECT_TRUE(verdict.was_refused || verdict.was_noticed || verdict.intact >= kBatches - 1)
        << "byte " << position << ": " << verdict.intact << " intact";
    if (HasFailure()) FAIL() << other.report();
  }
  EXPECT_GT(flips, 50);
}

// What a start shows of a partition.
struct Shown {
  Offset log_start = -1;
  Offset end = -1;
  std::vector<EpochEntry> epochs;
  Bytes producers;
  std::vector<SeenBatch> batches;
  bool knows_older_batch = false;  // when it is sent again
};

struct Start {
  bool reads_fail = false;  // while the folder is recovered
  bool was_refused = false;
  bool was_noticed = false;
  Shown shown;
};

io::Task<int> start_and_show(io::Env& env, Start& start) {
  start.reads_fail = true;
  auto running = co_await start_folder(env, small_limits());
  start.reads_fail = false;
  if (!running) {
    start.was_refused = true;
    co_return 0;
  }
  const RecoveryReport& report = running->folder->report();
  start.was_noticed = !report.damages.empty();
  auto log = co_await open_or_create(*running, "t", 0, kTopicId, small_config());
  REQUIRE_OK(log);
  start.shown.log_start = (*log)->log_start_offset();
  start.shown.end = (*log)->durable_end_offset();
  start.shown.epochs = (*log)->epochs().entries();
  start.shown.producers = snapshot_of((*log)->producers()).snapshot;
  auto seen = co_await read_all(**log, start.shown.log_start);
  REQUIRE_OK(seen);
  start.shown.batches = std::move(*seen);
  const auto again =
      append(**log, make_batch({.producer_id = 5, .producer_epoch = 0, .base_sequence = 147}));
  start.shown.knows_older_batch = again && again->is_duplicate;
  co_return 0;
}

// Three segments, a deletion, several epochs and a producer; with or without a clean stop.
io::Task<int> live_varied(io::Env& env, bool ends_clean) {
  auto opened = co_await start_and_open(env);
  REQUIRE_OK(opened);
  auto& [running, log] = *opened;
  env.executor.spawn(keep_checkpoints(running));
  for (int i = 0; i < 150; ++i) {
    auto appended = co_await append_when_room(
        *running.store, *log,
        make_batch({.producer_id = 5, .producer_epoch = 0, .base_sequence = i, .value_bytes = 500}),
        {.leader_epoch = i / 20});
    REQUIRE_OK(appended);
    auto durable = co_await log->wait_durable(appended->end_offset());
    REQUIRE_OK(durable);
    log->set_high_watermark(log->durable_end_offset());
    if (i == 90) {
      auto deleted = co_await log->delete_records(80);
      REQUIRE_OK(deleted);
    }
    if (i == 120) co_await io::sleep_for(env.clock, 1s);  // drained, with its checkpoints
  }
  if (ends_clean) {
    env.stop.set();
    auto closed = co_await running.folder->close_clean({running.store}, 1);
    REQUIRE_OK(closed);
  }
  co_return 0;
}

struct ReadFaultCase {
  bool ends_clean;
  std::string_view erased;  // files whose names end so are gone: what they held is read elsewhere
};

class ReadFaultTest : public StoreFaultTest, public ::testing::WithParamInterface<ReadFaultCase> {};

// Each open, read and listing of a start fails once. The start is refused, or damage reported, or
// it shows what a start without faults shows: what can't be read is never taken for what is not
// there.
TEST_P(ReadFaultTest, AFailingReadAtTheStartHidesNothing) {
  const ReadFaultCase& which = GetParam();
  ASSERT_EQ(run([&](io::Env& env) { return live_varied(env, which.ends_clean); }), 0);
  for (const std::string& file : node_.disk().files()) {
    if (!which.erased.empty() && file.ends_with(which.erased)) node_.disk().erase(file);
  }
  Start expected;
  int refused = 0;
  int unharmed = 0;
  bool was_reached = true;
  for (int k = -1; was_reached; ++k) {  // -1: without a fault
    World other({.seed = 6});
    Node& node = copy_to(other);
    Start start;
    int at = 0;
    std::string failed;
    node.disk().on_fault(
        [&](OperationKind kind, std::string_view path) -> std::optional<ErrorKind> {
          const bool reads = kind == OperationKind::open || kind == OperationKind::read ||
                             kind == OperationKind::list || kind == OperationKind::status;
          if (!start.reads_fail || !reads || at++ != k) return std::nullopt;
          failed = std::string(to_string(kind)) + " of " + std::string(path);
          return ErrorKind::input_output;
        });
    SCOPED_TRACE(k);
    ASSERT_EQ(io::sim::run(other, node, [&](io::Env& env) { return start_and_show(env, start); }),
              0)
        << failed;
    if (k < 0) {
      expected = std::move(start);
      ASSERT_FALSE(expected.was_refused || expected.was_noticed);
      ASSERT_EQ(expected.shown.log_start, 80);
      ASSERT_EQ(expected.shown.end, 150);
      ASSERT_TRUE(expected.shown.knows_older_batch);
      continue;
    }
    was_reached = !failed.empty();
    if (!was_reached) break;
    if (start.was_refused || start.was_noticed) {
      ++refused;
      continue;
    }
    ++unharmed;
    EXPECT_EQ(start.shown.log_start, expected.shown.log_start) << failed;
    EXPECT_EQ(start.shown.end, expected.shown.end) << failed;
    EXPECT_TRUE(start.shown.epochs == expected.shown.epochs) << failed;
    EXPECT_TRUE(start.shown.producers == expected.shown.producers) << failed;
    EXPECT_TRUE(start.shown.batches == expected.shown.batches) << failed;
    EXPECT_TRUE(start.shown.knows_older_batch) << failed;
  }
  EXPECT_GT(refused, 20);
  EXPECT_LT(unharmed, refused);
}

INSTANTIATE_TEST_SUITE_P(All, ReadFaultTest,
                         ::testing::Values(ReadFaultCase{true, ""}, ReadFaultCase{false, ""},
                                           ReadFaultCase{true, "leader-epoch-checkpoint"},
                                           ReadFaultCase{false, "leader-epoch-checkpoint"},
                                           ReadFaultCase{false, ".snapshot"},
                                           ReadFaultCase{false, "index"}),
                         [](const auto& info) {
                           std::string name = info.param.ends_clean ? "Clean" : "Killed";
                           for (const char c : info.param.erased)
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           return name;
                         });

}  // namespace
}  // namespace ottla::storage
