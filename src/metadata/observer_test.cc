// Observers on the simulated network: whatever fails, they end with the controller's own state, and
// no image ever goes back.
#include "metadata/observer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "metadata/shells_test_support.h"
#include "wire/messages/fetch_snapshot_response.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::ErrorCode;

ObserverOptions observer_options(std::int32_t fetch_bytes = 8 << 20) {
  return {
      .cluster_id = kClusterId, .node_id = 7, .directory_id = {1, 7}, .fetch_bytes = fetch_bytes};
}

// What an observer has published.
struct Seen {
  ImagePtr image;
  std::vector<Offset> offsets;
  io::Result<> end;
  bool has_ended = false;
  int connects = 0;
  bool is_rising() const {
    return std::ranges::adjacent_find(offsets, std::greater_equal()) == offsets.end();
  }
};

// Follows until the process is asked to end.
io::Task<void> run_observer(Observer& observer, Seen& seen) {
  seen.end = co_await observer.run();
  seen.has_ended = true;
}

Observer::Publish take_into(Seen& seen) {
  return [&seen](ImagePtr image) -> io::Task<io::Result<>> {
    struct Taker {
      static io::Task<io::Result<>> take(Seen& into, ImagePtr image) {
        into.image = image;
        into.offsets.push_back(image->provenance.offset);
        co_return io::Result<>{};
      }
    };
    return Taker::take(seen, std::move(image));
  };
}

io::Task<int> observe(io::Env& env, Seen& seen, ObserverOptions options) {
  NetworkLink link(env);
  Observer observer(env, link, options, take_into(seen));
  io::TaskGroup tasks(env.executor);
  tasks.spawn(run_observer(observer, seen));
  while (!env.stop.is_set() && !seen.has_ended)
    co_await env.stop.wait_until(env.clock, env.clock.now() + 100ms);
  co_await observer.stop();
  co_await tasks.join();
  seen.connects = link.connects;
  co_return 0;
}

class ObserverTest : public ShellTest {
 protected:
  explicit ObserverTest(io::sim::WorldOptions options = {.seed = 5}) : ShellTest(options) {}

  void start_observer(std::int32_t fetch_bytes = 8 << 20) {
    broker.start(1, [this, fetch_bytes](io::Env& env) {
      return observe(env, seen, observer_options(fetch_bytes));
    });
  }
  void stop_observer() {
    broker.stop();
    ASSERT_TRUE(wait([&] { return !broker.is_running(); })) << world.report();
    EXPECT_TRUE(seen.is_rising());
  }
  bool is_level() const {
    return is_serving() && seen.image && seen.image->provenance.offset == state().provenance.offset;
  }
  void expect_same_state() {
    EXPECT_EQ(bytes_of(*seen.image), bytes_of(state()));
    EXPECT_EQ(seen.image->kraft_version, 1);
  }

  // Makes topics one after the other, from a third machine.
  io::Task<int> make_topics(io::Env& env, int from, int to, std::int32_t partitions) {
    auto client = co_await connect(env);
    REQUIRE((co_await join(*client, 1)).has_value());
    for (int i = from; i < to; ++i) {
      auto made = co_await client->call<wire::CreateTopicsResponse>(
          create_request(fmt::format("topic-{}", i), partitions), 7);
      REQUIRE(made.has_value());
      EXPECT_EQ(made->topics[0].error_code, 0) << made->topics[0].error_message.value_or("");
    }
    co_await client->close();
    co_return 0;
  }
  void fill(int from, int to, std::int32_t partitions = 10) {
    writer.start(1, [this, from, to, partitions](io::Env& env) {
      return make_topics(env, from, to, partitions);
    });
    ASSERT_TRUE(wait([&] { return !writer.is_running(); })) << world.report();
    ASSERT_EQ(writer.exit_code(), 0);
  }
  std::size_t snapshots_on_disk() {
    return static_cast<std::size_t>(
        std::ranges::count_if(controller.disk().files(), [](const std::string& path) {
          return path.ends_with(".checkpoint") && !path.contains("/00000000000000000000-") &&
                 !path.ends_with("bootstrap.checkpoint");
        }));
  }

