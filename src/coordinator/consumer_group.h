// ConsumerGroup: one group of the consumer protocol (KIP-848) as a pure state machine: members send
// ConsumerGroupHeartbeat, the broker assigns. Durable state changes by apply() only, at run time as
// when a log is loaded.
//
//   group epoch        rises with each change of members, subscriptions or topics
//   assignment epoch   the group epoch for which the targets were computed last
//   member epoch       how far a member has come; at the assignment epoch it has its target
//
//   empty         no members                     assigning    assignment epoch < group epoch
//   reconciling   somebody is not at its target  stable       everybody is
//
// Invariants: (1) a partition has one owner at most: it goes to the next when the last has said
// that it gave it up, or is gone; (2) no epoch falls; (3) a member that is not heard from for the
// session timeout is gone, and so is one that does not give up in its rebalance timeout what it has
// to.
//
// Replies are sent when the records of their step are committed (group_output.h). Sessions are
// soft: they begin anew when a log is loaded.
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

#include "coordinator/classic_group_roster.h"
#include "coordinator/cluster_view.h"
#include "coordinator/group_output.h"
#include "coordinator/member_assignment.h"
#include "wire/errors.h"
#include "wire/messages/consumer_group_describe_response.h"
#include "wire/messages/consumer_group_heartbeat_request.h"

namespace ottla::coordinator {

struct ConsumerGroupLimits {
  std::int32_t session_timeout_ms = 45'000;    // group.consumer.session.timeout.ms
  std::int32_t heartbeat_interval_ms = 5'000;  // group.consumer.heartbeat.interval.ms
  // While somebody is not at its target; members are told to come this often, large groups less so.
  std::int32_t unsettled_interval_ms = 100;  // ottla.group.consumer.unsettled.heartbeat.interval.ms
  std::int32_t assignment_interval_ms = 100;  // group.consumer.assignment.interval.ms
  std::int32_t regex_refresh_ms = 600'000;    // group.consumer.regex.refresh.interval.ms
  std::int32_t members_max = std::numeric_limits<std::int32_t>::max();  // group.consumer.max.size
};

// A regular expression may need so much memory, and be so long.
inline constexpr std::int64_t kRegexBytesMax = 1 << 20;
inline constexpr std::size_t kRegexLengthMax = 4096;

class ConsumerGroup {
 public:
  explicit ConsumerGroup(std::string id) : id_(std::move(id)) {}

  // --- requests

  struct Context {
    Token token = 0;
    std::int16_t version = 0;
    ClientIdentity client;
    std::string fresh_member_id;  // for a member of v0, which has none
  };
  // Why a request can't be right whatever the group is.
  struct Refusal {
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string message;
  };
  static std::optional<Refusal> check(const wire::ConsumerGroupHeartbeatRequest& request,
                                      std::int16_t version);
  static void refuse(Token token, Refusal refusal, Output& output);

  // Answered at once. REQUIRES: check() found nothing.
  void heartbeat(const Context& context, const wire::ConsumerGroupHeartbeatRequest& request,
                 const ConsumerGroupLimits& limits, const ClusterView& topics, Now now,
                 Output& output);

  // Whether these may be committed by such a member. Without identity (a negative epoch) one
  // commits to an empty group. `partitions` are those of the commit.
  wire::ErrorCode check_commit(const std::string& member_id, std::int32_t epoch,
                               bool is_transactional, std::int16_t version,
                               const PartitionSet& partitions) const;
  wire::ErrorCode check_fetch(const std::optional<std::string>& member_id,
                              std::int32_t epoch) const;

  // Tombstones for all that is recorded. REQUIRES: nobody is in it.
  void remove(Output& output);

  // --- time and topics

  void tick(Now now, Output& output);
  std::optional<TimestampMs> deadline() const;  // monotonic ms
  // The next heartbeat looks at the topics again.
  void topics_changed() { knows_topics_ = false; }

  // --- records

