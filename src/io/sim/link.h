// Link: one connection of the simulated network, as both sides and the wire see it.
#pragma once

#include <coroutine>
#include <deque>
#include <optional>

#include "io/sim/calendar.h"
#include "io/sim/network.h"
#include "io/sim/world.h"

namespace ottla::io::sim {

// A coroutine that waits for its side of a link, or for a listener. Gone with its frame.
struct Parked {
  explicit Parked(Parked*& slot) : slot(slot) {}
  ~Parked() {
    if (slot == this) slot = nullptr;
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    OTTLA_CHECK(slot == nullptr);  // one at a time
    waiter = handle;
    slot = this;
  }
  void await_resume() const {}

  Parked*& slot;
  std::coroutine_handle<> waiter;
};

// co_await a delay of virtual time, not of the node's clock.
class Pause : public Happening {
 public:
  Pause(Shard& shard, Duration how_long) : shard_(shard), how_long_(how_long) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_ = handle;
    shard_.world().plan_in(*this, how_long_);
  }
  void await_resume() const {}
  void happen() override { static_cast<Executor&>(shard_).post(waiter_); }

 private:
  Shard& shard_;
  Duration how_long_;
  std::coroutine_handle<> waiter_;
};

struct Link : std::enable_shared_from_this<Link> {
  Link(Fabric& fabric, std::uint64_t id) : fabric(fabric), id(id), pipes{{*this, 0}, {*this, 1}} {}

  // One side. Pipe i carries what end i sends.
  struct End {
    std::string node;
    Endpoint address;
    Shard* shard = nullptr;         // null: nobody there, or not any more
    bool is_open = true;            // false: closed here
    std::optional<ErrorKind> dead;  // what reads (once drained) and writes give from now on
    Parked* reader = nullptr;
    Parked* writer = nullptr;
    void wake_reader() { wake(reader); }
    void wake_writer() { wake(writer); }

   private:
    void wake(Parked*& slot) {
      if (slot) static_cast<Executor&>(*shard).post(std::exchange(slot, nullptr)->waiter);
    }
  };

  // A piece on its way, or the end of the stream (empty).
  struct Piece {
    Slice bytes;
    Instant arrival;
  };

  struct Pipe final : Happening {
    Pipe(Link& link, int from) : link(link), from(from) {}
    void happen() override { link.deliver(*this); }
    Link& link;
    const int from;
    std::deque<Piece> in_flight;
    std::deque<Slice> arrived;
    std::size_t first_offset = 0;  // into arrived.front()
    std::uint64_t held_bytes = 0;  // in flight and arrived
    bool end_sent = false;
    bool end_arrived = false;
    Instant last_arrival{0};
    std::optional<Instant> blocked_since;
    Duration retry{0};
  };

  // A side is told that the connection is gone.
  struct Notice final : Happening {
    Notice(Link& link, int to) : link(link), to(to) {}
    void happen() override { link.die(to, ErrorKind::closed); }
    Link& link;
    const int to;
  };

  Prng& prng() { return fabric.prng_; }
  World& world() { return fabric.world_; }
  Place place(int end) const;

  std::size_t room(int from) const;
  std::size_t quarter() const;  // of a buffer
  // Puts a message on its way.
  void send(int from, std::vector<Slice> slices);
  void send_end(int from);
  void end_sending(int end);
  void deliver(Pipe& pipe);
  void close(int end);              // by its owner
  void die(int end, ErrorKind as);  // this side hears that it is over
  void reset();  // by the network: an unknown prefix of what is in flight arrives
  void tell_later(int end);
  void lose_in_flight(Pipe& pipe, std::size_t keep);
  void process_died(int end, bool silently);
  void forget_if_over();

  Fabric& fabric;
  const std::uint64_t id;
  bool is_cut = false;  // by reset(): nothing that is sent from now on arrives
  End ends[2];
  Pipe pipes[2];
  Notice notices[2] = {{*this, 0}, {*this, 1}};
};

}  // namespace ottla::io::sim
