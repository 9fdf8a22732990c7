// ConsumerGroupDescribe (key 69), v0 and v1: epochs, members and assignments of groups of the
// consumer protocol. v1 tells members of the classic protocol apart, of which there are none here.
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "wire/messages/consumer_group_describe_request.h"
#include "wire/messages/consumer_group_describe_response.h"

namespace ottla::broker {
namespace {

using Described = wire::ConsumerGroupDescribeResponse::DescribedGroup;

io::Task<void> serve(RequestContext context, wire::ConsumerGroupDescribeRequest request) {
  wire::ConsumerGroupDescribeResponse response;
  for (const std::string& group : request.group_ids) {
    auto described = co_await look_at_group<Described>(
        context.shard, group, [group](coordinator::GroupMachine& machine, coordinator::Output&) {
          return machine.describe_consumer(group);
        });
    Described& answer = response.groups.emplace_back();
    if (described) {
      answer = std::move(*described);
    } else {
      answer.group_id = group;
      answer.error_code = static_cast<std::int16_t>(described.error());
    }
    answer.authorized_operations =
        request.include_authorized_operations ? kGroupOperationsAll : kOperationsNotAsked;
  }
  context.answer(response);
}

}  // namespace

void handle_consumer_group_describe(RequestContext context) {
  serve_in_task(std::move(context), serve);
}

}  // namespace ottla::broker
