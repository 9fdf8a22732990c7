// What the log does when the disk fails, fills, or lies.
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::ErrorKind;
using io::sim::CrashKind;
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

}  // namespace
}  // namespace ottla::storage
