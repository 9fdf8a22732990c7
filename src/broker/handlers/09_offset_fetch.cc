// OffsetFetch (key 9), v1 to v10: one group up to v7, many from v8 on; topics by id from v10. v2
// knows all topics of a group (null), v7 waits out open transactions (RequireStable).
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/offset_fetch_request.h"
#include "wire/messages/offset_fetch_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using GroupRequest = wire::OffsetFetchRequest::OffsetFetchRequestGroup;
using GroupAnswer = wire::OffsetFetchResponse::OffsetFetchResponseGroup;

constexpr std::int16_t kTopErrorFrom = 2;
constexpr std::int16_t kManyGroupsFrom = 8;
constexpr std::int16_t kTopicIdsFrom = 10;

// Version 10 names topics by id. Ids that are not known are answered so; for all topics of a group
// those that are gone are left out, as they have no id any more.
io::Task<GroupAnswer> fetch_group(Shard* shard, GroupRequest request, bool requires_stable,
                                  bool by_id) {
  const metadata::ImagePtr image = shard->image();
  GroupAnswer unknown;
  if (by_id && request.topics) {
    for (auto& topic : *request.topics) {
      if (const metadata::TopicImage* found = image->topics->find(topic.topic_id)) {
        topic.name = found->name;
        continue;
      }
      auto& answer = unknown.topics.emplace_back();
      answer.topic_id = topic.topic_id;
      for (const PartitionIndex index : topic.partition_indexes) {
        auto& partition = answer.partitions.emplace_back();
        partition.partition_index = index;
        partition.committed_offset = -1;
        partition.metadata = "";
        partition.error_code = static_cast<std::int16_t>(ErrorCode::unknown_topic_id);
      }
    }
    std::erase_if(*request.topics, [](const auto& topic) { return topic.name.empty(); });
  }
  const std::string group = request.group_id;
  auto answer = co_await look_at_group<GroupAnswer>(
      *shard, group,
      [request = std::move(request), requires_stable](coordinator::GroupMachine& machine,
                                                      coordinator::Output&) {
        return machine.fetch(request, requires_stable);
      });
  if (!answer) {
    GroupAnswer failed;
    failed.group_id = group;
    failed.error_code = static_cast<std::int16_t>(answer.error());
    co_return failed;
  }
  if (by_id) {
    for (auto& topic : answer->topics) {
      const metadata::TopicImage* found = image->topics->find(topic.name);
      topic.topic_id = found ? found->id : Uuid{};
    }
    std::erase_if(answer->topics, [](const auto& topic) { return topic.topic_id.is_zero(); });
    for (auto& topic : unknown.topics) answer->topics.push_back(std::move(topic));
  }
  co_return std::move(*answer);
}

// What versions up to 7 say of their one group.
void answer_single(RequestContext& context, const wire::OffsetFetchRequest& request,
                   GroupAnswer group) {
  wire::OffsetFetchResponse response;
  if (context.request.api_version >= kTopErrorFrom) response.error_code = group.error_code;
  if (group.error_code != 0 && request.topics) {
    for (const auto& topic : *request.topics) {  // version 1 has no other place for the error
      auto& answer = group.topics.emplace_back();
      answer.name = topic.name;
      for (const PartitionIndex index : topic.partition_indexes) {
        auto& partition = answer.partitions.emplace_back();
        partition.partition_index = index;
        partition.committed_offset = -1;
        partition.metadata = "";
        partition.error_code = group.error_code;
      }
    }
  }
  for (auto& topic : group.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::move(topic.name);
    for (auto& partition : topic.partitions) {
      auto& one = answer.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      one.committed_offset = partition.committed_offset;
      one.committed_leader_epoch = partition.committed_leader_epoch;
      one.metadata = std::move(partition.metadata);
      one.error_code = partition.error_code;
    }
  }
  context.answer(response);
}

io::Task<void> serve(RequestContext context, wire::OffsetFetchRequest request) {
  const std::int16_t version = context.request.api_version;
  if (version < kManyGroupsFrom) {
    GroupRequest group;
    group.group_id = request.group_id;
    group.topics.reset();  // all of them, unless some are named
    if (request.topics) {
      group.topics.emplace();
      for (const auto& topic : *request.topics) {
        auto& wanted = group.topics->emplace_back();
        wanted.name = topic.name;
        wanted.partition_indexes = topic.partition_indexes;
      }
    }
    answer_single(
        context, request,
        co_await fetch_group(&context.shard, std::move(group), request.require_stable, false));
    co_return;
  }
  wire::OffsetFetchResponse response;
  for (GroupRequest& group : request.groups) {
    response.groups.push_back(co_await fetch_group(
        &context.shard, std::move(group), request.require_stable, version >= kTopicIdsFrom));
  }
  context.answer(response);
}

}  // namespace

void handle_offset_fetch(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
