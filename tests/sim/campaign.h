// One seed of the campaign: a world, the shipped broker with 1, 2 or 4 shards, clients, faults, a
// healed end in which everything is read, and the judgement of what the clients saw.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "faults.h"
#include "marks.h"

namespace ottla::sim_campaign {

struct SeedResult {
  std::uint64_t seed = 0;
  std::vector<std::string> findings;  // empty: every promise was kept
  FaultCounts faults{};
  MarkCounts marks{};
  bool is_valid = true;  // every kind of fault that was planned was felt
  std::size_t operations = 0;
  std::size_t acknowledged = 0;  // records
  std::uint64_t starts = 0;      // of the broker
  std::uint64_t trace_hash = 0;
  double cpu_seconds = 0;
};

// With `trace`, prints each event, the history and the broker's log there.
SeedResult run_seed(std::uint64_t seed, std::FILE* trace = nullptr);

}  // namespace ottla::sim_campaign
