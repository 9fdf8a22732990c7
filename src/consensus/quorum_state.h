// `quorum-state` in the folder of the metadata partition: what a voter must not forget (KIP-595,
// KIP-853). One line of JSON, data version 1, as Kafka writes it. Replaced as a whole, and durable
// before any message that tells of it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ottla::consensus {

inline constexpr std::string_view kQuorumStateFile = "quorum-state";
inline constexpr std::size_t kQuorumStateBytesMax = 64 * 1024;

struct QuorumState {
  NodeId leader_id = -1;  // -1: not known
  LeaderEpoch leader_epoch = 0;
  NodeId voted_id = -1;
  Uuid voted_directory_id;
  std::vector<NodeId> voters = {};  // of data version 0 only, where no record of the log tells them
  bool operator==(const QuorumState&) const = default;
};

// Data version 1, which has no place for `voters`.
std::string serialize(const QuorumState& state);
// Reads data versions 0 and 1. An error names what is wrong: without this file's truth a voter must
// not start.
std::expected<QuorumState, std::string> parse_quorum_state(std::string_view text);

}  // namespace ottla::consensus
