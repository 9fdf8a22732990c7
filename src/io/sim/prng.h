// Prng: the simulator's only source of chance. One root seed, one stream per named purpose
// ("schedule", "disk/b1" ...), so that a draw more in one place does not disturb the others.
// xoshiro256++, seeded by splitmix64.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "io/clock.h"

namespace ottla::io::sim {

class Prng {
 public:
  explicit Prng(std::uint64_t seed) {
    for (auto& word : state_) word = split_mix(seed);
  }
  static Prng stream(std::uint64_t root_seed, std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325ull;
    for (char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
    return Prng(root_seed * 0x9e3779b97f4a7c15ull ^ hash);
  }

  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // In [0, bound); 0 if bound is 0.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  // In [least, most].
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  bool chance(double probability) {
    if (probability <= 0) return false;
    return static_cast<double>(next() >> 11) * 0x1p-53 < probability;
  }
  // About `typical` (half to one and a half of it); with probability `tail` four times that, and so
  // on again, up to kTailMax.
  Duration delay(Duration typical, double tail) {
    auto ns = static_cast<std::uint64_t>(typical.count());
    const std::uint64_t most = std::max(ns, static_cast<std::uint64_t>(kTailMax.count()));
    for (int i = 0; i < kTailSteps && chance(tail); ++i) ns = std::min(ns * 4, most);
    return Duration(static_cast<std::int64_t>(ns / 2 + below(ns + 1)));
  }

 private:
  static constexpr int kTailSteps = 8;
  static constexpr Duration kTailMax = std::chrono::seconds(10);
  static std::uint64_t rotate(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }
  static std::uint64_t split_mix(std::uint64_t& x) {
    std::uint64_t z = (x += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  std::uint64_t state_[4];
};

}  // namespace ottla::io::sim
