// CreateTopics (key 19), v2 to v7: the controller decides; the answer comes when this node serves
// the new partitions.
#include "broker/handlers/handlers.h"
#include "broker/refusals.h"
#include "broker/topic_changes.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::CreateTopicsRequest request) {
  auto response = co_await create_topics(context.shard, context.request, *context.peer,
                                         request.timeout_ms, request.validate_only);
  if (response) {
    Refusals refusals;
    for (const auto& topic : response->topics) {
      refusals.add(static_cast<wire::ErrorCode>(topic.error_code), topic.name,
                   topic.error_message.value_or(""));
    }
    refusals.write(context);
    context.answer(*response);
    co_return;
  }
  wire::CreateTopicsResponse failed;
  for (const auto& topic : request.topics) {
    auto& result = failed.topics.emplace_back();
    result.name = topic.name;
    result.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
    result.error_message = "the controller did not answer: " + response.error().message;
  }
  context.answer(failed);
}

}  // namespace

void handle_create_topics(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
