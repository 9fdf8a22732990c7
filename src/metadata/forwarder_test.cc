// The forwarder on the simulated network: requests that outlive connections and controllers, and
// producer ids of which none is ever handed out twice.
#include "metadata/forwarder.h"

#include <deque>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <set>

#include "metadata/shells_test_support.h"
#include "wire/header.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::ErrorCode;

constexpr std::int16_t kCreateTopics = 19;
constexpr std::int16_t kCreateVersion = 7;

// A client's frame as a broker has received it: without its length.
Slice frame_of(const wire::CreateTopicsRequest& request) {
  const auto frame = wire::request_frame(4711, "some-client", request, kCreateVersion);
  EXPECT_TRUE(frame.has_value());
  const Slice whole = frame->flatten();
  return whole.subslice(4, whole.size() - 4);
}

struct Answer {
  bool has_come = false;
  io::Instant at;
  io::Result<> result;
  std::int16_t error_code = -100;
};

io::Task<void> create(io::Env& env, Forwarder& forwarder, std::string name, Answer& answer) {
  auto body = co_await forwarder.forward(frame_of(create_request(name)), kCreateTopics,
                                         kCreateVersion, "10.0.0.9");
  answer.has_come = true;
  answer.at = env.clock.now();
  if (!body) {
    answer.result = std::unexpected(body.error());
    co_return;
  }
  const auto response = wire::decode<wire::CreateTopicsResponse>(std::move(*body), kCreateVersion);
  EXPECT_TRUE(response.has_value());
  if (response) answer.error_code = response->topics.at(0).error_code;
}

struct IdAnswer {
  bool has_come = false;
  io::Result<ProducerId> id = -1;
};

io::Task<void> allocate(Forwarder& forwarder, IdAnswer& answer) {
  answer.id = co_await forwarder.next_producer_id();
  answer.has_come = true;
}

class ForwarderTest : public ShellTest {
 protected:
  explicit ForwarderTest(io::sim::WorldOptions options = {.seed = 5}) : ShellTest(options) {}

  // A process that has joined as broker 1 and holds a forwarder.
  void start_forwarder() {
    broker.start(1, [this](io::Env& in) { return hold(in); });
    ASSERT_TRUE(wait([&] { return forwarder != nullptr; })) << world.report();
  }
  io::Task<int> hold(io::Env& in) {
    while (epoch < 0) {  // whatever the network does
      auto client = co_await connect(in);
      const auto joined = co_await join(*client, 1);
      co_await client->close();
      if (joined) epoch = *joined;
    }
    NetworkLink to_controller(in);
    Forwarder held(in, to_controller, 1, [this] { return epoch; });
    io::TaskGroup group(in.executor);
    env = &in;
    tasks = &group;
    link = &to_controller;
    forwarder = &held;
    co_await in.stop.wait();
    co_await held.close();
    co_await group.join();
    forwarder = nullptr;
    co_return 0;
  }
  void ask(std::string name, Answer& answer) {
    broker.process()->post(0, [this, name = std::move(name), &answer] {
      tasks->spawn(create(*env, *forwarder, name, answer));
    });
  }
  void ask_id(IdAnswer& answer) {
    broker.process()->post(0, [this, &answer] { tasks->spawn(allocate(*forwarder, answer)); });
  }
  void stop_forwarder() {
    broker.stop();
    ASSERT_TRUE(wait([&] { return !broker.is_running(); })) << world.report();
    EXPECT_EQ(broker.exit_code(), 0);
  }
  bool has_topic(const std::string& name) { return state().topics->find(name) != nullptr; }

  BrokerEpoch epoch = -1;
  io::Env* env = nullptr;
  io::TaskGroup* tasks = nullptr;
  NetworkLink* link = nullptr;
  Forwarder* forwarder = nullptr;
};

TEST_F(ForwarderTest, CarriesARequestAndItsAnswer) {
  start_controller();
  start_forwarder();
  Answer first;
  ask("one", first);
  ASSERT_TRUE(wait([&] { return first.has_come; })) << world.report();
  EXPECT_EQ(first.error_code, 0);
  EXPECT_TRUE(has_topic("one"));
  Answer second;
  ask("one", second);
  ASSERT_TRUE(wait([&] { return second.has_come; })) << world.report();
  EXPECT_EQ(second.error_code, static_cast<std::int16_t>(ErrorCode::topic_already_exists));
  EXPECT_EQ(link->connects, 1);
  stop_forwarder();
}

TEST_F(ForwarderTest, WaitsForAControllerThatComesBack) {
  start_controller();
  start_forwarder();
  crash_controller(io::sim::CrashKind::power_loss);
  Answer answer;
  ask("late", answer);
  world.run_for(20s);
  EXPECT_FALSE(answer.has_come);
  restart_controller();
  ASSERT_TRUE(wait([&] { return answer.has_come; }, 15s)) << world.report();
  EXPECT_EQ(answer.error_code, 0);
  EXPECT_TRUE(has_topic("late"));
  stop_forwarder();
}

