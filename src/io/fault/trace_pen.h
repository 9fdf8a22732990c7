// With which the disk and the network of one shard write their lines into the trace.
#pragma once

#include <fmt/format.h>
#include <utility>

#include "io/fault/trace.h"

namespace ottla::io::fault {

struct Pen {
  unsigned shard;
  Clock& clock;
  TraceLog& log;

  template <class... Args>
  void write(fmt::format_string<Args...> format, Args&&... args) const {
    log.write(shard, clock.now(), fmt::format(format, std::forward<Args>(args)...));
  }
};

}  // namespace ottla::io::fault
