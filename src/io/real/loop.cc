#include "io/real/loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/check.h"

namespace ottla::io::real {
namespace {

constexpr int kEventsPerTurnMax = 256;
constexpr int kRoundsPerTurnMax =
    16;  // what became ready meanwhile runs in the same turn this often

int wait_precisely(int epoll, epoll_event* events, Duration timeout) {
  timespec time{};
  const bool forever = timeout == Duration::max();
  if (!forever) {
    time.tv_sec = timeout.count() / 1'000'000'000;
    time.tv_nsec = timeout.count() % 1'000'000'000;
  }
  const int count =
      ::epoll_pwait2(epoll, events, kEventsPerTurnMax, forever ? nullptr : &time, nullptr);
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  // Where a container forbids it. Rounded up: a timer never fires early, and the loop does not spin
  // before one.
  constexpr std::int64_t kMsMax = 1'000'000;
  const std::int64_t ms = forever ? -1 : std::min(timeout.count() / 1'000'000 + 1, kMsMax);
  return ::epoll_wait(epoll, events, kEventsPerTurnMax,
                      timeout == Duration::zero() ? 0 : static_cast<int>(ms));
}

}  // namespace

Loop::Loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  OTTLA_CHECK(epoll_.is_open() && wake_.is_open());
  // Edge-triggered, so it need never be read.
  epoll_event event{EPOLLIN | EPOLLET, {.ptr = nullptr}};
  OTTLA_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
}

Loop::~Loop() {
  mailbox_.take_all([](MailboxItem& item) { item.deliver(true); });
}

void Loop::post(std::coroutine_handle<> handle) { ready_.push_back({handle, nullptr}); }

void Loop::post(Callback callback) {
  ready_.push_back({nullptr, std::make_unique<Callback>(std::move(callback))});
}

int Loop::watch(int descriptor, std::uint32_t events, Watch& watch) {
  epoll_event event{events | EPOLLET, {.ptr = &watch}};
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : errno;
}

int Loop::watch_again(int descriptor, std::uint32_t events, Watch& watch) {
  epoll_event event{events | EPOLLET, {.ptr = &watch}};
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event) == 0 ? 0 : errno;
}

void Loop::unwatch(int descriptor) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

void Loop::bring(MailboxItem& item) {
  mailbox_.push(item);
  // The loop sets asleep_ before its last look into the mailbox: either it sees the item, or we see
  // it asleep.
  if (asleep_.load() && asleep_.exchange(false)) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }
}

void Loop::run_ready() {
  for (int round = 0; round < kRoundsPerTurnMax && !ready_.empty() && !ended_; ++round) {
    running_.swap(ready_);
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (running_[i].handle) {
        running_[i].handle.resume();
      } else {
        (*running_[i].callback)();
      }
    }
    running_.clear();
  }
}

void Loop::wait_for_events(bool may_sleep) {
  std::array<epoll_event, kEventsPerTurnMax> events;
  Duration timeout = Duration::zero();
  if (may_sleep && ready_.empty()) {
    asleep_.store(true);
    if (mailbox_.empty()) {
      const Instant wake = clock_.next_wake();
      timeout = Duration::max();
      if (wake != Instant::never()) {
        clock_.refresh();
        timeout = std::max(Duration::zero(), wake - clock_.now());
      }
    }
  }
  const int count = wait_precisely(epoll_.get(), events.data(), timeout);
  asleep_.store(false, std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    if (auto* watch = static_cast<Watch*>(events[i].data.ptr)) watch->on_ready(events[i].events);
  }
}

void Loop::turn() {
  const bool all_handed_over = hook_ == nullptr || hook_->before_wait();
  wait_for_events(all_handed_over);
  if (hook_) hook_->after_wait();
  mailbox_.take_all([this](MailboxItem& item) { item.deliver(draining_); });
}

void Loop::run() {
  while (!ended_) {
    run_ready();
    if (ended_) break;
    turn();
    clock_.refresh();
    clock_.fire_due();
  }
  draining_ = true;
  while (outside_ > 0) turn();
  ready_.clear();
  running_.clear();
  destroy_tasks();
  ready_.clear();
}

}  // namespace ottla::io::real
