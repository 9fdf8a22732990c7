#include "rpc/acceptor.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace ottla::rpc {
namespace {

constexpr io::Duration kIdleCheckIntervalMax = std::chrono::seconds(1);
constexpr io::Duration kIdleCheckIntervalMin = std::chrono::milliseconds(10);
constexpr io::Duration kSlowReaderPatience = std::chrono::seconds(1);
constexpr io::Duration kAcceptRetry =
    std::chrono::milliseconds(20);  // after an error such as: no descriptors left

}  // namespace

Acceptor::Acceptor(ServerContext context, std::string listener_name, std::size_t connections_max)
    : context_(context),
      listener_name_(std::move(listener_name)),
      connections_max_(connections_max),
      stop_(context.env.executor),
      tasks_(context.env.executor) {}

io::Task<io::Result<>> Acceptor::listen(io::Endpoint at) {
  auto listener = co_await context_.env.network.listen(at);
  if (!listener) co_return std::unexpected(listener.error());
  listener_ = std::move(*listener);
  co_return io::Result<>{};
}

void Acceptor::start() {
  tasks_.spawn(accept_loop());
  tasks_.spawn(close_idle_loop());
}

io::Task<void> Acceptor::accept_loop() {
  while (!stopping_) {
    auto accepted = co_await listener_->accept();
    if (stopping_) co_return;
    if (!accepted) {
      if (accepted.error().kind == io::ErrorKind::closed) co_return;
      context_.log.write(fmt::format("accepting on {} failed: {}{}", listener_->local().to_string(),
                                     accepted.error().message,
                                     accepted.error().kind == io::ErrorKind::exhausted
                                         ? "; raise the limit of open files (ulimit -n)"
                                         : ""));
      co_await io::sleep_for(context_.env.clock, kAcceptRetry);
      continue;
    }
    if (open_.size() >= connections_max_) {
      context_.log.write(fmt::format(
          "refusing {}: {} connections are open, the most allowed; raise max.connections, "
          "or look for clients that leave theirs open",
          (*accepted)->peer().to_string(), open_.size()));
      continue;
    }
    auto connection =
        std::make_shared<ServerConnection>(context_, std::move(*accepted), listener_name_);
    const std::uint64_t id = next_id_++;
    open_.emplace(id, connection);
    tasks_.spawn(serve(std::move(connection), id));
  }
}

io::Task<void> Acceptor::serve(std::shared_ptr<ServerConnection> connection, std::uint64_t id) {
  co_await connection->run();
  open_.erase(id);
}

io::Task<void> Acceptor::close_idle_loop() {
  const io::Duration idle_max = std::chrono::milliseconds(context_.limits.idle_ms_max);
  const io::Duration interval =
      std::clamp(idle_max / 4, kIdleCheckIntervalMin, kIdleCheckIntervalMax);
  while (!co_await stop_.wait_until(context_.env.clock, context_.env.clock.now() + interval)) {
    const io::Instant now = context_.env.clock.now();
    std::vector<std::shared_ptr<ServerConnection>> idle;
    std::vector<std::shared_ptr<ServerConnection>> stalled;
    for (const auto& [id, connection] : open_) {
      if (connection->is_stalled(now)) {
        stalled.push_back(connection);
      } else if (connection->requests_in_flight() == 0 &&
                 now - connection->last_activity() > idle_max) {
        idle.push_back(connection);
      }
    }
    for (const auto& connection : idle) connection->close_now();
    for (const auto& connection : stalled) connection->close_stalled();
    close_slow_readers(now);
  }
}

// While the answers of all connections take too much memory: those go whose peers have not read for
// longest.
void Acceptor::close_slow_readers(io::Instant now) {
  while (context_.budget.has_too_many_answers()) {
    std::shared_ptr<ServerConnection> slowest;
    for (const auto& [id, connection] : open_) {
      if (!connection->is_open() || connection->writing_since() > now + -kSlowReaderPatience)
        continue;
      if (!slowest || connection->writing_since() < slowest->writing_since()) slowest = connection;
    }
    if (!slowest) return;
    slowest->close_slow_reader();
  }
}

io::Task<void> Acceptor::stop(io::Duration grace) {
  stopping_ = true;
  stop_.set();
  if (listener_) listener_->close();
  const auto open = open_;
  for (const auto& [id, connection] : open) connection->close_when_answered();
  const io::Instant deadline = context_.env.clock.now() + grace;
  while (!open_.empty() && context_.env.clock.now() < deadline) {
    co_await io::sleep_for(context_.env.clock, std::chrono::milliseconds(1));
  }
  const auto late = open_;
  for (const auto& [id, connection] : late) connection->close_now();
  co_await tasks_.join();
}

}  // namespace ottla::rpc
