// The network between nodes, and that each of its faults is seen to bite.
#include "io/sim/network.h"

#include <set>

#include "io/sim/test_support.h"

namespace ottla::io::sim {
namespace {

using Conn = std::unique_ptr<Connection>;

// Two nodes, "a" connects to "b". Each side runs what the test gives it, with its end of the
// connection.
struct Two {
  using Side = std::function<Task<int>(Env&, Connection&)>;
  explicit Two(SwarmOptions swarm = {}, std::uint64_t seed = 1)
      : world({.seed = seed, .swarm = swarm}), a(world.add_node("a")), b(world.add_node("b")) {}

  void start(Side a_side, Side b_side) {
    b.start(1, [b_side](Env& env) { return accept_one(env, b_side); });
    a.start(1, [a_side](Env& env) { return connect(env, a_side); });
  }
  bool finish(Duration limit = 60min) {
    return world.run_until([&] { return !a.is_running() && !b.is_running(); }, limit);
  }
  static Task<int> accept_one(Env& env, Side side) {
    auto listener = co_await env.network.listen({"", 1});
    auto connection = co_await (*listener)->accept();
    co_return co_await side(env, **connection);
  }
  static Task<int> connect(Env& env, Side side) {
    auto connection = co_await env.network.connect({"b", 1});
    while (!connection) {
      co_await sleep_for(env.clock, 1ms);
      connection = co_await env.network.connect({"b", 1});
    }
    co_return co_await side(env, **connection);
  }
  const NetworkCounters& counters() { return world.network().counters(); }

  World world;
  Node& a;
  Node& b;
};

Task<int> idle(Env& env, Connection&) {
  co_await env.stop.wait();
  co_return 0;
}

// Sends `count` bytes 0, 1, 2 ... and ends.
Two::Side send_bytes(std::size_t count, std::size_t at_once) {
  return [=](Env&, Connection& connection) -> Task<int> {
    for (std::size_t at = 0; at < count; at += at_once) {
      Slice slice = Slice::allocate(std::min(at_once, count - at));
      for (std::size_t i = 0; i < slice.size(); ++i)
        slice.mutable_data()[i] = static_cast<std::uint8_t>((at + i) % 251);
      if (!co_await connection.write(Gather(slice))) co_return 1;
    }
    co_return 0;
  };
}

struct Received {
  std::size_t bytes = 0;
  std::size_t reads = 0;
  bool in_order = true;
  bool ended = false;
  std::optional<ErrorKind> error;
};

Two::Side receive_into(Received& received) {
  return [&received](Env&, Connection& connection) -> Task<int> {
    Bytes buffer(10'000);
    for (;;) {
      auto got = co_await connection.read_some(buffer);
      if (!got) received.error = got.error().kind;
      if (got && *got == 0) received.ended = true;
      if (!got || *got == 0) co_return 0;
      ++received.reads;
      for (std::size_t i = 0; i < *got; ++i)
        received.in_order = received.in_order && buffer[i] == (received.bytes + i) % 251;
      received.bytes += *got;
    }
  };
}

TEST(Network, carries_a_stream_in_order_in_pieces) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SwarmOptions swarm;
    swarm.network.chunk = 0.5;
    swarm.network.short_read = 0.5;
    swarm.network.delay_tail = 0.3;
    Two two(swarm, seed);
    Received received;
    two.start(send_bytes(100'000, 7'000), receive_into(received));
    ASSERT_TRUE(two.finish()) << two.world.report();
    EXPECT_EQ(received.bytes, 100'000u);
    EXPECT_TRUE(received.in_order);
    EXPECT_TRUE(received.ended);
    EXPECT_GT(received.reads, 15u);
    EXPECT_GT(two.counters().split, 0u);
    EXPECT_EQ(two.world.network().open_connections(), 0u);
  }
}

TEST(Network, holds_a_fast_writer_back) {
  SwarmOptions swarm;
  swarm.network.buffer_bytes = 4096;
  Two two(swarm);
  std::size_t written = 0;
  two.start(
      [&](Env&, Connection& connection) -> Task<int> {
        for (int i = 0; i < 100; ++i) {
          if (!co_await connection.write(Gather(Slice::copy_of(filled(1000, 1))))) co_return 1;
          written += 1000;
        }
        co_return 0;
      },
      idle);
  two.world.run_for(10s);
  EXPECT_EQ(written, 4000u);
  EXPECT_GT(two.counters().writer_waits, 0u);
}

TEST(Network, keeps_no_order_between_connections) {
  bool swapped = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.seed = seed});
    Node& a = world.add_node("a");
    Node& b = world.add_node("b");
    std::string arrived;
    b.start(1, [&](Env& env) -> Task<int> {
      struct Serve {
        static Task<void> one(Conn connection, std::string& to) {
          Bytes buffer(10);
          auto got = co_await connection->read_some(buffer);
          if (got) to += as_text({buffer.data(), *got});
        }
      };
      auto listener = co_await env.network.listen({"", 1});
      for (int i = 0; i < 2; ++i)
        env.executor.spawn(Serve::one(*co_await (*listener)->accept(), arrived));
      co_await env.stop.wait();
      co_return 0;
    });
    a.start(1, [](Env& env) -> Task<int> {
      co_await sleep_for(env.clock, 1ms);
      auto first = co_await env.network.connect({"b", 1});
      auto second = co_await env.network.connect({"b", 1});
      static_cast<void>(co_await (*first)->write(Gather(text("1"))));
      static_cast<void>(co_await (*second)->write(Gather(text("2"))));
      co_await env.stop.wait();
      co_return 0;
    });
    world.run_until([&] { return arrived.size() == 2; }, 10s);
    swapped = swapped || arrived == "21";
  }
  EXPECT_TRUE(swapped);
}

