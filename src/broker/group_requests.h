// How the handlers of the group APIs reach the coordinator of a group: the shard of this node that
// owns the group's partition of __consumer_offsets.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "broker/shard.h"
#include "coordinator/group_coordinator.h"
#include "wire/errors.h"

namespace ottla::broker {

struct GroupPlace {
  PartitionIndex partition = 0;
  unsigned owner = 0;  // the shard
};
// NOT_COORDINATOR if another node is, and while there is no __consumer_offsets: the client then
// asks FindCoordinator, which makes it.
std::expected<GroupPlace, wire::ErrorCode> locate_group(const Shard& shard,
                                                        const std::string& group);

// A request that the group's machine answers, at once or later. A failed one carries the error that
// the answer is to say.
io::Task<std::expected<coordinator::ReplyBody, wire::ErrorCode>> ask_group(
    Shard& shard, std::string group, coordinator::GroupPartition::Step step);

// The image is here, but the shard has not taken the partition up yet, or not any more.
template <class Result>
io::Task<Result> refused() {
  co_return std::unexpected(wire::ErrorCode::coordinator_load_in_progress);
}

// A question to the machine that holds the group, or a step whose answer is there at once.
template <class T>
io::Task<std::expected<T, wire::ErrorCode>> look_at_group(
    Shard& shard, std::string group,
    std::move_only_function<T(coordinator::GroupMachine&, coordinator::Output&)> question) {
  using Result = std::expected<T, wire::ErrorCode>;
  const auto place = locate_group(shard, group);
  if (!place) co_return std::unexpected(place.error());
  Shard* owner = &shard.sibling(place->owner);
  co_return co_await io::call_on<Result>(
      shard.env, place->owner,
      [owner, index = place->partition, asked = std::move(question)]() mutable -> io::Task<Result> {
        const auto partition = owner->groups.find(index);
        if (!partition) return refused<Result>();
        return partition->look<T>(std::move(asked));
      });
}

// Answers a request by the machine's reply, or by one that says its error.
template <class Response, class Context>
io::Task<void> answer_from_group(Context& context, std::string group,
                                 coordinator::GroupPartition::Step step) {
  auto reply = co_await ask_group(context.shard, std::move(group), std::move(step));
  Response response;
  if (reply) {
    response = std::get<Response>(std::move(*reply));
  } else {
    response.error_code = static_cast<std::int16_t>(reply.error());
  }
  context.answer(response);
}

}  // namespace ottla::broker
