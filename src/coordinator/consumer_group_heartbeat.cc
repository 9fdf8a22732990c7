// ConsumerGroupHeartbeat: who comes, goes and stays, and what each is told to have.
#include <algorithm>
#include <fmt/format.h>
#include <re2/re2.h>
#include <utility>

#include "coordinator/assignor.h"
#include "coordinator/consumer_group.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;
using Request = wire::ConsumerGroupHeartbeatRequest;
using Refusal = ConsumerGroup::Refusal;

constexpr std::int32_t kJoin = 0;             // -1 leaves
constexpr std::int32_t kLeaveForAWhile = -2;  // a static member that will be back
constexpr std::int16_t kOwnMemberIdFrom = 1;  // clients make their ids (KIP-1082)

Refusal invalid(std::string message) {
  return {.error = ErrorCode::invalid_request, .message = std::move(message)};
}

RE2::Options regex_options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexBytesMax);
  return options;
}

// All that a member has to say; answers to it tell all, too.
bool is_full(const Request& request) {
  return request.member_epoch == kJoin ||
         (request.rebalance_timeout_ms >= 0 &&
          (request.subscribed_topic_names || request.subscribed_topic_regex) &&
          request.topic_partitions);
}

// Which topics there are, and how many partitions they have: another number means that targets are
// to be computed anew. Kafka's own hash is another; a coordinator that finds a foreign one assigns
// once more, which moves nothing.
std::int64_t hash_of(const std::set<std::string>& names, const ClusterView& topics) {
  constexpr std::uint64_t kPrime = 0x100000001b3;  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](std::uint64_t word) {
    for (int byte = 0; byte < 8; ++byte, word >>= 8) hash = (hash ^ (word & 0xff)) * kPrime;
  };
  bool is_any = false;
  for (const std::string& name : names) {
    const auto topic = topics.find(name);
    if (!topic) continue;
    is_any = true;
    mix(topic->id.high);
    mix(topic->id.low);
    mix(static_cast<std::uint64_t>(topic->partitions));
  }
  return is_any ? static_cast<std::int64_t>(hash) : 0;
}

}  // namespace

std::optional<Refusal> ConsumerGroup::check(const Request& request, std::int16_t version) {
  if (request.group_id.empty()) return invalid("GroupId can't be empty.");
  if (request.instance_id && request.instance_id->empty())
    return invalid("InstanceId can't be empty.");
  if (request.rack_id && request.rack_id->empty()) return invalid("RackId can't be empty.");
  const bool has_id = version >= kOwnMemberIdFrom || request.member_epoch != kJoin;
  if (has_id && request.member_id.empty()) return invalid("MemberId can't be empty.");
  if (request.member_epoch == kJoin) {
    if (request.rebalance_timeout_ms == -1)
      return invalid("RebalanceTimeoutMs must be provided in first request.");
    if (!request.topic_partitions || !request.topic_partitions->empty())
      return invalid("TopicPartitions must be empty when (re-)joining.");
    if (!request.subscribed_topic_names && !request.subscribed_topic_regex) {
      return invalid(
          "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
          "(re-)joining.");
    }
  } else if (request.member_epoch == kLeaveForAWhile) {
    if (!request.instance_id) return invalid("InstanceId can't be null.");
  } else if (request.member_epoch < kLeaveForAWhile) {
    return invalid("MemberEpoch is invalid.");
  }
  if (request.server_assignor && !is_assignor(*request.server_assignor)) {
    return Refusal{
        .error = ErrorCode::unsupported_assignor,
        .message = fmt::format("ServerAssignor {} is not supported. Supported assignors: {}.",
                               *request.server_assignor, fmt::join(kAssignorNames, ", "))};
  }
  if (const auto& regex = request.subscribed_topic_regex; regex && !regex->empty()) {
    const auto refuse = [&](std::string_view why) {
      return Refusal{
          .error = ErrorCode::invalid_regular_expression,
          .message = fmt::format("SubscribedTopicRegex `{}` is not a valid regular expression: {}.",
                                 std::string_view(*regex).substr(0, kRegexLengthMax), why)};
    };
    if (regex->size() > kRegexLengthMax)
      return refuse(fmt::format("it is longer than {} bytes", kRegexLengthMax));
    if (const RE2 compiled(*regex, regex_options()); !compiled.ok())
      return refuse(compiled.error());
  }
  return std::nullopt;
}

