// What the tests of the real runtime share. Not part of the library.
#pragma once

#include "io/real/runtime.h"

namespace ottla::io::real {

// A runtime that says nothing and leaves the signals to the test.
inline RuntimeOptions quiet(unsigned shards) {
  static NullLogger logger;
  return {.shards = shards, .handle_signals = false, .logger = &logger};
}

}  // namespace ottla::io::real