TEST_F(ForwarderTest, GivesUpWhenNoControllerComes) {
  start_controller();
  start_forwarder();
  crash_controller(io::sim::CrashKind::process_kill);
  Answer answer;
  const io::Instant asked = world.now();
  ask("never", answer);
  ASSERT_TRUE(wait([&] { return answer.has_come; })) << world.report();
  ASSERT_FALSE(answer.result.has_value());
  EXPECT_EQ(answer.result.error().kind, io::ErrorKind::timed_out);
  EXPECT_GT(world.now() - asked, 59s);
  EXPECT_LT(world.now() - asked, 61s);
  stop_forwarder();
}

// The controller takes the request and dies before, or after, it has answered: the request is sent
// again, and there is one topic.
TEST_F(ForwarderTest, SendsAgainWhatALostConnectionLeftOpen) {
  start_controller();
  start_forwarder();
  Answer warm;
  ask("warm", warm);
  ASSERT_TRUE(wait([&] { return warm.has_come; }));
  int answered_exists = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string name = fmt::format("cut-{}", i);
    Answer answer;
    ask(name, answer);
    world.run_for(std::chrono::microseconds(25 * i));
    world.network().reset_connections("broker", kControllerHost);
    ASSERT_TRUE(wait([&] { return answer.has_come; })) << world.report();
    ASSERT_TRUE(answer.result.has_value()) << answer.result.error().message;
    const bool exists =
        answer.error_code == static_cast<std::int16_t>(ErrorCode::topic_already_exists);
    EXPECT_TRUE(answer.error_code == 0 || exists) << answer.error_code;
    answered_exists += exists ? 1 : 0;
    EXPECT_TRUE(has_topic(name));
  }
  EXPECT_GT(answered_exists, 0);  // some were cut between the commit and the answer
  EXPECT_LT(answered_exists, 40);
  stop_forwarder();
}

