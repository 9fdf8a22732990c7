// Connections over the simulated network: frames however they are cut, answers in order, bounds.
#include "rpc/server_connection.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/sim/test_support.h"
#include "rpc/acceptor.h"

namespace ottla::rpc {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr std::int16_t kProduce = 0;   // may overlap
constexpr std::int16_t kMetadata = 3;  // may not
constexpr std::int16_t kVersion = 1;   // of both: a request header without tagged fields
constexpr std::uint16_t kPort = 9092;
const io::Endpoint kThere{"host", kPort};

// Keeps what it was asked until the test answers; or echoes the body at once.
class ManualService final : public Service {
 public:
  struct Asked {
    std::int32_t correlation_id;
    std::string body;
    std::shared_ptr<Peer> peer;
    ReplySlot reply;
    Slice memory;  // as a handler would hold it
  };

  void handle(Request request, const std::shared_ptr<Peer>& peer, ReplySlot reply) override {
    ++requests;
    if (is_echo) return reply.send(Gather(std::move(request.body)));
    asked.push_back({request.correlation_id, std::string(as_text(request.body)), peer,
                     std::move(reply), std::move(request.frame)});
  }
  bool may_overlap(std::int16_t api_key) const override { return api_key == kProduce; }
  bool serves(std::int16_t, std::int16_t version) const override { return version == kVersion; }

  std::vector<std::int32_t> ids() const {
    std::vector<std::int32_t> found;
    for (const Asked& one : asked) found.push_back(one.correlation_id);
    return found;
  }

  bool is_echo = false;
  std::deque<Asked> asked;
  int requests = 0;
};

// A frame with its length: header v1 and `body`.
std::string request(std::int16_t key, std::int32_t correlation_id, std::string_view body) {
  Bytes head(4 + 2 + 2 + 4 + 2);
  store_big<std::uint32_t>(head.data(), static_cast<std::uint32_t>(head.size() - 4 + body.size()));
  store_big<std::int16_t>(head.data() + 4, key);
  store_big<std::int16_t>(head.data() + 6, kVersion);
  store_big<std::int32_t>(head.data() + 8, correlation_id);
  store_big<std::int16_t>(head.data() + 12, -1);  // no client id
  return std::string(as_text(head)).append(body);
}

struct Answer {
  std::int32_t correlation_id = -1;  // -1: the connection has ended
  std::string body;
};

// The client's side of one connection.
struct Caller {
  std::unique_ptr<io::Connection> connection;

  io::Task<bool> send(std::string bytes) {
    co_return (co_await connection->write(Gather(Slice::copy_of(as_bytes(bytes))))).has_value();
  }
  io::Task<std::string> read(std::size_t count) {
    std::string got;
    while (got.size() < count) {
      Bytes into(count - got.size());
      const auto read = co_await connection->read_some(into);
      if (!read || *read == 0) break;
      got += as_text(ByteView(into).first(*read));
    }
    co_return got;
  }
  io::Task<Answer> answer() {
    const std::string length = co_await read(4);
    if (length.size() < 4) co_return Answer{};
    const auto size = load_big<std::uint32_t>(as_bytes(length).data());
    const std::string frame = co_await read(size);
    if (frame.size() < size) co_return Answer{};
    co_return Answer{load_big<std::int32_t>(as_bytes(frame).data()), frame.substr(4)};
  }
};

// One process that serves and calls.
struct Scene {
  Scene(io::Env& in, ServerLimits limits, std::uint64_t budget_bytes, std::size_t connections_max)
      : env(in),
        budget(env.executor, budget_bytes),
        log(env.clock, env.logger),
        acceptor({env, service, limits, receive, budget, log}, "PLAINTEXT", connections_max) {}

  io::Task<Caller> call() {
    auto connection = co_await env.network.connect(kThere);
    co_return Caller{connection ? std::move(*connection) : nullptr};
  }
  io::Task<void> pause(io::Duration time = 100ms) { co_await io::sleep_for(env.clock, time); }

