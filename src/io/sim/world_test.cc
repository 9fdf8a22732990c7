#include "io/sim/world.h"

#include <gtest/gtest.h>

namespace ottla::io::sim {
namespace {

Task<int> echo_server(Env& env) {
  auto listener = co_await env.network.listen({"", 9092});
  if (!listener) co_return 1;
  auto connection = co_await (*listener)->accept();
  if (!connection) co_return 2;
  Bytes buffer(1000);
  for (;;) {
    auto got = co_await (*connection)->read_some(buffer);
    if (!got || *got == 0) co_return 0;
    Gather back(Slice::copy_of({buffer.data(), *got}));
    if (!co_await (*connection)->write(std::move(back))) co_return 3;
  }
}

Task<int> echo_client(Env& env, std::string& heard) {
  auto connection = co_await env.network.connect({"server", 9092});
  while (!connection) {
    co_await sleep_for(env.clock, 1ms);
    connection = co_await env.network.connect({"server", 9092});
  }
  if (!co_await (*connection)->write(Gather(Slice::copy_of(as_bytes("hello there"))))) co_return 1;
  Bytes buffer(100);
  while (heard.size() < 11) {
    auto got = co_await (*connection)->read_some(buffer);
    if (!got || *got == 0) co_return 2;
    heard += as_text({buffer.data(), *got});
  }
  co_return 0;
}

TEST(World, two_nodes_talk) {
  World world;
  Node& server = world.add_node("server");
  Node& client = world.add_node("client");
  std::string heard;
  server.start(1, echo_server);
  client.start(1, [&](Env& env) { return echo_client(env, heard); });
  ASSERT_TRUE(world.run_until([&] { return !client.is_running() && !server.is_running(); }))
      << world.report();
  EXPECT_EQ(heard, "hello there");
  EXPECT_EQ(client.exit_code(), 0);
  EXPECT_EQ(server.exit_code(), 0);
  EXPECT_GT(world.now().ns, 100'000);
  EXPECT_LT(world.now(), Instant{} + 100ms);
}

}  // namespace
}  // namespace ottla::io::sim
