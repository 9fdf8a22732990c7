// ConsumerGroupHeartbeat (key 68), v0 and v1: joins, stays in and leaves a group of the consumer
// protocol (KIP-848). From v1 on clients make their member ids and may subscribe to a regular
// expression.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/consumer_group_heartbeat_request.h"
#include "wire/messages/consumer_group_heartbeat_response.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::ConsumerGroupHeartbeatRequest request) {
  coordinator::ConsumerGroup::Context member{
      .token = 0,
      .version = context.request.api_version,
      .client = {.client_id = context.request.client_id.value_or(""),
                 .client_host = "/" + context.peer->remote.host},
      .fresh_member_id = context.shard.env.random.uuid().to_string()};
  const std::string group = request.group_id;
  auto reply = co_await ask_group(context.shard, group,
                                  [request = std::move(request), member = std::move(member)](
                                      coordinator::GroupMachine& machine, coordinator::Token token,
                                      coordinator::Now now, coordinator::Output& output) mutable {
                                    member.token = token;
                                    machine.consumer_heartbeat(member, request, now, output);
                                  });
  wire::ConsumerGroupHeartbeatResponse response;
  if (reply) {
    response = std::get<wire::ConsumerGroupHeartbeatResponse>(std::move(*reply));
  } else {
    response.error_code = static_cast<std::int16_t>(reply.error());
    response.assignment.reset();
  }
  context.answer(response);
}

}  // namespace

void handle_consumer_group_heartbeat(RequestContext context) {
  serve_in_task(std::move(context), serve);
}

}  // namespace ottla::broker
