// DeleteTopics (key 20), v1 to v6 (by id from v6): the controller decides; the answer comes when
// this node has stopped to serve the partitions. Their files go in the background.
#include "broker/handlers/handlers.h"
#include "broker/topic_changes.h"
#include "wire/messages/delete_topics_request.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::DeleteTopicsRequest request) {
  auto response =
      co_await delete_topics(context.shard, context.request, *context.peer, request.timeout_ms);
  if (response) {
    context.answer(*response);
    co_return;
  }
  wire::DeleteTopicsResponse failed;
  const auto fail = [&](std::optional<std::string> name, const Uuid& id) {
    auto& result = failed.responses.emplace_back();
    result.name = std::move(name);
    result.topic_id = id;
    result.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
    result.error_message = "the controller did not answer: " + response.error().message;
  };
  for (const auto& topic : request.topics) fail(topic.name, topic.topic_id);
  for (const std::string& name : request.topic_names) fail(name, {});
  context.answer(failed);
}

}  // namespace

void handle_delete_topics(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
