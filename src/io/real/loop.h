// The event loop of one shard: readiness of sockets by epoll (edge-triggered), completions of the
// disk by io_uring, timers, and what other threads post. It runs on one thread, and everything here
// but bring() belongs to that thread.
//
// A turn: run what is ready, hand the disk's requests to the kernel, wait, note what has happened.
// Nothing of the shard runs while the happenings of a turn are noted (they only make coroutines
// ready), except timers, which come last.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/executor.h"
#include "io/real/clock.h"
#include "io/real/file_descriptor.h"
#include "io/real/mailbox.h"

namespace ottla::io::real {

// Told of the readiness of one descriptor. Only makes others ready: must not run code of the shard.
class Watch {
 public:
  virtual void on_ready(std::uint32_t epoll_events) = 0;

 protected:
  ~Watch() = default;
};

// Something beside sockets that the loop drives: the disk's ring.
class TurnHook {
 public:
  // Hands over what has been prepared; false if something is left, so that the loop does not sleep.
  virtual bool before_wait() = 0;
  virtual void after_wait() = 0;  // notes what has been completed

 protected:
  ~TurnHook() = default;
};

class Loop final : public Executor {
 public:
  Loop();
  ~Loop() override;

  void post(std::coroutine_handle<> handle) override;
  void post(Callback callback) override;
  WheelClock& clock() { return clock_; }

  // Runs until end() was called, on this thread; then waits for all requests under way outside (see
  // begin_outside), and destroys what has not ended.
  void run();
  void end() { ended_ = true; }

  // Readiness. `events` are epoll's (EPOLLET is added). Closing the descriptor ends the watching;
  // `watch` stays until then. Returns 0 or errno.
  int watch(int descriptor, std::uint32_t events, Watch& watch);
  int watch_again(int descriptor, std::uint32_t events, Watch& watch);
  void unwatch(int descriptor);

  void set_hook(TurnHook* hook) { hook_ = hook; }

  // From any thread: delivers `item` in a coming turn, waking the loop if it sleeps.
  void bring(MailboxItem& item);

  // Requests whose memory lies in frames of this shard, and which another thread or the kernel
  // works on. The loop does not end before they have.
  void begin_outside() { ++outside_; }
  void end_outside() { --outside_; }
  bool is_draining() const { return draining_; }

 private:
  struct Ready {
    std::coroutine_handle<> handle;
    std::unique_ptr<Callback> callback;
  };
  void run_ready();
  void turn();
  void wait_for_events(bool may_sleep);

  FileDescriptor epoll_;
  FileDescriptor wake_;  // an eventfd
  WheelClock clock_;
  std::vector<Ready> ready_;
  std::vector<Ready> running_;
  Mailbox mailbox_;
  std::atomic<bool> asleep_{false};
  TurnHook* hook_ = nullptr;
  std::uint64_t outside_ = 0;
  bool ended_ = false;
  bool draining_ = false;
};

}  // namespace ottla::io::real
