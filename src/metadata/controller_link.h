// How the broker half reaches the controller half: by connections that speak Kafka's wire protocol,
// whether they lead through the process or through a port.
#pragma once

#include <memory>

#include "io/env.h"
#include "rpc/client.h"

namespace ottla::metadata {

class ControllerLink {
 public:
  virtual ~ControllerLink() = default;
  virtual io::Task<io::Result<std::unique_ptr<io::Connection>>> connect() = 0;
};

// One purpose's connection to the controller, made anew when it has broken. The purposes have
// connections of their own, since a fetch that waits must not hold up a heartbeat.
class ControllerChannel {
 public:
  ControllerChannel(io::Env& env, ControllerLink& link, std::string client_id)
      : env_(env), link_(link), client_id_(std::move(client_id)) {}

  // A client that is connected. Valid as long as calls on it are under way. `closed` after close().
  io::Task<io::Result<rpc::Client*>> client() {
    while (!client_ || !client_->is_open()) {
      if (auto broken = std::move(client_)) co_await broken->close();
      auto connection = co_await link_.connect();
      if (!connection) co_return std::unexpected(connection.error());
      if (is_closed_) {
        (*connection)->close();
        co_return std::unexpected(io::Error{io::ErrorKind::closed, "closed here"});
      }
      // somebody else may have been quicker
      if (!client_)
        client_ = std::make_unique<rpc::Client>(env_, std::move(*connection), client_id_);
    }
    if (is_closed_) co_return std::unexpected(io::Error{io::ErrorKind::closed, "closed here"});
    co_return client_.get();
  }

  // For good.
  io::Task<void> close() {
    is_closed_ = true;
    if (client_) co_await client_->close();
  }

 private:
  io::Env& env_;
  ControllerLink& link_;
  std::string client_id_;
  std::unique_ptr<rpc::Client> client_;
  bool is_closed_ = false;
};

}  // namespace ottla::metadata
