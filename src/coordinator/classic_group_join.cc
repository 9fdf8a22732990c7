// JoinGroup: who comes in, under which id, and whether that begins a rebalance.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/classic_group.h"
#include "coordinator/classic_group_reply.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;

std::string new_member_id(const std::string& prefix, const std::string& suffix) {
  std::size_t size = std::min(prefix.size(), kMemberIdPrefixBytesMax);
  // Not in the middle of a character: clients that check UTF-8 would send another id back.
  while (size > 0 && size < prefix.size() && (prefix[size] & 0xc0) == 0x80) --size;
  return prefix.substr(0, size) + "-" + suffix;
}

}  // namespace

void ClassicGroup::join(const JoinContext& context, const wire::JoinGroupRequest& request,
                        const ClassicGroupLimits& limits, Now now, Output& output) {
  const auto refuse = [&](ErrorCode error, std::string member_id) {
    output.replies.push_back({context.token, refused_join(error, std::move(member_id))});
  };
  if (request.session_timeout_ms < limits.session_timeout_min_ms ||
      request.session_timeout_ms > limits.session_timeout_max_ms) {
    return refuse(ErrorCode::invalid_session_timeout, request.member_id);
  }
  if (state_ == ClassicGroupState::dead) {
    return refuse(ErrorCode::coordinator_not_available, request.member_id);
  }
  ClassicMember* const known = named_in(request);
  if (!has_room_for(known, limits)) {
    refuse(ErrorCode::group_max_size_reached, "");
    const bool is_member = known != nullptr;
    if (is_member) drop_member(*known, output);
    if (pending_.erase(request.member_id) > 0 || is_member) after_departure(is_member, now, output);
    return;
  }
  MemberProtocols protocols = protocols_of(request);
  if (const ErrorCode error = check_protocols(request, protocols); error != ErrorCode::none) {
    return refuse(error, request.member_id);
  }
  if (request.member_id.empty()) {
    join_anew(context, request, std::move(protocols), limits, now, output);
  } else {
    join_again(context, request, std::move(protocols), limits, now, output);
  }
}

ClassicMember* ClassicGroup::named_in(const wire::JoinGroupRequest& request) {
  if (!request.member_id.empty()) return members_.find(request.member_id);
  if (request.group_instance_id) return members_.find_instance(*request.group_instance_id);
  return nullptr;
}

bool ClassicGroup::has_room_for(const ClassicMember* known,
                                const ClassicGroupLimits& limits) const {
  const auto members_max = static_cast<std::size_t>(std::max(limits.members_max, 0));
  switch (state_) {
    case ClassicGroupState::empty:
    case ClassicGroupState::dead:
      return true;
    // Those who wait are counted, not those who are known: of too many members (the limit was
    // lowered) the last ones to join again have to go.
    case ClassicGroupState::preparing_rebalance:
      return (known && known->join) || members_.joining() < members_max;
    case ClassicGroupState::completing_rebalance:
    case ClassicGroupState::stable:
      return known || members_.size() < members_max;
  }
  return true;
}

ErrorCode ClassicGroup::check_protocols(const wire::JoinGroupRequest& request,
                                        const MemberProtocols& protocols) const {
  const bool fits =
      state_ == ClassicGroupState::empty
          ? !request.protocol_type.empty() && !protocols.empty()
          : protocol_type_ == request.protocol_type && members_.supports_any(protocols);
  return fits ? ErrorCode::none : ErrorCode::inconsistent_group_protocol;
}

void ClassicGroup::join_anew(const JoinContext& context, const wire::JoinGroupRequest& request,
                             MemberProtocols protocols, const ClassicGroupLimits& limits, Now now,
                             Output& output) {
  if (request.group_instance_id) {
    if (ClassicMember* const known = members_.find_instance(*request.group_instance_id)) {
      return replace_static_member(*known, context, request, std::move(protocols), now, output);
    }
  }
  std::string id = new_member_id(request.group_instance_id.value_or(context.client.client_id),
                                 context.fresh_member_suffix);
  OTTLA_CHECK(!members_.find(id) && !pending_.contains(id));
  if (context.requires_known_member_id && !request.group_instance_id) {
    return give_id(context.token, std::move(id), request.session_timeout_ms, now, output);
  }
  add_member(context, request, std::move(id), std::move(protocols), limits, now, output);
}

void ClassicGroup::give_id(Token token, std::string id, std::int32_t session_timeout_ms, Now now,
                           Output& output) {
  if (pending_.size() >= kPendingMembersMax) {
    output.replies.push_back({token, refused_join(ErrorCode::coordinator_not_available, "")});
    return;
  }
  output.replies.push_back({token, refused_join(ErrorCode::member_id_required, id)});
  const TimestampMs forgotten_ms = after(now, session_timeout_ms);
  pending_.emplace(std::move(id), forgotten_ms);
  note_deadline(forgotten_ms);
}

