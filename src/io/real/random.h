// Randomness from the system.
#pragma once

#include <array>

#include "io/random.h"

namespace ottla::io::real {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 32> drawn_{};  // asked for together, to save calls
  std::size_t used_ = drawn_.size();
};

}  // namespace ottla::io::real
