#include "broker/group_requests.h"

#include "coordinator/coordinator_key.h"

namespace ottla::broker {

std::expected<GroupPlace, wire::ErrorCode> locate_group(const Shard& shard,
                                                        const std::string& group) {
  const metadata::TopicImage* topic = shard.image()->topics->find(coordinator::kOffsetsTopic);
  if (!topic || topic->partitions.empty()) return std::unexpected(wire::ErrorCode::not_coordinator);
  const auto index = coordinator::coordinator_partition(
      group, static_cast<std::int32_t>(topic->partitions.size()));
  if (topic->partitions[static_cast<std::size_t>(index)].leader != shard.config.node_id)
    return std::unexpected(wire::ErrorCode::not_coordinator);
  return GroupPlace{index, shard.owner_of({topic->id, index})};
}

io::Task<std::expected<coordinator::ReplyBody, wire::ErrorCode>> ask_group(
    Shard& shard, std::string group, coordinator::GroupPartition::Step step) {
  using Result = std::expected<coordinator::ReplyBody, wire::ErrorCode>;
  const auto place = locate_group(shard, group);
  if (!place) co_return std::unexpected(place.error());
  Shard* owner = &shard.sibling(place->owner);
  co_return co_await io::call_on<Result>(
      shard.env, place->owner,
      [owner, index = place->partition, taken = std::move(step)]() mutable -> io::Task<Result> {
        const auto partition = owner->groups.find(index);
        if (!partition) return refused<Result>();
        return partition->ask(std::move(taken));
      });
}

}  // namespace ottla::broker
