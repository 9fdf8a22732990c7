// What the event loop and the disk of io/real cost. Two questions, one program:
//
//   io_bench echo [raw|loop] CONNECTIONS DEPTH BYTES SECONDS   framed echo; server CPU per request
//   io_bench disk [uring|threads] BYTES ROUNDS FOLDER          commits into a pre-written direct
//   file: write_synced (write and flush linked), by turns with a write and then a flush
//
// The echo server runs on the first core that the process may use, its client on the second. `raw`
// is a bare epoll loop without coroutines, for comparison in the same run.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>

#include "io/real/runtime.h"

namespace {

using namespace ottla;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kBufferBytes = 256 << 10;

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

double thread_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

// How many bytes of whole frames stand at the start.
std::size_t whole_frames(const std::uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  while (size - at >= 4) {
    const std::size_t frame = 4 + load_big<std::uint32_t>(data + at);
    if (size - at < frame) break;
    at += frame;
  }
  return at;
}

struct Load {
  int connections = 64;
  int depth = 16;
  std::size_t bytes = 100;  // of a frame, with its length
  double seconds = 2;
  std::uint16_t port = 0;
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::uint64_t requests = 0;
  double elapsed = 0;
  std::vector<double> latencies_us;
};

// Closed loop: every connection keeps `depth` frames on the way.
void run_client(Load& load) {
  pin(1);
  while (!load.ready.load()) std::this_thread::yield();
  std::string frame(load.bytes, 'x');
  store_big<std::uint32_t>(reinterpret_cast<std::uint8_t*>(frame.data()),
                           static_cast<std::uint32_t>(load.bytes - 4));
  std::string burst;
  for (int i = 0; i < load.depth; ++i) burst += frame;
  const int epoll = ::epoll_create1(0);
  struct Peer {
    std::size_t received = 0;
    SteadyClock::time_point sent;
  };
  std::map<int, Peer> peers;
  for (int i = 0; i < load.connections; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(load.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_event event{EPOLLIN, {.fd = socket}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    peers[socket].sent = SteadyClock::now();
    if (::send(socket, burst.data(), burst.size(), 0) < 0) std::abort();
  }
  std::string buffer(kBufferBytes, 0);
  const auto begin = SteadyClock::now();
  auto now = begin;
  while (std::chrono::duration<double>(now - begin).count() < load.seconds) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, 1000);
    for (int i = 0; i < count; ++i) {
      const int socket = events[i].data.fd;
      Peer& peer = peers[socket];
      const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
      if (got <= 0) std::abort();
      peer.received += static_cast<std::size_t>(got);
      const std::size_t answers = peer.received / load.bytes;
      peer.received %= load.bytes;
      load.requests += answers;
      now = SteadyClock::now();
      if (load.connections * load.depth == 1) {
        load.latencies_us.push_back(
            std::chrono::duration<double, std::micro>(now - peer.sent).count());
        peer.sent = now;
      }
      if (answers > 0 && ::send(socket, burst.data(), answers * load.bytes, 0) < 0) std::abort();
    }
  }
  load.elapsed = std::chrono::duration<double>(now - begin).count();
  load.done.store(true);
  for (const auto& [socket, peer] : peers) ::close(socket);
  ::close(epoll);
}

void report(std::string_view name, Load& load, double cpu_us) {
  std::string latency;
  if (!load.latencies_us.empty()) {
    std::ranges::sort(load.latencies_us);
    const std::size_t count = load.latencies_us.size();
    latency = fmt::format("  p50 {:.1f} us  p99 {:.1f} us", load.latencies_us[count / 2],
                          load.latencies_us[count * 99 / 100]);
  }
  fmt::print("{:5} {} x {}, {} B: {:.3f} us CPU a request, {:.0f} requests/s{}\n", name,
             load.connections, load.depth, load.bytes, cpu_us / static_cast<double>(load.requests),
             static_cast<double>(load.requests) / load.elapsed, latency);
}

double serve_raw(Load& load) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 1024) != 0)
    std::abort();
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  load.port = ntohs(address.sin_port);
  struct Peer {
    int socket;
    std::size_t filled = 0;
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(kBufferBytes);
  };
  const int epoll = ::epoll_create1(0);
  load.ready.store(true);
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < load.connections; ++i) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peers.push_back(std::make_unique<Peer>(socket));
    epoll_event event{EPOLLIN | EPOLLET, {.ptr = peers.back().get()}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }
  const double before = thread_cpu_us();
  int open = load.connections;
  while (open > 0) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      auto* peer = static_cast<Peer*>(events[i].data.ptr);
      while (true) {
        const std::size_t room = kBufferBytes - peer->filled;
        const ssize_t got = ::recv(peer->socket, peer->buffer.data() + peer->filled, room, 0);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) {
          ::close(peer->socket);
          --open;
          break;
        }
        peer->filled += static_cast<std::size_t>(got);
        const std::size_t frames = whole_frames(peer->buffer.data(), peer->filled);
        if (frames > 0 && ::send(peer->socket, peer->buffer.data(), frames, MSG_NOSIGNAL) < 0)
          break;
        std::memmove(peer->buffer.data(), peer->buffer.data() + frames, peer->filled - frames);
        peer->filled -= frames;
        if (static_cast<std::size_t>(got) < room) break;
      }
    }
  }
  ::close(listener);
  ::close(epoll);
  return thread_cpu_us() - before;
}

