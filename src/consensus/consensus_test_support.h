// What the tests of the metadata log and of its format share. Not part of the library.
#pragma once

#include <gmock/gmock.h>
#include <string>
#include <utility>
#include <vector>

#include "consensus/format.h"
#include "io/sim/test_support.h"
#include "storage/log_directory.h"

namespace ottla::consensus::testing {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

inline const std::string kFolder = "data";
inline const std::string kMetadataFolder = kFolder + "/__cluster_metadata-0";

// The one node of the quorum.
inline const std::vector<VoterEndpoint> kEndpoints{{"CONTROLLER", "127.0.0.1", 9093}};

inline io::Task<io::Result<>> format_as_node_1(io::Env& env, std::vector<Bytes> bootstrap = {}) {
  return format_if_empty(
      env, kFolder,
      {.node_id = 1, .endpoints = kEndpoints, .bootstrap_records = std::move(bootstrap)});
}

}  // namespace ottla::consensus::testing
