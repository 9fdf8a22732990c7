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

Task<Result<std::vector<Address>>> RealNetwork::find(Endpoint endpoint) {
  if (auto address = parse_address(endpoint)) co_return std::vector<Address>{*address};
  co_return co_await blocking(loop_, lanes_.general, [&endpoint] { return resolve(endpoint); });
}

Task<Result<std::unique_ptr<Listener>>> RealNetwork::listen(Endpoint at) {
  auto addresses = co_await find(at);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  auto listener = ports_.listen(loop_, lanes_, addresses->front(), at);
  if (!listener && at.host.empty() && listener.error().kind == ErrorKind::invalid) {
    // A machine without IPv6.
    listener = ports_.listen(loop_, lanes_, *parse_address({"0.0.0.0", at.port}), at);
  }
  if (!listener) co_return std::unexpected(std::move(listener.error()));
  if (const int error_number = (*listener)->start(); error_number != 0) {
    co_return failed("watching the listener on", at.to_string(), error_number);
  }
  co_return std::move(*listener);
}

Task<Result<std::unique_ptr<Connection>>> RealNetwork::connect_to(Address address, Endpoint name) {
  const std::string where = name.to_string();
  FileDescriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) co_return failed("connecting to", where, errno);
  const int no_delay = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
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
  auto connection =
      std::make_unique<RealConnection>(loop_, lanes_, std::move(socket), local, address);
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
