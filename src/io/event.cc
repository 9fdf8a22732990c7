#include "io/event.h"

namespace ottla::io {

void Event::wake_all() {
  // A posted handle must not be resumed a second time by its timer: disarm it here.
  while (!waiters_.empty()) {
    Waiter& waiter = waiters_.pop_front();
    if (waiter.timed_) waiter.timed_->unlink();
    executor_.post(waiter.waiter_);
  }
}

}  // namespace ottla::io
