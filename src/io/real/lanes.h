// The workers of a process, by what they wait for, so that one slow thing does not hold up another.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <sys/types.h>

#include "io/real/workers.h"

namespace ottla::io::real {

struct Lanes {
  Workers general{4};  // names and directories, resolution of hosts, closing
  Workers syncs{4};    // flushes, and direct I/O where there is no io_uring
  Workers readers{4};  // reads that have to go to the disk

  // Buffered writes: one thread a device, since more only contend for it.
  Workers& writer(dev_t device) {
    std::scoped_lock lock(mutex_);
    std::unique_ptr<Workers>& workers = writers_[device];
    if (!workers) workers = std::make_unique<Workers>(1);
    return *workers;
  }

 private:
  std::mutex mutex_;
  std::map<dev_t, std::unique_ptr<Workers>> writers_;
};

}  // namespace ottla::io::real
