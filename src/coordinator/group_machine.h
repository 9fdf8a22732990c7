// GroupMachine: all groups of one partition of `__consumer_offsets`, as one state machine. Pure: no
// clock, no log; time and requests come in, records and replies go out (group_output.h). Durable
// state changes by apply() only, which is also how a log is loaded.
//
// Used by GroupPartition, which appends the records and holds the replies until they are committed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/classic_group.h"
#include "coordinator/consumer_group.h"
#include "coordinator/group_offsets.h"
#include "coordinator/group_output.h"
#include "wire/errors.h"
#include "wire/messages/consumer_group_describe_response.h"
#include "wire/messages/consumer_group_heartbeat_request.h"
#include "wire/messages/describe_groups_response.h"
#include "wire/messages/heartbeat_request.h"
#include "wire/messages/join_group_request.h"
#include "wire/messages/leave_group_request.h"
#include "wire/messages/list_groups_response.h"
#include "wire/messages/offset_commit_request.h"
#include "wire/messages/offset_delete_request.h"
#include "wire/messages/offset_fetch_request.h"
#include "wire/messages/offset_fetch_response.h"
#include "wire/messages/sync_group_request.h"

namespace ottla::coordinator {

struct GroupLimits {
  ClassicGroupLimits classic;
  ConsumerGroupLimits consumer;
  std::int32_t offset_metadata_bytes_max = 4096;               // offset.metadata.max.bytes
  std::int64_t offsets_retention_ms = 7ll * 24 * 3600 * 1000;  // offsets.retention.minutes
  std::int64_t offsets_retention_check_ms = 10 * 60 * 1000;    // ...check.interval.ms
};

class GroupMachine {
 public:
  // `cluster` outlives it.
  GroupMachine(const GroupLimits& limits, const ClusterView& cluster)
      : limits_(limits), cluster_(cluster) {}

  // --- requests; each pushes its reply to `output`, at once or in a later step

  void join(const ClassicGroup::JoinContext& context, const wire::JoinGroupRequest& request,
            Now now, Output& output);
  void sync(Token token, const wire::SyncGroupRequest& request, Now now, Output& output);
  void heartbeat(Token token, const wire::HeartbeatRequest& request, Now now, Output& output);
  void leave(Token token, const wire::LeaveGroupRequest& request, bool is_batch, Now now,
             Output& output);

  void consumer_heartbeat(const ConsumerGroup::Context& context,
                          const wire::ConsumerGroupHeartbeatRequest& request, Now now,
                          Output& output);

  // The topics of the request are known to be there, named, and with their ids.
  struct CommitContext {
    Token token = 0;
    std::int16_t version = 0;
    std::function<Uuid(const std::string& topic)> topic_id;
  };
  void commit(const CommitContext& context, const wire::OffsetCommitRequest& request, Now now,
              Output& output);
  void delete_offsets(Token token, const wire::OffsetDeleteRequest& request, Output& output);
  // Gives the error of the group; its records go to `output`.
  wire::ErrorCode delete_group(const std::string& group, Output& output);

  // --- questions; what they see is committed once all earlier records are

  wire::OffsetFetchResponse::OffsetFetchResponseGroup fetch(
      const wire::OffsetFetchRequest::OffsetFetchRequestGroup& request, bool requires_stable) const;
  wire::DescribeGroupsResponse::DescribedGroup describe(const std::string& group,
                                                        std::int16_t version) const;
  wire::ConsumerGroupDescribeResponse::DescribedGroup describe_consumer(
      const std::string& group) const;
  std::vector<wire::ListGroupsResponse::ListedGroup> list() const;

  // --- time

  void tick(Now now, Output& output);
  TimestampMs deadline() const;  // monotonic ms; far away if nothing is due

  // --- topics

  // Topics of these names have come, gone, or have more partitions; null: any may have. Offsets of
  // those that are not there any more, or were made again since, get tombstones.
  void topics_changed(const std::set<std::string>* names, Output& output);

  // --- loading

  // `producer` is set for a record of a transaction: it waits for end_transaction().
  void load(const GroupRecord& record, std::optional<ProducerId> producer, Now now);
  void end_transaction(ProducerId producer, bool is_commit);
  // All has been loaded; empty groups that nobody needs are forgotten.
  void loaded(Now now);

  std::size_t size() const { return groups_.size(); }

 private:
  struct Group {
    // One at most; neither while only offsets are known.
    std::optional<ClassicGroup> classic;
    std::optional<ConsumerGroup> consumer;
    GroupOffsets offsets;
    // Offsets in transactions that are still open: how many of each partition.
    std::map<std::pair<std::string, PartitionIndex>, std::uint32_t> pending;
    TimestampMs deadline = kNever;  // as it stands in schedule_
  };
  struct PendingOffset {
    OffsetRecord record;
    std::uint64_t order = 0;
  };

  static constexpr TimestampMs kNever = INT64_MAX;

  Group* find(const std::string& group);
  const Group* find(const std::string& group) const;
  std::vector<std::string> names() const;  // to walk over while groups are forgotten
  Group& make(const std::string& group, Now now);
  // After whatever changed the group: its place in the schedule; forgotten when nothing is left.
  void settle(const std::string& name, Group& group);
  void apply(const OffsetRecord& record);
  template <class Record>
  void apply_to_consumer(const Record& record);
  void apply(const ClassicGroupRecord& record, Now now);
  ConsumerGroupLimits consumer_limits(const std::string& group) const;
  static bool is_empty(const Group& group);
  static bool is_in_use(const Group& group, const std::string& topic);
  void push(std::vector<OffsetRecord> records, Output& output);
  void expire_offsets(Now now, Output& output);

  const GroupLimits limits_;
  const ClusterView& cluster_;
  std::map<std::string, Group> groups_;
  std::set<std::pair<TimestampMs, std::string>> schedule_;
  std::map<ProducerId, std::vector<PendingOffset>> pending_;
  std::uint64_t order_ = 0;  // of the last record
  TimestampMs next_expiry_ms_ = 0;
};

}  // namespace ottla::coordinator
