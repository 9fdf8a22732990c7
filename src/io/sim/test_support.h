// What tests in the simulated world share. Not part of a library.
#pragma once

#include <gtest/gtest.h>

#include "io/sim/world.h"

namespace ottla::io::sim {

inline Bytes filled(std::size_t size, std::uint8_t value) { return Bytes(size, value); }

inline Slice text(std::string_view text) { return Slice::copy_of(as_bytes(text)); }

// Runs `body` as the node's process, to its end, and gives its exit code.
inline int run(World& world, Node& node, Process::ShardMain body) {
  node.start(1, std::move(body));
  EXPECT_TRUE(world.run_until([&] { return !node.is_running(); }, 60min)) << world.report();
  return node.exit_code();
}

// Starts `body`, goes on until it sets `flag`, and leaves it running.
inline void run_until_set(World& world, Node& node, bool& flag, Process::ShardMain body) {
  node.start(1, std::move(body));
  EXPECT_TRUE(world.run_until([&] { return flag; }, 60min)) << world.report();
}

}  // namespace ottla::io::sim

// In a coroutine that gives an exit code: fails the test and leaves with 1.
#define REQUIRE(condition)                       \
  do {                                           \
    if (!(condition)) {                          \
      ADD_FAILURE() << "failed: " << #condition; \
      co_return 1;                               \
    }                                            \
  } while (false)
