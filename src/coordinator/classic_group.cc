#include "coordinator/classic_group.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/classic_group_reply.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;

// Only a forged record comes near the end of the numbers.
std::int32_t next_generation(std::int32_t generation) {
  return generation == std::numeric_limits<std::int32_t>::max() ? 1 : generation + 1;
}

}  // namespace

ClassicGroup::ClassicGroup(std::string id, Now now)
    : id_(std::move(id)), state_since_wall_ms_(now.wall_ms) {}

// --- phases

void ClassicGroup::begin_first_rebalance(const ClassicGroupLimits& limits, Now now,
                                         Output& output) {
  const std::int32_t delay_ms = std::max(limits.initial_rebalance_delay_ms, 0);
  const std::int32_t longest_ms = std::max(delay_ms, members_.rebalance_timeout_ms_max());
  join_phase_ = {.deadline_ms = now.monotonic_ms + delay_ms,
                 .is_initial = true,
                 .limit_ms = now.monotonic_ms + longest_ms,
                 .delay_ms = delay_ms};
  note_deadline(join_phase_->deadline_ms);
  enter(ClassicGroupState::preparing_rebalance, now);
  if (delay_ms == 0) complete_join_phase(now, output);
}

void ClassicGroup::begin_rebalance(Now now, Output& output) {
  OTTLA_CHECK(state_ == ClassicGroupState::stable ||
              state_ == ClassicGroupState::completing_rebalance);
  for (ClassicMember& member : members_.all()) {
    if (state_ == ClassicGroupState::completing_rebalance) member.assignment.clear();
    if (!member.sync) continue;
    answer_waiting_sync(member, refused_sync(ErrorCode::rebalance_in_progress), output);
    renew_session(member, now);
  }
  sync_deadline_ms_.reset();
  join_phase_ = {.deadline_ms = phase_end(now)};
  note_deadline(join_phase_->deadline_ms);
  enter(ClassicGroupState::preparing_rebalance, now);
  complete_join_phase_if_joined(now, output);
}

void ClassicGroup::complete_join_phase_if_joined(Now now, Output& output) {
  if (join_phase_ && !join_phase_->is_initial && pending_.empty() &&
      members_.joining() == members_.size()) {
    complete_join_phase(now, output);
  }
}

void ClassicGroup::end_or_extend_first_join_phase(Now now, Output& output) {
  const TimestampMs left_ms = join_phase_->limit_ms - now.monotonic_ms;
  if (!join_phase_->has_newcomers || left_ms <= 0) return complete_join_phase(now, output);
  join_phase_->has_newcomers = false;
  join_phase_->deadline_ms =
      now.monotonic_ms + std::min<TimestampMs>(join_phase_->delay_ms, left_ms);
}

void ClassicGroup::complete_join_phase(Now now, Output& output) {
  std::vector<ClassicMember*> gone;
  for (ClassicMember& member : members_.all()) {
    if (!member.join && !member.is_static()) gone.push_back(&member);
  }
  for (ClassicMember* const member : gone) drop_member(*member, output);
  if (members_.empty()) return become_empty(now, output);

  if (!members_.leader()->join) {
    const ClassicMember* const successor = members_.first_joining();
    if (!successor) {
      // Static members, all of them away. Their sessions end this.
      join_phase_ = {.deadline_ms = phase_end(now)};
      return note_deadline(join_phase_->deadline_ms);
    }
    members_.set_leader(*successor);
  }
  await_assignment(now, output);
}

void ClassicGroup::become_empty(Now now, Output& output) {
  join_phase_.reset();
  generation_ = next_generation(generation_);
  protocol_name_.reset();
  enter(ClassicGroupState::empty, now);
  find_subscribed_topics();
  find_deadline();
  record(output);
}

void ClassicGroup::await_assignment(Now now, Output& output) {
  join_phase_.reset();
  generation_ = next_generation(generation_);
  protocol_name_ = members_.elect_protocol();
  enter(ClassicGroupState::completing_rebalance, now);
  find_subscribed_topics();
  for (ClassicMember& member : members_.all()) {
    member.is_new = false;
    member.owes_sync = true;
    renew_session(member, now);
    answer_waiting_join(member, joined(member, members_.is_leader(member)), output);
  }
  sync_deadline_ms_ = phase_end(now);
  note_deadline(*sync_deadline_ms_);
}

