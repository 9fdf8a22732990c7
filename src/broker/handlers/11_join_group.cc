// JoinGroup (key 11), v0 to v9: waits until the members of a classic group have gathered. v4 makes
// a new member ask twice (MEMBER_ID_REQUIRED, KIP-394), v5 has static members, v9 tells a static
// leader that it need not assign again (KIP-814).
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/join_group_request.h"
#include "wire/messages/join_group_response.h"

namespace ottla::broker {
namespace {

constexpr std::int16_t kRebalanceTimeoutFrom = 1;
constexpr std::int16_t kMemberIdRequiredFrom = 4;
constexpr std::int16_t kNullProtocolFrom = 7;
constexpr std::int16_t kSkipAssignmentFrom = 9;

io::Task<void> serve(RequestContext context, wire::JoinGroupRequest request) {
  const std::int16_t version = context.request.api_version;
  if (version < kRebalanceTimeoutFrom) request.rebalance_timeout_ms = request.session_timeout_ms;
  coordinator::ClassicGroup::JoinContext join{
      .token = 0,
      .client = {.client_id = context.request.client_id.value_or(""),
                 .client_host = "/" + context.peer->remote.host},
      .requires_known_member_id = version >= kMemberIdRequiredFrom,
      .can_skip_assignment = version >= kSkipAssignmentFrom,
      .fresh_member_suffix = context.shard.env.random.uuid().to_string()};
  const std::string group = request.group_id;
  const std::string member = request.member_id;
  auto reply = co_await ask_group(context.shard, group,
                                  [request = std::move(request), join = std::move(join)](
                                      coordinator::GroupMachine& machine, coordinator::Token token,
                                      coordinator::Now now, coordinator::Output& output) mutable {
                                    join.token = token;
                                    machine.join(join, request, now, output);
                                  });
  wire::JoinGroupResponse response;
  if (reply) {
    response = std::get<wire::JoinGroupResponse>(std::move(*reply));
  } else {
    response.error_code = static_cast<std::int16_t>(reply.error());
    response.member_id = member;
  }
  if (version < kNullProtocolFrom && !response.protocol_name) response.protocol_name = "";
  context.answer(response);
}

}  // namespace

void handle_join_group(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
