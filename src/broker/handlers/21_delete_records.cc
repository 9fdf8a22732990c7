// DeleteRecords (key 21), v0 to v2: moves partitions' log starts (KIP-107). Durable when answered;
// whole segments below the new start go in the background. Offset -1 means the high watermark.
#include <map>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/partition_checks.h"
#include "broker/topic_answer.h"
#include "wire/messages/delete_records_request.h"
#include "wire/messages/delete_records_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

constexpr Offset kHighWatermark = -1;

struct Deletion {
  std::size_t topic = 0;  // places in the answer
  std::size_t partition = 0;
  TopicIdPartition id;
  Offset offset = 0;
  ErrorCode error = ErrorCode::none;  // filled by the owner
  Offset low_watermark = -1;
};

io::Task<void> delete_one(Shard& owner, Deletion& deletion) {
  const auto partition = find_led(owner, deletion.id, -1);
  if (!partition) {
    deletion.error = partition.error();
    co_return;
  }
  const storage::LogConfig& config = (*partition)->settings->log;
  if (config.is_compacted && !config.is_deleted_when_old) {
    deletion.error = ErrorCode::policy_violation;
    co_return;
  }
  if (deletion.offset < kHighWatermark) {
    deletion.error = ErrorCode::offset_out_of_range;
    co_return;
  }
  const std::shared_ptr<storage::PartitionLog> log = (*partition)->log;
  const auto start = co_await log->delete_records(deletion.offset);
  if (start) {
    deletion.low_watermark = *start;
  } else {
    deletion.error = storage::to_error_code(start.error());
  }
}

io::Task<std::vector<Deletion>> delete_all(Shard* owner, std::vector<Deletion> deletions) {
  for (Deletion& deletion : deletions) co_await delete_one(*owner, deletion);
  co_return deletions;
}

io::Task<void> serve(RequestContext context, wire::DeleteRecordsRequest request) {
  Shard& shard = context.shard;
  wire::DeleteRecordsResponse response;
  std::map<unsigned, std::vector<Deletion>> by_owner;
  for (const auto& topic : request.topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      answer.low_watermark = -1;
      const auto place = locate_led(shard, topic.name, partition.partition_index);
      if (shard.image()->topics->find(topic.name) && is_internal_topic(topic.name)) {
        answer.error_code = static_cast<std::int16_t>(ErrorCode::invalid_topic_exception);
      } else if (!place) {
        answer.error_code = static_cast<std::int16_t>(place.error());
      } else {
        by_owner[shard.owner_of(place->id)].push_back(
            {.topic = response.topics.size() - 1,
             .partition = topic_answer.partitions.size() - 1,
             .id = place->id,
             .offset = partition.offset});
      }
    }
  }
  for (auto& [owner, deletions] : by_owner) {
    Shard* there = &shard.sibling(owner);
    const auto done = co_await io::call_on<std::vector<Deletion>>(
        shard.env, owner, [there, mine = std::move(deletions)]() mutable {
          return delete_all(there, std::move(mine));
        });
    for (const Deletion& one : done) {
      auto& answer = response.topics[one.topic].partitions[one.partition];
      answer.error_code = static_cast<std::int16_t>(one.error);
      answer.low_watermark = one.low_watermark;
    }
  }
  context.answer(response);
}

}  // namespace

void handle_delete_records(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
