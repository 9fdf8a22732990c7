// io_uring for the files of one shard: direct I/O and flushes. What a turn prepares is handed over
// in one call, before the loop waits; completions wake the loop by an eventfd.
//
// Buffered writes do not come here (they are slower by io_uring), nor does anything with O_DSYNC.
#pragma once

#include <array>
#include <coroutine>
#include <liburing.h>
#include <memory>

#include "base/bytes.h"
#include "io/real/file_descriptor.h"
#include "io/real/loop.h"

namespace ottla::io::real {

class Ring final : public TurnHook, private Watch {
 public:
  // Null where the kernel, or who contains us, does not allow it.
  static std::unique_ptr<Ring> make(Loop& loop);
  ~Ring();

  // On the loop's thread, before it runs.
  void start();

  // One or two requests that a coroutine awaits; it gives their results: a count, or -errno.
  template <std::size_t N>
  class Call;
  Call<1> read(int descriptor, std::uint64_t position, MutableByteView into);
  Call<1> write(int descriptor, std::uint64_t position, ByteView from);
  Call<1> sync_data(int descriptor);
  // The flush starts when all has been written. After a short write it fails with -ECANCELED.
  Call<2> write_then_sync(int descriptor, std::uint64_t position, ByteView from);

  bool before_wait() override;
  void after_wait() override;

 private:
  struct Waiter {
    std::coroutine_handle<> handle;
    unsigned pending = 0;
  };
  struct Entry {
    Waiter* waiter = nullptr;
    int result = 0;
  };
  enum class Operation { read, write, sync_data };
  struct Request {
    Operation operation;
    int descriptor = -1;
    std::uint64_t position = 0;
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
  };

  explicit Ring(Loop& loop) : loop_(loop) {}
  bool set_up(unsigned flags);
  void on_ready(std::uint32_t) override {}  // after_wait() looks anyway
  void prepare(const Request& request, Entry& entry, bool linked);
  void make_room(unsigned count);

  Loop& loop_;
  io_uring ring_{};
  bool is_set_up_ = false;
  bool must_enable_ = false;
  unsigned prepared_ = 0;
  FileDescriptor completed_;  // an eventfd
};

template <std::size_t N>
class Ring::Call {
 public:
  Call(Ring& ring, std::array<Request, N> requests) : ring_(ring), requests_(requests) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.handle = handle;
    waiter_.pending = N;
    ring_.make_room(N);
    for (std::size_t i = 0; i < N; ++i) {
      entries_[i].waiter = &waiter_;
      ring_.prepare(requests_[i], entries_[i], i + 1 < N);
    }
  }
  std::array<int, N> await_resume() const {
    std::array<int, N> results;
    for (std::size_t i = 0; i < N; ++i) results[i] = entries_[i].result;
    return results;
  }

 private:
  Ring& ring_;
  std::array<Request, N> requests_;
  std::array<Entry, N> entries_;
  Waiter waiter_;
};

}  // namespace ottla::io::real
