// ClassicGroup: one group of the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) as
// a pure state machine. Requests and time go in; replies and records come out (group_output.h).
// Kafka's group protocol with KIP-62 (rebalance timeout), KIP-134 (initial delay), KIP-345 (static
// members), KIP-394 (member id required), KIP-559 (protocol in SyncGroup), KIP-814 (skip
// assignment). Cooperative rebalancing (KIP-429) needs nothing of it.
//
//   empty ---------------> preparing_rebalance    the first member; waits the initial delay
//   preparing_rebalance -> completing_rebalance   all joined, or time is up: generation + 1
//   preparing_rebalance -> empty                  nobody is left: generation + 1, recorded
//   completing_rebalance -> stable                the leader's SyncGroup: recorded
//   completing_rebalance, stable -> preparing_rebalance
//                          somebody new, gone, silent or changed; or the leader joins again
//   any -> dead            remove(); nothing leads out of it
//
// Invariants: (1) no generation falls, and none is used for two sets of members; (2) one leader
// while there are members; (3) in stable every member's assignment is what the leader of this
// generation gave it, and recorded; (4) each request is answered once: at once, or when its phase
// ends, or when its member goes.
//
// Records and replies belong together: the caller sends no reply before the records of its step and
// of all earlier steps are committed. If it cannot append, it throws the group away and loads it.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "coordinator/classic_group_roster.h"
#include "coordinator/group_output.h"
#include "wire/errors.h"
#include "wire/messages/describe_groups_response.h"
#include "wire/messages/group_metadata_value.h"
#include "wire/messages/heartbeat_request.h"
#include "wire/messages/join_group_request.h"
#include "wire/messages/leave_group_request.h"
#include "wire/messages/sync_group_request.h"

namespace ottla::coordinator {

// The protocol type of Java's consumers and all that follow them.
inline constexpr std::string_view kConsumerProtocolType = "consumer";
// Ids that were given out and not used yet, in one group. Who comes when there are so many is told
// to try again.
inline constexpr std::size_t kPendingMembersMax = 10'000;
// What a new member id takes over of the client id (or instance id).
inline constexpr std::size_t kMemberIdPrefixBytesMax = 1024;
// No phase is shorter, whatever rebalance timeout the members ask for: a group that nobody can
// complete in time must not keep the machine busy.
inline constexpr std::int32_t kPhaseMsMin = 100;

struct ClassicGroupLimits {
  std::int32_t initial_rebalance_delay_ms = 3000;   // group.initial.rebalance.delay.ms
  std::int32_t session_timeout_min_ms = 6000;       // group.min.session.timeout.ms
  std::int32_t session_timeout_max_ms = 1'800'000;  // group.max.session.timeout.ms
  std::int32_t members_max = std::numeric_limits<std::int32_t>::max();  // group.max.size
  std::int32_t new_member_join_timeout_ms = 300'000;  // as long as Kafka's, which is not a config
};

enum class ClassicGroupState : std::uint8_t {
  empty,
  preparing_rebalance,
  completing_rebalance,
  stable,
  dead,
};

class ClassicGroup {
 public:
  ClassicGroup(std::string id, Now now);
  // As the record left it: stable if it has members, else empty. All sessions start anew. A record
  // that no coordinator writes (members twice, no such leader) is read as far as it makes sense.
  static ClassicGroup restore(std::string id, const wire::GroupMetadataValue& value, Now now);

  // --- requests; each is answered with its token, in this step's output or in a later one's.
  // REQUIRES: they name this group.

  struct JoinContext {
    Token token = 0;
    ClientIdentity client;
    bool requires_known_member_id = false;  // JoinGroup v4+ (KIP-394)
    bool can_skip_assignment = false;       // JoinGroup v9+ (KIP-814)
    std::string fresh_member_suffix;        // never given before: makes a new member's id unique
  };
  // Waits for the end of the join phase unless it is refused or changes nothing.
  void join(const JoinContext& context, const wire::JoinGroupRequest& request,
            const ClassicGroupLimits& limits, Now now, Output& output);
  // Waits for the leader's assignment while completing_rebalance.
  void sync(Token token, const wire::SyncGroupRequest& request, Now now, Output& output);
  // Never waits.
  void heartbeat(Token token, const wire::HeartbeatRequest& request, Now now, Output& output);
  // Never waits. `is_batch`: v3+, where each member gets its own error; before, the request's
  // member_id counts and the error stands at the top.
  void leave(Token token, const wire::LeaveGroupRequest& request, bool is_batch, Now now,
             Output& output);

  // Whether this member may commit offsets now; renews its session if so. Without identity and with
  // a negative generation one commits to an empty group (or within a transaction).
  wire::ErrorCode check_commit(const std::string& member_id,
                               const std::optional<std::string>& instance_id,
                               std::int32_t generation, bool is_transactional, Now now);
  wire::ErrorCode check_delete() const;  // none, NON_EMPTY_GROUP, or GROUP_ID_NOT_FOUND if dead
  // The group is gone: a tombstone, and what waits gets UNKNOWN_MEMBER_ID.
  void remove(Output& output);
  // Answers all that waits, and nothing else: for when this coordinator lets go of the group.
  void refuse_waiting(wire::ErrorCode error, Output& output);

  // --- time

  // Does all that is due: sessions, unused ids, the ends of phases.
  void tick(Now now, const ClassicGroupLimits& limits, Output& output);
  // Monotonic: before it tick() changes nothing. May be early, since heartbeats move what is due
  // without looking at the others. Nothing if time changes nothing: no members and no ids given
  // out.
  std::optional<TimestampMs> deadline() const;

