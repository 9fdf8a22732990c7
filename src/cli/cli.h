// The `ottla` command: parses what was asked, runs it, gives the exit code. One file a command in
// commands/.
#pragma once

#include <functional>

#include "io/env.h"

namespace ottla::cli {

using ShardMain = std::function<io::Task<int>(io::Env&)>;

struct CliOptions {
  // Puts something between the real world and what runs in it (a test binary's faults); null:
  // nothing.
  std::function<ShardMain(ShardMain)> around;
};

// The whole of main(). Never throws.
int run(int argc, const char* const* argv, CliOptions options = {});

}  // namespace ottla::cli
