// OffsetDelete (key 47), v0: takes back committed offsets of topics that no member subscribes to
// (KIP-496). A partition that is not there gets its own error and the others are taken back; if the
// group itself is refused, nothing is said of partitions.
#include <algorithm>
#include <utility>
#include <vector>

#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/offset_delete_request.h"
#include "wire/messages/offset_delete_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using Topics = std::vector<wire::OffsetDeleteResponse::OffsetDeleteResponseTopic>;

// What is not there, out of the request and into the answer.
Topics take_unknown(const metadata::Image& image, wire::OffsetDeleteRequest& request) {
  Topics unknown;
  for (auto& topic : request.topics) {
    const metadata::TopicImage* found = image.topics->find(topic.name);
    auto& refused = unknown.emplace_back();
    refused.name = topic.name;
    std::erase_if(topic.partitions, [&](const auto& partition) {
      const PartitionIndex index = partition.partition_index;
      if (found && index >= 0 && std::cmp_less(index, found->partitions.size())) return false;
      auto& answer = refused.partitions.emplace_back();
      answer.partition_index = index;
      answer.error_code = static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
      return true;
    });
    if (refused.partitions.empty()) unknown.pop_back();
  }
  std::erase_if(request.topics, [](const auto& topic) { return topic.partitions.empty(); });
  return unknown;
}

void add(Topics unknown, Topics& answered) {
  for (auto& topic : unknown) {
    const auto same = std::ranges::find(
        answered, topic.name, &wire::OffsetDeleteResponse::OffsetDeleteResponseTopic::name);
    if (same == answered.end()) {
      answered.push_back(std::move(topic));
    } else {
      std::ranges::move(topic.partitions, std::back_inserter(same->partitions));
    }
  }
}

io::Task<void> serve(RequestContext context, wire::OffsetDeleteRequest request) {
  const std::string group = request.group_id;
  Topics unknown = take_unknown(*context.shard.image(), request);
  auto reply = co_await ask_group(
      context.shard, group,
      [request = std::move(request)](coordinator::GroupMachine& machine, coordinator::Token token,
                                     coordinator::Now, coordinator::Output& output) {
        machine.delete_offsets(token, request, output);
      });
  wire::OffsetDeleteResponse response;
  if (reply) {
    response = std::get<wire::OffsetDeleteResponse>(std::move(*reply));
  } else {
    response.error_code = static_cast<std::int16_t>(reply.error());
  }
  if (response.error_code == 0) add(std::move(unknown), response.topics);
  context.answer(response);
}

}  // namespace

void handle_offset_delete(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
