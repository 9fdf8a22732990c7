// What only the real network shows: ports shared by shards and by nobody else, names, descriptors
// running out.
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <filesystem>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

#include "io/real/file_descriptor.h"
#include "io/real/runtime_test_support.h"

namespace ottla::io::real {
namespace {

using namespace std::chrono_literals;

struct Meeting {
  std::atomic<std::uint16_t> port{0};
  std::atomic<unsigned> listening{0};
  std::vector<std::atomic<int>> accepted = std::vector<std::atomic<int>>(4);
};

Task<void> accept_all(Listener& listener, std::atomic<int>& count) {
  while (auto accepted = co_await listener.accept()) ++count;
}

constexpr int kConnections = 200;

Task<int> share_a_port(Env& env, Meeting& meeting) {
  if (env.shard != 0) {
    while (meeting.port.load() == 0) co_await sleep_for(env.clock, 100us);
  }
  auto listener = co_await env.network.listen({"127.0.0.1", meeting.port.load()});
  if (!listener) co_return 1;
  meeting.port.store((*listener)->local().port);
  TaskGroup group(env.executor);
  group.spawn(accept_all(**listener, meeting.accepted[env.shard]));
  meeting.listening.fetch_add(1);
  while (meeting.listening.load() < env.shards.count()) co_await sleep_for(env.clock, 100us);
  if (env.shard == 0) {
    for (int i = 0; i < kConnections; ++i) {
      if (!co_await env.network.connect({"127.0.0.1", meeting.port.load()})) co_return 2;
    }
  }
  const auto total = [&] {
    int sum = 0;
    for (auto& count : meeting.accepted) sum += count.load();
    return sum;
  };
  while (total() < kConnections) co_await sleep_for(env.clock, 100us);
  (*listener)->close();
  co_await group.join();
  co_return 0;
}

TEST(RealNetwork, ShardsShareAPort) {
  Meeting meeting;
  Runtime runtime(quiet(4));
  EXPECT_EQ(runtime.run([&](Env& env) { return share_a_port(env, meeting); }), 0);
  for (auto& count : meeting.accepted) EXPECT_EQ(count.load(), kConnections / 4);
}

Task<int> listen_once(Env& env, Endpoint at, Error& error) {
  auto listener = co_await env.network.listen(at);
  if (!listener) error = listener.error();
  co_return listener ? 1 : 0;
}

// Another process of the same user, also with SO_REUSEPORT, as another broker would be.
TEST(RealNetwork, AnotherProcessHasThePort) {
  for (const bool shared : {false, true}) {
    FileDescriptor other(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    if (shared) ::setsockopt(other.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    ASSERT_EQ(::bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(other.get(), 10), 0);
    socklen_t size = sizeof address;
    ::getsockname(other.get(), reinterpret_cast<sockaddr*>(&address), &size);
    Error error;
    Runtime runtime(quiet(1));
    runtime.run(
        [&](Env& env) { return listen_once(env, {"127.0.0.1", ntohs(address.sin_port)}, error); });
    EXPECT_EQ(error.kind, ErrorKind::in_use) << error.message;
    EXPECT_NE(error.message.find("127.0.0.1:"), std::string::npos) << error.message;
  }
}

Task<int> two_worlds_at_one_port(Env& env, Runtime& other, Error& error) {
  auto listener = co_await env.network.listen({"127.0.0.1", 0});
  if (!listener) co_return 1;
  const Endpoint at = (*listener)->local();
  co_return other.run([&](Env& second) { return listen_once(second, at, error); });
}

TEST(RealNetwork, TwoRuntimesDoNotShareAPort) {
  Runtime first(quiet(1));
  Runtime second(quiet(1));
  Error error;
  EXPECT_EQ(first.run([&](Env& env) { return two_worlds_at_one_port(env, second, error); }), 0);
  EXPECT_EQ(error.kind, ErrorKind::in_use) << error.message;
}

// Of the connections that this process has accepted or made at a port.
std::vector<std::string> congestion_controls_at(std::uint16_t port) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename());
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        ntohs(address.sin_port) != port) {
      continue;
    }
    char name[16] = {};
    size = sizeof name;
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0) {
      names.emplace_back(name);
    }
  }
  return names;
}