void ClassicGroup::sync(Token token, const wire::SyncGroupRequest& request, Now now,
                        Output& output) {
  const auto refuse = [&](ErrorCode error) {
    output.replies.push_back({token, refused_sync(error)});
  };
  if (state_ == ClassicGroupState::dead) return refuse(ErrorCode::coordinator_not_available);
  const Checked checked = check_member(request.member_id, request.group_instance_id);
  if (!checked) return refuse(checked.error());
  if (request.generation_id != generation_) return refuse(ErrorCode::illegal_generation);
  if ((request.protocol_type && request.protocol_type != protocol_type_) ||
      (request.protocol_name && request.protocol_name != protocol_name_)) {
    return refuse(ErrorCode::inconsistent_group_protocol);
  }
  if (state_ == ClassicGroupState::preparing_rebalance) {
    return refuse(ErrorCode::rebalance_in_progress);
  }
  ClassicMember& member = **checked;
  member.owes_sync = false;
  renew_session(member, now);
  if (state_ == ClassicGroupState::stable) {
    output.replies.push_back({token, synced(member)});
  } else {
    if (const auto replaced = std::exchange(member.sync, token)) {
      output.replies.push_back({*replaced, refused_sync(ErrorCode::rebalance_in_progress)});
    }
    if (members_.is_leader(member)) take_assignment(request, now, output);
  }
}

void ClassicGroup::take_assignment(const wire::SyncGroupRequest& request, Now now, Output& output) {
  for (ClassicMember& member : members_.all()) member.assignment.clear();
  for (const auto& each : request.assignments) {
    if (ClassicMember* const member = members_.find(each.member_id)) {
      member->assignment = each.assignment;
    }
  }
  enter(ClassicGroupState::stable, now);
  record(output);
  for (ClassicMember& member : members_.all()) {
    if (!member.sync) continue;
    renew_session(member, now);
    answer_waiting_sync(member, synced(member), output);
  }
}

void ClassicGroup::expire_sync_phase(Now now, Output& output) {
  sync_deadline_ms_.reset();
  std::vector<ClassicMember*> gone;
  for (ClassicMember& member : members_.all()) {
    if (member.owes_sync) gone.push_back(&member);
  }
  for (ClassicMember* const member : gone) drop_member(*member, output);
  if (!gone.empty()) begin_rebalance(now, output);
}

// --- heartbeats, commits

void ClassicGroup::heartbeat(Token token, const wire::HeartbeatRequest& request, Now now,
                             Output& output) {
  const auto decide = [&] {
    if (state_ == ClassicGroupState::dead) return ErrorCode::coordinator_not_available;
    const Checked checked = check_member(request.member_id, request.group_instance_id);
    if (!checked) return checked.error();
    if (request.generation_id != generation_) return ErrorCode::illegal_generation;
    renew_session(**checked, now);
    return state_ == ClassicGroupState::preparing_rebalance ? ErrorCode::rebalance_in_progress
                                                            : ErrorCode::none;
  };
  wire::HeartbeatResponse response;
  response.error_code = number(decide());
  output.replies.push_back({token, std::move(response)});
}

ErrorCode ClassicGroup::check_commit(const std::string& member_id,
                                     const std::optional<std::string>& instance_id,
                                     std::int32_t generation, bool is_transactional, Now now) {
  if (state_ == ClassicGroupState::dead) return ErrorCode::coordinator_not_available;
  if (generation < 0 && state_ == ClassicGroupState::empty) return ErrorCode::none;

  ClassicMember* member = nullptr;
  if (generation >= 0 || !member_id.empty() || instance_id) {
    const Checked checked = check_member(member_id, instance_id);
    if (!checked) return checked.error();
    if (generation != generation_) return ErrorCode::illegal_generation;
    member = *checked;
  } else if (!is_transactional) {
    return ErrorCode::unknown_member_id;
  }
  // It has the generation but not its assignment, so it cannot know what it may commit.
  if (!is_transactional && state_ == ClassicGroupState::completing_rebalance) {
    return ErrorCode::rebalance_in_progress;
  }
  if (member) renew_session(*member, now);
  return ErrorCode::none;
}

