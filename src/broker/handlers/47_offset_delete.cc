// OffsetDelete (key 47), v0: takes back committed offsets of topics that no member subscribes to
// (KIP-496).
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/offset_delete_request.h"
#include "wire/messages/offset_delete_response.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::OffsetDeleteRequest request) {
  const std::string group = request.group_id;
  co_await answer_from_group<wire::OffsetDeleteResponse>(
      context, group,
      [request = std::move(request)](coordinator::GroupMachine& machine, coordinator::Token token,
                                     coordinator::Now, coordinator::Output& output) {
        machine.delete_offsets(token, request, output);
      });
}

}  // namespace

void handle_offset_delete(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
