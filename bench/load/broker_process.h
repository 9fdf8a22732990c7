// What the broker's process uses, seen from outside.
#pragma once

namespace ottla::load {

// User and system time of all threads of a process, those that have ended included: the sum that
// /proc/PID/stat gives in ticks, in nanoseconds here. 0 for pid 0.
double cpu_seconds_of(int pid);
double own_cpu_seconds();
double resident_mib_of(int pid);

}  // namespace ottla::load
