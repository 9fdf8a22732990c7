// A broker's standing with its controller, over the simulated network: it is registered once,
// fenced when it is silent, and leaves in order.
#include "metadata/broker_lifecycle.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "metadata/observer.h"
#include "metadata/shells_test_support.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

// What a broker process says of its life.
struct Life {
  std::string cluster_id = kClusterId;
  std::uint64_t incarnation = 1;
  BrokerEpoch previous_epoch = -1;
  std::vector<Uuid> directories = {{1000, 1}};
  io::Duration patience = 2s;  // of the shutdown

  io::Result<> registered;
  io::Result<> unfenced;
  bool is_up = false;
  std::optional<bool> is_still_ours;  // what keep_alive() gave
  BrokerEpoch epoch = -1;
  io::Duration shutdown_took = 0s;
};

io::Task<void> follow(Observer& observer) { (void)co_await observer.run(); }
io::Task<void> stay(BrokerLifecycle& lifecycle, Life& life) {
  life.is_still_ours = co_await lifecycle.keep_alive();
}

io::Task<int> live(io::Env& env, Life& life) {
  NetworkLink link(env);
  Observer observer(env, link, {.cluster_id = kClusterId, .node_id = 1, .directory_id = {1, 1}},
                    [](ImagePtr) -> io::Task<io::Result<>> {
                      struct Nothing {
                        static io::Task<io::Result<>> take() { co_return io::Result<>{}; }
                      };
                      return Nothing::take();
                    });
  BrokerLifecycle lifecycle(
      env, link,
      {.cluster_id = life.cluster_id,
       .node_id = 1,
       .incarnation_id = {1, life.incarnation},
       .directories = life.directories,
       .endpoints = {{.listener = "PLAINTEXT", .host = "broker", .port = 9092}},
       .rack = "rack-1",
       .previous_epoch = life.previous_epoch},
      [&observer] { return observer.applied_offset(); }, observer.advanced());
  io::TaskGroup tasks(env.executor);
  tasks.spawn(follow(observer));
  life.registered = co_await lifecycle.register_broker();
  life.epoch = lifecycle.epoch();
  bool lives = false;
  if (life.registered) {
    life.unfenced = co_await lifecycle.unfence();
    lives = life.unfenced.has_value();
  }
  if (lives) {
    life.is_up = true;
    tasks.spawn(stay(lifecycle, life));
    while (!env.stop.is_set() && !life.is_still_ours)
      co_await env.stop.wait_until(env.clock, env.clock.now() + 100ms);
    const io::Instant began = env.clock.now();
    co_await lifecycle.shut_down(life.patience);
    life.shutdown_took = env.clock.now() - began;
  } else {
    co_await lifecycle.close();
  }
  life.is_up = false;
  co_await observer.stop();
  co_await tasks.join();
  co_return 0;
}

class BrokerLifecycleTest : public ShellTest {
 protected:
  explicit BrokerLifecycleTest(io::sim::WorldOptions options = {.seed = 5}) : ShellTest(options) {}

  void begin(io::sim::Node& node, Life& of) {
    node.start(1, [&of](io::Env& env) { return live(env, of); });
  }
  void come_up() {
    begin(broker, life);
    ASSERT_TRUE(wait([&] { return life.is_up; })) << world.report();
  }
  void stop(io::sim::Node& node) {
    node.stop();
    ASSERT_TRUE(wait([&] { return !node.is_running(); })) << world.report();
  }
  const BrokerImage* registered() const {
    if (!is_serving()) return nullptr;
    const auto found = state().brokers.find(1);
    return found == state().brokers.end() ? nullptr : &found->second;
  }
  bool is_fenced() const { return registered() != nullptr && registered()->is_fenced; }
  void make_topic(const std::string& name) {
    io::sim::Node& client = world.add_node("client-of-" + name);
    client.start(1, [name](io::Env& env) { return make(env, name); });
    ASSERT_TRUE(wait([&] { return !client.is_running(); })) << world.report();
    ASSERT_EQ(client.exit_code(), 0);
  }
  static io::Task<int> make(io::Env& env, std::string name) {
    auto client = co_await connect(env);
    auto made = co_await client->call<wire::CreateTopicsResponse>(create_request(name), 7);
    REQUIRE(made.has_value());
    EXPECT_EQ(made->topics[0].error_code, 0);
    co_await client->close();
    co_return 0;
  }
  const PartitionImage& partition(std::string_view topic) const {
    return state().topics->find(topic)->partitions.at(0);
  }

  Life life;
};

