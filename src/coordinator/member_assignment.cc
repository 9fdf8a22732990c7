#include "coordinator/member_assignment.h"

#include <algorithm>

namespace ottla::coordinator {
namespace {

bool has_any(const PartitionSet* owned, const OwnedPartitions& partitions) {
  if (!owned) return !partitions.empty();  // not told: so maybe
  return std::ranges::any_of(partitions,
                             [&](const auto& each) { return contains(*owned, each.first); });
}

// `epoch` is the one that the member has reached by now.
MemberAssignment next_step(const MemberAssignment& current, std::int32_t epoch,
                           const Target& target, const PartitionSet* owned,
                           const std::function<bool(const TopicIdPartition&)>& is_free) {
  MemberAssignment next;
  next.previous_epoch = current.epoch;
  for (const auto& [partition, since] : current.assigned)
    (contains(target.partitions, partition) ? next.assigned : next.revoking)[partition] = since;
  if (has_any(owned, next.revoking)) {
    next.epoch = epoch;
    next.state = MemberState::unrevoked_partitions;
    return next;
  }
  next.revoking.clear();
  next.epoch = target.epoch;
  for (const TopicIdPartition& partition : target.partitions) {
    if (next.assigned.contains(partition)) continue;
    if (is_free(partition)) {
      next.assigned[partition] = target.epoch;
    } else {
      next.state = MemberState::unreleased_partitions;
    }
  }
  return next;
}

}  // namespace

PartitionSet keys_of(const OwnedPartitions& owned) {
  PartitionSet partitions;
  for (const auto& [partition, epoch] : owned) partitions.push_back(partition);
  return partitions;
}

MemberAssignment reconcile(const MemberAssignment& current, const Target& target,
                           const PartitionSet* owned,
                           const std::function<bool(const TopicIdPartition&)>& is_free) {
  switch (current.state) {
    case MemberState::stable:
      if (current.epoch == target.epoch) return current;
      return next_step(current, current.epoch, target, owned, is_free);
    case MemberState::unrevoked_partitions:
      if (has_any(owned, current.revoking)) return current;
      return next_step(current, std::min(current.epoch + 1, target.epoch), target, owned, is_free);
    case MemberState::unreleased_partitions: {
      auto next = next_step(current, current.epoch, target, owned, is_free);
      if (next.assigned == current.assigned && next.state == current.state &&
          next.epoch == current.epoch)
        return current;  // nothing was released
      return next;
    }
  }
  return current;
}

}  // namespace ottla::coordinator