  void apply(const ConsumerGroupRecord& record);
  void apply(const ConsumerMemberRecord& record);
  void apply(const TargetEpochRecord& record);
  void apply(const TargetAssignmentRecord& record);
  void apply(const CurrentAssignmentRecord& record);
  void apply(const RegularExpressionRecord& record);
  // All has been applied: sessions begin.
  void loaded(const ConsumerGroupLimits& limits, Now now);

  // --- questions

  std::string_view state_name() const;
  bool empty() const { return members_.empty(); }
  std::size_t size() const { return members_.size(); }
  // Nothing of it stands in the log.
  bool is_unwritten() const { return members_.empty() && epoch_ == kFirstEpoch; }
  std::int32_t epoch() const { return epoch_; }
  bool is_subscribed_to(const std::string& topic) const;
  wire::ConsumerGroupDescribeResponse::DescribedGroup describe(const ClusterView& topics) const;

  // Each partition with its owner: for tests of invariant (1).
  const std::map<TopicIdPartition, std::string>& owners() const { return owners_; }

 private:
  using Told = wire::ConsumerGroupMemberMetadataValue;
  struct Member {
    Member();
    Told told;
    MemberAssignment current;
    TimestampMs session_end_ms = std::numeric_limits<TimestampMs>::max();
    std::optional<TimestampMs> revocation_end_ms;
  };
  struct Expression {
    std::set<std::string> topics;
    TimestampMs resolved_wall_ms = 0;
  };
  using Checked = std::expected<Member*, Refusal>;

  // A new group's epoch before anything has changed in it.
  static constexpr std::int32_t kFirstEpoch = 1;

  Checked find_for_heartbeat(const wire::ConsumerGroupHeartbeatRequest& request,
                             const std::string& member_id);
  std::optional<Refusal> check_epoch(const wire::ConsumerGroupHeartbeatRequest& request,
                                     const Member& member) const;
  std::optional<Refusal> check_instance(const std::string& member_id,
                                        const std::optional<std::string>& instance) const;
  Told updated(const Told& before, const Context& context,
               const wire::ConsumerGroupHeartbeatRequest& request) const;
  void take_over(const std::string& from, const std::string& to, const Told& told, Output& output);
  void leave(const Context& context, const wire::ConsumerGroupHeartbeatRequest& request, Now now,
             Output& output);
  void release(const std::string& member_id, const MemberAssignment& assignment);
  void drop(const std::string& member_id, Output& output);
  void bump(Output& output);
  bool refresh_topics(const ConsumerGroupLimits& limits, const ClusterView& topics, Now now,
                      Output& output);
  void assign_anew(const ConsumerGroupLimits& limits, const ClusterView& topics, Now now,
                   Output& output);
  void step(const std::string& member_id, const PartitionSet* owned, Now now, Output& output);

  std::set<std::string> topics_of(const Told& told) const;
  std::set<std::string> all_topics() const;
  std::string_view chosen_assignor() const;
  bool is_settled() const;
  bool is_at_target(const Member& member) const;
  std::int32_t interval_ms(const ConsumerGroupLimits& limits) const;
  void renew(Member& member, const ConsumerGroupLimits& limits, Now now);
  Member* find(const std::string& member_id);
  const Member* find(const std::string& member_id) const;

  template <class Record>
  void push(Record record, Output& output) {
    apply(record);
    output.records.push_back(std::move(record));
  }

  const std::string id_;
  std::int32_t epoch_ = kFirstEpoch;
  std::int64_t topics_hash_ = 0;
  std::int32_t assignment_epoch_ = kFirstEpoch;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> instances_;  // to member ids
  std::map<std::string, PartitionSet> targets_;   // of members
  std::map<TopicIdPartition, std::string> owners_;
  std::map<std::string, Expression> expressions_;

  // soft
  bool knows_topics_ = false;
  std::optional<TimestampMs> assigned_ms_;
};

}  // namespace ottla::coordinator
