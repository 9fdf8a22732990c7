#include "coordinator/group_machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kGroupIdNotFoundFrom = 9;   // of OffsetCommit
constexpr std::int16_t kDescribeNotFoundFrom = 6;  // of DescribeGroups
constexpr std::string_view kConsumerProtocol = "consumer";
constexpr std::string_view kDeadState = "Dead";
constexpr std::string_view kClassicType = "classic";
constexpr std::string_view kConsumerType = "consumer";

std::int16_t code(ErrorCode error) { return static_cast<std::int16_t>(error); }

template <class Response>
void refuse(Token token, ErrorCode error, Output& output) {
  Response response;
  response.error_code = code(error);
  output.replies.push_back({token, std::move(response)});
}

}  // namespace

GroupMachine::Group* GroupMachine::find(const std::string& group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

const GroupMachine::Group* GroupMachine::find(const std::string& group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

std::vector<std::string> GroupMachine::names() const {
  std::vector<std::string> names;
  for (const auto& [name, group] : groups_) names.push_back(name);
  return names;
}

GroupMachine::Group& GroupMachine::make(const std::string& name, Now now) {
  Group& group = groups_[name];
  if (!group.classic && !group.consumer) group.classic.emplace(name, now);
  return group;
}

void GroupMachine::settle(const std::string& name, Group& group) {
  const auto due = group.consumer  ? group.consumer->deadline()
                   : group.classic ? group.classic->deadline()
                                   : std::nullopt;
  const TimestampMs deadline = due.value_or(kNever);
  if (deadline != group.deadline) {
    if (group.deadline != kNever) schedule_.erase({group.deadline, name});
    if (deadline != kNever) schedule_.insert({deadline, name});
    group.deadline = deadline;
  }
  // What was never written down, and nobody waits for, needs no tombstone.
  const bool is_unwritten =
      group.consumer ? group.consumer->is_unwritten()
                     : !group.classic || (group.classic->generation() == 0 && !due &&
                                          group.classic->state() == ClassicGroupState::empty);
  const bool is_dead = group.classic && group.classic->state() == ClassicGroupState::dead;
  if ((is_unwritten || is_dead) && group.offsets.empty() && group.pending.empty()) {
    if (group.deadline != kNever) schedule_.erase({group.deadline, name});
    groups_.erase(name);
  }
}

// Nobody is in it.
bool GroupMachine::is_empty(const Group& group) {
  if (group.consumer) return group.consumer->empty();
  return !group.classic || group.classic->state() == ClassicGroupState::empty;
}

bool GroupMachine::is_in_use(const Group& group, const std::string& topic) {
  if (group.consumer) return group.consumer->is_subscribed_to(topic);
  return group.classic && group.classic->is_subscribed_to(topic);
}

// --- members

void GroupMachine::join(const ClassicGroup::JoinContext& context,
                        const wire::JoinGroupRequest& request, Now now, Output& output) {
  if (request.group_id.empty()) {
    wire::JoinGroupResponse response;
    response.error_code = code(ErrorCode::invalid_group_id);
    response.member_id = request.member_id;
    response.protocol_name = "";
    output.replies.push_back({context.token, std::move(response)});
    return;
  }
  Group& group = make(request.group_id, now);
  if (group.consumer) {
    if (!group.consumer->empty()) {
      wire::JoinGroupResponse response;
      response.error_code = code(ErrorCode::inconsistent_group_protocol);
      response.member_id = request.member_id;
      response.protocol_name = "";
      output.replies.push_back({context.token, std::move(response)});
      return;
    }
    group.consumer->remove(output);
    group.consumer.reset();
    group.classic.emplace(request.group_id, now);
  }
  group.classic->join(context, request, limits_.classic, now, output);
  settle(request.group_id, group);
}

void GroupMachine::sync(Token token, const wire::SyncGroupRequest& request, Now now,
                        Output& output) {
  if (request.group_id.empty())
    return refuse<wire::SyncGroupResponse>(token, ErrorCode::invalid_group_id, output);
  Group* group = find(request.group_id);
  if (!group || !group->classic)
    return refuse<wire::SyncGroupResponse>(token, ErrorCode::unknown_member_id, output);
  group->classic->sync(token, request, now, output);
  settle(request.group_id, *group);
}

void GroupMachine::heartbeat(Token token, const wire::HeartbeatRequest& request, Now now,
                             Output& output) {
  if (request.group_id.empty())
    return refuse<wire::HeartbeatResponse>(token, ErrorCode::invalid_group_id, output);
  Group* group = find(request.group_id);
  if (!group || !group->classic)
    return refuse<wire::HeartbeatResponse>(token, ErrorCode::unknown_member_id, output);
  group->classic->heartbeat(token, request, now, output);
  settle(request.group_id, *group);
}

void GroupMachine::leave(Token token, const wire::LeaveGroupRequest& request, bool is_batch,
                         Now now, Output& output) {
  if (request.group_id.empty())
    return refuse<wire::LeaveGroupResponse>(token, ErrorCode::invalid_group_id, output);
  Group* group = find(request.group_id);
  if (!group || !group->classic) {
    wire::LeaveGroupResponse response;
    if (!is_batch) response.error_code = code(ErrorCode::unknown_member_id);
    for (const auto& member : request.members) {
      auto& answer = response.members.emplace_back();
      answer.member_id = member.member_id;
      answer.group_instance_id = member.group_instance_id;
      answer.error_code = code(ErrorCode::unknown_member_id);
    }
    output.replies.push_back({token, std::move(response)});
    return;
  }
  group->classic->leave(token, request, is_batch, now, output);
  settle(request.group_id, *group);
}

// The group's own configs come before the node's.
ConsumerGroupLimits GroupMachine::consumer_limits(const std::string& group) const {
  ConsumerGroupLimits limits = limits_.consumer;
  if (const auto own = cluster_.group_config(group, "consumer.session.timeout.ms"))
    limits.session_timeout_ms = *own;
  if (const auto own = cluster_.group_config(group, "consumer.heartbeat.interval.ms"))
    limits.heartbeat_interval_ms = *own;
  return limits;
}

void GroupMachine::consumer_heartbeat(const ConsumerGroup::Context& context,
                                      const wire::ConsumerGroupHeartbeatRequest& request, Now now,
                                      Output& output) {
  if (auto refusal = ConsumerGroup::check(request, context.version))
    return ConsumerGroup::refuse(context.token, std::move(*refusal), output);
  const std::string& name = request.group_id;
  const auto refuse_group = [&](std::string message) {
    ConsumerGroup::refuse(context.token,
                          {.error = ErrorCode::group_id_not_found, .message = std::move(message)},
                          output);
  };
  Group* group = find(name);
  if (!group || !group->consumer) {
    if (group && !is_empty(*group))
      return refuse_group("Group " + name + " is not a consumer group.");
    if (request.member_epoch < 0) return refuse_group("Group " + name + " not found.");
    if (request.member_epoch > 0) return refuse_group("Consumer group " + name + " not found.");
    group = &groups_[name];
    if (group->classic && group->classic->generation() > 0) group->classic->remove(output);
    group->classic.reset();
    group->consumer.emplace(name);
  }
  group->consumer->heartbeat(context, request, consumer_limits(name), cluster_, now, output);
  settle(name, *group);
}

// --- offsets

void GroupMachine::apply(const OffsetRecord& record) {
  groups_[record.group].offsets.apply(record, ++order_);
}

void GroupMachine::push(std::vector<OffsetRecord> records, Output& output) {
  for (OffsetRecord& record : records) {
    apply(record);
    output.records.push_back(std::move(record));
  }
}

void GroupMachine::commit(const CommitContext& context, const wire::OffsetCommitRequest& request,
                          Now now, Output& output) {
  const std::int32_t generation = request.generation_id_or_member_epoch;
  ErrorCode error = ErrorCode::none;
  if (Group* group = find(request.group_id); group && group->consumer) {
    PartitionSet partitions;
    for (const auto& topic : request.topics) {
      for (const auto& partition : topic.partitions)
        partitions.push_back({context.topic_id(topic.name), partition.partition_index});
    }
    error = group->consumer->check_commit(request.member_id, generation, false, context.version,
                                          partitions);
  } else if (group && group->classic) {
    error = group->classic->check_commit(request.member_id, request.group_instance_id, generation,
                                         false, now);
  } else if (generation >= 0) {
    error = context.version >= kGroupIdNotFoundFrom ? ErrorCode::group_id_not_found
                                                    : ErrorCode::illegal_generation;
  }
  wire::OffsetCommitResponse response;
  Group* group = error == ErrorCode::none ? &make(request.group_id, now) : find(request.group_id);
  std::vector<OffsetRecord> records;
  for (const auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    topic_answer.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      const std::string metadata = partition.committed_metadata.value_or("");
      const bool is_too_long = std::cmp_greater(metadata.size(), limits_.offset_metadata_bytes_max);
      answer.error_code = code(error != ErrorCode::none ? error
                               : is_too_long            ? ErrorCode::offset_metadata_too_large
                                                        : ErrorCode::none);
      if (answer.error_code != 0) continue;
      OffsetRecord& record = records.emplace_back();
      record.group = request.group_id;
      record.topic = topic.name;
      record.partition = partition.partition_index;
      wire::OffsetCommitValue& value = record.value.emplace();
      value.offset = partition.committed_offset;
      value.leader_epoch = partition.committed_leader_epoch;
      value.metadata = metadata;
      value.commit_timestamp = now.wall_ms;
      if (request.retention_time_ms >= 0)
        value.expire_timestamp = now.wall_ms + request.retention_time_ms;
      value.topic_id = context.topic_id(topic.name);
    }
  }
  push(std::move(records), output);
  output.replies.push_back({context.token, std::move(response)});
  if (group) settle(request.group_id, *group);
}

void GroupMachine::delete_offsets(Token token, const wire::OffsetDeleteRequest& request,
                                  Output& output) {
  if (request.group_id.empty())
    return refuse<wire::OffsetDeleteResponse>(token, ErrorCode::invalid_group_id, output);
  wire::OffsetDeleteResponse response;
  Group* group = find(request.group_id);
  const bool has_nobody = group && is_empty(*group);
  if (!group || (group->classic && group->classic->state() == ClassicGroupState::dead)) {
    response.error_code = code(ErrorCode::group_id_not_found);
  } else if (!has_nobody && group->classic &&
             group->classic->protocol_type() != kConsumerProtocol) {
    response.error_code = code(ErrorCode::non_empty_group);
  } else {
    std::vector<OffsetRecord> records;
    for (const auto& topic : request.topics) {
      auto& topic_answer = response.topics.emplace_back();
      topic_answer.name = topic.name;
      const bool is_read = !has_nobody && is_in_use(*group, topic.name);
      for (const auto& partition : topic.partitions) {
        auto& answer = topic_answer.partitions.emplace_back();
        answer.partition_index = partition.partition_index;
        answer.error_code = code(is_read ? ErrorCode::group_subscribed_to_topic : ErrorCode::none);
        if (!is_read && group->offsets.find(topic.name, partition.partition_index))
          records.push_back(
              {request.group_id, topic.name, partition.partition_index, std::nullopt});
      }
    }
    push(std::move(records), output);
    settle(request.group_id, *group);
  }
  output.replies.push_back({token, std::move(response)});
}

ErrorCode GroupMachine::delete_group(const std::string& name, Output& output) {
  Group* group = find(name);
  if (!group) return ErrorCode::group_id_not_found;
  if (group->consumer && !group->consumer->empty()) return ErrorCode::non_empty_group;
  if (group->classic) {
    if (const ErrorCode error = group->classic->check_delete(); error != ErrorCode::none)
      return error;
  }
  push(group->offsets.tombstones(name, [](const auto&, auto, const auto&) { return true; }),
       output);
  if (group->classic) group->classic->remove(output);
  if (group->consumer) group->consumer->remove(output);
  if (group->deadline != kNever) schedule_.erase({group->deadline, name});
  groups_.erase(name);
  return ErrorCode::none;
}

wire::OffsetFetchResponse::OffsetFetchResponseGroup GroupMachine::fetch(
    const wire::OffsetFetchRequest::OffsetFetchRequestGroup& request, bool requires_stable) const {
  wire::OffsetFetchResponse::OffsetFetchResponseGroup response;
  response.group_id = request.group_id;
  const Group* group = find(request.group_id);
  if (group && group->consumer) {
    response.error_code =
        code(group->consumer->check_fetch(request.member_id, request.member_epoch));
    if (response.error_code != 0) return response;
  }
  const auto answer_for = [&](const std::string& topic, PartitionIndex index) {
    wire::OffsetFetchResponse::OffsetFetchResponsePartitions answer;
    answer.partition_index = index;
    answer.committed_offset = -1;
    answer.committed_leader_epoch = -1;
    answer.metadata = "";
    if (!group) return answer;
    if (requires_stable && group->pending.contains({topic, index})) {
      answer.error_code = code(ErrorCode::unstable_offset_commit);
    } else if (const wire::OffsetCommitValue* known = group->offsets.find(topic, index)) {
      answer.committed_offset = known->offset;
      answer.committed_leader_epoch = known->leader_epoch;
      answer.metadata = known->metadata;
    }
    return answer;
  };
  if (request.topics) {
    for (const auto& topic : *request.topics) {
      auto& topic_answer = response.topics.emplace_back();
      topic_answer.name = topic.name;
      topic_answer.topic_id = topic.topic_id;
      for (const PartitionIndex index : topic.partition_indexes)
        topic_answer.partitions.push_back(answer_for(topic.name, index));
    }
  } else if (group) {
    for (const auto& [topic, by_partition] : group->offsets.by_topic()) {
      auto& topic_answer = response.topics.emplace_back();
      topic_answer.name = topic;
      for (const auto& [index, committed] : by_partition)
        topic_answer.partitions.push_back(answer_for(topic, index));
    }
  }
  return response;
}

wire::DescribeGroupsResponse::DescribedGroup GroupMachine::describe(const std::string& name,
                                                                    std::int16_t version) const {
  const Group* group = find(name);
  if (group && group->classic) return group->classic->describe();
  wire::DescribeGroupsResponse::DescribedGroup answer;
  answer.group_id = name;
  answer.group_state = kDeadState;
  if (version >= kDescribeNotFoundFrom) {
    answer.error_code = code(ErrorCode::group_id_not_found);
    answer.error_message = group && group->consumer ? "Group " + name + " is not a classic group."
                                                    : "Group " + name + " not found.";
  }
  return answer;
}

wire::ConsumerGroupDescribeResponse::DescribedGroup GroupMachine::describe_consumer(
    const std::string& name) const {
  const Group* group = find(name);
  if (group && group->consumer) return group->consumer->describe(cluster_);
  wire::ConsumerGroupDescribeResponse::DescribedGroup answer;
  answer.group_id = name;
  answer.error_code = code(ErrorCode::group_id_not_found);
  answer.error_message =
      group ? "Group " + name + " is not a consumer group." : "Group " + name + " not found.";
  return answer;
}

std::vector<wire::ListGroupsResponse::ListedGroup> GroupMachine::list() const {
  std::vector<wire::ListGroupsResponse::ListedGroup> all;
  for (const auto& [name, group] : groups_) {
    auto& listed = all.emplace_back();
    listed.group_id = name;
    listed.group_type = group.consumer ? kConsumerType : kClassicType;
    listed.group_state = "Empty";
    if (group.classic) listed.group_state = group.classic->state_name();
    if (group.consumer) {
      listed.group_state = group.consumer->state_name();
      listed.protocol_type = kConsumerProtocol;
    }
    if (group.classic) listed.protocol_type = group.classic->protocol_type().value_or("");
  }
  return all;
}

// --- time

TimestampMs GroupMachine::deadline() const {
  const TimestampMs due = schedule_.empty() ? kNever : schedule_.begin()->first;
  return groups_.empty() ? due : std::min(due, next_expiry_ms_);
}

void GroupMachine::tick(Now now, Output& output) {
  while (!schedule_.empty() && schedule_.begin()->first <= now.monotonic_ms) {
    const std::string name = schedule_.begin()->second;
    Group* group = find(name);
    OTTLA_CHECK(group != nullptr && (group->classic || group->consumer));
    if (group->consumer) {
      group->consumer->tick(now, output);
    } else {
      group->classic->tick(now, limits_.classic, output);
    }
    const auto due = group->consumer ? group->consumer->deadline() : group->classic->deadline();
    OTTLA_CHECK(due.value_or(kNever) > now.monotonic_ms);
    settle(name, *group);
  }
  if (now.monotonic_ms >= next_expiry_ms_) {
    next_expiry_ms_ = now.monotonic_ms + limits_.offsets_retention_check_ms;
    expire_offsets(now, output);
  }
}

// OffsetExpirationCondition: a group that has (had) members keeps its offsets from when it became
// empty, or while it is subscribed; one that never had any from each commit on (KIP-211).
void GroupMachine::expire_offsets(Now now, Output& output) {
  for (const std::string& name : names()) {
    Group& group = groups_.at(name);
    const bool had_members = group.classic && group.classic->protocol_type();
    const bool has_nobody = is_empty(group);
    const auto is_expired = [&](const std::string& topic, PartitionIndex partition,
                                const wire::OffsetCommitValue& value) {
      if (group.pending.contains({topic, partition})) return false;
      TimestampMs since = value.commit_timestamp;
      if (had_members && has_nobody) {
        since = std::max(since, group.classic->empty_since_wall_ms());
      } else if (!has_nobody) {
        const bool is_moving = group.classic && group.classic->state() != ClassicGroupState::stable;
        if (is_moving || is_in_use(group, topic)) return false;
      }
      if (value.expire_timestamp >= 0) return now.wall_ms >= value.expire_timestamp;
      return now.wall_ms - since >= limits_.offsets_retention_ms;
    };
    push(group.offsets.tombstones(name, is_expired), output);
    if (has_nobody && group.offsets.empty() && group.pending.empty()) {
      if (group.classic && group.classic->generation() > 0 && !group.classic->deadline())
        group.classic->remove(output);
      if (group.consumer) {
        group.consumer->remove(output);
        group.consumer.reset();
      }
    }
    settle(name, group);
  }
}

void GroupMachine::topics_changed(const std::set<std::string>* changed, Output& output) {
  const auto is_gone = [&](const std::string& topic, PartitionIndex,
                           const wire::OffsetCommitValue& value) {
    if (changed && !changed->contains(topic)) return false;
    const auto now = cluster_.find(topic);
    // Older writers leave the id out: then the name has to do.
    return !now || (!value.topic_id.is_zero() && value.topic_id != now->id);
  };
  for (const std::string& name : names()) {
    Group& group = groups_.at(name);
    if (group.consumer) group.consumer->topics_changed();
    push(group.offsets.tombstones(name, is_gone), output);
    settle(name, group);
  }
}

// --- loading

void GroupMachine::load(const GroupRecord& record, std::optional<ProducerId> producer, Now now) {
  if (const auto* offset = std::get_if<OffsetRecord>(&record)) {
    if (!producer) return apply(*offset);
    pending_[*producer].push_back({*offset, ++order_});
    ++groups_[offset->group].pending[{offset->topic, offset->partition}];
    return;
  }
  std::visit(
      [&](const auto& each) {
        using Record = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<Record, ClassicGroupRecord>) {
          apply(each, now);
        } else if constexpr (!std::is_same_v<Record, OffsetRecord>) {
          apply_to_consumer(each);
        }
      },
      record);
}

