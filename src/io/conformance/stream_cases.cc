// Connections: the same promises by TCP and by make_channel.
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "io/conformance/conformance.h"

namespace ottla::io::conformance {
namespace {

using namespace std::chrono_literals;

struct Pair {
  std::unique_ptr<Connection> client;
  std::unique_ptr<Connection> server;
};

struct ByTcp {
  static Task<std::optional<Pair>> make(Setting& setting) {
    auto listener = co_await setting.env.network.listen({setting.host, 0});
    OTTLA_EXPECT(listener);
    if (!listener) co_return std::nullopt;
    auto client = co_await setting.env.network.connect((*listener)->local());
    auto server = co_await (*listener)->accept();
    OTTLA_EXPECT(client);
    OTTLA_EXPECT(server);
    if (!client || !server) co_return std::nullopt;
    co_return Pair{std::move(*client), std::move(*server)};
  }
};

struct ByChannel {
  static Task<std::optional<Pair>> make(Setting& setting) {
    ChannelPair channel = make_channel(setting.env.executor, 64 << 10);
    co_return Pair{std::move(channel.first), std::move(channel.second)};
  }
};

Bytes pattern(std::size_t size, std::uint8_t seed = 1) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251 + seed);
  return bytes;
}

Gather gather_of(const Bytes& bytes) { return Gather(Slice::copy_of(bytes)); }

template <class T>
bool is_closed(const Result<T>& result) {
  return !result && result.error().kind == ErrorKind::closed && !result.error().message.empty();
}

// Reads until `size` bytes have come, or the end or an error.
Task<Bytes> read_bytes(Connection& from, std::size_t size, std::size_t step_max = 10'000) {
  Bytes all(size);
  std::size_t count = 0;
  while (count < size) {
    const auto got = co_await from.read_some(
        MutableByteView(all).subspan(count, std::min(step_max, size - count)));
    if (!got || *got == 0) break;
    count += *got;
  }
  all.resize(count);
  co_return all;
}

struct Outcome {
  bool done = false;
  Result<> result;
};

Task<void> write_in_background(Connection& to, Gather what, Outcome& outcome) {
  outcome.result = co_await to.write(std::move(what));
  outcome.done = true;
}

Task<void> read_in_background(Connection& from, Outcome& outcome) {
  Bytes into(10);
  auto got = co_await from.read_some(into);
  if (!got) outcome.result = std::unexpected(got.error());
  outcome.done = true;
}

Task<void> wait_in_background(Connection& from, Outcome& outcome) {
  outcome.result = co_await from.wait_readable();
  outcome.done = true;
}

// Lets the world move on.
Task<void> a_while(Setting& setting) { co_await sleep_for(setting.env.clock, 20ms); }

template <class By>
Task<void> bytes_keep_their_order(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  const Bytes there = pattern(3 << 20, 1);
  const Bytes back = pattern(2 << 20, 2);
  Outcome sent_there;
  Outcome sent_back;
  TaskGroup group(setting.env.executor);
  group.spawn(write_in_background(*pair->client, gather_of(there), sent_there));
  group.spawn(write_in_background(*pair->server, gather_of(back), sent_back));
  OTTLA_EXPECT(co_await read_bytes(*pair->server, there.size()) == there);
  OTTLA_EXPECT(co_await read_bytes(*pair->client, back.size(), 777) == back);
  co_await group.join();
  OTTLA_EXPECT(sent_there.result && sent_back.result);
}

template <class By>
Task<void> many_small_writes(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Bytes all;
  for (std::uint8_t i = 0; i < 200; ++i) {
    const Bytes piece = pattern(i % 17 + 1, i);
    OTTLA_EXPECT(co_await pair->client->write(gather_of(piece)));
    all.insert(all.end(), piece.begin(), piece.end());
  }
  OTTLA_EXPECT(co_await read_bytes(*pair->server, all.size()) == all);
  OTTLA_EXPECT(co_await pair->client->write({}));
}

