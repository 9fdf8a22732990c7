// SIGTERM and SIGINT ask the process to end; the second one ends it at once, with status 130.
// SIGPIPE is ignored.
#pragma once

#include <csignal>
#include <functional>

#include "io/real/file_descriptor.h"
#include "io/real/loop.h"

namespace ottla::io::real {

// In force while it lives; one at a time in a process, since handlers belong to the process.
class StopSignals final : private Watch {
 public:
  // `asked` is called on the loop's thread, between turns, at the first signal.
  StopSignals(Loop& loop, std::function<void()> asked);
  ~StopSignals();

 private:
  void on_ready(std::uint32_t events) override;

  Loop& loop_;
  std::function<void()> asked_;
  FileDescriptor came_;  // an eventfd
  struct sigaction old_terminate_{};
  struct sigaction old_interrupt_{};
};

}  // namespace ottla::io::real