  io::sim::Node& writer = world.add_node("writer");
  Seen seen;
};

TEST_F(ObserverTest, FollowsWhatTheControllerCommits) {
  start_controller();
  start_observer();
  ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
  const std::size_t before = seen.offsets.size();
  fill(0, 3);
  ASSERT_TRUE(wait([&] { return is_level(); }, 1s)) << world.report();
  EXPECT_GE(seen.offsets.size(), before + 3);  // each commit wakes the fetch that waits
  expect_same_state();
  stop_observer();
  EXPECT_TRUE(seen.end.has_value());
}

TEST_F(ObserverTest, StartsFromASnapshotOfManyParts) {
  start_controller({.snapshot_bytes = 4000});
  fill(0, 20);
  ASSERT_TRUE(wait([&] { return snapshots_on_disk() == 1; })) << world.report();
  start_observer(700);
  ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
  expect_same_state();
  EXPECT_GT(seen.offsets.front(), 100);  // the log's own beginning is gone
  fill(20, 22);
  ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
  expect_same_state();
  stop_observer();
}

// The controller makes a new snapshot and removes the one that is being read, again and again.
TEST_F(ObserverTest, BeginsAnewWhenItsSnapshotIsRemoved) {
  start_controller({.snapshot_bytes = 4000});
  fill(0, 20);
  ASSERT_TRUE(wait([&] { return snapshots_on_disk() == 1; })) << world.report();
  const std::size_t log_before = broker.log().size();
  broker.set_log_level(LogLevel::debug);
  world.network().slow_down("broker", kControllerHost, 200ms);
  start_observer(700);
  world.run_for(2s);
  EXPECT_TRUE(seen.offsets.empty());  // still reading parts
  fill(20, 40);
  world.run_for(3s);
  EXPECT_TRUE(broker.has_logged("gives no part of its snapshot"))
      << broker.log().size() - log_before;
  world.network().heal();
  ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
  expect_same_state();
  stop_observer();
}

TEST_F(ObserverTest, GoesOnWhenTheControllerComesBack) {
  start_controller({.snapshot_bytes = 6000});
  start_observer();
  fill(0, 5);
  for (const auto kind : {io::sim::CrashKind::process_kill, io::sim::CrashKind::power_loss}) {
    crash_controller(kind);
    world.run_for(3s);
    restart_controller();
    const int next = static_cast<int>(seen.offsets.size()) + 10;
    fill(next, next + 5);
    ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
    expect_same_state();
  }
  stop_observer();
}

// An answer that never comes (half-open, or a network that swallows everything) is given up.
TEST_F(ObserverTest, GivesUpAFetchThatIsNotAnswered) {
  start_controller();
  start_observer();
  ASSERT_TRUE(wait([&] { return is_level(); })) << world.report();
  world.network().isolate("broker");
  world.run_for(4s);
  fill(0, 2);
  world.network().heal();
  ASSERT_TRUE(wait([&] { return is_level(); }, 20s)) << world.report();
  expect_same_state();
  stop_observer();
}

TEST_F(ObserverTest, StopsInTheMiddleOfAnything) {
  start_controller();
  for (int ms = 0; ms < 60; ms += 3) {
    seen = {};
    start_observer();
    world.run_for(std::chrono::milliseconds(ms));
    const io::Instant asked = world.now();
    stop_observer();
    EXPECT_LT(world.now() - asked, 1s);
    EXPECT_TRUE(seen.end.has_value());
  }
}

using ObserverSeedsTest = SeededTest<ObserverTest>;

// Until it is told to stop; errors are what this world is for.
io::Task<int> write_on(io::Env& env) {
  for (int i = 0; !env.stop.is_set(); ++i) {
    auto client = co_await connect(env);
    if (co_await join(*client, 1)) {
      for (; !env.stop.is_set(); ++i) {
        auto made = co_await client->call<wire::CreateTopicsResponse>(
            create_request(fmt::format("topic-{}", i), 5), 7, 2s);
        if (!made) break;
        co_await io::sleep_for(env.clock, 50ms);
      }
    }
    co_await client->close();
  }
  co_return 0;
}