void ConsumerGroup::refuse(Token token, Refusal refusal, Output& output) {
  wire::ConsumerGroupHeartbeatResponse response;
  response.error_code = static_cast<std::int16_t>(refusal.error);
  response.error_message = std::move(refusal.message);
  response.assignment.reset();
  output.replies.push_back({token, std::move(response)});
}

// --- who it is

std::optional<Refusal> ConsumerGroup::check_instance(
    const std::string& member_id, const std::optional<std::string>& instance) const {
  if (!instance) return std::nullopt;
  const auto owner = instances_.find(*instance);
  if (owner == instances_.end()) {
    return Refusal{.error = ErrorCode::unknown_member_id,
                   .message = fmt::format("Instance id {} is unknown.", *instance)};
  }
  if (owner->second == member_id) return std::nullopt;
  return Refusal{
      .error = ErrorCode::fenced_instance_id,
      .message = fmt::format("Static member {} with instance id {} was fenced by member {}.",
                             member_id, *instance, owner->second)};
}

// A member that repeats the epoch before its own did not get the answer that told it: it is let in
// if it has nothing that it does not own.
std::optional<Refusal> ConsumerGroup::check_epoch(const Request& request,
                                                  const Member& member) const {
  const std::int32_t epoch = request.member_epoch;
  const MemberAssignment& current = member.current;
  if (epoch == current.epoch) return std::nullopt;
  if (epoch < current.epoch && epoch == current.previous_epoch && request.topic_partitions &&
      without(partitions_in(*request.topic_partitions), keys_of(current.assigned)).empty())
    return std::nullopt;
  return Refusal{
      .error = ErrorCode::fenced_member_epoch,
      .message = fmt::format("The consumer group member has a {} member epoch ({}) than the one "
                             "known by the group coordinator ({}). The member must abandon all its "
                             "partitions and rejoin.",
                             epoch > current.epoch ? "greater" : "smaller", epoch, current.epoch)};
}

// Null: it is new, or takes over from the holder of its instance id, who is away.
ConsumerGroup::Checked ConsumerGroup::find_for_heartbeat(const Request& request,
                                                         const std::string& member_id) {
  Member* const member = find(member_id);
  if (request.member_epoch == kJoin) {
    if (!request.instance_id) return member;
    const auto holder = instances_.find(*request.instance_id);
    if (holder == instances_.end() || holder->second == member_id) return member;
    if (find(holder->second)->current.epoch == kLeaveForAWhile) return nullptr;
    return std::unexpected(Refusal{
        .error = ErrorCode::unreleased_instance_id,
        .message = fmt::format("Static member {} with instance id {} cannot join the group because "
                               "the instance id is owned by {} member.",
                               member_id, *request.instance_id, holder->second)});
  }
  if (auto refusal = check_instance(member_id, request.instance_id))
    return std::unexpected(std::move(*refusal));
  if (!member) {
    return std::unexpected(
        Refusal{.error = ErrorCode::unknown_member_id,
                .message = fmt::format("Member {} is not a member of group {}.", member_id, id_)});
  }
  if (request.member_epoch > kJoin) {
    if (auto refusal = check_epoch(request, *member)) return std::unexpected(std::move(*refusal));
  }
  return member;
}

// --- the heartbeat

