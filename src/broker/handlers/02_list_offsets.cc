// ListOffsets (key 2), v1 to v11: offsets by timestamp, and by the special timestamps: -1 latest
// (v2 under read_committed: the last stable offset), -2 earliest, -3 of the greatest timestamp
// (v7), -4 earliest local (v8), -5 the last in tiered storage (v9), -6 the first not yet uploaded
// (v11). Without tiers the last two do not exist.
#include <map>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/partition_checks.h"
#include "broker/partition_read.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using PartitionAnswer = wire::ListOffsetsResponse::ListOffsetsPartitionResponse;

constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kMaxTimestamp = -3;
constexpr std::int64_t kEarliestLocal = -4;
constexpr std::int64_t kLatestTiered = -5;
constexpr std::int64_t kEarliestPendingUpload = -6;

constexpr std::int16_t kLeaderEpochFrom = 4;

// Since which version a special timestamp may be asked for.
std::int16_t known_from(std::int64_t timestamp) {
  switch (timestamp) {
    case kMaxTimestamp:
      return 7;
    case kEarliestLocal:
      return 8;
    case kLatestTiered:
      return 9;
    case kEarliestPendingUpload:
      return 11;
    default:
      return 0;
  }
}

struct Query {
  std::size_t topic = 0;  // places in the answer
  std::size_t partition = 0;
  TopicIdPartition id;
  LeaderEpoch leader_epoch = -1;
  std::int64_t timestamp = 0;
};

struct Found {
  std::size_t topic = 0;
  std::size_t partition = 0;
  ErrorCode error = ErrorCode::none;
  TimestampMs timestamp = -1;
  Offset offset = -1;
  LeaderEpoch leader_epoch = -1;
};

io::Task<Found> find_one(Shard& owner, Query query, Isolation isolation) {
  Found found{.topic = query.topic, .partition = query.partition};
  const auto partition = find_led(owner, query.id, query.leader_epoch);
  if (!partition) {
    found.error = partition.error();
    co_return found;
  }
  const std::shared_ptr<storage::PartitionLog> log = (*partition)->log;
  const LeaderEpoch current_epoch = (*partition)->leader_epoch;
  const Offset bound =
      isolation == Isolation::read_committed ? log->last_stable_offset() : log->high_watermark();
  switch (query.timestamp) {
    case kLatest:
      found.offset = bound;
      found.leader_epoch = current_epoch;
      break;
    case kEarliest:
    case kEarliestLocal: {
      found.offset = log->log_start_offset();
      const auto epoch = log->epochs().epoch_of(found.offset);
      found.leader_epoch = epoch.value_or(-1);
      break;
    }
    case kLatestTiered:
    case kEarliestPendingUpload:
      break;  // nothing is tiered
    default: {
      const auto result = query.timestamp == kMaxTimestamp
                              ? co_await log->find_max_timestamp()
                              : co_await log->find_timestamp(query.timestamp, bound);
      if (!result) {
        found.error = storage::to_error_code(result.error());
      } else if (result->offset >= 0 && result->offset < bound) {
        found.timestamp = result->timestamp;
        found.offset = result->offset;
        found.leader_epoch = result->leader_epoch;
      }
    }
  }
  co_return found;
}

io::Task<std::vector<Found>> find_all(Shard* owner, std::vector<Query> queries,
                                      Isolation isolation) {
  std::vector<Found> found;
  found.reserve(queries.size());
  for (const Query& query : queries) found.push_back(co_await find_one(*owner, query, isolation));
  co_return found;
}

io::Task<void> serve(RequestContext context, wire::ListOffsetsRequest request) {
  Shard& shard = context.shard;
  const auto isolation =
      request.isolation_level == 1 ? Isolation::read_committed : Isolation::read_uncommitted;
  wire::ListOffsetsResponse response;
  std::map<unsigned, std::vector<Query>> by_owner;
  for (const auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (const auto& partition : topic.partitions) {
      PartitionAnswer& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      const auto place = locate_led(shard, topic.name, partition.partition_index);
      if (!place) {
        answer.error_code = static_cast<std::int16_t>(place.error());
      } else if (partition.timestamp < kEarliestPendingUpload ||
                 context.request.api_version < known_from(partition.timestamp)) {
        answer.error_code = static_cast<std::int16_t>(ErrorCode::unsupported_version);
      } else {
        by_owner[shard.owner_of(place->id)].push_back(
            {response.topics.size() - 1, topic_answer.partitions.size() - 1, place->id,
             partition.current_leader_epoch, partition.timestamp});
      }
    }
  }
  for (auto& [owner, queries] : by_owner) {
    Shard* there = &shard.sibling(owner);
    const auto found = co_await io::call_on<std::vector<Found>>(
        shard.env, owner, [there, mine = std::move(queries), isolation]() mutable {
          return find_all(there, std::move(mine), isolation);
        });
    for (const Found& one : found) {
      PartitionAnswer& answer = response.topics[one.topic].partitions[one.partition];
      answer.error_code = static_cast<std::int16_t>(one.error);
      answer.timestamp = one.timestamp;
      answer.offset = one.offset;
      if (context.request.api_version >= kLeaderEpochFrom) answer.leader_epoch = one.leader_epoch;
    }
  }
  context.answer(response);
}

}  // namespace

void handle_list_offsets(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
