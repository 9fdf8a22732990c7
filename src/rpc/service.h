// What serves requests: the broker, the controller. Below it stands server_connection, which knows
// frames, order and bounds but no API.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/gather.h"
#include "io/event.h"
#include "io/network.h"

namespace ottla::rpc {

class ServerConnection;

// One request as it came. `frame` holds header and body (no length); `body` is its rest behind the
// header. Both keep the received memory alive.
struct Request {
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;
  Slice frame;
  Slice body;
};

// The place of one request's answer in its connection's order. Exactly one of the calls, once, on
// the connection's shard; a call after the connection has gone does nothing.
class ReplySlot {
 public:
  ReplySlot() = default;
  ReplySlot(std::shared_ptr<ServerConnection> connection, std::uint64_t sequence)
      : connection_(std::move(connection)), sequence_(sequence) {}

  // `body` follows the response header that the connection writes.
  void send(Gather body);
  // Nothing is sent for this request (Produce with acks=0).
  void send_nothing();
  // Ends the connection after the answers before this one have been sent; `why` goes to the log,
  // with the remedy.
  void close(std::string_view why);

 private:
  std::shared_ptr<ServerConnection> connection_;
  std::uint64_t sequence_ = 0;
};

// What a connection knows of its two ends.
struct Peer {
  bool is_gone = false;             // the connection has ended: nobody will read an answer
  std::vector<io::Event*> to_wake;  // then; see WakeWhenGone

  io::Endpoint local;
  io::Endpoint remote;
  std::string listener;              // its name, such as PLAINTEXT
  std::string client_software_name;  // from ApiVersions
  std::string client_software_version;
};

// Sets `event` when the peer goes, so that what it waits for may be let go of. On the connection's
// shard; both outlive this.
class WakeWhenGone {
 public:
  WakeWhenGone(Peer& peer, io::Event& event) : peer_(peer), event_(event) {
    peer_.to_wake.push_back(&event_);
  }
  ~WakeWhenGone() { std::erase(peer_.to_wake, &event_); }
  WakeWhenGone(const WakeWhenGone&) = delete;
  WakeWhenGone& operator=(const WakeWhenGone&) = delete;

 private:
  Peer& peer_;
  io::Event& event_;
};

class Service {
 public:
  virtual ~Service() = default;

  // Answers through `reply`, now or later. `peer` lives as long as the connection.
  virtual void handle(Request request, const std::shared_ptr<Peer>& peer, ReplySlot reply) = 0;

  // Whether requests of this kind may begin before earlier ones of the same kind have been
  // answered. Kafka's clients count on the order of effects, so a request of any other kind waits
  // until all before it are answered.
  virtual bool may_overlap(std::int16_t api_key) const = 0;

  // Whether handle() takes this. A version of ApiVersions that is not known must be taken: its
  // answer says which are.
  virtual bool serves(std::int16_t api_key, std::int16_t api_version) const = 0;
};

}  // namespace ottla::rpc
