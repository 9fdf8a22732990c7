// What a step of a group's state machine gives back. The runtime appends the records as one batch
// and sends the replies once that batch, and all before it, are committed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "wire/messages/consumer_group_current_member_assignment_value.h"
#include "wire/messages/consumer_group_heartbeat_response.h"
#include "wire/messages/consumer_group_member_metadata_value.h"
#include "wire/messages/consumer_group_metadata_value.h"
#include "wire/messages/consumer_group_regular_expression_value.h"
#include "wire/messages/consumer_group_target_assignment_member_value.h"
#include "wire/messages/consumer_group_target_assignment_metadata_value.h"
#include "wire/messages/group_metadata_value.h"
#include "wire/messages/heartbeat_response.h"
#include "wire/messages/join_group_response.h"
#include "wire/messages/leave_group_response.h"
#include "wire/messages/offset_commit_response.h"
#include "wire/messages/offset_commit_value.h"
#include "wire/messages/offset_delete_response.h"
#include "wire/messages/sync_group_response.h"

namespace ottla::coordinator {

// Waits are measured by the first clock, records are stamped by the second.
struct Now {
  TimestampMs monotonic_ms = 0;
  TimestampMs wall_ms = 0;
};

// Names a request from its arrival until it is answered, which may be much later (JoinGroup).
using Token = std::uint64_t;

using ReplyBody =
    std::variant<wire::JoinGroupResponse, wire::SyncGroupResponse, wire::HeartbeatResponse,
                 wire::LeaveGroupResponse, wire::ConsumerGroupHeartbeatResponse,
                 wire::OffsetCommitResponse, wire::OffsetDeleteResponse>;

struct Reply {
  Token token = 0;
  ReplyBody body;
};

// Records of `__consumer_offsets` (reference interop.md C.2). No value: a tombstone.
struct OffsetRecord {
  std::string group;
  std::string topic;
  PartitionIndex partition = 0;
  std::optional<wire::OffsetCommitValue> value;
};
struct ClassicGroupRecord {
  std::string group;
  std::optional<wire::GroupMetadataValue> value;
};
// The six kinds of a consumer group (KIP-848).
struct ConsumerGroupRecord {
  std::string group;
  std::optional<wire::ConsumerGroupMetadataValue> value;
};
struct ConsumerMemberRecord {
  std::string group;
  std::string member;
  std::optional<wire::ConsumerGroupMemberMetadataValue> value;
};
struct TargetEpochRecord {
  std::string group;
  std::optional<wire::ConsumerGroupTargetAssignmentMetadataValue> value;
};
struct TargetAssignmentRecord {
  std::string group;
  std::string member;
  std::optional<wire::ConsumerGroupTargetAssignmentMemberValue> value;
};
struct CurrentAssignmentRecord {
  std::string group;
  std::string member;
  std::optional<wire::ConsumerGroupCurrentMemberAssignmentValue> value;
};
struct RegularExpressionRecord {
  std::string group;
  std::string expression;
  std::optional<wire::ConsumerGroupRegularExpressionValue> value;
};
using GroupRecord = std::variant<OffsetRecord, ClassicGroupRecord, ConsumerGroupRecord,
                                 ConsumerMemberRecord, TargetEpochRecord, TargetAssignmentRecord,
                                 CurrentAssignmentRecord, RegularExpressionRecord>;

struct Output {
  std::vector<GroupRecord> records;
  std::vector<Reply> replies;
};

}  // namespace ottla::coordinator