// --- members that go

void ClassicGroup::leave(Token token, const wire::LeaveGroupRequest& request, bool is_batch,
                         Now now, Output& output) {
  wire::LeaveGroupResponse response;
  if (state_ == ClassicGroupState::dead) {
    response.error_code = number(ErrorCode::coordinator_not_available);
    output.replies.push_back({token, std::move(response)});
    return;
  }
  const std::size_t size_before = members_.size();
  const std::size_t pending_before = pending_.size();
  if (is_batch) {
    for (const auto& member : request.members) {
      auto& answer = response.members.emplace_back();
      answer.member_id = member.member_id;
      answer.group_instance_id = member.group_instance_id;
      answer.error_code = number(leave_one(member.member_id, member.group_instance_id, output));
    }
  } else {
    response.error_code = number(leave_one(request.member_id, std::nullopt, output));
  }
  output.replies.push_back({token, std::move(response)});
  const bool has_member_gone = members_.size() != size_before;
  if (has_member_gone || pending_.size() != pending_before) {
    after_departure(has_member_gone, now, output);
  }
}

ErrorCode ClassicGroup::leave_one(const std::string& member_id,
                                  const std::optional<std::string>& instance_id, Output& output) {
  if (member_id.empty()) {
    // An administrator's way, who knows the instance only.
    ClassicMember* const member = instance_id ? members_.find_instance(*instance_id) : nullptr;
    if (!member) return ErrorCode::unknown_member_id;
    drop_member(*member, output);
    return ErrorCode::none;
  }
  if (pending_.erase(member_id) > 0) return ErrorCode::none;
  const Checked checked = check_member(member_id, instance_id);
  if (!checked) return checked.error();
  drop_member(**checked, output);
  return ErrorCode::none;
}

void ClassicGroup::drop_member(ClassicMember& member, Output& output) {
  answer_waiting_join(member, refused_join(ErrorCode::unknown_member_id, ""), output);
  answer_waiting_sync(member, refused_sync(ErrorCode::unknown_member_id), output);
  members_.erase(member);
}

void ClassicGroup::after_departure(bool is_member, Now now, Output& output) {
  if (state_ == ClassicGroupState::preparing_rebalance) {
    complete_join_phase_if_joined(now, output);
  } else if (is_member) {
    begin_rebalance(now, output);
  }
}

ErrorCode ClassicGroup::check_delete() const {
  switch (state_) {
    case ClassicGroupState::dead:
      return ErrorCode::group_id_not_found;
    case ClassicGroupState::empty:
      return ErrorCode::none;
    default:
      return ErrorCode::non_empty_group;
  }
}

void ClassicGroup::remove(Output& output) {
  refuse_waiting(ErrorCode::unknown_member_id, output);
  members_.clear();
  pending_.clear();
  join_phase_.reset();
  sync_deadline_ms_.reset();
  state_ = ClassicGroupState::dead;
  output.records.push_back(ClassicGroupRecord{.group = id_, .value = std::nullopt});
}

void ClassicGroup::refuse_waiting(ErrorCode error, Output& output) {
  for (ClassicMember& member : members_.all()) {
    answer_waiting_join(member, refused_join(error, member.id), output);
    answer_waiting_sync(member, refused_sync(error), output);
  }
}

// --- time

void ClassicGroup::tick(Now now, const ClassicGroupLimits& limits, Output& output) {
  const bool has_member_gone = expire_members(now, output);
  const bool has_id_gone = std::erase_if(pending_, [&](const auto& each) {
                             return each.second <= now.monotonic_ms;
                           }) > 0;
  if (has_member_gone || has_id_gone) after_departure(has_member_gone, now, output);

  // The limit was lowered while this group was away. A rebalance lets only so many in.
  const auto members_max = static_cast<std::size_t>(std::max(limits.members_max, 0));
  if (std::exchange(is_size_unchecked_, false) && state_ == ClassicGroupState::stable &&
      members_.size() > members_max) {
    begin_rebalance(now, output);
  }
  if (join_phase_ && join_phase_->deadline_ms <= now.monotonic_ms) {
    join_phase_->is_initial ? end_or_extend_first_join_phase(now, output)
                            : complete_join_phase(now, output);
  }
  if (sync_deadline_ms_ && *sync_deadline_ms_ <= now.monotonic_ms) expire_sync_phase(now, output);
  find_deadline();
}