void ConsumerGroup::heartbeat(const Context& context, const Request& request,
                              const ConsumerGroupLimits& limits, const ClusterView& topics, Now now,
                              Output& output) {
  if (request.member_epoch < kJoin) return leave(context, request, now, output);
  const std::string& member_id =
      request.member_id.empty() ? context.fresh_member_id : request.member_id;
  auto checked = find_for_heartbeat(request, member_id);
  if (!checked) return refuse(context.token, std::move(checked.error()), output);
  const Member* const known = *checked;
  const auto holder =
      request.instance_id ? instances_.find(*request.instance_id) : instances_.end();
  const bool takes_over = holder != instances_.end() && holder->second != member_id;
  if (!known && !takes_over && std::cmp_greater_equal(members_.size(), limits.members_max)) {
    return refuse(context.token,
                  {.error = ErrorCode::group_max_size_reached,
                   .message = fmt::format(
                       "The consumer group has reached its maximum capacity of {} members.",
                       limits.members_max)},
                  output);
  }

  const Member nobody;
  const Member& before = known ? *known : takes_over ? members_.at(holder->second) : nobody;
  const Told old_told = before.told;
  const OwnedPartitions old_assigned = known ? before.current.assigned : OwnedPartitions();
  const Told told = updated(old_told, context, request);
  if (takes_over) {
    take_over(holder->second, member_id, told, output);
  } else if (!known || told != old_told) {
    push(ConsumerMemberRecord{id_, member_id, told}, output);
  }
  const bool has_other_topics =
      std::set(told.subscribed_topic_names.begin(), told.subscribed_topic_names.end()) !=
          std::set(old_told.subscribed_topic_names.begin(),
                   old_told.subscribed_topic_names.end()) ||
      told.subscribed_topic_regex != old_told.subscribed_topic_regex;
  if (has_other_topics) knows_topics_ = false;
  const bool have_topics_changed = refresh_topics(limits, topics, now, output);
  if (has_other_topics || have_topics_changed) bump(output);
  assign_anew(limits, topics, now, output);

  std::optional<PartitionSet> owned;
  if (request.topic_partitions) owned = partitions_in(*request.topic_partitions);
  step(member_id, owned ? &*owned : nullptr, now, output);

  Member& member = *find(member_id);
  renew(member, limits, now);
  wire::ConsumerGroupHeartbeatResponse response;
  response.member_id = member_id;
  response.member_epoch = member.current.epoch;
  response.heartbeat_interval_ms = interval_ms(limits);
  response.assignment.reset();
  if (is_full(request) || keys_of(member.current.assigned) != keys_of(old_assigned)) {
    using Response = wire::ConsumerGroupHeartbeatResponse;
    response.assignment.emplace().topic_partitions =
        by_topic<Response::TopicPartitions>(keys_of(member.current.assigned));
  }
  output.replies.push_back({context.token, std::move(response)});
}

ConsumerGroup::Told ConsumerGroup::updated(const Told& before, const Context& context,
                                           const Request& request) const {
  Told told = before;
  told.client_id = context.client.client_id;
  told.client_host = context.client.client_host;
  if (request.instance_id) told.instance_id = request.instance_id;
  if (request.rack_id) told.rack_id = request.rack_id;
  if (request.rebalance_timeout_ms >= 0) told.rebalance_timeout_ms = request.rebalance_timeout_ms;
  if (request.subscribed_topic_names) told.subscribed_topic_names = *request.subscribed_topic_names;
  if (request.subscribed_topic_regex) told.subscribed_topic_regex = request.subscribed_topic_regex;
  if (request.server_assignor) told.server_assignor = request.server_assignor;
  told.classic_member_metadata.reset();
  return told;
}

