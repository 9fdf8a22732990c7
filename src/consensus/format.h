// Makes an empty folder the log dir of a new single-node cluster: writes what Kafka 4.3.1's
// formatter writes, and the metadata partition's own id file, which Kafka would add at its first
// start.
#pragma once

#include <string>
#include <vector>

#include "consensus/snapshot.h"
#include "io/env.h"

namespace ottla::consensus {

struct FormatOptions {
  std::string cluster_id;  // empty: a random one
  NodeId node_id = 1;
  std::vector<VoterEndpoint> endpoints;  // where this voter can be reached
  std::vector<Bytes> bootstrap_records;  // framed: the features' levels
};

// A folder that has a meta.properties is left as it is, but for what Kafka's formatter leaves to
// the first start: partition.metadata of the metadata partition, and its folder. Durable when it
// returns; a crash half-way leaves a folder that this formats again: meta.properties is written
// last. Refuses (`invalid`) a folder that has a metadata log but no meta.properties.
io::Task<io::Result<>> format_if_empty(io::Env& env, std::string log_dir, FormatOptions options);

}  // namespace ottla::consensus