void GroupMachine::apply(const ClassicGroupRecord& record, Now now) {
  if (record.value) {
    Group& group = groups_[record.group];
    group.consumer.reset();
    group.classic = ClassicGroup::restore(record.group, *record.value, now);
  } else if (Group* group = find(record.group)) {
    group->classic.reset();
  }
}

// Only while loading: at run time the group applies its records itself.
template <class Record>
void GroupMachine::apply_to_consumer(const Record& record) {
  Group* group = find(record.group);
  if (!record.value && (!group || !group->consumer)) return;
  if (!group) group = &groups_[record.group];
  if (!group->consumer) {
    group->classic.reset();
    group->consumer.emplace(record.group);
  }
  if (std::is_same_v<Record, ConsumerGroupRecord> && !record.value) {
    group->consumer.reset();
  } else {
    group->consumer->apply(record);
  }
}

void GroupMachine::end_transaction(ProducerId producer, bool is_commit) {
  const auto found = pending_.find(producer);
  if (found == pending_.end()) return;
  for (const PendingOffset& pending : found->second) {
    Group& group = groups_[pending.record.group];
    const auto open = group.pending.find({pending.record.topic, pending.record.partition});
    OTTLA_CHECK(open != group.pending.end());
    if (--open->second == 0) group.pending.erase(open);
    if (is_commit) group.offsets.apply(pending.record, pending.order);
  }
  pending_.erase(found);
}

void GroupMachine::loaded(Now now) {
  next_expiry_ms_ = now.monotonic_ms + limits_.offsets_retention_check_ms;
  for (const std::string& name : names()) {
    Group& group = groups_.at(name);
    if (group.consumer) {
      group.consumer->loaded(consumer_limits(name), now);
    } else if (!group.classic) {
      group.classic.emplace(name, now);
    }
    settle(name, group);
  }
}

}  // namespace ottla::coordinator
