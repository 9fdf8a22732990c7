// SyncGroup (key 14), v0 to v5: the leader of a classic group brings the assignment, everybody
// takes his own.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/sync_group_request.h"
#include "wire/messages/sync_group_response.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::SyncGroupRequest request) {
  const std::string group = request.group_id;
  co_await answer_from_group<wire::SyncGroupResponse>(
      context, group,
      [request = std::move(request)](coordinator::GroupMachine& machine, coordinator::Token token,
                                     coordinator::Now now, coordinator::Output& output) {
        machine.sync(token, request, now, output);
      });
}

}  // namespace

void handle_sync_group(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
