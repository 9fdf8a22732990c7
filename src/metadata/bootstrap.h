// The first records of a cluster: the levels of its features, and what they ask for.
#pragma once

#include <string>
#include <vector>

#include "io/env.h"
#include "metadata/record.h"

namespace ottla::metadata {

// What format writes into bootstrap.checkpoint: the levels that a new cluster of this build gets.
std::vector<Record> initial_levels();

// What `bootstrap.checkpoint` in the log dir says, whoever formatted it; initial_levels() where
// there is none. `invalid` for a file that can't be read.
io::Task<io::Result<std::vector<Record>>> read_bootstrap(io::Env& env, std::string log_dir);

// As a Kafka controller puts them into an empty log: in one transaction, and with eligible leader
// replicas the cluster-wide min.insync.replicas, which then has to be the same for all brokers.
std::vector<Record> first_transaction(std::vector<Record> bootstrap, std::string min_insync);

}  // namespace ottla::metadata
