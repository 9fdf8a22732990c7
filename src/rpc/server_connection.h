// One accepted connection: cuts the byte stream into requests, hands them to the service, and
// writes the answers in the order of the requests. All that has arrived is parsed in place; all
// answers of a turn leave in one write.
//
// Bounds: a frame (frame_bytes_max), requests begun and unanswered (requests_in_flight_max),
// answers that a slow reader leaves unsent (unsent_bytes_max): past them nothing more is read, and
// TCP slows the peer down. A large frame takes its place in the shard's budget before it is read.
// A connection without a request for idle_ms_max is closed, and so is one that holds such a place
// and sends nothing more for kStallMax, or kStallMaxIfWaited if others wait for the place.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "io/env.h"
#include "rpc/client_log.h"
#include "rpc/memory_budget.h"
#include "rpc/receive_buffer.h"
#include "rpc/service.h"

namespace ottla::rpc {

struct ServerLimits {
  std::uint32_t frame_bytes_max = 100 << 20;  // socket.request.max.bytes
  std::uint32_t requests_in_flight_max = 256;
  std::uint64_t in_flight_bytes_max = 64 << 20;  // of requests begun and unanswered
  std::uint64_t unsent_bytes_max = 4
                                   << 20;  // no request is begun above it; an answer may be larger
  std::int64_t idle_ms_max = 600'000;      // connections.max.idle.ms
};

// What the connections of a shard share.
struct ServerContext {
  io::Env& env;
  Service& service;
  ServerLimits limits;
  ReceiveBuffer& receive;
  MemoryBudget& budget;
  ClientLog& log;
};

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  static constexpr io::Duration kStallMax = std::chrono::seconds(30);
  static constexpr io::Duration kStallMaxIfWaited = std::chrono::seconds(2);

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
  // Whether it holds memory for a request whose rest does not come.
  bool is_stalled(io::Instant now) const {
    const auto patience = context_.budget.is_waited_for() ? kStallMaxIfWaited : kStallMax;
    return reserved_bytes_ > 0 && now - last_activity_ > patience;
  }
  // Since when the peer has not read what is being written; never() if nothing is.
  io::Instant writing_since() const { return writing_since_; }
  // End it, with a line in the log.
  void close_stalled();
  void close_slow_reader();
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
  io::Task<bool> reserve(std::uint32_t frame_bytes);
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
  std::uint32_t reserved_bytes_ = 0;  // of the budget, for the frame that is being read
  io::Instant last_activity_;

  // answering
  std::deque<Pending> pending_;  // in order; the front has sequence first_sequence_
  std::uint64_t first_sequence_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t unsent_bytes_ = 0;
  std::uint64_t unsent_memory_ = 0;    // of the budget; file ranges hold none
  std::uint64_t outbound_memory_ = 0;  // of these two, what is in outbound_
  std::uint64_t outbound_bytes_ = 0;
  io::Instant writing_since_ = io::Instant::never();
  Gather outbound_;
  bool closing_ = false;    // after the answers that are due
  bool abandoned_ = false;  // closing, and answers of begun requests are dropped
  bool closed_ = false;
  io::Event progress_;  // pulsed when an answer was given or sent, or the connection closed
  io::Event writable_;  // set while outbound_ has something, or the end has come
  io::TaskGroup tasks_;
};

}  // namespace ottla::rpc
