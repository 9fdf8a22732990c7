#include "rpc/client_log.h"

namespace ottla::rpc {

void ClientLog::write(std::string_view line) {
  const io::Instant now = clock_.now();
  if (now >= window_end_) {
    if (left_out_ > 0) {
      logger_.warning("{} more lines about clients were left out: there are at most {} in {} s",
                      left_out_, kLinesMax,
                      std::chrono::duration_cast<std::chrono::seconds>(kWindow).count());
    }
    window_end_ = now + kWindow;
    lines_ = 0;
    left_out_ = 0;
  }
  if (lines_ == kLinesMax) {
    ++left_out_;
    return;
  }
  ++lines_;
  logger_.warning("{}", line);
}

}  // namespace ottla::rpc
