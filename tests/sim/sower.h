// An idempotent producer that writes to many partitions in one request, as clients do whose batches
// are small and whose topics are wide. One request at a time; what was not acknowledged is sent
// again, and has an unknown outcome after `patience`.
#pragma once

#include <string>

#include "clients.h"

namespace ottla::sim_campaign {

struct SowerPlan {
  std::string topic;
  std::int32_t partitions = 1;     // of the topic, all of which it writes to
  std::size_t partitions_max = 1;  // of a request
  std::int32_t records_max = 4;    // of a batch
  std::size_t value_bytes_max = 400;
  io::Duration pause = {};    // typical, between requests
  io::Duration timeout = {};  // of a request
  io::Duration patience = {};
  std::uint64_t seed = 0;
};

io::Task<void> sow(io::Env& env, Record& record, SowerPlan plan);

// One batch to each partition, however long it takes: what is alive takes writes.
io::Task<void> sow_once(io::Env& env, Record& record, SowerPlan plan);

}  // namespace ottla::sim_campaign
