// DescribeLogDirs (key 35), v1 to v5: how large the partitions are, and the room that is left (v4).
// A node has one folder of logs; partitions that it has not are passed over.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/handlers/handlers.h"
#include "wire/messages/describe_log_dirs_request.h"
#include "wire/messages/describe_log_dirs_response.h"

namespace ottla::broker {
namespace {

struct Place {
  std::string topic;
  TopicIdPartition id;
};
struct Size {
  std::string topic;
  PartitionIndex partition;
  std::uint64_t bytes;
};

// Of those that are here: the image may be ahead of the shard.
io::Task<std::vector<Size>> measure(Shard* there, std::vector<Place> places) {
  std::vector<Size> sizes;
  for (const Place& place : places) {
    const HostedPartition* hosted = there->find(place.id);
    if (!hosted) continue;
    sizes.push_back({place.topic, place.id.partition, hosted->log->describe().size_bytes});
  }
  co_return sizes;
}

std::map<std::string, std::set<PartitionIndex>> wanted_of(
    const metadata::TopicsImage& topics, const wire::DescribeLogDirsRequest& request) {
  std::map<std::string, std::set<PartitionIndex>> wanted;
  if (!request.topics) {
    for (const auto& [name, topic] : topics.by_name()) {
      for (std::size_t index = 0; index < topic->partitions.size(); ++index)
        wanted[name].insert(static_cast<PartitionIndex>(index));
    }
    return wanted;
  }
  for (const auto& topic : *request.topics) {
    const metadata::TopicImage* known = topics.find(topic.topic);
    if (!known) continue;
    for (const std::int32_t index : topic.partitions) {
      if (index >= 0 && static_cast<std::size_t>(index) < known->partitions.size())
        wanted[topic.topic].insert(index);
    }
  }
  return wanted;
}

io::Task<void> serve(RequestContext context, wire::DescribeLogDirsRequest request) {
  Shard& shard = context.shard;
  const metadata::ImagePtr image = shard.image();
  std::map<unsigned, std::vector<Place>> by_owner;
  for (const auto& [name, indexes] : wanted_of(*image->topics, request)) {
    const Uuid id = image->topics->find(name)->id;
    for (const PartitionIndex index : indexes) {
      const TopicIdPartition partition{id, index};
      by_owner[shard.owner_of(partition)].push_back({name, partition});
    }
  }
  std::map<std::string, std::map<PartitionIndex, std::uint64_t>> sizes;
  for (auto& [owner, places] : by_owner) {
    Shard* there = &shard.sibling(owner);
    const auto found = co_await io::call_on<std::vector<Size>>(
        shard.env, owner,
        [there, asked = std::move(places)]() mutable { return measure(there, std::move(asked)); });
    for (const Size& size : found) sizes[size.topic][size.partition] = size.bytes;
  }

  wire::DescribeLogDirsResponse response;
  auto& folder = response.results.emplace_back();
  folder.log_dir = shard.config.log_dir;
  for (const auto& [name, partitions] : sizes) {
    auto& topic = folder.topics.emplace_back();
    topic.name = name;
    for (const auto& [index, bytes] : partitions) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = index;
      partition.partition_size = static_cast<std::int64_t>(bytes);
    }
  }
  if (const auto free = co_await shard.env.disk.free_bytes(shard.config.log_dir))
    folder.usable_bytes = static_cast<std::int64_t>(*free);
  context.answer(response);
}

}  // namespace

void handle_describe_log_dirs(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
