// A producer without acknowledgements (acks=0) and without a producer id: what it sends may come to
// pass or not, but never twice, never elsewhere, and in order on one connection.
#pragma once

#include <string>

#include "clients.h"

namespace ottla::sim_campaign {

struct ShouterPlan {
  std::string topic;
  PartitionIndex partition = 0;
  std::int32_t records_max = 10;  // of a batch
  std::size_t value_bytes_max = 400;
  io::Duration pause = {};  // typical, between batches
  std::uint64_t seed = 0;
};

io::Task<void> shout(io::Env& env, Record& record, ShouterPlan plan);

}  // namespace ottla::sim_campaign
