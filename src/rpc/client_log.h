// Log lines about what clients did wrong. Anybody who reaches the port can cause them, so there are
// at most kLinesMax in kWindow; what was left out is counted, and told before the next line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/logger.h"
#include "io/clock.h"

namespace ottla::rpc {

class ClientLog {
 public:
  static constexpr std::uint32_t kLinesMax = 10;
  static constexpr io::Duration kWindow = std::chrono::seconds(10);

  ClientLog(io::Clock& clock, Logger& logger) : clock_(clock), logger_(logger) {}

  void write(std::string_view line);

 private:
  io::Clock& clock_;
  Logger& logger_;
  io::Instant window_end_;
  std::uint32_t lines_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace ottla::rpc
