// Checks a log dir, or the folder of one partition, against itself: CRCs and order of all batches,
// indexes against a scan, sums of sealed segments, epochs, snapshots, journals. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "io/env.h"

namespace ottla::cli {

struct Finding {
  enum class Weight { note, damage };
  Weight weight = Weight::damage;
  std::string file;
  std::string what;
};

struct VerifyReport {
  std::uint64_t partitions = 0;
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;
  std::uint64_t bytes = 0;
  std::uint64_t journal_entries = 0;
  std::uint64_t damages = 0;
  bool is_clean = false;  // the folder has the clean marker: nothing may be torn
};

// Of a folder in use by a node the active segments move meanwhile: stop it first. Errors: the path
// can't be read at all.
io::Task<io::Result<VerifyReport>> verify_path(io::Env& env, std::string path,
                                               std::function<void(const Finding&)> on_finding);

}  // namespace ottla::cli
