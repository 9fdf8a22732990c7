// How one member of a consumer group comes from what it has to what it shall have, without a
// partition ever having two owners (KIP-848, reference features.md 3.11). Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "coordinator/partition_set.h"

namespace ottla::coordinator {

// As it stands in the record.
enum class MemberState : std::int8_t {
  stable = 0,
  unrevoked_partitions = 1,   // it has to give something up, and has not said that it did
  unreleased_partitions = 2,  // others have not given up yet what it shall get
};

// With each partition the member's epoch when it got it: a commit with an older one is of a zombie
// (KIP-1251).
using OwnedPartitions = std::map<TopicIdPartition, std::int32_t>;

PartitionSet keys_of(const OwnedPartitions& owned);

struct MemberAssignment {
  std::int32_t epoch = 0;
  std::int32_t previous_epoch = 0;  // a heartbeat may repeat it: the answer was lost
  MemberState state = MemberState::stable;
  OwnedPartitions assigned;  // it may use them
  OwnedPartitions revoking;  // it may still use them, and is told not to
  bool operator==(const MemberAssignment&) const = default;
};

struct Target {
  std::int32_t epoch = 0;
  PartitionSet partitions;
};

// The next step. `owned` is what the member says that it has; null if it says nothing. `is_free`
// tells whether a partition has no owner at all.
MemberAssignment reconcile(const MemberAssignment& current, const Target& target,
                           const PartitionSet* owned,
                           const std::function<bool(const TopicIdPartition&)>& is_free);

}  // namespace ottla::coordinator