template <class By>
Task<void> the_end_comes_after_the_bytes(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  OTTLA_EXPECT(co_await pair->client->write(gather_of(pattern(5'000))));
  pair->client->close();
  OTTLA_EXPECT(co_await pair->server->wait_readable());
  OTTLA_EXPECT(co_await read_bytes(*pair->server, 10'000) == pattern(5'000));
  Bytes into(10);
  for (int again = 0; again < 2; ++again) {
    OTTLA_EXPECT(co_await pair->server->wait_readable());
    const auto got = co_await pair->server->read_some(into);
    OTTLA_EXPECT(got && *got == 0);
  }
}

template <class By>
Task<void> destroying_an_end_ends_the_stream(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Outcome reading;
  TaskGroup group(setting.env.executor);
  group.spawn(wait_in_background(*pair->server, reading));
  co_await a_while(setting);
  OTTLA_EXPECT(!reading.done);
  pair->client.reset();
  co_await group.join();
  OTTLA_EXPECT(reading.result);
  Bytes into(10);
  const auto got = co_await pair->server->read_some(into);
  OTTLA_EXPECT(got && *got == 0);
}

template <class By>
Task<void> close_wakes_the_own_reader(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Outcome reading;
  TaskGroup group(setting.env.executor);
  group.spawn(read_in_background(*pair->client, reading));
  co_await a_while(setting);
  OTTLA_EXPECT(!reading.done);
  pair->client->close();
  OTTLA_EXPECT(!reading.done);  // in a turn of its own
  co_await group.join();
  OTTLA_EXPECT(is_closed(reading.result));
}

template <class By>
Task<void> close_wakes_the_own_writer(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Outcome writing;
  TaskGroup group(setting.env.executor);
  group.spawn(write_in_background(*pair->client, gather_of(pattern(32 << 20)), writing));
  co_await a_while(setting);
  OTTLA_EXPECT(!writing.done);
  pair->client->close();
  co_await group.join();
  OTTLA_EXPECT(is_closed(writing.result));
}

template <class By>
Task<void> a_closed_end_refuses(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  OTTLA_EXPECT(co_await pair->server->write(gather_of(pattern(10))));
  pair->client->close();
  pair->client->close();
  Bytes into(10);
  OTTLA_EXPECT(is_closed(co_await pair->client->read_some(into)));
  OTTLA_EXPECT(is_closed(co_await pair->client->wait_readable()));
  OTTLA_EXPECT(is_closed(co_await pair->client->write(gather_of(pattern(10)))));
}

template <class By>
Task<void> writing_to_one_who_has_gone_fails(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  pair->client->close();
  Result<> written;
  for (int tries = 0; tries < 50 && written; ++tries) {
    written = co_await pair->server->write(gather_of(pattern(1'000)));
    co_await sleep_for(setting.env.clock, 5ms);
  }
  OTTLA_EXPECT(is_closed(written));
}

template <class By>
Task<void> a_slow_reader_holds_the_writer(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  const Bytes content = pattern(32 << 20);
  Outcome writing;
  TaskGroup group(setting.env.executor);
  group.spawn(write_in_background(*pair->client, gather_of(content), writing));
  co_await a_while(setting);
  OTTLA_EXPECT(!writing.done);
  OTTLA_EXPECT(co_await read_bytes(*pair->server, 1'000) ==
               Bytes(content.begin(), content.begin() + 1'000));
  co_await a_while(setting);
  OTTLA_EXPECT(!writing.done);
  OTTLA_EXPECT((co_await read_bytes(*pair->server, content.size() - 1'000, 1 << 20)).size() ==
               content.size() - 1'000);
  co_await group.join();
  OTTLA_EXPECT(writing.result);
}

template <class By>
Task<void> a_gather_of_memory_and_files(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  const Bytes content = pattern(3 << 20, 9);
  auto file =
      co_await setting.env.disk.open(setting.folder + "/a", {.write = true, .create = true});
  OTTLA_REQUIRE(file && co_await (*file)->write(0, content));
  const auto part_of = [&](std::size_t from, std::size_t size) {
    return Bytes(content.begin() + static_cast<long>(from),
                 content.begin() + static_cast<long>(from + size));
  };
  Gather gather;
  Bytes expected;
  const auto add_memory = [&](const Bytes& bytes) {
    gather.append(Slice::copy_of(bytes));
    expected.insert(expected.end(), bytes.begin(), bytes.end());
  };
  const auto add_file = [&](std::size_t from, std::size_t size) {
    gather.append(FileRange{*file, from, size});
    const Bytes bytes = part_of(from, size);
    expected.insert(expected.end(), bytes.begin(), bytes.end());
  };
  add_memory(pattern(20, 3));
  add_file(10, 700);
  add_memory(pattern(30'000, 4));
  add_memory(pattern(1, 5));
  add_file(0, content.size());
  add_file(content.size() - 3, 3);
  for (std::uint8_t i = 0; i < 250; ++i) add_memory(pattern(i + 1u, i));
  for (std::uint8_t i = 0; i < 250; ++i) add_memory(pattern(i + 1u, i));
  add_file(123'456, 654'321);
  file->reset();  // the gather keeps it open
  OTTLA_EXPECT(co_await setting.env.disk.remove(setting.folder + "/a"));
  Outcome writing;
  TaskGroup group(setting.env.executor);
  group.spawn(write_in_background(*pair->server, std::move(gather), writing));
  OTTLA_EXPECT(co_await read_bytes(*pair->client, expected.size(), 100'000) == expected);
  co_await group.join();
  OTTLA_EXPECT(writing.result);
}

template <class By>
Task<void> a_file_shorter_than_its_range(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  auto file =
      co_await setting.env.disk.open(setting.folder + "/a", {.write = true, .create = true});
  OTTLA_REQUIRE(file && co_await (*file)->write(0, pattern(1'000)));
  Gather gather;
  gather.append(FileRange{*file, 0, 2'000});
  OTTLA_EXPECT(!co_await pair->client->write(std::move(gather)));
}

template <class By>
Task<void> wait_readable_returns_when_bytes_come(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Outcome waiting;
  TaskGroup group(setting.env.executor);
  group.spawn(wait_in_background(*pair->client, waiting));
  co_await a_while(setting);
  OTTLA_EXPECT(!waiting.done);
  OTTLA_EXPECT(co_await pair->server->write(gather_of(pattern(10))));
  co_await group.join();
  OTTLA_EXPECT(waiting.result);
  OTTLA_EXPECT(co_await read_bytes(*pair->client, 10) == pattern(10));
}

template <class By>
Task<void> close_wakes_one_who_waits_to_read(Setting& setting) {
  auto pair = co_await By::make(setting);
  OTTLA_REQUIRE(pair);
  Outcome waiting;
  TaskGroup group(setting.env.executor);
  group.spawn(wait_in_background(*pair->client, waiting));
  co_await a_while(setting);
  pair->client->close();
  co_await group.join();
  OTTLA_EXPECT(is_closed(waiting.result));
}

Task<void> endpoints_match(Setting& setting) {
  auto listener = co_await setting.env.network.listen({setting.host, 0});
  OTTLA_REQUIRE(listener);
  const Endpoint at = (*listener)->local();
  OTTLA_EXPECT(at.port != 0);
  auto client = co_await setting.env.network.connect(at);
  auto server = co_await (*listener)->accept();
  OTTLA_REQUIRE(client && server);
  OTTLA_EXPECT((*client)->peer() == at);
  OTTLA_EXPECT((*server)->local() == at);
  OTTLA_EXPECT((*client)->local() == (*server)->peer());
}

Task<void> nobody_listens(Setting& setting) {
  auto listener = co_await setting.env.network.listen({setting.host, 0});
  OTTLA_REQUIRE(listener);
  const Endpoint at = (*listener)->local();
  (*listener)->close();
  const auto client = co_await setting.env.network.connect(at);
  OTTLA_EXPECT(!client && client.error().kind == ErrorKind::refused);
}

Task<void> a_port_is_taken_once(Setting& setting) {
  auto first = co_await setting.env.network.listen({setting.host, 0});
  OTTLA_REQUIRE(first);
  const Endpoint at = (*first)->local();
  const auto second = co_await setting.env.network.listen(at);
  OTTLA_EXPECT(!second && second.error().kind == ErrorKind::in_use);
  (*first)->close();
  OTTLA_EXPECT(co_await setting.env.network.listen(at));
}

Task<void> accept_in_background(Listener& listener, Outcome& outcome) {
  auto accepted = co_await listener.accept();
  if (!accepted) outcome.result = std::unexpected(accepted.error());
  outcome.done = true;
}

Task<void> close_wakes_one_who_accepts(Setting& setting) {
  auto listener = co_await setting.env.network.listen({setting.host, 0});
  OTTLA_REQUIRE(listener);
  Outcome accepting;
  TaskGroup group(setting.env.executor);
  group.spawn(accept_in_background(**listener, accepting));
  co_await a_while(setting);
  OTTLA_EXPECT(!accepting.done);
  (*listener)->close();
  co_await group.join();
  OTTLA_EXPECT(is_closed(accepting.result));
  OTTLA_EXPECT(is_closed(co_await (*listener)->accept()));
}

Task<void> say_number(Env& env, Endpoint at, std::uint8_t number, int& echoed) {
  auto connection = co_await env.network.connect(at);
  if (!connection) co_return;
  (void)co_await (*connection)->write(Gather(Slice::copy_of(Bytes{number})));
  if (co_await read_bytes(**connection, 1) == Bytes{number}) ++echoed;
}

Task<void> echo_one(std::unique_ptr<Connection> connection) {
  (void)co_await connection->write(gather_of(co_await read_bytes(*connection, 1)));
}

Task<void> many_connections(Setting& setting) {
  auto listener = co_await setting.env.network.listen({setting.host, 0});
  OTTLA_REQUIRE(listener);
  constexpr int kConnections = 60;
  int echoed = 0;
  TaskGroup group(setting.env.executor);
  for (int i = 0; i < kConnections; ++i) {
    group.spawn(
        say_number(setting.env, (*listener)->local(), static_cast<std::uint8_t>(i), echoed));
  }
  for (int i = 0; i < kConnections; ++i) {
    auto accepted = co_await (*listener)->accept();
    OTTLA_REQUIRE(accepted);
    group.spawn(echo_one(std::move(*accepted)));
  }
  co_await group.join();
  OTTLA_EXPECT(echoed == kConnections);
}

template <class By>
std::vector<Case> stream_cases(const std::string& prefix) {
  return {
      {prefix + "bytes_keep_their_order", bytes_keep_their_order<By>},
      {prefix + "many_small_writes", many_small_writes<By>},
      {prefix + "the_end_comes_after_the_bytes", the_end_comes_after_the_bytes<By>},
      {prefix + "destroying_an_end_ends_the_stream", destroying_an_end_ends_the_stream<By>},
      {prefix + "close_wakes_the_own_reader", close_wakes_the_own_reader<By>},
      {prefix + "close_wakes_the_own_writer", close_wakes_the_own_writer<By>},
      {prefix + "a_closed_end_refuses", a_closed_end_refuses<By>},
      {prefix + "writing_to_one_who_has_gone_fails", writing_to_one_who_has_gone_fails<By>},
      {prefix + "a_slow_reader_holds_the_writer", a_slow_reader_holds_the_writer<By>},
      {prefix + "a_gather_of_memory_and_files", a_gather_of_memory_and_files<By>},
      {prefix + "a_file_shorter_than_its_range", a_file_shorter_than_its_range<By>},
      {prefix + "wait_readable_returns_when_bytes_come", wait_readable_returns_when_bytes_come<By>},
      {prefix + "close_wakes_one_who_waits_to_read", close_wakes_one_who_waits_to_read<By>},
  };
}

}  // namespace

std::vector<Case> network_cases() {
  std::vector<Case> cases = stream_cases<ByTcp>("network/");
  cases.push_back({"network/endpoints_match", endpoints_match});
  cases.push_back({"network/nobody_listens", nobody_listens});
  cases.push_back({"network/a_port_is_taken_once", a_port_is_taken_once});
  cases.push_back({"network/close_wakes_one_who_accepts", close_wakes_one_who_accepts});
  cases.push_back({"network/many_connections", many_connections});
  return cases;
}

std::vector<Case> channel_cases() { return stream_cases<ByChannel>("channel/"); }

}  // namespace ottla::io::conformance
