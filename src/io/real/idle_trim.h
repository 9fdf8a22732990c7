// Gives memory that was freed back to the system once a process that was busy is idle. Never while
// it is busy: the allocator's locks would be held meanwhile.
#pragma once

#include "io/clock.h"
#include "io/real/loop.h"
#include "io/real/workers.h"

namespace ottla::io::real {

class IdleTrim final : public Timer {
 public:
  // One for the process, on one of its loops.
  IdleTrim(Loop& loop, Workers& workers) : loop_(loop), workers_(workers) {}
  void start();
  void fire() override;

 private:
  Loop& loop_;
  Workers& workers_;
  Duration cpu_before_{0};
  bool was_busy_ = true;  // starting up counts
};

}  // namespace ottla::io::real
