// One accepted connection: cuts the byte stream into requests, hands them to the service, and
// writes the answers in the order of the requests. All that has arrived is parsed in place; all
// answers of a turn leave in one write.
//
// Bounds: a frame (frame_bytes_max), requests begun and unanswered (requests_in_flight_max),
// answers that a slow reader leaves unsent (unsent_bytes_max): past them nothing more is read, and
// TCP slows the peer down. A connection without a request for idle_ms_max is closed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "io/env.h"
#include "rpc/receive_buffer.h"
#include "rpc/service.h"

namespace ottla::rpc {

struct ServerLimits {
  std::uint32_t frame_bytes_max = 100 << 20;  // socket.request.max.bytes
  std::uint32_t requests_in_flight_max = 256;
  std::uint64_t in_flight_bytes_max = 64 << 20;  // of requests begun and unanswered
  std::uint64_t unsent_bytes_max = 64 << 20;
  std::int64_t idle_ms_max = 600'000;  // connections.max.idle.ms
};

// Memory that the requests of all connections of a shard may hold together
// (queued.max.request.bytes). A single request above the rest is let in alone.
class MemoryBudget {
 public:
  MemoryBudget(io::Executor& executor, std::uint64_t bytes_max)
      : freed_(executor), bytes_max_(bytes_max) {}
  bool has_room(std::uint64_t bytes) const { return used_ == 0 || used_ + bytes <= bytes_max_; }
  void take(std::uint64_t bytes) { used_ += bytes; }
  void give(std::uint64_t bytes) {
    used_ -= bytes;
    freed_.pulse();
  }
  std::uint64_t used_bytes() const { return used_; }
  io::Event& freed() { return freed_; }

 private:
  io::Event freed_;
  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
};

// What the connections of a shard share.
struct ServerContext {
  io::Env& env;
  Service& service;
  ServerLimits limits;
  ReceiveBuffer& receive;
  MemoryBudget& budget;
};

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(ServerContext context, std::unique_ptr<io::Connection> connection,
                   std::string listener);

  // Serves until either side ends it. The caller keeps a shared_ptr and awaits.
  io::Task<void> run();

  // Ends it: at once, or after the requests begun so far have been answered (graceful stop).
  void close_now();
  void close_when_answered();

  bool is_open() const { return !closed_; }
  io::Instant last_activity() const { return last_activity_; }
  std::size_t requests_in_flight() const { return pending_.size(); }
  const Peer& peer() const { return *peer_; }

 private:
  friend class ReplySlot;
  struct Pending {
    std::int16_t api_key = 0;
    std::int32_t correlation_id = 0;
    int response_header_version = 0;
    std::uint32_t frame_bytes = 0;
    bool answered = false;
    bool silent = false;
    bool close = false;
    Gather body;
  };

  io::Task<void> read_loop();
  io::Task<void> write_loop();
  io::Task<bool> read_more();
  io::Task<bool> read_into_own(std::size_t capacity, std::size_t enough);
  io::Task<bool> read_into_chunk();
  io::Task<bool> dispatch_frames();
  io::Task<bool> wait_for_turn(std::int16_t api_key, std::size_t frame_bytes);
  bool begin(Slice frame);
  void answer(std::uint64_t sequence, Gather body, bool silent, bool close);
  void fail(std::string_view why);
  void log_close(std::string_view why);
  bool is_reading() const { return !closing_ && !closed_; }

  // constant
  ServerContext context_;
  std::unique_ptr<io::Connection> connection_;
  std::shared_ptr<Peer> peer_;

  // reading
  Slice buffer_;  // received bytes: [parsed_, filled_) are not yet parsed
  std::size_t parsed_ = 0;
  std::size_t filled_ = 0;
  std::size_t last_frame_bytes_ = 0;
  io::Instant last_activity_;

  // answering
  std::deque<Pending> pending_;  // in order; the front has sequence first_sequence_
  std::uint64_t first_sequence_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t unsent_bytes_ = 0;
  Gather outbound_;
  bool closing_ = false;    // after the answers that are due
  bool abandoned_ = false;  // closing, and answers of begun requests are dropped
  bool closed_ = false;
  io::Event progress_;  // pulsed when an answer was given or sent, or the connection closed
  io::Event writable_;  // set while outbound_ has something, or the end has come
  io::TaskGroup tasks_;
};

}  // namespace ottla::rpc