TEST(Network, a_slow_link_and_a_narrow_one_take_time) {
  for (bool narrow : {false, true}) {
    SwarmOptions swarm;
    if (narrow) swarm.network.bytes_per_second = 10'000;
    Two two(swarm);
    if (!narrow) two.world.network().slow_down("a", "b", 9s);
    Received received;
    two.start(send_bytes(100'000, 100'000), receive_into(received));
    ASSERT_TRUE(two.finish());
    EXPECT_EQ(received.bytes, 100'000u);
    EXPECT_GT(two.world.now(), Instant{} + 9s);
  }
}

TEST(Network, sends_ranges_of_files) {
  Two two;
  two.a.disk().put("f", filled(200'000, 5));
  std::size_t count = 0;
  two.start(
      [](Env& env, Connection& connection) -> Task<int> {
        auto file = co_await env.disk.open("f", {});
        Gather what(text("<"));
        what.append(FileRange{*file, 10, 150'000});
        what.append(text(">"));
        if (!co_await connection.write(std::move(what))) co_return 1;
        Gather too_long;
        too_long.append(FileRange{*file, 199'999, 2});
        auto failed = co_await connection.write(std::move(too_long));
        co_return !failed && failed.error().kind == ErrorKind::input_output ? 0 : 2;
      },
      [&](Env&, Connection& connection) -> Task<int> {
        Bytes buffer(10'000);
        for (;;) {
          auto got = co_await connection.read_some(buffer);
          if (!got || *got == 0) co_return 0;
          for (std::size_t i = 0; i < *got; ++i) count += buffer[i] == 5;
        }
      });
  ASSERT_TRUE(two.finish()) << two.world.report();
  EXPECT_EQ(two.a.exit_code(), 0);
  EXPECT_EQ(count, 150'000u);
}

TEST(NetworkFaults, a_partition_holds_bytes_until_it_heals) {
  Two two;
  Received received;
  bool connected = false;
  two.start(
      [&](Env& env, Connection& connection) -> Task<int> {
        connected = true;
        co_await sleep_for(env.clock, 1s);
        co_return co_await connection.write(Gather(Slice::copy_of(filled(1, 0)))) ? 0 : 1;
      },
      receive_into(received));
  ASSERT_TRUE(two.world.run_until([&] { return connected; }));
  two.world.network().partition({"a"}, {"b"});
  two.world.run_for(10s);
  EXPECT_EQ(received.bytes, 0u);
  two.world.network().heal();
  ASSERT_TRUE(two.finish());
  EXPECT_EQ(received.bytes, 1u);
  EXPECT_GT(two.counters().held_by_partition, 0u);
}

TEST(NetworkFaults, an_asymmetric_block_stops_one_direction) {
  Two two;
  Received at_a;
  Received at_b;
  bool connected = false;
  auto both = [&](Received& received) -> Two::Side {
    return [&](Env& env, Connection& connection) -> Task<int> {
      connected = true;
      co_await sleep_for(env.clock, 1s);
      if (!co_await connection.write(Gather(Slice::copy_of(filled(1, 0))))) co_return 1;
      co_return co_await receive_into(received)(env, connection);
    };
  };
  two.start(both(at_a), both(at_b));
  ASSERT_TRUE(two.world.run_until([&] { return connected; }));
  two.world.network().block("a", "b");
  two.world.run_for(10s);
  EXPECT_EQ(at_a.bytes, 1u);
  EXPECT_EQ(at_b.bytes, 0u);
}

TEST(NetworkFaults, a_long_partition_ends_in_a_half_open_connection) {
  SwarmOptions swarm;
  swarm.network.give_up_after = 5s;
  Two two(swarm);
  Received received;
  bool connected = false;
  std::optional<ErrorKind> sender_saw;
  two.start(
      [&](Env& env, Connection& connection) -> Task<int> {
        connected = true;
        co_await sleep_for(env.clock, 100ms);
        static_cast<void>(co_await connection.write(Gather(text("x"))));
        Bytes buffer(1);
        auto got = co_await connection.read_some(buffer);
        if (!got) sender_saw = got.error().kind;
        co_await env.stop.wait();
        co_return 0;
      },
      receive_into(received));
  ASSERT_TRUE(two.world.run_until([&] { return connected; }));
  two.world.network().block("a", "b");
  two.world.run_for(60s);
  EXPECT_EQ(sender_saw, ErrorKind::closed);
  EXPECT_EQ(two.counters().gave_up, 1u);
  EXPECT_TRUE(two.b.is_running());  // never heard of it
  EXPECT_FALSE(received.ended || received.error);
}

TEST(NetworkFaults, new_connections_do_not_cross_a_partition) {
  Two two;
  two.world.network().block("b", "a");
  std::optional<ErrorKind> saw;
  two.b.start(1, [](Env& env) -> Task<int> {
    auto listener = co_await env.network.listen({"", 1});
    co_await env.stop.wait();
    co_return 0;
  });
  two.a.start(1, [&](Env& env) -> Task<int> {
    auto connection = co_await env.network.connect({"b", 1});
    saw = connection.error().kind;
    co_return 0;
  });
  two.world.run_until([&] { return !two.a.is_running(); });
  EXPECT_EQ(saw, ErrorKind::timed_out);
  EXPECT_GT(two.world.now(), Instant{} + 9s);
}

TEST(NetworkFaults, resets_lose_an_unknown_tail) {
  std::set<std::size_t> prefixes;
  int half_open = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SwarmOptions swarm;
    swarm.network.reset = 0.2;
    swarm.network.half_open = 0.5;
    Two two(swarm, seed);
    Received received;
    bool failed = false;
    two.start(
        [&](Env& env, Connection& connection) -> Task<int> {
          failed = co_await send_bytes(100'000, 1000)(env, connection) != 0;
          co_await env.stop.wait();
          co_return 0;
        },
        receive_into(received));
    two.world.run_for(10s);
    ASSERT_EQ(two.counters().resets, 1u);
    EXPECT_TRUE(received.in_order);
    EXPECT_LT(received.bytes, 100'000u);
    if (two.counters().half_open == 0) {
      EXPECT_EQ(received.error, ErrorKind::closed);
    } else {
      ++half_open;
    }
    prefixes.insert(received.bytes);
  }
  EXPECT_GT(prefixes.size(), 3u);
  EXPECT_GT(half_open, 3);
  EXPECT_LT(half_open, 27);
}

TEST(NetworkFaults, connects_are_refused_and_lost) {
  SwarmOptions swarm;
  swarm.network.refuse = 0.5;
  swarm.network.lose_connect = 0.5;
  Two two(swarm);
  two.start([](Env&, Connection&) -> Task<int> { co_return 0; },
            [](Env&, Connection&) -> Task<int> { co_return 0; });
  ASSERT_TRUE(two.finish());
  EXPECT_GT(two.counters().refused + two.counters().connects_lost, 0u);
  Two nobody;
  std::optional<ErrorKind> saw;
  nobody.a.start(1, [&](Env& env) -> Task<int> {
    saw = (co_await env.network.connect({"b", 1})).error().kind;
    EXPECT_EQ((co_await env.network.connect({"nowhere", 1})).error().kind, ErrorKind::not_found);
    co_return 0;
  });
  nobody.world.run_until([&] { return !nobody.a.is_running(); });
  EXPECT_EQ(saw, ErrorKind::refused);
}

TEST(NetworkFaults, a_killed_peer_is_noticed) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Two two({}, seed);
    Received received;
    bool connected = false;
    two.start(
        [&](Env& env, Connection& connection) {
          connected = true;
          return idle(env, connection);
        },
        receive_into(received));
    ASSERT_TRUE(two.world.run_until([&] { return connected; }));
    two.a.crash(CrashKind::process_kill);
    two.world.run_until([&] { return !two.b.is_running(); }, 1s);
    EXPECT_TRUE(received.ended || received.error);
  }
}

TEST(NetworkFaults, a_peer_without_power_is_silent_until_it_is_back) {
  Two two;
  bool connected = false;
  std::optional<ErrorKind> saw;
  two.start(
      [&](Env& env, Connection& connection) -> Task<int> {
        connected = true;
        for (;;) {
          co_await sleep_for(env.clock, 1s);
          auto wrote = co_await connection.write(Gather(text("?")));
          if (!wrote) saw = wrote.error().kind;
          if (!wrote) co_return 0;
        }
      },
      idle);
  ASSERT_TRUE(two.world.run_until([&] { return connected; }));
  two.b.crash(CrashKind::power_loss);
  two.world.run_for(10s);
  EXPECT_FALSE(saw);
  two.b.start(1, [](Env& env) -> Task<int> {
    co_await env.stop.wait();
    co_return 0;
  });
  two.world.run_for(10s);
  EXPECT_EQ(saw, ErrorKind::closed);
}

TEST(Network, shards_share_a_port_and_others_do_not_get_it) {
  World world;
  Node& b = world.add_node("b");
  Node& a = world.add_node("a");
  world.network().occupy_port("b", 7);
  std::array<int, 2> accepted{};
  b.start(2, [&](Env& env) -> Task<int> {
    EXPECT_EQ((co_await env.network.listen({"", 7})).error().kind, ErrorKind::in_use);
    auto listener = co_await env.network.listen({"", 1});
    EXPECT_EQ((co_await env.network.listen({"", 1})).error().kind, ErrorKind::in_use);
    for (;;) {
      if (co_await (*listener)->accept()) ++accepted[env.shard];
    }
  });
  EXPECT_EQ(run(world, a,
                [](Env& env) -> Task<int> {
                  co_await sleep_for(env.clock, 1s);
                  for (int i = 0; i < 40; ++i)
                    if (!co_await env.network.connect({"b", 1})) co_return 1;
                  co_return 0;
                }),
            0);
  EXPECT_GT(accepted[0], 5);
  EXPECT_GT(accepted[1], 5);
  EXPECT_EQ(accepted[0] + accepted[1], 40);
}

}  // namespace
}  // namespace ottla::io::sim
