// CreatePartitions (key 37), v0 to v3: the controller decides; the answer comes when this node
// serves the new partitions.
#include "broker/handlers/handlers.h"
#include "broker/topic_changes.h"
#include "wire/messages/create_partitions_request.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::CreatePartitionsRequest request) {
  std::map<std::string, std::size_t> counts;
  for (const auto& topic : request.topics)
    counts[topic.name] = static_cast<std::size_t>(std::max(topic.count, 0));
  auto response =
      co_await create_partitions(context.shard, context.request, *context.peer, request.timeout_ms,
                                 request.validate_only, std::move(counts));
  if (response) {
    context.answer(*response);
    co_return;
  }
  wire::CreatePartitionsResponse failed;
  for (const auto& topic : request.topics) {
    auto& result = failed.results.emplace_back();
    result.name = topic.name;
    result.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
    result.error_message = "the controller did not answer: " + response.error().message;
  }
  context.answer(failed);
}

}  // namespace

void handle_create_partitions(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
