#include "io/real/listener.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/epoll.h>

#include "base/check.h"
#include "io/real/connection.h"
#include "io/real/system_error.h"

namespace ottla::io::real {
namespace {

constexpr int kAcceptBacklog = 1024;

// Every Linux has it, and lets everybody choose it.
constexpr std::string_view kNoPacing = "reno";

void set_flag(int socket, int level, int option, int value = 1) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

}  // namespace

// A connection on its way to the shard that serves it.
class ListeningPorts::HandOver final : public MailboxItem {
 public:
  HandOver(std::shared_ptr<Inbox> inbox, Accepted accepted)
      : inbox_(std::move(inbox)), accepted_(std::move(accepted)) {}
  void deliver(bool dropped) override {
    if (!dropped && inbox_->listener != nullptr) inbox_->listener->receive(std::move(accepted_));
    delete this;
  }

 private:
  std::shared_ptr<Inbox> inbox_;
  Accepted accepted_;
};

Result<FileDescriptor> ListeningPorts::bind_and_listen(Loop& loop, const Address& address,
                                                       const Endpoint& name) {
  const auto refuse = [&](int error_number) {
    return failed("listening on", name.to_string(), error_number);
  };
  FileDescriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return refuse(errno);
  if (address.family() == AF_INET6) {
    set_flag(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, name.host.empty() ? 0 : 1);
  }
  set_flag(socket.get(), SOL_SOCKET, SO_REUSEADDR);  // connections of an earlier life may linger
  // A port that is opened for sharing can be taken by any process of the same user, which would
  // then get a part of our connections. So the first socket is bound without SO_REUSEPORT, which
  // fails if anybody is there, and gets it afterwards, which lets in our own others; another
  // process, doing the same, is refused.
  const auto found = listeners_.find(address.to_endpoint());
  if (found != listeners_.end()) {
    const auto of_loop = [&](const auto& inbox) { return &inbox->loop == &loop; };
    if (std::ranges::any_of(found->second, of_loop)) return refuse(EADDRINUSE);
    set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT);
  }
  if (address.is_loopback()) {
    // Where nothing can be lost there is no congestion to find out about; the system's choice may
    // pace what is sent, with a timer for each piece. Accepted connections take it over.
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, kNoPacing.data(), kNoPacing.size());
  }
  if (::bind(socket.get(), &address.any, address.size) != 0) return refuse(errno);
  set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT);
  if (::listen(socket.get(), kAcceptBacklog) != 0) return refuse(errno);
  return socket;
}

Result<std::unique_ptr<RealListener>> ListeningPorts::listen(Loop& loop, Lanes& lanes,
                                                             Address address,
                                                             const Endpoint& name) {
  std::scoped_lock lock(mutex_);
  auto socket = bind_and_listen(loop, address, name);
  if (!socket) return std::unexpected(std::move(socket.error()));
  const Address local = local_address(socket->get());
  auto inbox = std::make_shared<Inbox>(loop);
  auto& beside = listeners_[local.to_endpoint()];
  // A newcomer gets its share of what comes, not of what has come.
  for (const auto& other : beside) inbox->given = std::max(inbox->given, other->given);
  beside.push_back(inbox);
  return std::make_unique<RealListener>(*this, std::move(inbox), lanes, std::move(*socket), local);
}

std::shared_ptr<ListeningPorts::Inbox> ListeningPorts::choose(const Endpoint& bound,
                                                              const std::shared_ptr<Inbox>& self) {
  std::scoped_lock lock(mutex_);
  std::shared_ptr<Inbox> least = self;
  for (const auto& inbox : listeners_[bound]) {
    if (inbox->given < least->given) least = inbox;
  }
  ++least->given;
  return least;
}

void ListeningPorts::leave(const Endpoint& bound, const std::shared_ptr<Inbox>& inbox) {
  std::scoped_lock lock(mutex_);
  const auto found = listeners_.find(bound);
  std::erase(found->second, inbox);
  if (found->second.empty()) listeners_.erase(found);
}

struct RealListener::Ready {
  RealListener& listener;
  bool await_ready() const {
    return listener.ready_ || !listener.received_.empty() || !listener.socket_.is_open();
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    OTTLA_CHECK(!listener.waiter_);  // one accept at a time
    listener.waiter_ = waiter;
  }
  void await_resume() const {}
};

RealListener::RealListener(ListeningPorts& ports, std::shared_ptr<ListeningPorts::Inbox> inbox,
                           Lanes& lanes, FileDescriptor socket, const Address& local)
    : ports_(ports),
      inbox_(std::move(inbox)),
      lanes_(lanes),
      socket_(std::move(socket)),
      local_(local) {
  inbox_->listener = this;
}

int RealListener::start() { return inbox_->loop.watch(socket_.get(), EPOLLIN, *this); }

void RealListener::wake() {
  if (waiter_) inbox_->loop.post(std::exchange(waiter_, nullptr));
}

void RealListener::on_ready(std::uint32_t) {
  ready_ = true;
  wake();
}

void RealListener::receive(ListeningPorts::Accepted accepted) {
  received_.push_back(std::move(accepted));
  wake();
}

void RealListener::close() {
  if (!socket_.is_open()) return;
  ports_.leave(local(), inbox_);
  inbox_->listener = nullptr;
  received_.clear();
  socket_.close();
  wake();
}

Result<std::unique_ptr<Connection>> RealListener::connection_of(ListeningPorts::Accepted accepted) {
  set_flag(accepted.socket.get(), IPPROTO_TCP, TCP_NODELAY);
  const Address local = local_address(accepted.socket.get());
  auto connection = std::make_unique<RealConnection>(
      inbox_->loop, lanes_, std::move(accepted.socket), local, accepted.peer);
  if (const int error_number = connection->start(); error_number != 0) {
    return failed("watching a connection from", accepted.peer.to_endpoint().to_string(),
                  error_number);
  }
  return connection;
}

Error RealListener::accept_error(int error_number) const {
  if (error_number == EMFILE || error_number == ENFILE) {
    return {ErrorKind::exhausted,
            fmt::format(
                "accepting on {}: no file descriptors are left ({}); raise the limit (ulimit -n)",
                local().to_string(), error_number == EMFILE ? "EMFILE" : "ENFILE")};
  }
  Error error = system_error("accepting on", local().to_string(), error_number);
  if (error.kind == ErrorKind::closed)
    error.kind = ErrorKind::input_output;  // the listener is open
  return error;
}

Task<Result<std::unique_ptr<Connection>>> RealListener::accept() {
  while (true) {
    co_await Ready{*this};
    if (!socket_.is_open()) {
      co_return std::unexpected(Error{
          ErrorKind::closed, fmt::format("the listener on {} was closed", local().to_string())});
    }
    if (!received_.empty()) {
      ListeningPorts::Accepted accepted = std::move(received_.front());
      received_.pop_front();
      co_return connection_of(std::move(accepted));
    }
    ListeningPorts::Accepted accepted;
    accepted.socket = FileDescriptor(::accept4(socket_.get(), &accepted.peer.any,
                                               &accepted.peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted.socket.is_open()) {
      const auto chosen = ports_.choose(local(), inbox_);
      if (chosen == inbox_) co_return connection_of(std::move(accepted));
      chosen->loop.bring(*new ListeningPorts::HandOver(chosen, std::move(accepted)));
    } else if (errno == EAGAIN) {
      ready_ = false;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      co_return std::unexpected(accept_error(errno));
    }
  }
}

}  // namespace ottla::io::real
