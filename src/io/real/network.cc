#include "io/real/network.h"

#include <cerrno>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "io/event.h"
#include "io/real/connection.h"
#include "io/real/system_error.h"

namespace ottla::io::real {
namespace {

constexpr int kAcceptBacklog = 1024;

void set_flag(int socket, int level, int option, int value = 1) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

Address local_address(int socket) {
  Address address;
  ::getsockname(socket, &address.any, &address.size);
  return address;
}

class RealListener final : public Listener, private Watch {
 public:
  RealListener(Loop& loop, ListeningPorts& ports, FileDescriptor socket)
      : loop_(loop),
        ports_(ports),
        socket_(std::move(socket)),
        local_(local_address(socket_.get())) {}
  ~RealListener() override { close(); }

  int start() { return loop_.watch(socket_.get(), EPOLLIN, *this); }

  Task<Result<std::unique_ptr<Connection>>> accept() override {
    while (true) {
      co_await Ready{*this};
      if (!socket_.is_open()) {
        co_return std::unexpected(Error{
            ErrorKind::closed, fmt::format("the listener on {} was closed", local().to_string())});
      }
      Address peer;
      FileDescriptor accepted(
          ::accept4(socket_.get(), &peer.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (accepted.is_open()) {
        set_flag(accepted.get(), IPPROTO_TCP, TCP_NODELAY);
        const Address local = local_address(accepted.get());
        auto connection = std::make_unique<RealConnection>(loop_, std::move(accepted), local, peer);
        if (const int error_number = connection->start(); error_number != 0) {
          co_return failed("watching a connection from", peer.to_endpoint().to_string(),
                           error_number);
        }
        co_return connection;
      }
      if (errno == EAGAIN) {
        ready_ = false;
      } else if (errno == EMFILE || errno == ENFILE) {
        co_return std::unexpected(Error{
            ErrorKind::exhausted,
            fmt::format(
                "accepting on {}: no file descriptors are left ({}); raise the limit (ulimit -n)",
                local().to_string(), errno == EMFILE ? "EMFILE" : "ENFILE")});
      } else if (errno != EINTR && errno != ECONNABORTED) {
        Error error = system_error("accepting on", local().to_string(), errno);
        if (error.kind == ErrorKind::closed)
          error.kind = ErrorKind::input_output;  // the listener is open
        co_return std::unexpected(std::move(error));
      }
    }
  }

  void close() override {
    if (!socket_.is_open()) return;
    ports_.close(local_, loop_);
    socket_.close();
    if (waiter_) loop_.post(std::exchange(waiter_, nullptr));
  }

  Endpoint local() const override { return local_.to_endpoint(); }

 private:
  struct Ready {
    RealListener& listener;
    bool await_ready() const { return listener.ready_ || !listener.socket_.is_open(); }
    void await_suspend(std::coroutine_handle<> waiter) {
      OTTLA_CHECK(!listener.waiter_);
      listener.waiter_ = waiter;
    }
    void await_resume() const {}
  };

  void on_ready(std::uint32_t) override {
    ready_ = true;
    if (waiter_) loop_.post(std::exchange(waiter_, nullptr));
  }

  Loop& loop_;
  ListeningPorts& ports_;
  FileDescriptor socket_;
  const Address local_;
  bool ready_ = true;
  std::coroutine_handle<> waiter_;
};

// Watches a socket until its connect() has come to an end.
class Connecting final : private Watch {
 public:
  explicit Connecting(Loop& loop) : loop_(loop), done_(loop) {}
  int start(int socket) { return loop_.watch(socket, EPOLLOUT, *this); }
  Event& done() { return done_; }

 private:
  void on_ready(std::uint32_t) override { done_.set(); }
  Loop& loop_;
  Event done_;
};

}  // namespace

Result<FileDescriptor> ListeningPorts::open(Address address, const Endpoint& name,
                                            const Loop& loop) {
  FileDescriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return failed("listening on", name.to_string(), errno);
  if (address.family() == AF_INET6) {
    set_flag(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, name.host.empty() ? 0 : 1);
  }
  set_flag(socket.get(), SOL_SOCKET, SO_REUSEADDR);  // connections of an earlier life may linger
  std::scoped_lock lock(mutex_);
  // A port that is opened for sharing can be taken by any process of the same user, which would get
  // a part of our connections. So the first socket is bound without SO_REUSEPORT, which fails if
  // anybody is there, and gets it afterwards, which lets in our own others; another process, doing
  // the same, is refused.
  const auto found = loops_.find(address.to_endpoint());
  if (found != loops_.end() && found->second.contains(&loop)) {
    return failed("listening on", name.to_string(), EADDRINUSE);
  }
  if (found != loops_.end()) set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT);
  if (::bind(socket.get(), &address.any, address.size) != 0)
    return failed("listening on", name.to_string(), errno);
  set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT);
  if (::listen(socket.get(), kAcceptBacklog) != 0)
    return failed("listening on", name.to_string(), errno);
  loops_[local_address(socket.get()).to_endpoint()].insert(&loop);
  return socket;
}

void ListeningPorts::close(const Address& bound, const Loop& loop) {
  std::scoped_lock lock(mutex_);
  const auto found = loops_.find(bound.to_endpoint());
  if (found == loops_.end()) return;
  found->second.erase(&loop);
  if (found->second.empty()) loops_.erase(found);
}

Task<Result<std::vector<Address>>> RealNetwork::find(Endpoint endpoint) {
  if (auto address = parse_address(endpoint)) co_return std::vector<Address>{*address};
  co_return co_await blocking(loop_, lanes_.general, [&endpoint] { return resolve(endpoint); });
}

Task<Result<std::unique_ptr<Listener>>> RealNetwork::listen(Endpoint at) {
  auto addresses = co_await find(at);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  Result<FileDescriptor> socket = ports_.open(addresses->front(), at, loop_);
  if (!socket && at.host.empty()) {
    // A machine without IPv6.
    if (auto v4 = parse_address({"0.0.0.0", at.port}); socket.error().kind == ErrorKind::invalid) {
      socket = ports_.open(*v4, at, loop_);
    }
  }
  if (!socket) co_return std::unexpected(std::move(socket.error()));
  auto listener = std::make_unique<RealListener>(loop_, ports_, std::move(*socket));
  if (const int error_number = listener->start(); error_number != 0) {
    co_return failed("watching the listener on", at.to_string(), error_number);
  }
  co_return listener;
}

Task<Result<std::unique_ptr<Connection>>> RealNetwork::connect_to(Address address, Endpoint name) {
  const std::string where = name.to_string();
  FileDescriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) co_return failed("connecting to", where, errno);
  set_flag(socket.get(), IPPROTO_TCP, TCP_NODELAY);
  if (::connect(socket.get(), &address.any, address.size) != 0 && errno != EINPROGRESS) {
    co_return failed("connecting to", where, errno);
  }
  {
    Connecting connecting(loop_);
    if (const int error_number = connecting.start(socket.get()); error_number != 0) {
      co_return failed("connecting to", where, error_number);
    }
    WheelClock& clock = loop_.clock();
    if (!co_await connecting.done().wait_until(clock, clock.now() + kConnectTimeout)) {
      co_return failed("connecting to", where, ETIMEDOUT);
    }
    loop_.unwatch(socket.get());
  }
  int error_number = 0;
  socklen_t size = sizeof error_number;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error_number, &size);
  if (error_number != 0) co_return failed("connecting to", where, error_number);
  const Address local = local_address(socket.get());
  if (local.to_endpoint() == address.to_endpoint()) {
    // TCP lets a socket connect to itself if the port is one of those given out to clients.
    co_return failed("connecting to", where, ECONNREFUSED);
  }
  auto connection = std::make_unique<RealConnection>(loop_, std::move(socket), local, address);
  if (const int failure = connection->start(); failure != 0)
    co_return failed("connecting to", where, failure);
  co_return connection;
}

Task<Result<std::unique_ptr<Connection>>> RealNetwork::connect(Endpoint to) {
  if (to.host.empty()) to.host = "127.0.0.1";
  auto addresses = co_await find(to);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  std::unexpected<Error> last(
      Error{ErrorKind::not_found, fmt::format("{} has no address", to.host)});
  for (const Address& address : *addresses) {
    auto connection = co_await connect_to(address, to);
    if (connection) co_return connection;
    last = std::unexpected(std::move(connection.error()));
  }
  co_return last;
}

}  // namespace ottla::io::real
