// A non-blocking connection of the generator: what is received up to whole frames, and what waits
// to be sent.
#pragma once

#include <deque>

#include "admin.h"
#include "base/bytes.h"

namespace ottla::load {

class Connection {
 public:
  // Registers itself with `epoll` under `tag`.
  Connection(const Options& options, int epoll, std::uint64_t tag, std::size_t receive_bytes);
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&&) = delete;

  // The bytes must stay as they are until the answer has come.
  void queue(ByteView bytes) { outbound_.push_back(bytes); }
  // Sends what can be sent; the rest goes when epoll says so.
  void send();

  // Receives what there is, at most a buffer full; false if there was nothing.
  bool receive();
  // The next whole frame, without its length; empty if there is none. Valid until receive().
  Slice next_frame();

 private:
  int epoll_;
  std::uint64_t tag_;
  int socket_;
  std::deque<ByteView> outbound_;
  bool wants_writable_ = false;
  Slice buffer_;
  std::size_t parsed_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace ottla::load
