// What a failing disk excuses a broker for. Pure; used by the run's judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "io/sim/world.h"

namespace ottla::sim_campaign {

// Whether a broker may end by itself. A start that felt the fault may do so long after it is over:
// a write that failed is told once those beside it have ended, and a node that stops waits for what
// is under way.
class DiskExcuse {
 public:
  void fault_begins() { is_valid_ = true; }
  // `start`: the number of the broker's last start.
  void fault_ends(std::uint64_t start, bool was_felt);
  // The start is ready and no disk fails.
  void is_well(std::uint64_t start);
  bool is_valid() const { return is_valid_; }
  void withdraw() { is_valid_ = false; }

 private:
  bool is_valid_ = false;
  std::uint64_t last_felt_ = 0;  // the last start that may have felt one
};

// These take what one start of the broker has logged.
using Lines = std::span<const io::sim::LogLine>;

// Whether it complained of the disk.
bool names_disk_failure(Lines lines);

// Whether it goes on without space: from line `first` on it was for checkpoints, or a journal waits
// at any time since. A journal says it once, until there is space again.
bool waits_for_space(Lines lines, std::size_t first);

}  // namespace ottla::sim_campaign
