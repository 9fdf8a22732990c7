// A Disk whose operations fail, are cut short or take longer, by rule: over the real disk in test
// builds, without root.
//
//   auto rules = parse_fault_rules("delay sync ms=1");
//   auto disk = make_fault_disk(env.disk, env.clock, *rules);
//   Env faulty{env.shard, env.executor, env.clock, env.random, *disk, env.network, env.shards,
//   env.logger, env.stop};
//
// Calls are counted by rule, over all files of this disk (one shard). What the kernel sends from a
// file by itself (FileRange) passes by.
#pragma once

#include <memory>
#include <vector>

#include "io/clock.h"
#include "io/disk.h"
#include "io/fault/fault_rules.h"

namespace ottla::io::fault {

// `inner` and `clock` outlive it, and all its files.
std::unique_ptr<Disk> make_fault_disk(Disk& inner, Clock& clock, std::vector<FaultRule> rules);

}  // namespace ottla::io::fault
