// OffsetForLeaderEpoch (key 23), v2 to v4: where an epoch ended in the leader's log (KIP-101,
// KIP-320). v3 carries a replica id, v4 is flexible.
#include <map>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/partition_checks.h"
#include "wire/messages/offset_for_leader_epoch_request.h"
#include "wire/messages/offset_for_leader_epoch_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

struct Query {
  std::size_t topic = 0;
  std::size_t partition = 0;
  TopicIdPartition id;
  LeaderEpoch current_leader_epoch = -1;
  LeaderEpoch leader_epoch = -1;
};

struct Found {
  std::size_t topic = 0;
  std::size_t partition = 0;
  ErrorCode error = ErrorCode::none;
  LeaderEpoch leader_epoch = -1;
  Offset end_offset = -1;
};

io::Task<std::vector<Found>> find_all(Shard* owner, std::vector<Query> queries) {
  std::vector<Found> found;
  for (const Query& query : queries) {
    Found& one = found.emplace_back(Found{.topic = query.topic, .partition = query.partition});
    const auto partition = find_led(*owner, query.id, query.current_leader_epoch);
    if (!partition) {
      one.error = partition.error();
      continue;
    }
    const storage::EpochEnd end = (*partition)->log->end_offset_for_epoch(query.leader_epoch);
    one.leader_epoch = end.epoch;
    one.end_offset = end.end_offset;
  }
  co_return found;
}

io::Task<void> serve(RequestContext context, wire::OffsetForLeaderEpochRequest request) {
  Shard& shard = context.shard;
  wire::OffsetForLeaderEpochResponse response;
  std::map<unsigned, std::vector<Query>> by_owner;
  for (const auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition = partition.partition;
      const auto place = locate_led(shard, topic.topic, partition.partition);
      if (!place) {
        answer.error_code = static_cast<std::int16_t>(place.error());
      } else {
        by_owner[shard.owner_of(place->id)].push_back(
            {response.topics.size() - 1, topic_answer.partitions.size() - 1, place->id,
             partition.current_leader_epoch, partition.leader_epoch});
      }
    }
  }
  for (auto& [owner, queries] : by_owner) {
    Shard* there = &shard.sibling(owner);
    const auto found = co_await io::call_on<std::vector<Found>>(
        shard.env, owner,
        [there, mine = std::move(queries)]() mutable { return find_all(there, std::move(mine)); });
    for (const Found& one : found) {
      auto& answer = response.topics[one.topic].partitions[one.partition];
      answer.error_code = static_cast<std::int16_t>(one.error);
      answer.leader_epoch = one.leader_epoch;
      answer.end_offset = one.end_offset;
    }
  }
  context.answer(response);
}

}  // namespace

void handle_offset_for_leader_epoch(RequestContext context) {
  serve_in_task(std::move(context), serve);
}

}  // namespace ottla::broker
