// Accepts connections on one port of one shard and serves each until it ends.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/env.h"
#include "rpc/server_connection.h"

namespace ottla::rpc {

class Acceptor {
 public:
  static constexpr std::size_t kConnectionsMaxDefault = 100'000;  // of one shard

  Acceptor(ServerContext context, std::string listener_name,
           std::size_t connections_max = kConnectionsMaxDefault);

  // Takes the port. An error names the address and the remedy.
  io::Task<io::Result<>> listen(io::Endpoint at);

  // Where it listens; with the port that was really taken.
  io::Endpoint local() const { return listener_->local(); }

  // Accepts until stop(). Spawned by the owner, who awaits stop() before this goes.
  void start();

  // Takes no new connection; lets those that are open answer what they have begun, for at most
  // `grace`.
  io::Task<void> stop(io::Duration grace);

  std::size_t connections() const { return open_.size(); }

 private:
  io::Task<void> accept_loop();
  io::Task<void> serve(std::shared_ptr<ServerConnection> connection, std::uint64_t id);
  io::Task<void> close_idle_loop();
  void close_slow_readers(io::Instant now);

  ServerContext context_;
  std::string listener_name_;
  std::size_t connections_max_;
  std::unique_ptr<io::Listener> listener_;
  std::map<std::uint64_t, std::shared_ptr<ServerConnection>> open_;
  std::uint64_t next_id_ = 0;
  bool stopping_ = false;
  io::Event stop_;
  io::TaskGroup tasks_;
};

}  // namespace ottla::rpc
