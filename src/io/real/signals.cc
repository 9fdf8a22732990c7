#include "io/real/signals.h"

#include <atomic>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace ottla::io::real {
namespace {

// A handler has no other way to know anything.
std::atomic<int> signal_eventfd{-1};
std::atomic<int> signals_seen{0};

extern "C" void on_stop_signal(int) {
  // Not left to the loop: it must also work when the loop hangs.
  if (signals_seen.fetch_add(1) > 0) ::_exit(130);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(signal_eventfd.load(), &one, sizeof one);
}

}  // namespace

StopSignals::StopSignals(Loop& loop, std::function<void()> asked)
    : loop_(loop), asked_(std::move(asked)), came_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  OTTLA_CHECK(came_.is_open() && signal_eventfd.load() == -1);
  signals_seen.store(0);
  signal_eventfd.store(came_.get());
  OTTLA_CHECK(loop_.watch(came_.get(), EPOLLIN, *this) == 0);
  struct sigaction action{};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, &old_terminate_);
  ::sigaction(SIGINT, &action, &old_interrupt_);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  signal_eventfd.store(-1);
}

void StopSignals::on_ready(std::uint32_t) {
  loop_.post(Executor::Callback([this] { asked_(); }));
}

}  // namespace ottla::io::real