  // --- questions

  const std::string& id() const { return id_; }
  ClassicGroupState state() const { return state_; }
  std::string_view state_name() const;  // "PreparingRebalance"
  std::int32_t generation() const { return generation_; }
  const std::optional<std::string>& protocol_type() const { return protocol_type_; }
  const std::optional<std::string>& protocol_name() const { return protocol_name_; }
  std::optional<std::string> leader() const;
  std::size_t size() const { return members_.size(); }
  // When it became empty; -1 if it is not, or if an old record did not say.
  TimestampMs empty_since_wall_ms() const;
  // Whether the members of this generation read the topic. Sure if all told their topics in the
  // consumer protocol; else yes. In preparing_rebalance the last generation's topics count, and who
  // joins may read others: offsets may expire only in stable and empty.
  bool is_subscribed_to(const std::string& topic) const;
  // As DescribeGroups tells it: what members said to the leader is shown in stable only.
  wire::DescribeGroupsResponse::DescribedGroup describe() const;

 private:
  struct JoinPhase {
    TimestampMs deadline_ms = 0;
    // Of the first rebalance (from empty) only:
    bool is_initial = false;
    bool has_newcomers = false;  // since the delay began
    TimestampMs limit_ms = 0;    // no delay goes beyond
    std::int32_t delay_ms = 0;
  };
  static constexpr TimestampMs kNothingDue = std::numeric_limits<TimestampMs>::max();
  using Checked = std::expected<ClassicMember*, wire::ErrorCode>;

  // --- joining
  ClassicMember* named_in(const wire::JoinGroupRequest& request);
  bool has_room_for(const ClassicMember* known, const ClassicGroupLimits& limits) const;
  wire::ErrorCode check_protocols(const wire::JoinGroupRequest& request,
                                  const MemberProtocols& protocols) const;
  void join_anew(const JoinContext& context, const wire::JoinGroupRequest& request,
                 MemberProtocols protocols, const ClassicGroupLimits& limits, Now now,
                 Output& output);
  void join_again(const JoinContext& context, const wire::JoinGroupRequest& request,
                  MemberProtocols protocols, const ClassicGroupLimits& limits, Now now,
                  Output& output);
  void give_id(Token token, std::string id, std::int32_t session_timeout_ms, Now now,
               Output& output);
  void add_member(const JoinContext& context, const wire::JoinGroupRequest& request, std::string id,
                  MemberProtocols protocols, const ClassicGroupLimits& limits, Now now,
                  Output& output);
  void update_member(ClassicMember& member, Token token, const wire::JoinGroupRequest& request,
                     MemberProtocols protocols, Now now, Output& output);
  void replace_static_member(ClassicMember& member, const JoinContext& context,
                             const wire::JoinGroupRequest& request, MemberProtocols protocols,
                             Now now, Output& output);
  void answer_join_in_stable(ClassicMember& member, std::string old_leader,
                             bool can_skip_assignment, Output& output);

  // --- phases
  void begin_first_rebalance(const ClassicGroupLimits& limits, Now now, Output& output);
  void begin_rebalance(Now now, Output& output);
  void complete_join_phase_if_joined(Now now, Output& output);
  void complete_join_phase(Now now, Output& output);
  void become_empty(Now now, Output& output);
  void await_assignment(Now now, Output& output);
  void take_assignment(const wire::SyncGroupRequest& request, Now now, Output& output);
  void end_or_extend_first_join_phase(Now now, Output& output);
  void expire_sync_phase(Now now, Output& output);

  // --- members that go
  wire::ErrorCode leave_one(const std::string& member_id,
                            const std::optional<std::string>& instance_id, Output& output);
  void drop_member(ClassicMember& member, Output& output);
  bool expire_members(Now now, Output& output);
  // A member, or only an id that was given out, has gone.
  void after_departure(bool is_member, Now now, Output& output);

  Checked check_member(const std::string& member_id, const std::optional<std::string>& instance_id);
  void enter(ClassicGroupState state, Now now);
  void renew_session(ClassicMember& member, Now now);
  void note_deadline(TimestampMs at_ms);
  void find_deadline();
  TimestampMs phase_end(Now now) const;
  void find_subscribed_topics();

  // --- replies and records
  wire::JoinGroupResponse joined(const ClassicMember& member, bool with_members) const;
  wire::SyncGroupResponse synced(const ClassicMember& member) const;
  void answer_waiting_join(ClassicMember& member, wire::JoinGroupResponse response, Output& output);
  void answer_waiting_sync(ClassicMember& member, wire::SyncGroupResponse response, Output& output);
  void record(Output& output) const;

  std::string id_;

  // Durable, by record():
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_name_;  // none while there is no generation with members
  std::int32_t generation_ = 0;
  ClassicRoster members_;  // with those who came since, or whose join waits
  TimestampMs state_since_wall_ms_ = -1;

  // Begins anew with a new coordinator:
  ClassicGroupState state_ = ClassicGroupState::empty;
  std::map<std::string, TimestampMs> pending_;   // ids given out, and when each is forgotten
  std::optional<JoinPhase> join_phase_;          // in preparing_rebalance
  std::optional<TimestampMs> sync_deadline_ms_;  // until all members of a generation sent SyncGroup
  bool is_size_unchecked_ = false;               // of a group that was just loaded
  TimestampMs deadline_ms_ = kNothingDue;        // not later than anything that is due
  std::optional<std::set<std::string>> subscribed_topics_;  // none: not known
};

}  // namespace ottla::coordinator
