#include "broker_process.h"

#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <string>
#include <unistd.h>

#include "admin.h"

namespace ottla::load {
namespace {

double seconds_on(clockid_t clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double cpu_seconds_of(int pid) {
  if (pid == 0) return 0;
  clockid_t clock{};
  if (::clock_getcpuclockid(pid, &clock) != 0) die(fmt::format("process {} is gone", pid));
  return seconds_on(clock);
}

double own_cpu_seconds() { return seconds_on(CLOCK_PROCESS_CPUTIME_ID); }

double resident_mib_of(int pid) {
  if (pid == 0) return 0;
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  die(fmt::format("process {} is gone", pid));
}

}  // namespace ottla::load