// A static member comes back under another id, and to what it had.
void ConsumerGroup::take_over(const std::string& from, const std::string& to, const Told& told,
                              Output& output) {
  CurrentAssignmentRecord current{id_, to, wire::ConsumerGroupCurrentMemberAssignmentValue()};
  using TopicPartitions = wire::ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions;
  current.value->assigned_partitions =
      by_topic<TopicPartitions>(keys_of(members_.at(from).current.assigned));
  for (auto& topic : current.value->assigned_partitions)
    topic.assignment_epochs.emplace(topic.partitions.size(), 0);
  std::optional<wire::ConsumerGroupTargetAssignmentMemberValue> target;
  if (const auto known = targets_.find(from); known != targets_.end()) {
    using Target = wire::ConsumerGroupTargetAssignmentMemberValue;
    target.emplace().topic_partitions = by_topic<Target::TopicPartition>(known->second);
  }
  drop(from, output);
  push(ConsumerMemberRecord{id_, to, told}, output);
  if (target) push(TargetAssignmentRecord{id_, to, std::move(target)}, output);
  push(std::move(current), output);
}

void ConsumerGroup::leave(const Context& context, const Request& request, Now, Output& output) {
  auto checked = find_for_heartbeat(request, request.member_id);
  if (!checked) return refuse(context.token, std::move(checked.error()), output);
  if (request.member_epoch == kLeaveForAWhile) {
    const MemberAssignment& current = (*checked)->current;
    CurrentAssignmentRecord away{id_, request.member_id,
                                 wire::ConsumerGroupCurrentMemberAssignmentValue()};
    away.value->member_epoch = kLeaveForAWhile;
    away.value->previous_member_epoch = current.previous_epoch;
    // What it had to give up it has given up: its client is gone.
    using TopicPartitions = wire::ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions;
    away.value->assigned_partitions = by_topic<TopicPartitions>(keys_of(current.assigned));
    for (auto& topic : away.value->assigned_partitions)
      topic.assignment_epochs.emplace(topic.partitions.size(), 0);
    (*checked)->revocation_end_ms.reset();
    push(std::move(away), output);
  } else {
    drop(request.member_id, output);
    bump(output);
  }
  wire::ConsumerGroupHeartbeatResponse response;
  response.member_id = request.member_id;
  response.member_epoch = request.member_epoch;
  response.assignment.reset();
  output.replies.push_back({context.token, std::move(response)});
}

// --- topics and targets

// Resolves expressions and compares the topics with those that the targets know.
bool ConsumerGroup::refresh_topics(const ConsumerGroupLimits& limits, const ClusterView& topics,
                                   Now now, Output& output) {
  std::set<std::string> wanted;
  for (const auto& [id, member] : members_) {
    const std::string regex = member.told.subscribed_topic_regex.value_or("");
    if (!regex.empty()) wanted.insert(regex);
  }
  std::vector<std::string> unused;
  for (const auto& [expression, resolved] : expressions_) {
    if (!wanted.contains(expression)) unused.push_back(expression);
    if (now.wall_ms - resolved.resolved_wall_ms >= limits.regex_refresh_ms) knows_topics_ = false;
  }
  for (const std::string& expression : unused)
    push(RegularExpressionRecord{id_, expression, std::nullopt}, output);
  if (std::exchange(knows_topics_, true)) return false;

  for (const std::string& expression : wanted) {
    const RE2 compiled(expression, regex_options());
    std::vector<std::string> matches;
    for (std::string& name : topics.names()) {
      if (compiled.ok() && RE2::FullMatch(name, compiled)) matches.push_back(std::move(name));
    }
    const auto known = expressions_.find(expression);
    if (known != expressions_.end() &&
        known->second.topics == std::set(matches.begin(), matches.end())) {
      known->second.resolved_wall_ms = now.wall_ms;
      continue;
    }
    RegularExpressionRecord record{id_, expression, wire::ConsumerGroupRegularExpressionValue()};
    record.value->topics = std::move(matches);
    record.value->timestamp = now.wall_ms;
    push(std::move(record), output);
  }
  const std::int64_t hash = hash_of(all_topics(), topics);
  return std::exchange(topics_hash_, hash) != hash;
}

