// Heartbeat (key 12), v0 to v4: a member of a classic group is alive, and hears of a rebalance.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/heartbeat_request.h"
#include "wire/messages/heartbeat_response.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::HeartbeatRequest request) {
  const std::string group = request.group_id;
  co_await answer_from_group<wire::HeartbeatResponse>(
      context, group,
      [request = std::move(request)](coordinator::GroupMachine& machine, coordinator::Token token,
                                     coordinator::Now now, coordinator::Output& output) {
        machine.heartbeat(token, request, now, output);
      });
}

}  // namespace

void handle_heartbeat(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
