#include "io/real/idle_trim.h"

#include <malloc.h>
#include <sys/resource.h>

namespace ottla::io::real {
namespace {

constexpr Duration kInterval = std::chrono::seconds(10);
constexpr Duration kIdleCpuMax = kInterval / 50;

Duration cpu_used() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

class Trim final : public Job {
 public:
  explicit Trim(Loop& loop) { home = &loop; }
  void work() override { ::malloc_trim(0); }
  void deliver(bool) override { delete this; }
};

}  // namespace

void IdleTrim::start() {
  cpu_before_ = cpu_used();
  deadline = loop_.clock().now() + kInterval;
  loop_.clock().arm(*this);
}

void IdleTrim::fire() {
  const bool is_busy = cpu_used() - cpu_before_ > kIdleCpuMax;
  if (was_busy_ && !is_busy) workers_.submit(*new Trim(loop_));
  was_busy_ = is_busy;
  start();
}

}  // namespace ottla::io::real
