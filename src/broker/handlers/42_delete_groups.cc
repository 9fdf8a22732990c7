// DeleteGroups (key 42), v0 to v2: groups without members go, and their offsets with them. A
// group that is named twice is answered once.
#include <set>

#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/delete_groups_request.h"
#include "wire/messages/delete_groups_response.h"

namespace ottla::broker {
namespace {

io::Task<void> serve(RequestContext context, wire::DeleteGroupsRequest request) {
  wire::DeleteGroupsResponse response;
  std::set<std::string> seen;
  for (const std::string& group : request.groups_names) {
    if (!seen.insert(group).second) continue;
    const auto error = co_await look_at_group<wire::ErrorCode>(
        context.shard, group,
        [group](coordinator::GroupMachine& machine, coordinator::Output& output) {
          return machine.delete_group(group, output);
        });
    auto& result = response.results.emplace_back();
    result.group_id = group;
    result.error_code = static_cast<std::int16_t>(error ? *error : error.error());
  }
  context.answer(response);
}

}  // namespace

void handle_delete_groups(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