bool ClassicGroup::expire_members(Now now, Output& output) {
  std::vector<ClassicMember*> gone;
  for (ClassicMember& member : members_.all()) {
    if (member.is_due(now.monotonic_ms)) gone.push_back(&member);
  }
  for (ClassicMember* const member : gone) drop_member(*member, output);
  return !gone.empty();
}

std::optional<TimestampMs> ClassicGroup::deadline() const {
  if (members_.empty() && pending_.empty() && !join_phase_) return std::nullopt;
  return deadline_ms_;
}

void ClassicGroup::note_deadline(TimestampMs at_ms) {
  deadline_ms_ = std::min(deadline_ms_, at_ms);
}

void ClassicGroup::find_deadline() {
  deadline_ms_ = kNothingDue;
  for (const ClassicMember& member : members_.all()) {
    if (member.is_due(kNothingDue)) deadline_ms_ = std::min(deadline_ms_, member.expires_ms);
  }
  for (const auto& [id, forgotten_ms] : pending_) {
    deadline_ms_ = std::min(deadline_ms_, forgotten_ms);
  }
  if (join_phase_) deadline_ms_ = std::min(deadline_ms_, join_phase_->deadline_ms);
  if (sync_deadline_ms_) deadline_ms_ = std::min(deadline_ms_, *sync_deadline_ms_);
}

void ClassicGroup::renew_session(ClassicMember& member, Now now) {
  if (member.is_new) return;
  member.expires_ms = after(now, member.session_timeout_ms);
  note_deadline(member.expires_ms);
}

TimestampMs ClassicGroup::phase_end(Now now) const {
  return now.monotonic_ms + std::max(kPhaseMsMin, members_.rebalance_timeout_ms_max());
}

// --- helpers

ClassicGroup::Checked ClassicGroup::check_member(const std::string& member_id,
                                                 const std::optional<std::string>& instance_id) {
  if (instance_id) {
    const ClassicMember* const owner = members_.find_instance(*instance_id);
    if (!owner) return std::unexpected(ErrorCode::unknown_member_id);
    if (owner->id != member_id) return std::unexpected(ErrorCode::fenced_instance_id);
  }
  ClassicMember* const member = members_.find(member_id);
  if (!member) return std::unexpected(ErrorCode::unknown_member_id);
  return member;
}

void ClassicGroup::enter(ClassicGroupState state, Now now) {
  state_ = state;
  state_since_wall_ms_ = now.wall_ms;
}

wire::JoinGroupResponse ClassicGroup::joined(const ClassicMember& member, bool with_members) const {
  wire::JoinGroupResponse response;
  response.generation_id = generation_;
  response.protocol_type = protocol_type_;
  response.protocol_name = protocol_name_;
  response.leader = members_.leader()->id;
  response.member_id = member.id;
  if (!with_members) return response;
  for (const ClassicMember& each : members_.all()) {
    auto& told = response.members.emplace_back();
    told.member_id = each.id;
    told.group_instance_id = each.instance_id;
    told.metadata = each.metadata(*protocol_name_);
  }
  return response;
}

wire::SyncGroupResponse ClassicGroup::synced(const ClassicMember& member) const {
  wire::SyncGroupResponse response;
  response.protocol_type = protocol_type_;
  response.protocol_name = protocol_name_;
  response.assignment = member.assignment;
  return response;
}

void ClassicGroup::answer_waiting_join(ClassicMember& member, wire::JoinGroupResponse response,
                                       Output& output) {
  if (const auto token = members_.take_join(member)) {
    output.replies.push_back({*token, std::move(response)});
  }
}

void ClassicGroup::answer_waiting_sync(ClassicMember& member, wire::SyncGroupResponse response,
                                       Output& output) {
  if (const auto token = std::exchange(member.sync, std::nullopt)) {
    output.replies.push_back({*token, std::move(response)});
  }
}

}  // namespace ottla::coordinator
