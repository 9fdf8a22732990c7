// DescribeTopicPartitions (key 75), v0: partitions with their eligible leader replicas, page by
// page (KIP-966). Topics come by name; an answer ends at the limit with a cursor from which the
// next request goes on.
#include <algorithm>
#include <set>
#include <string>

#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "wire/messages/describe_topic_partitions_request.h"
#include "wire/messages/describe_topic_partitions_response.h"

namespace ottla::broker {

void handle_describe_topic_partitions(RequestContext context) {
  const auto request = context.decode<wire::DescribeTopicPartitionsRequest>();
  if (!request) return;
  Shard& shard = context.shard;
  const metadata::ImagePtr image = shard.image();

  std::set<std::string> names;
  const bool wants_all = request->topics.empty();
  if (wants_all) {
    for (const auto& [name, topic] : image->topics->by_name()) names.insert(name);
  } else {
    for (const auto& topic : request->topics) names.insert(topic.name);
  }
  std::int32_t first_partition = 0;
  wire::DescribeTopicPartitionsResponse response;
  if (request->cursor) {
    if (request->cursor->partition_index < 0) {
      return context.reply.close("DescribeTopicPartitions with a cursor at a negative partition");
    }
    names.erase(names.begin(), names.lower_bound(request->cursor->topic_name));
    // a topic that was deleted between two pages is skipped
    if (!names.empty() && *names.begin() == request->cursor->topic_name) {
      first_partition = request->cursor->partition_index;
    }
  }

  std::int32_t room =
      std::clamp(request->response_partition_limit, 1, shard.config.describe_partitions_max);
  for (const std::string& name : names) {
    const metadata::TopicImage* topic = image->topics->find(name);
    if (room == 0 && topic) {
      auto& cursor = response.next_cursor.emplace();
      cursor.topic_name = name;
      cursor.partition_index = first_partition;
      break;
    }
    auto& answer = response.topics.emplace_back();
    answer.name = name;
    answer.is_internal = is_internal_topic(name);
    if (!topic) {
      answer.error_code = static_cast<std::int16_t>(missing_topic_error(name));
      continue;
    }
    answer.topic_id = topic->id;
    answer.topic_authorized_operations = kTopicOperationsAll;
    const auto count = static_cast<std::int32_t>(topic->partitions.size());
    std::int32_t index = first_partition;
    first_partition = 0;
    for (; index < count && room > 0; ++index, --room) {
      const metadata::PartitionImage& partition =
          topic->partitions[static_cast<std::size_t>(index)];
      auto& described = answer.partitions.emplace_back();
      describe_partition(*image, partition, index, described);
      described.eligible_leader_replicas = partition.elr;
      described.last_known_elr = partition.last_known_elr;
    }
    if (index < count) {
      auto& cursor = response.next_cursor.emplace();
      cursor.topic_name = name;
      cursor.partition_index = index;
      break;
    }
  }
  context.answer(response);
}

}  // namespace ottla::broker