// Each seed draws its own mixture of delays, lost connections, half-open ones and refused connects,
// its own times of crashes, and its own size of parts.
TEST_P(ObserverSeedsTest, EndsLevelWhateverFails) {
  auto prng = world.prng("plan");
  restart_controller();
  seat.settings = {.snapshot_bytes = 2000 + prng.below(20'000)};
  start_observer(static_cast<std::int32_t>(300 + prng.below(20'000)));
  writer.start(1, [](io::Env& env) { return write_on(env); });
  for (int round = 0; round < 4; ++round) {
    world.run_for(std::chrono::milliseconds(prng.below(4000)));
    if (prng.chance(0.7)) {
      interrupt_controller(prng, 1500);
    } else {
      world.network().isolate("broker");
      world.run_for(std::chrono::milliseconds(prng.below(8000)));
      world.network().heal();
    }
  }
  world.end_faults();
  if (!controller.is_running()) restart_controller();
  writer.stop();
  ASSERT_TRUE(wait([&] { return !writer.is_running() && is_level(); }, 3min))
      << seat.failure << world.report();
  expect_same_state();
  EXPECT_GE(seen.offsets.size(), 1U);
  stop_observer();
  EXPECT_TRUE(seen.end.has_value()) << seen.end.error().message;
}

INSTANTIATE_TEST_SUITE_P(Seeds, ObserverSeedsTest, ::testing::Range<std::uint64_t>(1, 31));

// --- answers that no controller should give

// Answers every fetch of the metadata partition in its one, scripted way.
class OddController final : public rpc::Service {
 public:
  using Script = std::function<void(wire::FetchResponse&)>;
  explicit OddController(Script script) : script_(std::move(script)) {}
  void handle(rpc::Request request, const std::shared_ptr<rpc::Peer>&,
              rpc::ReplySlot reply) override {
    wire::FetchResponse response;
    auto& topic = response.responses.emplace_back();
    topic.topic_id = kMetadataTopicId;
    auto& partition = topic.partitions.emplace_back();
    partition.high_watermark = 100;
    partition.records = wire::Records::none();
    script_(response);
    wire::Writer writer;
    EXPECT_TRUE(wire::encode(response, request.api_version, writer).has_value());
    reply.send(std::move(writer).finish());
  }
  bool may_overlap(std::int16_t) const override { return false; }
  bool serves(std::int16_t, std::int16_t) const override { return true; }

 private:
  Script script_;
};

class OddControllerTest : public ObserverTest {
 protected:
  // What the observer makes of it.
  io::Result<> follow(OddController::Script script) {
    broker.start(1, [this, script](io::Env& env) { return serve_and_follow(env, script); });
    EXPECT_TRUE(wait([&] { return !broker.is_running(); })) << world.report();
    return seen.end;
  }
  io::Task<int> serve_and_follow(io::Env& env, OddController::Script script) {
    OddController odd(std::move(script));
    rpc::ReceiveBuffer receive;
    rpc::MemoryBudget budget(env.executor, 64 << 20);
    rpc::ClientLog log(env.clock, env.logger);
    rpc::Acceptor acceptor({env, odd, rpc::ServerLimits{}, receive, budget, log}, "CONTROLLER");
    REQUIRE((co_await acceptor.listen({"broker", kControllerPort})).has_value());
    acceptor.start();
    struct Link final : ControllerLink {
      explicit Link(io::Env& in) : env(in) {}
      io::Task<io::Result<std::unique_ptr<io::Connection>>> connect() override {
        return env.network.connect({"broker", kControllerPort});
      }
      io::Env& env;
    } link(env);
    Observer observer(env, link, observer_options(), take_into(seen));
    io::TaskGroup tasks(env.executor);
    tasks.spawn(run_observer(observer, seen));
    const io::Instant until = env.clock.now() + 1s;
    while (!seen.has_ended && env.clock.now() < until) co_await io::sleep_for(env.clock, 50ms);
    co_await observer.stop();
    co_await tasks.join();
    co_await acceptor.stop(1s);
    co_return 0;
  }
  static wire::FetchResponse::PartitionData& part(wire::FetchResponse& response) {
    return response.responses[0].partitions[0];
  }
  static Slice batch_of(const Bytes& value) {
    wire::RecordBatchBuilder builder({.base_offset = 0, .leader_epoch = 0});
    builder.append({.timestamp = 1, .value = ByteView(value)});
    return *builder.build();
  }
};

TEST_F(OddControllerTest, UnknownRecordsEndIt) {
  const auto end = follow([](wire::FetchResponse& response) {
    part(response).records = wire::Records(batch_of({1, 0x7f, 0}));
  });
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error().kind, io::ErrorKind::invalid);
  EXPECT_THAT(end.error().message, HasSubstr("offset 0"));
  EXPECT_TRUE(seen.offsets.empty());
}

TEST_F(OddControllerTest, RecordsThatContradictTheStateEndIt) {
  wire::UnregisterBrokerRecord record;
  record.broker_id = 77;
  const Bytes value = encode_record(Record(record));
  const auto end = follow([value](wire::FetchResponse& response) {
    part(response).records = wire::Records(batch_of(value));
  });
  ASSERT_FALSE(end.has_value());
  EXPECT_THAT(end.error().message, HasSubstr("there is no broker 77"));
}

// It may have flipped on the way: nothing of it is applied, and the fetch is made again.
TEST_F(OddControllerTest, AFlippedBitIsFetchedAgain) {
  int asked = 0;
  const auto end = follow([&asked](wire::FetchResponse& response) {
    if (++asked > 4) return;
    Slice batch = Slice::copy_of(batch_of(encode_record(feature_record("metadata.version", 30))));
    if (asked < 4) batch.mutable_view().back() ^= 4;
    part(response).records = wire::Records(std::move(batch));
  });
  EXPECT_TRUE(end.has_value()) << end.error().message;
  EXPECT_GT(asked, 4);
  EXPECT_EQ(seen.offsets, std::vector<Offset>{0});
}

TEST_F(OddControllerTest, DivergenceEndsIt) {
  const auto end = follow([](wire::FetchResponse& response) {
    part(response).diverging_epoch.epoch = 3;
    part(response).diverging_epoch.end_offset = 4;
  });
  ASSERT_FALSE(end.has_value());
  EXPECT_THAT(end.error().message, HasSubstr("diverges at epoch 3, offset 4"));
}

TEST_F(OddControllerTest, AnotherPartitionEndsIt) {
  const auto end = follow([](wire::FetchResponse& response) { response.responses.clear(); });
  ASSERT_FALSE(end.has_value());
  EXPECT_THAT(end.error().message, HasSubstr("another partition"));
}

// What lies at or above the high watermark is not applied, even if the answer brings it.
TEST_F(OddControllerTest, UncommittedRecordsAreNotApplied) {
  const auto end = follow([](wire::FetchResponse& response) {
    part(response).high_watermark = 0;
    part(response).records =
        wire::Records(batch_of(encode_record(feature_record("metadata.version", 30))));
  });
  EXPECT_TRUE(end.has_value()) << end.error().message;
  EXPECT_TRUE(seen.offsets.empty());
}

TEST_F(OddControllerTest, ErrorsOfEveryKindAreTriedAgain) {
  for (const ErrorCode code : {ErrorCode::not_leader_or_follower, ErrorCode::unknown_server_error,
                               ErrorCode::kafka_storage_error}) {
    seen = {};
    const auto end = follow([code](wire::FetchResponse& response) {
      part(response).error_code = static_cast<std::int16_t>(code);
    });
    EXPECT_TRUE(end.has_value()) << end.error().message;
    seen = {};
    const auto top_level = follow([code](wire::FetchResponse& response) {
      response.error_code = static_cast<std::int16_t>(code);
      response.responses.clear();
    });
    EXPECT_TRUE(top_level.has_value()) << top_level.error().message;
  }
}

}  // namespace
}  // namespace ottla::metadata
