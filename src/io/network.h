// Network: byte streams between processes. Order holds inside a connection, nothing holds between
// connections.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/gather.h"
#include "io/error.h"
#include "io/task.h"

namespace ottla::io {

struct Endpoint {
  std::string host;  // a name, or an address as text; empty: every local address
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  std::string to_string() const;  // "host:port", with brackets around an IPv6 address
};

// One connection, of one shard. At most one read and one write at a time.
class Connection {
 public:
  virtual ~Connection() = default;

  // Returns when read_some would probably not have to wait; may return early. Lets an idle
  // connection hold no buffer.
  virtual Task<Result<>> wait_readable() { co_return Result<>{}; }

  // At least one byte, or 0 when the other side has ended its sending; `closed` after close() or a
  // reset.
  virtual Task<Result<std::size_t>> read_some(MutableByteView into) = 0;

  // Returns when all of it is with the system (not: with the peer). Waits while the peer is slow.
  // Slices and file ranges may come from other shards.
  virtual Task<Result<>> write(Gather what) = 0;

  // Ends both directions now; whoever waits in read_some or write gets `closed`.
  virtual void close() = 0;

  virtual Endpoint local() const = 0;
  virtual Endpoint peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // `closed` after close(). An error of another kind concerns one connection: go on accepting.
  virtual Task<Result<std::unique_ptr<Connection>>> accept() = 0;
  virtual void close() = 0;
  virtual Endpoint local() const = 0;  // with the port that was really taken
};

class Network {
 public:
  virtual ~Network() = default;
  // Port 0 takes a free one. The listeners of several shards may share one port: the system spreads
  // connections.
  virtual Task<Result<std::unique_ptr<Listener>>> listen(Endpoint at) = 0;
  virtual Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to) = 0;
};

// The two ends of a connection inside one shard: how the broker half reaches the controller half in
// one process. Bytes written at one end wait at the other, at most `capacity_bytes` of them.
struct ChannelPair {
  std::unique_ptr<Connection> first;
  std::unique_ptr<Connection> second;
};
class Executor;
ChannelPair make_channel(Executor& executor, std::size_t capacity_bytes = 1 << 20);

}  // namespace ottla::io
