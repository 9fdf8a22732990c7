#include "io/real/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace ottla::io::real {

std::uint64_t SystemRandom::next() {
  if (used_ == drawn_.size()) {
    // Up to 256 bytes are given whole, and without interruption.
    OTTLA_CHECK(::getrandom(drawn_.data(), sizeof drawn_, 0) ==
                static_cast<ssize_t>(sizeof drawn_));
    used_ = 0;
  }
  return drawn_[used_++];
}

}  // namespace ottla::io::real
