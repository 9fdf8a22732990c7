#include "io/real/workers.h"

#include <chrono>

#include "base/check.h"

namespace ottla::io::real {
namespace {

constexpr std::chrono::seconds kIdleMax{5};
constexpr std::size_t kStackBytes = 256
                                    << 10;  // name resolution needs some; only touched pages count

}  // namespace

Workers::~Workers() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  work_came_.notify_all();
  thread_ended_.wait(lock, [this] { return threads_ == 0; });
}

std::size_t Workers::threads() const {
  std::scoped_lock lock(mutex_);
  return threads_;
}

void Workers::submit(Job& job) {
  bool start_one = false;
  {
    std::scoped_lock lock(mutex_);
    job.next_job_ = nullptr;
    if (last_ != nullptr) {
      last_->next_job_ = &job;
    } else {
      first_ = &job;
    }
    last_ = &job;
    ++queued_;
    start_one = queued_ > idle_ && threads_ < threads_max_;
    if (start_one) ++threads_;
  }
  if (!start_one) {
    work_came_.notify_one();
    return;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const int failed = pthread_create(&thread, &attributes, &Workers::start, this);
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    std::scoped_lock lock(mutex_);
    // With another thread the job only waits longer; without any it would wait for ever.
    OTTLA_CHECK(--threads_ > 0);
  }
}

void* Workers::start(void* self) {
  ::pthread_setname_np(::pthread_self(), "disk-worker");
  static_cast<Workers*>(self)->serve();
  return nullptr;
}

void Workers::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (first_ == nullptr) {
      if (stopping_) break;
      ++idle_;
      const bool came =
          work_came_.wait_for(lock, kIdleMax, [this] { return first_ != nullptr || stopping_; });
      --idle_;
      if (!came) break;
      continue;
    }
    Job& job = *first_;
    first_ = job.next_job_;
    if (first_ == nullptr) last_ = nullptr;
    --queued_;
    lock.unlock();
    Loop& home = *job.home;
    job.work();
    home.bring(job);
    lock.lock();
  }
  // Notified under the lock: once it is free, the destructor may go on and this object be gone.
  --threads_;
  thread_ended_.notify_all();
}

}  // namespace ottla::io::real
