// DescribeGroups (key 15), v0 to v6: state, protocol and members of classic groups. v3 asks for
// authorized operations, v6 says that a group is not there, which before was one in state Dead.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "wire/messages/describe_groups_request.h"
#include "wire/messages/describe_groups_response.h"

namespace ottla::broker {
namespace {

using Described = wire::DescribeGroupsResponse::DescribedGroup;

io::Task<void> serve(RequestContext context, wire::DescribeGroupsRequest request) {
  const std::int16_t version = context.request.api_version;
  wire::DescribeGroupsResponse response;
  for (const std::string& group : request.groups) {
    auto described = co_await look_at_group<Described>(
        context.shard, group,
        [group, version](coordinator::GroupMachine& machine, coordinator::Output&) {
          return machine.describe(group, version);
        });
    Described& answer = response.groups.emplace_back();
    if (described) {
      answer = std::move(*described);
    } else {
      answer.group_id = group;
      answer.error_code = static_cast<std::int16_t>(described.error());
    }
    const bool tells_operations = request.include_authorized_operations && answer.error_code == 0;
    answer.authorized_operations = tells_operations ? kGroupOperationsAll : kOperationsNotAsked;
  }
  context.answer(response);
}

}  // namespace

void handle_describe_groups(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
