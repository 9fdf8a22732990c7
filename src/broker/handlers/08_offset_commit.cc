// OffsetCommit (key 8), v2 to v10: by name up to v9, by id from v10. A topic that is not there gets
// its own error and the others are committed. Retention times of v2 to v4 are kept with the offset.
#include <map>
#include <utility>

#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/offset_commit_request.h"
#include "wire/messages/offset_commit_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kTopicIdsFrom = 10;

// The error of a partition before the group is asked.
ErrorCode check_place(const metadata::TopicImage* topic, PartitionIndex index, bool by_id) {
  if (!topic) return by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
  const bool is_there = index >= 0 && std::cmp_less(index, topic->partitions.size());
  return is_there ? ErrorCode::none : ErrorCode::unknown_topic_or_partition;
}

io::Task<void> serve(RequestContext context, wire::OffsetCommitRequest request) {
  Shard& shard = context.shard;
  const std::int16_t version = context.request.api_version;
  const bool by_id = version >= kTopicIdsFrom;
  const metadata::ImagePtr image = shard.image();
  const std::string group = request.group_id;

  const auto asked = std::exchange(request.topics, {});
  wire::OffsetCommitRequest known = std::move(request);  // what is handed to the group
  std::map<std::string, Uuid> ids;
  for (const auto& topic : asked) {
    const metadata::TopicImage* found =
        by_id ? image->topics->find(topic.topic_id) : image->topics->find(topic.name);
    auto kept = topic;
    std::erase_if(kept.partitions, [&](const auto& partition) {
      return check_place(found, partition.partition_index, by_id) != ErrorCode::none;
    });
    if (kept.partitions.empty()) continue;
    kept.name = found->name;
    ids.emplace(found->name, found->id);
    known.topics.push_back(std::move(kept));
  }

  std::map<std::pair<std::string, PartitionIndex>, std::int16_t> errors;
  std::int16_t group_error = 0;
  if (!known.topics.empty()) {
    const auto reply = co_await ask_group(
        shard, group,
        [known = std::move(known), ids, version](coordinator::GroupMachine& machine,
                                                 coordinator::Token token, coordinator::Now now,
                                                 coordinator::Output& output) {
          machine.commit({.token = token,
                          .version = version,
                          .topic_id = [&](const std::string& topic) { return ids.at(topic); }},
                         known, now, output);
        });
    if (!reply) {
      group_error = static_cast<std::int16_t>(reply.error());
    } else {
      for (const auto& topic : std::get<wire::OffsetCommitResponse>(*reply).topics) {
        for (const auto& partition : topic.partitions)
          errors[{topic.name, partition.partition_index}] = partition.error_code;
      }
    }
  }

  wire::OffsetCommitResponse response;
  for (const auto& topic : asked) {
    const metadata::TopicImage* found =
        by_id ? image->topics->find(topic.topic_id) : image->topics->find(topic.name);
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    topic_answer.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      const ErrorCode error = check_place(found, partition.partition_index, by_id);
      answer.error_code = error != ErrorCode::none ? static_cast<std::int16_t>(error)
                          : group_error != 0       ? group_error
                                             : errors.at({found->name, partition.partition_index});
    }
  }
  context.answer(response);
}

}  // namespace

void handle_offset_commit(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
