// LeaveGroup (key 13), v0 to v5: one member up to v2, several from v3 on (KIP-345), also by
// instance id, as an administrator does.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/leave_group_request.h"
#include "wire/messages/leave_group_response.h"

namespace ottla::broker {
namespace {

constexpr std::int16_t kBatchedFrom = 3;

io::Task<void> serve(RequestContext context, wire::LeaveGroupRequest request) {
  const bool is_batch = context.request.api_version >= kBatchedFrom;
  const std::string group = request.group_id;
  co_await answer_from_group<wire::LeaveGroupResponse>(
      context, group,
      [request = std::move(request), is_batch](
          coordinator::GroupMachine& machine, coordinator::Token token, coordinator::Now now,
          coordinator::Output& output) { machine.leave(token, request, is_batch, now, output); });
}

}  // namespace

void handle_leave_group(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
