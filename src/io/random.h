// Randomness, for ids and jitter. Never for decisions that durable state depends on.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace ottla::io {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  // In [0, bound); 0 if bound is 0.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  // A random (version 4) id; never one of Kafka's reserved ones (the first hundred).
  Uuid uuid() { return {(next() & ~0xf000ull) | 0x4000ull, (next() >> 2) | 0x8000000000000000ull}; }
};

}  // namespace ottla::io