void ConsumerGroup::assign_anew(const ConsumerGroupLimits& limits, const ClusterView& topics,
                                Now now, Output& output) {
  if (assignment_epoch_ >= epoch_) return;
  // Members that come together are assigned together.
  if (assigned_ms_ && now.monotonic_ms - *assigned_ms_ < limits.assignment_interval_ms) return;
  assigned_ms_ = now.monotonic_ms;
  AssignmentInput input;
  for (const auto& [id, member] : members_) {
    auto& each = input.members.emplace_back();
    each.id = id;
    each.instance_id = member.told.instance_id;
    for (const std::string& name : topics_of(member.told)) {
      const auto topic = topics.find(name);
      if (!topic) continue;
      input.partitions[topic->id] = topic->partitions;
      each.topics.push_back(topic->id);
    }
    std::ranges::sort(each.topics);
    if (const auto target = targets_.find(id); target != targets_.end())
      each.current = target->second;
  }
  for (auto& [member_id, target] : assign(chosen_assignor(), input)) {
    const auto known = targets_.find(member_id);
    if (known == targets_.end() ? target.empty() : known->second == target) continue;
    TargetAssignmentRecord record{id_, member_id, wire::ConsumerGroupTargetAssignmentMemberValue()};
    using Target = wire::ConsumerGroupTargetAssignmentMemberValue;
    record.value->topic_partitions = by_topic<Target::TopicPartition>(target);
    push(std::move(record), output);
  }
  TargetEpochRecord record{id_, wire::ConsumerGroupTargetAssignmentMetadataValue()};
  record.value->assignment_epoch = epoch_;
  record.value->assignment_timestamp = now.wall_ms;
  push(std::move(record), output);
}

// One member's way to its target.
void ConsumerGroup::step(const std::string& member_id, const PartitionSet* owned, Now now,
                         Output& output) {
  Member& member = *find(member_id);
  Target target{.epoch = assignment_epoch_, .partitions = {}};
  if (const auto known = targets_.find(member_id); known != targets_.end())
    target.partitions = known->second;
  MemberAssignment next =
      reconcile(member.current, target, owned,
                [&](const TopicIdPartition& partition) { return !owners_.contains(partition); });
  if (next != member.current) {
    using TopicPartitions = wire::ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions;
    const auto written = [](const OwnedPartitions& partitions) {
      auto topics = by_topic<TopicPartitions>(keys_of(partitions));
      for (auto& topic : topics) {
        topic.assignment_epochs.emplace();
        for (const PartitionIndex index : topic.partitions)
          topic.assignment_epochs->push_back(partitions.at({topic.topic_id, index}));
      }
      return topics;
    };
    CurrentAssignmentRecord record{id_, member_id,
                                   wire::ConsumerGroupCurrentMemberAssignmentValue()};
    record.value->member_epoch = next.epoch;
    record.value->previous_member_epoch = next.previous_epoch;
    record.value->state = static_cast<std::int8_t>(next.state);
    record.value->assigned_partitions = written(next.assigned);
    record.value->partitions_pending_revocation = written(next.revoking);
    push(std::move(record), output);
  }
  if (member.current.state != MemberState::unrevoked_partitions) {
    member.revocation_end_ms.reset();
  } else if (!member.revocation_end_ms) {
    member.revocation_end_ms = now.monotonic_ms + std::max(member.told.rebalance_timeout_ms, 0);
  }
}

std::int32_t ConsumerGroup::interval_ms(const ConsumerGroupLimits& limits) const {
  // Who is away for a while holds up nobody.
  const bool is_quiet =
      assignment_epoch_ == epoch_ && std::ranges::all_of(members_, [&](const auto& each) {
        return is_at_target(each.second) || each.second.current.epoch == kLeaveForAWhile;
      });
  if (is_quiet) return limits.heartbeat_interval_ms;
  // About a thousand heartbeats a second at most.
  const auto members = static_cast<std::int32_t>(std::min<std::size_t>(members_.size(), 1'000'000));
  return std::min(limits.heartbeat_interval_ms, std::max(limits.unsettled_interval_ms, members));
}

}  // namespace ottla::coordinator