  io::Env& env;
  ManualService service;
  ReceiveBuffer receive;
  MemoryBudget budget;
  ClientLog log;
  Acceptor acceptor;
};

using Body = std::function<io::Task<void>(Scene&)>;

struct Settings {
  ServerLimits limits;
  std::uint64_t budget_bytes = 64 << 20;
  std::size_t connections_max = 100;
};

io::Task<int> serve_scene(io::Env& env, Settings settings, Body body) {
  Scene scene(env, settings.limits, settings.budget_bytes, settings.connections_max);
  if (!co_await scene.acceptor.listen(kThere)) co_return 1;
  scene.acceptor.start();
  co_await body(scene);
  co_await scene.acceptor.stop(1s);
  EXPECT_EQ(scene.budget.used_bytes(), 0u);
  EXPECT_EQ(scene.budget.answer_bytes(), 0u);
  co_return 0;
}

void run(Body body, Settings settings = {}) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    io::sim::World world({.seed = seed});
    io::sim::Node& node = world.add_node("host");
    EXPECT_EQ(
        io::sim::run(world, node, [&](io::Env& env) { return serve_scene(env, settings, body); }),
        0)
        << world.report();
  }
}

io::Task<void> frames_in_pieces(Scene& scene) {
  scene.service.is_echo = true;
  std::string all;
  std::vector<std::string> bodies;
  // around the sizes at which a frame gets a buffer of its own
  for (const std::size_t size : {0, 1, 1000, 32 * 1024 - 10, 32 * 1024, 40'000, 3, 300'000, 7}) {
    bodies.emplace_back(size, static_cast<char>('a' + bodies.size()));
    all += request(kProduce, static_cast<std::int32_t>(bodies.size()), bodies.back());
  }
  for (const std::size_t piece : {all.size(), std::size_t{65'536}, std::size_t{4'099}}) {
    Caller caller = co_await scene.call();
    for (std::size_t at = 0; at < all.size(); at += piece) {
      EXPECT_TRUE(co_await caller.send(all.substr(at, piece)));
      if (piece < all.size()) co_await scene.pause(1ms);
    }
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      const Answer answer = co_await caller.answer();
      EXPECT_EQ(answer.correlation_id, static_cast<std::int32_t>(i + 1));
      EXPECT_TRUE(answer.body == bodies[i]) << "body " << i << " came back otherwise";
    }
  }
}
TEST(ServerConnection, FindsFramesHoweverTheyAreCut) { run(frames_in_pieces); }

io::Task<void> single_bytes(Scene& scene) {
  Caller caller = co_await scene.call();
  for (const char byte : request(kProduce, 5, "x")) {
    EXPECT_TRUE(scene.service.asked.empty());
    EXPECT_TRUE(co_await caller.send({byte}));
    co_await scene.pause(1ms);
  }
  EXPECT_THAT(scene.service.ids(), ElementsAre(5));
}
TEST(ServerConnection, WaitsForTheLastByte) { run(single_bytes); }

io::Task<void> answers_in_order(Scene& scene) {
  Caller caller = co_await scene.call();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(co_await caller.send(request(kProduce, i, "")));
  co_await scene.pause();
  EXPECT_THAT(scene.service.ids(), ElementsAre(0, 1, 2, 3, 4)) << "they overlap";
  for (const std::size_t i : {4, 2, 0, 1, 3}) {
    const Slice body = Slice::copy_of(as_bytes(std::to_string(i)));
    if (i == 2) {
      scene.service.asked[i].reply.send_nothing();
    } else {
      scene.service.asked[i].reply.send(Gather(body));
    }
    co_await scene.pause(1ms);
  }
  for (const int i : {0, 1, 3, 4}) {
    const Answer answer = co_await caller.answer();
    EXPECT_EQ(answer.correlation_id, i);
    EXPECT_EQ(answer.body, std::to_string(i));
  }
}
TEST(ServerConnection, AnswersInTheOrderOfTheRequests) { run(answers_in_order); }

io::Task<void> effects_in_order(Scene& scene) {
  Caller caller = co_await scene.call();
  EXPECT_TRUE(co_await caller.send(request(kProduce, 1, "") + request(kMetadata, 2, "") +
                                   request(kMetadata, 3, "") + request(kProduce, 4, "")));
  for (std::int32_t i = 1; i <= 4; ++i) {
    co_await scene.pause();
    EXPECT_THAT(scene.service.ids(), ElementsAre(i)) << "one kind waits for the other";
    scene.service.asked.front().reply.send({});
    scene.service.asked.pop_front();
  }
}
TEST(ServerConnection, BeginsNothingBeforeAnotherKindIsAnswered) { run(effects_in_order); }

io::Task<void> many_in_flight(Scene& scene) {
  Caller caller = co_await scene.call();
  std::string all;
  for (std::int32_t i = 0; i < 10; ++i) all += request(kProduce, i, "");
  EXPECT_TRUE(co_await caller.send(all));
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 4);
  scene.service.asked[0].reply.send({});
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 5);
}
TEST(ServerConnection, BoundsTheRequestsInFlight) {
  run(many_in_flight, {.limits = {.requests_in_flight_max = 4}});
}