TEST_F(BrokerLifecycleTest, RegistersIsUnfencedAndStaysAlive) {
  start_controller();
  come_up();
  ASSERT_NE(registered(), nullptr);
  EXPECT_EQ(registered()->epoch, life.epoch);
  EXPECT_GE(life.epoch, 0);
  EXPECT_EQ(registered()->rack, "rack-1");
  EXPECT_EQ(registered()->endpoints.at(0).port, 9092);
  EXPECT_EQ(registered()->incarnation_id, (Uuid{1, 1}));
  const Offset before = state().provenance.offset;
  for (int i = 0; i < 60; ++i) {
    world.run_for(1s);
    ASSERT_FALSE(is_fenced()) << i;
  }
  EXPECT_EQ(state().provenance.offset, before);  // heartbeats leave no records
  stop(broker);
}

TEST_F(BrokerLifecycleTest, LeavesInOrder) {
  start_controller();
  come_up();
  make_topic("led");
  ASSERT_EQ(partition("led").leader, 1);
  stop(broker);
  EXPECT_EQ(life.is_still_ours, true);
  EXPECT_LT(life.shutdown_took, 500ms);
  EXPECT_TRUE(is_fenced());
  EXPECT_EQ(partition("led").leader, -1);
  life = {.incarnation = 2, .previous_epoch = life.epoch};
  come_up();
  ASSERT_TRUE(wait([&] { return partition("led").leader == 1; }));
  EXPECT_EQ(partition("led").leader_epoch, 2);
  EXPECT_EQ(partition("led").leader_recovery_state, 0);
  stop(broker);
}

TEST_F(BrokerLifecycleTest, DoesNotWaitForAControllerThatIsGone) {
  start_controller();
  come_up();
  crash_controller(io::sim::CrashKind::power_loss);
  world.run_for(500ms);
  stop(broker);
  EXPECT_LT(life.shutdown_took, 20s);  // one heartbeat's time-out, one connect's
}

// The process dies and comes again at once: its own session is in the way until it has ended.
TEST_F(BrokerLifecycleTest, WaitsForTheSessionOfItsFormerSelf) {
  start_controller();
  come_up();
  const BrokerEpoch former = life.epoch;
  broker.crash(io::sim::CrashKind::process_kill);
  const io::Instant died = world.now();
  life = {.incarnation = 2};
  come_up();
  EXPECT_GT(world.now() - died, 6s);
  EXPECT_LT(world.now() - died, 10s);
  EXPECT_GT(life.epoch, former);
  stop(broker);
}

// ... unless the folder's lock has proved the other one dead.
TEST_F(BrokerLifecycleTest, TheOwnBrokerIsNotHeldUp) {
  start_controller({.own_broker = 1});
  come_up();
  broker.crash(io::sim::CrashKind::process_kill);
  const io::Instant died = world.now();
  life = {.incarnation = 2};
  come_up();
  EXPECT_LT(world.now() - died, 500ms);
  stop(broker);
}

TEST_F(BrokerLifecycleTest, TheFormerProcessLearnsThatItIsReplaced) {
  start_controller({.own_broker = 1});
  come_up();
  io::sim::Node& second = world.add_node("second");
  Life other{.incarnation = 2};
  begin(second, other);
  ASSERT_TRUE(wait([&] { return other.is_up; })) << world.report();
  ASSERT_TRUE(wait([&] { return life.is_still_ours.has_value(); }, 5s)) << world.report();
  EXPECT_EQ(life.is_still_ours, false);
  ASSERT_TRUE(wait([&] { return !broker.is_running(); }));
  EXPECT_FALSE(is_fenced());  // its end did not fence the one that has the id now
  EXPECT_TRUE(broker.has_logged("another process has registered as node 1"));
  stop(second);
}

TEST_F(BrokerLifecycleTest, RefusalsThatDoNotHealEndTheStartAtOnce) {
  start_controller();
  const auto refused = [&](Life wrong, std::string_view words) {
    life = std::move(wrong);
    const io::Instant began = world.now();
    begin(broker, life);
    ASSERT_TRUE(wait([&] { return !broker.is_running(); })) << world.report();
    ASSERT_FALSE(life.registered.has_value());
    EXPECT_EQ(life.registered.error().kind, io::ErrorKind::invalid);
    EXPECT_THAT(life.registered.error().message, HasSubstr(words));
    EXPECT_LT(world.now() - began, 1s);
  };
  refused({.cluster_id = "another"}, "INCONSISTENT_CLUSTER_ID");
  refused({.directories = {}}, "INVALID_REGISTRATION");
  refused({.directories = {{0, 5}}}, "INVALID_REGISTRATION");
  EXPECT_EQ(registered(), nullptr);
}

TEST_F(BrokerLifecycleTest, GivesUpWhenNoControllerAnswers) {
  const io::Instant began = world.now();
  begin(broker, life);
  ASSERT_TRUE(wait([&] { return !broker.is_running(); }, 5min)) << world.report();
  ASSERT_FALSE(life.registered.has_value());
  EXPECT_EQ(life.registered.error().kind, io::ErrorKind::timed_out);
  EXPECT_GT(world.now() - began, 59s);
  EXPECT_LT(world.now() - began, 80s);
}

