// What stands in the log of a consumer group. Records come from our own steps and from whoever
// wrote the log before: what makes no sense is taken as far as it does.
#include <utility>

#include "coordinator/consumer_group.h"

namespace ottla::coordinator {
namespace {

using CurrentValue = wire::ConsumerGroupCurrentMemberAssignmentValue;

// Older writers give no epochs: then any commit of the member counts.
OwnedPartitions owned_in(const std::vector<CurrentValue::TopicPartitions>& topics) {
  OwnedPartitions owned;
  for (const auto& topic : topics) {
    const auto& epochs = topic.assignment_epochs;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      owned[{topic.topic_id, topic.partitions[i]}] =
          epochs && i < epochs->size() ? (*epochs)[i] : 0;
    }
  }
  return owned;
}

}  // namespace

ConsumerGroup::Member::Member() {
  told.instance_id.reset();
  told.rack_id.reset();
  told.server_assignor.reset();
  told.classic_member_metadata.reset();
}

void ConsumerGroup::apply(const ConsumerGroupRecord& record) {
  if (!record.value) return;  // the whole group goes with it: GroupMachine
  epoch_ = record.value->epoch;
  topics_hash_ = record.value->metadata_hash;
}

void ConsumerGroup::apply(const ConsumerMemberRecord& record) {
  if (Member* known = find(record.member); known && known->told.instance_id) {
    const auto instance = instances_.find(*known->told.instance_id);
    if (instance != instances_.end() && instance->second == record.member)
      instances_.erase(instance);
  }
  if (!record.value) {
    if (const Member* known = find(record.member)) release(record.member, known->current);
    members_.erase(record.member);
    return;
  }
  members_[record.member].told = *record.value;
  if (record.value->instance_id) instances_[*record.value->instance_id] = record.member;
}

void ConsumerGroup::apply(const TargetEpochRecord& record) {
  assignment_epoch_ = record.value ? record.value->assignment_epoch : kFirstEpoch;
}

void ConsumerGroup::apply(const TargetAssignmentRecord& record) {
  if (record.value) {
    targets_[record.member] = partitions_in(record.value->topic_partitions);
  } else {
    targets_.erase(record.member);
  }
}

void ConsumerGroup::apply(const CurrentAssignmentRecord& record) {
  MemberAssignment next;
  if (record.value) {
    next.epoch = record.value->member_epoch;
    next.previous_epoch = record.value->previous_member_epoch;
    next.state = record.value->state == static_cast<std::int8_t>(MemberState::unrevoked_partitions)
                     ? MemberState::unrevoked_partitions
                 : record.value->state == static_cast<std::int8_t>(MemberState::stable)
                     ? MemberState::stable
                     : MemberState::unreleased_partitions;  // the state that asks for all again
    next.assigned = owned_in(record.value->assigned_partitions);
    next.revoking = owned_in(record.value->partitions_pending_revocation);
  }
  // After a compaction it may stand before the member's own record.
  if (!record.value && !find(record.member)) return;
  Member& member = members_[record.member];
  release(record.member, member.current);
  for (const OwnedPartitions* owned : {&next.assigned, &next.revoking}) {
    for (const auto& [partition, epoch] : *owned) owners_[partition] = record.member;
  }
  member.current = std::move(next);
}

void ConsumerGroup::release(const std::string& member_id, const MemberAssignment& assignment) {
  for (const OwnedPartitions* owned : {&assignment.assigned, &assignment.revoking}) {
    for (const auto& [partition, epoch] : *owned) {
      const auto owner = owners_.find(partition);
      if (owner != owners_.end() && owner->second == member_id) owners_.erase(owner);
    }
  }
}

void ConsumerGroup::apply(const RegularExpressionRecord& record) {
  if (!record.value) {
    expressions_.erase(record.expression);
    return;
  }
  expressions_[record.expression] = {
      .topics = {record.value->topics.begin(), record.value->topics.end()},
      .resolved_wall_ms = record.value->timestamp};
}

void ConsumerGroup::loaded(const ConsumerGroupLimits& limits, Now now) {
  for (auto& [id, member] : members_) {
    renew(member, limits, now);
    if (member.current.state == MemberState::unrevoked_partitions) {
      member.revocation_end_ms = now.monotonic_ms + std::max(member.told.rebalance_timeout_ms, 0);
    }
  }
}

void ConsumerGroup::renew(Member& member, const ConsumerGroupLimits& limits, Now now) {
  member.session_end_ms = now.monotonic_ms + limits.session_timeout_ms;
}

void ConsumerGroup::drop(const std::string& member_id, Output& output) {
  push(CurrentAssignmentRecord{id_, member_id, std::nullopt}, output);
  push(TargetAssignmentRecord{id_, member_id, std::nullopt}, output);
  push(ConsumerMemberRecord{id_, member_id, std::nullopt}, output);
}

void ConsumerGroup::bump(Output& output) {
  ConsumerGroupRecord record{id_, wire::ConsumerGroupMetadataValue()};
  record.value->epoch = epoch_ + 1;
  record.value->metadata_hash = topics_hash_;
  push(std::move(record), output);
}

void ConsumerGroup::remove(Output& output) {
  std::vector<std::string> expressions;
  for (const auto& [expression, resolved] : expressions_) expressions.push_back(expression);
  for (const std::string& expression : expressions)
    push(RegularExpressionRecord{id_, expression, std::nullopt}, output);
  push(TargetEpochRecord{id_, std::nullopt}, output);
  push(ConsumerGroupRecord{id_, std::nullopt}, output);
}

}  // namespace ottla::coordinator
