// What becomes of a consumer group with time, and what is told of it. Heartbeats are in
// consumer_group_heartbeat.cc, records in consumer_group_record.cc.
#include "coordinator/consumer_group.h"

#include <algorithm>
#include <utility>

#include "coordinator/assignor.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kMemberEpochFrom = 9;  // of OffsetCommit

template <class TopicPartitions>
std::vector<TopicPartitions> with_names(const PartitionSet& partitions, const ClusterView& topics) {
  auto named = by_topic<TopicPartitions>(partitions);
  std::erase_if(named, [&](TopicPartitions& each) {
    const auto name = topics.name_of(each.topic_id);
    if (name) each.topic_name = *name;
    return !name;
  });
  return named;
}

}  // namespace

ConsumerGroup::Member* ConsumerGroup::find(const std::string& member_id) {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

const ConsumerGroup::Member* ConsumerGroup::find(const std::string& member_id) const {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

// --- commits

// A member that has moved on may still commit, with the epoch that it knew, what it had then and
// has still: until it hears of the new one there is no other owner (KIP-1251).
ErrorCode ConsumerGroup::check_commit(const std::string& member_id, std::int32_t epoch,
                                      bool is_transactional, std::int16_t version,
                                      const PartitionSet& partitions) const {
  if (epoch < 0 && members_.empty()) return ErrorCode::none;
  if (is_transactional && epoch < 0 && member_id.empty()) return ErrorCode::none;
  const Member* member = find(member_id);
  if (!member) return ErrorCode::unknown_member_id;
  if (!is_transactional && version < kMemberEpochFrom) return ErrorCode::unsupported_version;
  const MemberAssignment& current = member->current;
  if (epoch == current.epoch) return ErrorCode::none;
  if (epoch > current.epoch) return ErrorCode::stale_member_epoch;
  const bool all_are_its = std::ranges::all_of(partitions, [&](const TopicIdPartition& partition) {
    for (const OwnedPartitions* owned : {&current.assigned, &current.revoking}) {
      if (const auto found = owned->find(partition); found != owned->end())
        return found->second <= epoch;
    }
    return false;
  });
  return all_are_its ? ErrorCode::none : ErrorCode::stale_member_epoch;
}

ErrorCode ConsumerGroup::check_fetch(const std::optional<std::string>& member_id,
                                     std::int32_t epoch) const {
  if (!member_id && epoch < 0) return ErrorCode::none;
  const Member* member = find(member_id.value_or(""));
  if (!member) return ErrorCode::unknown_member_id;
  return epoch == member->current.epoch ? ErrorCode::none : ErrorCode::stale_member_epoch;
}

// --- time

void ConsumerGroup::tick(Now now, Output& output) {
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    const bool is_silent = member.session_end_ms <= now.monotonic_ms;
    const bool keeps_what_it_must_give =
        member.revocation_end_ms && *member.revocation_end_ms <= now.monotonic_ms;
    if (is_silent || keeps_what_it_must_give) gone.push_back(id);
  }
  for (const std::string& id : gone) drop(id, output);
  if (!gone.empty()) bump(output);
}

std::optional<TimestampMs> ConsumerGroup::deadline() const {
  std::optional<TimestampMs> first;
  for (const auto& [id, member] : members_) {
    TimestampMs due = member.session_end_ms;
    if (member.revocation_end_ms) due = std::min(due, *member.revocation_end_ms);
    if (!first || due < *first) first = due;
  }
  return first;
}

// --- questions

std::set<std::string> ConsumerGroup::topics_of(const Told& told) const {
  std::set<std::string> topics(told.subscribed_topic_names.begin(),
                               told.subscribed_topic_names.end());
  const auto expression = expressions_.find(told.subscribed_topic_regex.value_or(""));
  if (expression != expressions_.end())
    topics.insert(expression->second.topics.begin(), expression->second.topics.end());
  return topics;
}

std::set<std::string> ConsumerGroup::all_topics() const {
  std::set<std::string> all;
  for (const auto& [id, member] : members_) all.merge(topics_of(member.told));
  return all;
}

bool ConsumerGroup::is_subscribed_to(const std::string& topic) const {
  return all_topics().contains(topic);
}

bool ConsumerGroup::is_settled() const {
  return assignment_epoch_ == epoch_ &&
         std::ranges::all_of(members_, [&](const auto& each) { return is_at_target(each.second); });
}

bool ConsumerGroup::is_at_target(const Member& member) const {
  return member.current.state == MemberState::stable && member.current.epoch == assignment_epoch_;
}

std::string_view ConsumerGroup::state_name() const {
  if (members_.empty()) return "Empty";
  if (assignment_epoch_ < epoch_) return "Assigning";
  return is_settled() ? "Stable" : "Reconciling";
}

// The one that most members ask for.
std::string_view ConsumerGroup::chosen_assignor() const {
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    if (member.told.server_assignor && is_assignor(*member.told.server_assignor))
      ++votes[*member.told.server_assignor];
  }
  const auto most =
      std::ranges::max_element(votes, {}, [](const auto& each) { return each.second; });
  return most == votes.end() ? kAssignorNames[0] : most->first;
}

wire::ConsumerGroupDescribeResponse::DescribedGroup ConsumerGroup::describe(
    const ClusterView& topics) const {
  using Described = wire::ConsumerGroupDescribeResponse;
  Described::DescribedGroup group;
  group.group_id = id_;
  group.group_state = state_name();
  group.group_epoch = epoch_;
  group.assignment_epoch = assignment_epoch_;
  group.assignor_name = chosen_assignor();
  for (const auto& [id, member] : members_) {
    auto& each = group.members.emplace_back();
    each.member_id = id;
    each.instance_id = member.told.instance_id;
    each.rack_id = member.told.rack_id;
    each.member_epoch = member.current.epoch;
    each.client_id = member.told.client_id;
    each.client_host = member.told.client_host;
    each.subscribed_topic_names = member.told.subscribed_topic_names;
    each.subscribed_topic_regex = member.told.subscribed_topic_regex;
    each.member_type = 1;
    each.assignment.topic_partitions =
        with_names<Described::TopicPartitions>(keys_of(member.current.assigned), topics);
    if (const auto target = targets_.find(id); target != targets_.end()) {
      each.target_assignment.topic_partitions =
          with_names<Described::TopicPartitions>(target->second, topics);
    }
  }
  return group;
}

}  // namespace ottla::coordinator
