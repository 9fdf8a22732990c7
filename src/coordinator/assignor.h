// Who shall have which partition: the assignors that run on the broker (KIP-848). Pure; the same
// input gives the same assignment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/partition_set.h"

namespace ottla::coordinator {

struct AssignmentMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::vector<Uuid> topics;  // subscribed to and there; sorted, none twice
  PartitionSet current;      // what it shall have so far
};

struct AssignmentInput {
  std::vector<AssignmentMember> members;
  std::map<Uuid, std::int32_t> partitions;  // of each topic
};

using Assignment = std::map<std::string, PartitionSet>;  // of every member

// Contiguous ranges of each topic, the same for topics with the same number of partitions and the
// same members: partition n of both goes to one member.
Assignment assign_range(const AssignmentInput& input);

// Numbers of partitions that differ by one at most, as far as subscriptions allow; members keep
// what they have as far as that allows.
Assignment assign_uniform(const AssignmentInput& input);

// In the order of preference: the first is taken if no member asks for another.
inline constexpr std::string_view kAssignorNames[] = {"uniform", "range"};
bool is_assignor(std::string_view name);
Assignment assign(std::string_view name, const AssignmentInput& input);

}  // namespace ottla::coordinator
