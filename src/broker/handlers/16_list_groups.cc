// ListGroups (key 16), v0 to v5: the groups that this node coordinates, by name; v4 filters by
// state, v5 by type. A partition that is being loaded makes the whole answer
// COORDINATOR_LOAD_IN_PROGRESS: a list with holes would look complete.
#include <algorithm>
#include <cctype>

#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/list_groups_request.h"
#include "wire/messages/list_groups_response.h"

namespace ottla::broker {
namespace {

using Listed = std::vector<wire::ListGroupsResponse::ListedGroup>;
using Result = std::expected<Listed, wire::ErrorCode>;

io::Task<Result> list_shard(Shard* shard) {
  Listed all;
  for (const auto& partition : shard->groups.all()) {
    auto groups = co_await partition->look<Listed>(
        [](coordinator::GroupMachine& machine, coordinator::Output&) { return machine.list(); });
    if (!groups) co_return std::unexpected(groups.error());
    std::ranges::move(*groups, std::back_inserter(all));
  }
  co_return all;
}

bool is_same_word(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  });
}

bool is_wanted(std::string_view word, const std::vector<std::string>& filter) {
  return filter.empty() || std::ranges::any_of(filter, [&](const std::string& wanted) {
           return is_same_word(wanted, word);
         });
}

io::Task<void> serve(RequestContext context, wire::ListGroupsRequest request) {
  Shard& shard = context.shard;
  wire::ListGroupsResponse response;
  for (unsigned index = 0; index < shard.env.shards.count(); ++index) {
    Shard* there = &shard.sibling(index);
    auto groups =
        co_await io::call_on<Result>(shard.env, index, [there] { return list_shard(there); });
    if (!groups) {
      response.error_code = static_cast<std::int16_t>(groups.error());
      response.groups.clear();
      break;
    }
    for (auto& group : *groups) {
      if (is_wanted(group.group_state, request.states_filter) &&
          is_wanted(group.group_type, request.types_filter))
        response.groups.push_back(std::move(group));
    }
  }
  std::ranges::sort(response.groups, {}, &wire::ListGroupsResponse::ListedGroup::group_id);
  context.answer(response);
}

}  // namespace

void handle_list_groups(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