io::Task<void> bytes_in_flight(Scene& scene) {
  Caller caller = co_await scene.call();
  const std::string body(1000, 'x');
  std::string all;
  for (std::int32_t i = 0; i < 10; ++i) all += request(kProduce, i, body);
  EXPECT_TRUE(co_await caller.send(all));
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 3);
}
TEST(ServerConnection, BoundsTheBytesInFlight) {
  run(bytes_in_flight, {.limits = {.in_flight_bytes_max = 3500}});
}

io::Task<void> one_budget(Scene& scene) {
  const std::string body(100'000, 'x');
  std::vector<Caller> callers;
  for (std::int32_t i = 0; i < 6; ++i) {
    callers.push_back(co_await scene.call());
    EXPECT_TRUE(co_await callers.back().send(request(kProduce, i, body)));
  }
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 3) << "three quarters of 400,000 bytes are for large requests";
  Caller small = co_await scene.call();
  EXPECT_TRUE(co_await small.send(request(kProduce, 7, "small")));
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 4) << "a small request waits behind large ones";
  while (!scene.service.asked.empty()) {
    scene.service.asked.front().reply.send({});
    scene.service.asked.pop_front();
    co_await scene.pause();
  }
  EXPECT_EQ(scene.service.requests, 7);
}
TEST(ServerConnection, ConnectionsShareABudget) { run(one_budget, {.budget_bytes = 401'000}); }

io::Task<void> larger_than_all(Scene& scene) {
  scene.service.is_echo = true;
  Caller caller = co_await scene.call();
  EXPECT_TRUE(co_await caller.send(request(kProduce, 1, std::string(500'000, 'x'))));
  EXPECT_EQ((co_await caller.answer()).correlation_id, 1);
}
TEST(ServerConnection, OneRequestIsLetInWhateverItsSize) {
  run(larger_than_all, {.budget_bytes = 10'000});
}

io::Task<void> stalled(Scene& scene) {
  Caller slow = co_await scene.call();
  EXPECT_TRUE(co_await slow.send(request(kProduce, 1, std::string(90'000, 'x')).substr(0, 80'000)));
  co_await scene.pause(10s);
  EXPECT_EQ(scene.acceptor.connections(), 1u) << "nobody waits for its place";
  Caller other = co_await scene.call();
  EXPECT_TRUE(co_await other.send(request(kProduce, 2, std::string(90'000, 'y'))));
  co_await scene.pause(5s);
  EXPECT_THAT(scene.service.ids(), ElementsAre(2));
  EXPECT_EQ((co_await slow.answer()).correlation_id, -1);
}
TEST(ServerConnection, AStalledRequestDoesNotKeepOthersOut) {
  run(stalled, {.budget_bytes = 100'000});
}

io::Task<void> bad_frames(Scene& scene) {
  scene.service.is_echo = true;
  const std::string good = request(kProduce, 1, "good");
  const std::string bad_version = std::string(good).replace(6, 2, {'\0', '\x63'});
  for (const std::string& bad : {std::string("\x16\x03\x01\x02", 4), std::string(8, '\xff'),
                                 std::string("\0\0\0\x07", 4), bad_version}) {
    Caller caller = co_await scene.call();
    EXPECT_TRUE(co_await caller.send(good + bad + std::string(20, 'z')));
    EXPECT_EQ((co_await caller.answer()).body, "good") << "what was asked before is answered";
    EXPECT_EQ((co_await caller.answer()).correlation_id, -1);
  }
}
TEST(ServerConnection, EndsAtABadFrame) { run(bad_frames); }

io::Task<void> close_by_handler(Scene& scene) {
  Caller caller = co_await scene.call();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await caller.send(request(kProduce, i, "")));
  co_await scene.pause();
  scene.service.asked[2].reply.send({});
  scene.service.asked[1].reply.close("it is wrong");
  co_await scene.pause();
  scene.service.asked[0].reply.send({});
  EXPECT_EQ((co_await caller.answer()).correlation_id, 0);
  EXPECT_EQ((co_await caller.answer()).correlation_id, -1) << "the third one is not answered";
}
TEST(ServerConnection, ClosesBehindTheAnswersBefore) { run(close_by_handler); }

io::Task<void> client_goes(Scene& scene) {
  Caller caller = co_await scene.call();
  EXPECT_TRUE(co_await caller.send(request(kMetadata, 1, "")));
  co_await scene.pause();
  ManualService::Asked& asked = scene.service.asked.front();
  io::Event waiting(scene.env.executor);
  {
    const WakeWhenGone wake(*asked.peer, waiting);
    EXPECT_FALSE(asked.peer->is_gone);
    caller.connection->close();
    co_await scene.pause();
    EXPECT_TRUE(waiting.is_set());
    EXPECT_TRUE(asked.peer->is_gone);
    EXPECT_EQ(scene.acceptor.connections(), 0u);
  }
  EXPECT_TRUE(asked.peer->to_wake.empty());
  asked.reply.send({});  // does nothing
}
TEST(ServerConnection, TellsWhoWaitsThatTheClientHasGone) { run(client_goes); }

io::Task<void> idle(Scene& scene) {
  Caller caller = co_await scene.call();
  Caller waiting = co_await scene.call();
  EXPECT_TRUE(co_await waiting.send(request(kMetadata, 1, "")));
  co_await scene.pause(3s);
  EXPECT_EQ((co_await caller.answer()).correlation_id, -1);
  EXPECT_EQ(scene.acceptor.connections(), 1u) << "who waits for an answer is not idle";
  scene.service.asked.front().reply.send({});
  EXPECT_EQ((co_await waiting.answer()).correlation_id, 1);
}
TEST(Acceptor, ClosesIdleConnections) { run(idle, {.limits = {.idle_ms_max = 1000}}); }

io::Task<void> too_many(Scene& scene) {
  scene.service.is_echo = true;
  std::vector<Caller> callers;
  for (int i = 0; i < 5; ++i) callers.push_back(co_await scene.call());
  co_await scene.pause();
  EXPECT_EQ(scene.acceptor.connections(), 3u);
  int served = 0;
  for (Caller& caller : callers) {
    (void)co_await caller.send(request(kProduce, 1, ""));
    if ((co_await caller.answer()).correlation_id == 1) ++served;
  }
  EXPECT_EQ(served, 3);
}
TEST(Acceptor, RefusesMoreConnectionsThanAllowed) { run(too_many, {.connections_max = 3}); }

io::Task<void> graceful_stop(Scene& scene) {
  Caller caller = co_await scene.call();
  Caller never = co_await scene.call();
  Caller idle = co_await scene.call();
  EXPECT_TRUE(co_await caller.send(request(kProduce, 1, "")));
  EXPECT_TRUE(co_await never.send(request(kProduce, 2, "")));
  co_await scene.pause();
  io::TaskGroup tasks(scene.env.executor);
  tasks.spawn(scene.acceptor.stop(2s));
  co_await scene.pause(1s);
  (void)co_await never.send(request(kProduce, 3, ""));
  co_await scene.pause();
  EXPECT_EQ(scene.service.requests, 2) << "a new request is begun while stopping";
  EXPECT_EQ((co_await idle.answer()).correlation_id, -1) << "nothing is due there";
  for (ManualService::Asked& asked : scene.service.asked) {
    if (asked.correlation_id == 1) asked.reply.send({});
  }
  EXPECT_EQ((co_await caller.answer()).correlation_id, 1);
  EXPECT_EQ((co_await caller.answer()).correlation_id, -1);
  EXPECT_EQ((co_await never.answer()).correlation_id, -1) << "at the end of the grace";
  co_await tasks.join();
}
TEST(Acceptor, AStopAnswersWhatWasBegun) { run(graceful_stop); }

struct Lines final : Logger {
  void write(LogLevel, std::string_view line) override { all.emplace_back(line); }
  bool enabled(LogLevel) const override { return true; }
  std::vector<std::string> all;
};

io::Task<int> write_many_lines(io::Env& env) {
  Lines lines;
  ClientLog log(env.clock, lines);
  for (int i = 0; i < 25; ++i) log.write(std::to_string(i));
  EXPECT_EQ(lines.all.size(), ClientLog::kLinesMax);
  EXPECT_EQ(lines.all.back(), "9");
  co_await io::sleep_for(env.clock, ClientLog::kWindow);
  log.write("later");
  EXPECT_EQ(lines.all.size(), ClientLog::kLinesMax + 2);
  EXPECT_THAT(lines.all[10], ::testing::HasSubstr("15 more lines"));
  EXPECT_EQ(lines.all[11], "later");
  co_return 0;
}

TEST(ClientLog, LeavesOutWhatIsTooMuch) {
  io::sim::World world({.seed = 1});
  io::sim::Node& node = world.add_node("host");
  EXPECT_EQ(io::sim::run(world, node, write_many_lines), 0);
}

}  // namespace
}  // namespace ottla::rpc