io::Task<void> echo(std::unique_ptr<io::Connection> connection) {
  Slice buffer = Slice::allocate(kBufferBytes);
  std::size_t filled = 0;
  while (true) {
    const auto got = co_await connection->read_some(buffer.mutable_view().subspan(filled));
    if (!got || *got == 0) co_return;
    filled += *got;
    const std::size_t frames = whole_frames(buffer.data(), filled);
    if (frames > 0 && !co_await connection->write(Gather(buffer.subslice(0, frames)))) co_return;
    std::memmove(buffer.mutable_data(), buffer.data() + frames, filled - frames);
    filled -= frames;
  }
}

io::Task<int> serve_loop(io::Env& env, Load& load, double& cpu_us) {
  auto listener = co_await env.network.listen({"127.0.0.1", 0});
  if (!listener) co_return 1;
  load.port = (*listener)->local().port;
  load.ready.store(true);
  io::TaskGroup group(env.executor);
  for (int i = 0; i < load.connections; ++i) {
    auto accepted = co_await (*listener)->accept();
    if (!accepted) co_return 1;
    group.spawn(echo(std::move(*accepted)));
  }
  const double before = thread_cpu_us();
  co_await group.join();
  cpu_us = thread_cpu_us() - before;
  co_return 0;
}

int run_echo(std::string_view kind, Load& load) {
  pin(0);
  std::thread client([&load] { run_client(load); });
  double cpu_us = 0;
  if (kind == "raw") {
    cpu_us = serve_raw(load);
  } else {
    io::real::Runtime runtime({.shards = 1, .handle_signals = false});
    if (runtime.run([&](io::Env& env) { return serve_loop(env, load, cpu_us); }) != 0) std::abort();
  }
  client.join();
  report(kind, load, cpu_us);
  return 0;
}

double process_cpu_us() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) * 1e-3;
}

io::Task<int> write_in_rounds(io::Env& env, std::string folder, std::size_t bytes, int rounds) {
  constexpr std::size_t kFileBytes = 16 << 20;
  auto file = co_await env.disk.open(folder + "/io_bench.tmp",
                                     {.write = true, .create = true, .direct = true});
  if (!file) {
    fmt::print("{}\n", file.error().message);
    co_return 1;
  }
  io::AlignedBuffer all(kFileBytes);
  if (!co_await (*file)->write(0, all.view()) || !co_await (*file)->sync_data()) co_return 1;
  // By turns, so that both see the same moods of the machine.
  constexpr int kRoundsATurn = 50;
  struct Way {
    const char* name;
    std::vector<double> latencies;
    double cpu_us = 0;
  };
  std::array<Way, 2> ways{Way{"linked", {}}, Way{"write, then flush", {}}};
  std::uint64_t position = 0;
  for (int round = 0; round < 2 * rounds; ++round) {
    const bool is_linked = round / kRoundsATurn % 2 == 0;
    Way& way = ways[is_linked ? 0 : 1];
    const ByteView from = all.view().first(bytes);
    const double cpu_before = process_cpu_us();
    const auto begin = SteadyClock::now();
    if (is_linked) {
      if (!co_await (*file)->write_synced(position, from)) co_return 1;
    } else {
      if (!co_await (*file)->write(position, from) || !co_await (*file)->sync_data()) co_return 1;
    }
    way.latencies.push_back(
        std::chrono::duration<double, std::micro>(SteadyClock::now() - begin).count());
    way.cpu_us += process_cpu_us() - cpu_before;
    position += bytes;
    if (position + bytes > kFileBytes) position = 0;
  }
  for (Way& way : ways) {
    if (way.latencies.empty()) continue;
    std::ranges::sort(way.latencies);
    const auto count = way.latencies.size();
    fmt::print("direct {}, {} B, {}: p50 {:.1f} us  p99 {:.1f} us, {:.1f} us CPU a commit\n",
               (*file)->is_direct(), bytes, way.name, way.latencies[count / 2],
               way.latencies[count * 99 / 100], way.cpu_us / static_cast<double>(count));
  }
  (void)co_await env.disk.remove(folder + "/io_bench.tmp");
  co_return 0;
}

}  // namespace

int main(int count, char** words) {
  const auto word = [&](int at, const char* otherwise) {
    return at < count ? words[at] : otherwise;
  };
  const std::string_view what = word(1, "echo");
  if (what == "echo") {
    Load load;
    load.connections = std::atoi(word(3, "64"));
    load.depth = std::atoi(word(4, "16"));
    load.bytes = static_cast<std::size_t>(std::atoi(word(5, "100")));
    load.seconds = std::atof(word(6, "2"));
    return run_echo(word(2, "loop"), load);
  }
  if (what == "disk") {
    const bool threads = std::string_view(word(2, "uring")) == "threads";
    io::real::Runtime runtime(
        {.shards = 1,
         .disk_backend = threads ? io::real::DiskBackend::threads : io::real::DiskBackend::io_uring,
         .handle_signals = false});
    const auto bytes = static_cast<std::size_t>(std::atoi(word(3, "4096")));
    const int rounds = std::atoi(word(4, "5000"));
    const std::string folder = word(5, ".");
    return runtime.run([=](io::Env& env) { return write_in_rounds(env, folder, bytes, rounds); });
  }
  fmt::print(
      "usage: io_bench echo [raw|loop] CONNECTIONS DEPTH BYTES SECONDS\n"
      "       io_bench disk [uring|threads] BYTES ROUNDS FOLDER\n");
  return 2;
}