Task<int> accept_and_look(Env& env, std::string host, std::vector<std::string>& names) {
  auto listener = co_await env.network.listen({host, 0});
  if (!listener) co_return 1;
  const std::uint16_t port = (*listener)->local().port;
  auto client = co_await env.network.connect({"127.0.0.1", port});
  auto accepted = co_await (*listener)->accept();
  if (!client || !accepted) co_return 2;
  names = congestion_controls_at(port);
  co_return 0;
}

TEST(RealNetwork, OnLoopbackNothingIsPaced) {
  Runtime runtime(quiet(1));
  std::vector<std::string> names;
  ASSERT_EQ(runtime.run([&](Env& env) { return accept_and_look(env, "127.0.0.1", names); }), 0);
  EXPECT_EQ(names, std::vector<std::string>(2, "reno"));  // the listener's and the connection's
}

Task<int> meet_at(Env& env, Endpoint at, std::string connect_to, std::string peer) {
  auto listener = co_await env.network.listen(at);
  if (!listener) co_return listener.error().kind == ErrorKind::invalid ? 0 : 1;  // no IPv6 here
  auto client = co_await env.network.connect({connect_to, (*listener)->local().port});
  if (!client) co_return 2;
  auto server = co_await (*listener)->accept();
  if (!server) co_return 3;
  co_return peer.empty() || (*server)->peer().host == peer ? 0 : 4;
}

TEST(RealNetwork, NamesAndBothFamilies) {
  const auto meet = [](Endpoint at, std::string to, std::string peer) {
    Runtime runtime(quiet(1));
    return runtime.run([&](Env& env) { return meet_at(env, at, to, peer); });
  };
  EXPECT_EQ(meet({"", 0}, "127.0.0.1", "127.0.0.1"), 0);
  EXPECT_EQ(meet({"localhost", 0}, "localhost", ""), 0);
  EXPECT_EQ(meet({"::1", 0}, "::1", "::1"), 0);
}

Task<int> connect_to(Env& env, Endpoint to, Error& error) {
  auto connection = co_await env.network.connect(to);
  if (!connection) error = connection.error();
  co_return 0;
}

TEST(RealNetwork, AnUnknownName) {
  Error error;
  Runtime runtime(quiet(1));
  runtime.run([&](Env& env) { return connect_to(env, {"no-such-host.invalid", 9}, error); });
  EXPECT_TRUE(error.kind == ErrorKind::not_found || error.kind == ErrorKind::timed_out)
      << error.message;
  EXPECT_NE(error.message.find("no-such-host.invalid"), std::string::npos) << error.message;
}

Task<int> run_out_of_descriptors(Env& env, Error& error) {
  auto listener = co_await env.network.listen({"127.0.0.1", 0});
  if (!listener) co_return 1;
  auto client = co_await env.network.connect((*listener)->local());
  if (!client) co_return 2;
  co_await sleep_for(env.clock, 5ms);
  std::vector<FileDescriptor> taken;
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  rlimit low{200, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &low);
  while (true) {
    FileDescriptor next(::dup(0));
    if (!next.is_open()) break;
    taken.push_back(std::move(next));
  }
  auto accepted = co_await (*listener)->accept();
  taken.clear();
  ::setrlimit(RLIMIT_NOFILE, &old);
  if (accepted) co_return 3;
  error = accepted.error();
  accepted = co_await (*listener)->accept();  // the connection has waited
  co_return accepted ? 0 : 4;
}

TEST(RealNetwork, DescriptorsRunOutAndComeBack) {
  Error error;
  Runtime runtime(quiet(1));
  EXPECT_EQ(runtime.run([&](Env& env) { return run_out_of_descriptors(env, error); }), 0);
  EXPECT_EQ(error.kind, ErrorKind::exhausted) << error.message;
}

}  // namespace
}  // namespace ottla::io::real
