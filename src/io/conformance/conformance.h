// What Disk, Network, Clock and Executor promise, as cases that run in any world. The tests of the
// real and of the simulated world run every one of them; a difference between the two is a bug in
// one of them, or in the promise.
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "io/env.h"

namespace ottla::io::conformance {

// Collects what did not hold.
class Checker {
 public:
  void expect(bool holds, std::string_view what,
              std::source_location where = std::source_location::current());
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  std::vector<std::string> failures_;
};

// What a case works with. It outlives the case.
struct Setting {
  Env& env;
  std::string folder;  // exists and is empty; the case may fill it
  std::string host;  // where listening and connecting to oneself works: "127.0.0.1", or a simulated
                     // host's name
  Checker& check;
};

struct Case {
  std::string name;  // "disk/rename_replaces"
  Task<void> (*run)(Setting& setting);
};

std::vector<Case> disk_cases();
std::vector<Case> network_cases();  // connections by TCP
std::vector<Case> channel_cases();  // the same connections by make_channel
std::vector<Case> time_cases();     // Clock, Executor, Event, Shards, Random
std::vector<Case> all_cases();

}  // namespace ottla::io::conformance

// In a case: note a failure and go on, or end the case.
#define OTTLA_EXPECT(condition) setting.check.expect(static_cast<bool>(condition), #condition)
#define OTTLA_REQUIRE(condition)                      \
  do {                                                \
    const bool holds_ = static_cast<bool>(condition); \
    setting.check.expect(holds_, #condition);         \
    if (!holds_) co_return;                           \
  } while (false)