void ClassicGroup::join_again(const JoinContext& context, const wire::JoinGroupRequest& request,
                              MemberProtocols protocols, const ClassicGroupLimits& limits, Now now,
                              Output& output) {
  const auto refuse = [&](ErrorCode error) {
    output.replies.push_back({context.token, refused_join(error, request.member_id)});
  };
  if (pending_.contains(request.member_id)) {
    // Ids are given out to dynamic members only.
    if (request.group_instance_id) return refuse(ErrorCode::unknown_member_id);
    pending_.erase(request.member_id);
    return add_member(context, request, request.member_id, std::move(protocols), limits, now,
                      output);
  }
  const Checked checked = check_member(request.member_id, request.group_instance_id);
  if (!checked) return refuse(checked.error());
  ClassicMember& member = **checked;

  const bool has_changed = member.protocols != protocols;
  if (state_ == ClassicGroupState::preparing_rebalance) {
    update_member(member, context.token, request, std::move(protocols), now, output);
    complete_join_phase_if_joined(now, output);
  } else if (has_changed || (state_ == ClassicGroupState::stable && members_.is_leader(member))) {
    // A leader has a reason to assign anew: the number of partitions, for one.
    update_member(member, context.token, request, std::move(protocols), now, output);
    begin_rebalance(now, output);
  } else {
    // It did not get the answer to its join, or asks again to be sure.
    const bool with_members =
        state_ == ClassicGroupState::completing_rebalance && members_.is_leader(member);
    renew_session(member, now);
    output.replies.push_back({context.token, joined(member, with_members)});
  }
}

void ClassicGroup::add_member(const JoinContext& context, const wire::JoinGroupRequest& request,
                              std::string id, MemberProtocols protocols,
                              const ClassicGroupLimits& limits, Now now, Output& output) {
  ClassicMember member;
  member.id = std::move(id);
  member.instance_id = request.group_instance_id;
  member.client = context.client;
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms =
      rebalance_timeout_or_session(request.rebalance_timeout_ms, request.session_timeout_ms);
  member.protocols = std::move(protocols);
  member.is_new = true;
  member.expires_ms = after(now, limits.new_member_join_timeout_ms);
  note_deadline(member.expires_ms);
  if (members_.empty()) protocol_type_ = request.protocol_type;
  members_.await_join(members_.add(std::move(member)), context.token);

  if (join_phase_) join_phase_->has_newcomers = true;
  switch (state_) {
    case ClassicGroupState::empty:
      return begin_first_rebalance(limits, now, output);
    case ClassicGroupState::preparing_rebalance:
      return complete_join_phase_if_joined(now, output);
    default:
      return begin_rebalance(now, output);
  }
}

void ClassicGroup::update_member(ClassicMember& member, Token token,
                                 const wire::JoinGroupRequest& request, MemberProtocols protocols,
                                 Now now, Output& output) {
  members_.set_protocols(member, std::move(protocols));
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms =
      rebalance_timeout_or_session(request.rebalance_timeout_ms, request.session_timeout_ms);
  renew_session(member, now);
  if (const auto replaced = members_.await_join(member, token)) {
    // Its client has given up that request; if it reads the answer all the same, it joins again.
    output.replies.push_back(
        {*replaced, refused_join(ErrorCode::rebalance_in_progress, member.id)});
  }
}

void ClassicGroup::replace_static_member(ClassicMember& member, const JoinContext& context,
                                         const wire::JoinGroupRequest& request,
                                         MemberProtocols protocols, Now now, Output& output) {
  std::string old_leader = members_.leader()->id;
  answer_waiting_join(member, refused_join(ErrorCode::fenced_instance_id, member.id), output);
  answer_waiting_sync(member, refused_sync(ErrorCode::fenced_instance_id), output);
  members_.rename(member, new_member_id(*request.group_instance_id, context.fresh_member_suffix));
  member.client = context.client;
  member.is_new = false;
  update_member(member, context.token, request, std::move(protocols), now, output);

  switch (state_) {
    case ClassicGroupState::preparing_rebalance:
      return complete_join_phase_if_joined(now, output);
    case ClassicGroupState::stable:
      if (members_.elect_protocol() == protocol_name_) {
        find_subscribed_topics();
        record(output);
        return answer_join_in_stable(member, std::move(old_leader), context.can_skip_assignment,
                                     output);
      }
      return begin_rebalance(now, output);
    // The leader may be at work with the old id, for which nobody would ask.
    default:
      return begin_rebalance(now, output);
  }
}

// The generation goes on with the assignment that it has.
void ClassicGroup::answer_join_in_stable(ClassicMember& member, std::string old_leader,
                                         bool can_skip_assignment, Output& output) {
  const bool is_leader = members_.is_leader(member);
  auto response = joined(member, can_skip_assignment && is_leader);
  if (can_skip_assignment) {
    response.skip_assignment = is_leader;
  } else {
    // Who cannot be told to skip the assignment must not learn that it leads.
    response.leader = std::move(old_leader);
  }
  answer_waiting_join(member, std::move(response), output);
}

}  // namespace ottla::coordinator