// Nobody hears of the loss: the request's own time-out ends the wait, and the next try succeeds.
TEST_F(ForwarderTest, LeavesAConnectionThatSwallowsEverything) {
  start_controller({.session_timeout_ms = 600'000});
  start_forwarder();
  Answer warm;
  ask("warm", warm);
  ASSERT_TRUE(wait([&] { return warm.has_come; }));
  world.mutable_swarm().network.give_up_after = 10min;
  world.network().block("broker", kControllerHost);
  Answer answer;
  const io::Instant asked = world.now();
  ask("swallowed", answer);
  world.run_for(29s);
  EXPECT_FALSE(answer.has_come);
  world.run_for(2s);  // the first try is over
  world.network().heal();
  ASSERT_TRUE(wait([&] { return answer.has_come; }, 28s)) << world.report();
  EXPECT_TRUE(answer.result.has_value());
  EXPECT_EQ(answer.error_code, 0);
  EXPECT_LT(world.now() - asked, 60s);
  EXPECT_TRUE(has_topic("swallowed"));
  stop_forwarder();
}

// The same topic from many at once, over one connection: exactly one makes it.
TEST_F(ForwarderTest, RequestsUnderWaySeeEachOther) {
  start_controller();
  start_forwarder();
  std::deque<Answer> answers(20);
  for (Answer& answer : answers) ask("same", answer);
  ASSERT_TRUE(wait([&] { return std::ranges::all_of(answers, &Answer::has_come); }));
  EXPECT_EQ(std::ranges::count(answers, 0, &Answer::error_code), 1);
  EXPECT_EQ(std::ranges::count(answers, static_cast<std::int16_t>(ErrorCode::topic_already_exists),
                               &Answer::error_code),
            19);
  stop_forwarder();
}

TEST_F(ForwarderTest, CloseEndsWhatWaits) {
  start_controller();
  start_forwarder();
  crash_controller(io::sim::CrashKind::process_kill);
  std::deque<Answer> answers(3);
  for (Answer& answer : answers) ask("none", answer);
  IdAnswer id;
  ask_id(id);
  world.run_for(300ms);
  const io::Instant asked = world.now();
  stop_forwarder();
  EXPECT_LT(world.now() - asked, 11s);  // a connect under way may take its own time
  for (const Answer& answer : answers) {
    ASSERT_FALSE(answer.result.has_value());
    EXPECT_EQ(answer.result.error().kind, io::ErrorKind::closed);
  }
  EXPECT_TRUE(id.has_come);
  EXPECT_FALSE(id.id.has_value());
}

TEST_F(ForwarderTest, OneBlockServesAllWhoWait) {
  start_controller();
  start_forwarder();
  std::deque<IdAnswer> answers(1500);
  for (IdAnswer& answer : answers) ask_id(answer);
  ASSERT_TRUE(wait([&] { return std::ranges::all_of(answers, &IdAnswer::has_come); }));
  std::set<ProducerId> ids;
  for (const IdAnswer& answer : answers) {
    ASSERT_TRUE(answer.id.has_value());
    EXPECT_TRUE(ids.insert(*answer.id).second);
  }
  EXPECT_EQ(*ids.rbegin(), 1499);
  EXPECT_EQ(state().next_producer_id, 2000);  // two blocks
  stop_forwarder();
}

TEST_F(ForwarderTest, AStaleEpochGetsNoIds) {
  start_controller();
  start_forwarder();
  epoch += 1;
  IdAnswer answer;
  ask_id(answer);
  ASSERT_TRUE(wait([&] { return answer.has_come; }));
  ASSERT_FALSE(answer.id.has_value());
  EXPECT_THAT(answer.id.error().message, HasSubstr("STALE_BROKER_EPOCH"));
  stop_forwarder();
}

// Fifty who wait for a controller that is away all hear of it when the first one does.
TEST_F(ForwarderTest, AFailedAllocationFailsAllWhoWaitedForIt) {
  start_controller();
  start_forwarder();
  IdAnswer first;
  ask_id(first);
  ASSERT_TRUE(wait([&] { return first.has_come; }));
  std::deque<IdAnswer> rest(999);  // the end of the block
  for (IdAnswer& answer : rest) ask_id(answer);
  ASSERT_TRUE(wait([&] { return std::ranges::all_of(rest, &IdAnswer::has_come); }));
  world.mutable_swarm().network.give_up_after = 10min;
  world.network().block("broker", kControllerHost);
  std::deque<IdAnswer> answers(50);
  for (IdAnswer& answer : answers) ask_id(answer);
  ASSERT_TRUE(wait([&] { return std::ranges::all_of(answers, &IdAnswer::has_come); }, 31s))
      << world.report();
  for (const IdAnswer& answer : answers) EXPECT_FALSE(answer.id.has_value());
  world.network().heal();
  IdAnswer later;
  ask_id(later);
  ASSERT_TRUE(wait([&] { return later.has_come; }));
  EXPECT_TRUE(later.id.has_value());
  stop_forwarder();
}

// Ids stay unique, and topics that were promised stay, whatever dies and whenever.
using ForwarderSeedsTest = SeededTest<ForwarderTest>;

TEST_P(ForwarderSeedsTest, WhatWasAnsweredHolds) {
  auto prng = world.prng("plan");
  restart_controller();
  start_forwarder();
  ASSERT_NE(forwarder, nullptr);
  std::deque<IdAnswer> ids;
  std::deque<Answer> topics;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 200; ++i) ask_id(ids.emplace_back());
    for (int i = 0; i < 3; ++i) ask(fmt::format("t{}", topics.size()), topics.emplace_back());
    world.run_for(std::chrono::milliseconds(prng.below(100)));
    if (prng.chance(0.2)) {
      interrupt_controller(prng, 2000);
    } else if (prng.chance(0.3)) {
      world.network().reset_connections("broker", kControllerHost);
    }
  }
  world.end_faults();
  ASSERT_TRUE(wait([&] {
    return std::ranges::all_of(ids, &IdAnswer::has_come) &&
           std::ranges::all_of(topics, &Answer::has_come) && is_serving();
  })) << world.report();
  std::set<ProducerId> given;
  for (const IdAnswer& answer : ids) {
    if (answer.id) {
      EXPECT_TRUE(given.insert(*answer.id).second) << *answer.id;
    }
  }
  // In the calm after it all: once more if the connection had died unnoticed.
  std::deque<IdAnswer> last(2);
  for (IdAnswer& answer : last) {
    ask_id(answer);
    ASSERT_TRUE(wait([&] { return answer.has_come; })) << world.report();
  }
  ASSERT_TRUE(last[1].id.has_value()) << last[1].id.error().message;
  EXPECT_TRUE(given.insert(*last[1].id).second);
  EXPECT_GT(state().next_producer_id, *given.rbegin());
  std::size_t made = 0;
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const bool exists =
        topics[i].result.has_value() &&
        (topics[i].error_code == 0 ||
         topics[i].error_code == static_cast<std::int16_t>(ErrorCode::topic_already_exists));
    if (exists) {
      EXPECT_TRUE(has_topic(fmt::format("t{}", i)));
    }
    made += exists ? 1 : 0;
  }
  EXPECT_GT(made, 0U);
  stop_forwarder();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ForwarderSeedsTest, ::testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace ottla::metadata
