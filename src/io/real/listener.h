// Listening: ports that the shards of this process share, and that no other process has.
//
// Every shard has a socket of its own on the port, and the kernel spreads connections over them by
// hash: with few connections, unevenly. So whoever accepts one gives it to the listener that has
// been given the fewest.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "io/network.h"
#include "io/real/address.h"
#include "io/real/file_descriptor.h"
#include "io/real/lanes.h"
#include "io/real/loop.h"

namespace ottla::io::real {

class RealListener;

// One for the process; used by all shards.
class ListeningPorts {
 public:
  // A listener of `loop` at `address`. `in_use` if another process, or this loop, has the port.
  Result<std::unique_ptr<RealListener>> listen(Loop& loop, Lanes& lanes, Address address,
                                               const Endpoint& name);

 private:
  friend class RealListener;
  struct Accepted {
    FileDescriptor socket;
    Address peer;
  };
  // Where connections for one listener arrive. Outlives it as long as one is on its way.
  struct Inbox {
    explicit Inbox(Loop& home) : loop(home) {}
    Loop& loop;
    RealListener* listener =
        nullptr;              // null once it is closed; only looked at on the loop's thread
    std::uint64_t given = 0;  // guarded by ListeningPorts::mutex_
  };
  class HandOver;

  Result<FileDescriptor> bind_and_listen(Loop& loop, const Address& address, const Endpoint& name);
  // Whose turn it is, among those at `bound`; `self` on equal terms.
  std::shared_ptr<Inbox> choose(const Endpoint& bound, const std::shared_ptr<Inbox>& self);
  void leave(const Endpoint& bound, const std::shared_ptr<Inbox>& inbox);

  std::mutex mutex_;
  std::map<Endpoint, std::vector<std::shared_ptr<Inbox>>> listeners_;
};

class RealListener final : public Listener, private Watch {
 public:
  RealListener(ListeningPorts& ports, std::shared_ptr<ListeningPorts::Inbox> inbox, Lanes& lanes,
               FileDescriptor socket, const Address& local);
  ~RealListener() override { close(); }

  int start();  // 0 or errno
  Task<Result<std::unique_ptr<Connection>>> accept() override;
  void close() override;
  Endpoint local() const override { return local_.to_endpoint(); }

 private:
  friend class ListeningPorts;
  struct Ready;
  void on_ready(std::uint32_t events) override;
  void wake();
  void receive(ListeningPorts::Accepted accepted);
  Result<std::unique_ptr<Connection>> connection_of(ListeningPorts::Accepted accepted);
  Error accept_error(int error_number) const;

  ListeningPorts& ports_;
  std::shared_ptr<ListeningPorts::Inbox> inbox_;
  Lanes& lanes_;
  FileDescriptor socket_;
  const Address local_;
  std::deque<ListeningPorts::Accepted> received_;  // from other shards
  bool ready_ = true;
  std::coroutine_handle<> waiter_;
};

}  // namespace ottla::io::real