// Silent for longer than its session: fenced, its partitions without a leader; and back by itself.
TEST_F(BrokerLifecycleTest, IsFencedWhenCutOffAndComesBack) {
  start_controller();
  come_up();
  make_topic("led");
  const BrokerEpoch epoch = life.epoch;
  world.network().isolate("broker");
  world.run_for(4s);
  EXPECT_FALSE(is_fenced());
  ASSERT_TRUE(wait([&] { return is_fenced(); }, 7s));
  EXPECT_EQ(partition("led").leader, -1);
  world.network().heal();
  ASSERT_TRUE(wait([&] { return !is_fenced(); }, 15s)) << world.report();
  EXPECT_EQ(partition("led").leader, 1);
  EXPECT_EQ(registered()->epoch, epoch);
  EXPECT_TRUE(life.is_up);
  stop(broker);
}

// A controller that comes back gives everybody a fresh session: who is alive is not fenced, who is
// not is fenced after one session's time.
TEST_F(BrokerLifecycleTest, SessionsBeginAnewWithTheController) {
  start_controller();
  come_up();
  const BrokerEpoch epoch = life.epoch;
  crash_controller(io::sim::CrashKind::power_loss);
  world.run_for(30s);
  restart_controller();
  ASSERT_TRUE(wait([&] { return is_serving(); }));
  for (int i = 0; i < 30; ++i) {
    world.run_for(1s);
    ASSERT_FALSE(is_fenced()) << i;
  }
  EXPECT_EQ(registered()->epoch, epoch);
  crash_controller(io::sim::CrashKind::power_loss);
  broker.crash(io::sim::CrashKind::power_loss);
  restart_controller();
  ASSERT_TRUE(wait([&] { return is_serving(); }));
  EXPECT_FALSE(is_fenced());
  ASSERT_TRUE(wait([&] { return is_fenced(); }, 10s));
}

// The connection is cut at every point of the start. A registration that is sent again is the same
// one: its epoch stays that of the first.
TEST_F(BrokerLifecycleTest, ARegistrationWhoseAnswerIsLostIsMadeOnce) {
  start_controller({.own_broker = 1});
  int amended = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Offset before = state().provenance.offset;
    life = {.incarnation = i + 1};
    begin(broker, life);
    world.run_for(std::chrono::microseconds(200 + 30 * i));
    world.network().reset_connections("broker", kControllerHost);
    ASSERT_TRUE(wait([&] { return life.is_up; })) << world.report();
    EXPECT_EQ(registered()->epoch, life.epoch);
    EXPECT_EQ(registered()->incarnation_id, (Uuid{1, i + 1}));
    EXPECT_EQ(life.epoch, before + 1);
    // registration and unfencing; one more if the registration came twice
    if (state().provenance.offset > before + 2) ++amended;
    stop(broker);
  }
  EXPECT_GT(amended, 0);
  EXPECT_LT(amended, 40);
}

using BrokerLifecycleSeedsTest = SeededTest<BrokerLifecycleTest>;

// Whatever fails on the way: at the end the broker is registered with the epoch that it believes
// in, unfenced, and its partition has its leader back.
TEST_P(BrokerLifecycleSeedsTest, EndsUnfencedWithItsOwnEpoch) {
  auto prng = world.prng("plan");
  restart_controller();
  std::uint64_t incarnation = 1;
  for (int round = 0; round < 5; ++round) {
    life = {.incarnation = incarnation++};
    begin(broker, life);
    world.run_for(std::chrono::milliseconds(prng.below(20'000)));
    if (prng.chance(0.5)) interrupt_controller(prng, 12'000);
    world.run_for(std::chrono::milliseconds(prng.below(5'000)));
    if (prng.chance(0.5)) {
      broker.crash(io::sim::CrashKind::process_kill);
    } else {
      broker.stop();
      ASSERT_TRUE(wait([&] { return !broker.is_running(); }, 5min)) << world.report();
    }
  }
  world.end_faults();
  if (!controller.is_running()) restart_controller();
  life = {.incarnation = incarnation};
  begin(broker, life);
  ASSERT_TRUE(wait([&] { return life.is_up && is_serving(); })) << world.report();
  world.run_for(12s);
  ASSERT_NE(registered(), nullptr);
  EXPECT_FALSE(is_fenced());
  EXPECT_EQ(registered()->epoch, life.epoch);
  EXPECT_EQ(registered()->incarnation_id, (Uuid{1, incarnation}));
  EXPECT_TRUE(life.is_up);
  make_topic("late");
  EXPECT_EQ(partition("late").leader, 1);
  stop(broker);
  EXPECT_TRUE(is_fenced());
}

INSTANTIATE_TEST_SUITE_P(Seeds, BrokerLifecycleSeedsTest, ::testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace ottla::metadata
