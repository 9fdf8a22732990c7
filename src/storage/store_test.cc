// The log on a simulated disk: what is appended, acknowledged, read, and found again.
#include "storage/store.h"

#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::CrashKind;
using io::sim::Node;
using io::sim::World;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : node_(world_.add_node("b1")) {}
  World world_{{.seed = 1}};
  Node& node_;
};

io::Task<int> append_and_read(io::Env& env, int batches, int& acknowledged, bool stop_clean) {
  auto running = co_await start_folder(env, small_limits());
  REQUIRE_OK(running);
  auto log = co_await open_or_create(*running, "t", 0, kTopicId, small_config());
  REQUIRE_OK(log);
  const Offset begin = (*log)->log_end_offset();
  EXPECT_EQ(begin, acknowledged);
  for (int i = 0; i < batches; ++i) {
    auto appended = co_await append_when_room(
        *running->store, **log, make_batch({.value_bytes = 300, .fill = std::uint8_t(begin + i)}),
        {.leader_epoch = 1});
    REQUIRE_OK(appended);
    EXPECT_EQ(appended->first_offset, begin + i);
    if (i % 7 == 0) {
      auto durable = co_await (*log)->wait_durable(appended->end_offset());
      REQUIRE_OK(durable);
      acknowledged = static_cast<int>(appended->end_offset());
      EXPECT_EQ((*log)->high_watermark(), (*log)->durable_end_offset());
      EXPECT_GE((*log)->durable_end_offset(), appended->end_offset());
    }
  }
  auto durable = co_await (*log)->wait_durable((*log)->log_end_offset());
  REQUIRE_OK(durable);
  acknowledged = static_cast<int>((*log)->log_end_offset());
  auto seen = co_await read_all(**log, 0);
  REQUIRE_OK(seen);
  EXPECT_EQ(seen->size(), std::size_t(acknowledged));
  for (std::size_t i = 0; i < seen->size(); ++i) {
    const SeenBatch& batch = (*seen)[i];
    EXPECT_EQ(batch.base_offset, Offset(i));
    EXPECT_EQ(batch.bytes[wire::kBatchHeaderBytes + 20], std::uint8_t(i));
  }
  if (stop_clean) {
    auto closed = co_await running->folder->close_clean({running->store}, 42);
    REQUIRE_OK(closed);
  }
  co_return 0;
}

TEST_F(StoreTest, FindsAgainWhatWasAcknowledgedBeforeAKill) {
  int acknowledged = 0;
  for (int life = 0; life < 5; ++life) {
    EXPECT_EQ(run(world_, node_,
                  [&](io::Env& env) { return append_and_read(env, 300, acknowledged, false); }),
              0);
    ASSERT_EQ(acknowledged, 300 * (life + 1)) << world_.report();
  }
}

TEST_F(StoreTest, FindsAgainWhatWasThereAtACleanStop) {
  int acknowledged = 0;
  for (int life = 0; life < 4; ++life) {
    EXPECT_EQ(run(world_, node_,
                  [&](io::Env& env) { return append_and_read(env, 200, acknowledged, true); }),
              0);
    ASSERT_EQ(acknowledged, 200 * (life + 1)) << world_.report();
    EXPECT_TRUE(node_.disk().exists("data/.kafka_cleanshutdown"));
    for (const std::string& file : node_.disk().files()) {
      EXPECT_EQ(file.find("journal"), std::string::npos) << file;
    }
  }
}

}  // namespace
}  // namespace ottla::storage
