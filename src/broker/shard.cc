#include "broker/shard.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "coordinator/coordinator_key.h"

namespace ottla::broker {

Shard::Shard(io::Env& shard_env, const NodeConfig& node_config, Controller& node_controller,
             std::shared_ptr<storage::Store> store)
    : env(shard_env),
      config(node_config),
      controller(node_controller),
      cluster_view(image_),
      fetch_sessions(node_config.fetch_sessions_max / shard_env.shards.count() + 1, shard_env.shard,
                     shard_env.shards.count()),
      groups(shard_env, node_config.groups,
             {.wait_for_room = [this](io::Instant deadline) { return wait_for_room(deadline); },
              .cluster = &cluster_view}),
      client_log(shard_env.clock, shard_env.logger),
      tasks(shard_env.executor),
      store_tasks(shard_env.executor),
      store_(std::move(store)),
      image_changed_(shard_env.executor),
      room_(shard_env.executor) {
  auto empty = std::make_shared<metadata::Image>();
  empty->topics = std::make_shared<metadata::TopicsImage>();
  empty->configs = std::make_shared<metadata::ConfigsImage>();
  image_ = std::move(empty);
}

HostedPartition* Shard::find(const TopicIdPartition& id) {
  const auto found = partitions_.find(id);
  return found == partitions_.end() ? nullptr : &found->second;
}

void Shard::stop_waiting() {
  is_stopping_ = true;
  while (!long_polls_.empty()) long_polls_.pop_front().changed->set();
  room_.pulse();
  groups.stop();
}

io::Task<bool> Shard::wait_for_room(io::Instant deadline) {
  if (!is_watching_room_) {
    is_watching_room_ = true;
    store_tasks.spawn(watch_room());
    if (!is_watching_room_) co_return true;  // there was some at once
  }
  co_return co_await room_.wait_until(env.clock, deadline);
}

io::Task<void> Shard::watch_room() {
  co_await store_->wait_for_room();
  is_watching_room_ = false;
  room_.pulse();
}

void Shard::take_no_more_images() {
  has_last_image_ = true;
  image_changed_.pulse();
}

io::Task<io::Result<>> Shard::remove_gone(metadata::ImagePtr image) {
  const auto is_hosted = [&](const TopicIdPartition& id) {
    const metadata::TopicImage* topic = image->topics->find(id.topic_id);
    const auto index = static_cast<std::size_t>(id.partition);
    if (!topic || index >= topic->partitions.size() || !is_owner_of(id)) return false;
    const auto& replicas = topic->partitions[index].replicas;
    return std::ranges::find(replicas, config.node_id) != replicas.end();
  };
  std::vector<TopicIdPartition> gone;
  if (image->topics == image_->topics) co_return io::Result<>{};
  for (const auto& log : store_->partitions()) {
    if (log->id().topic_id != metadata::kMetadataTopicId && !is_hosted(log->id()))
      gone.push_back(log->id());
  }
  for (const TopicIdPartition& id : gone) {
    auto held_back = std::move(partitions_[id].held_back);
    partitions_.erase(id);
    for (HeldBack& append : held_back) append.go_on(storage::LogError::deleted);
  }
  if (gone.empty()) co_return io::Result<>{};
  co_return co_await store_->remove(std::move(gone));
}

io::Task<io::Result<>> Shard::prepare(metadata::ImagePtr image) {
  struct Wanted {
    const metadata::TopicImage* topic;
    const metadata::PartitionImage* partition;
    std::shared_ptr<const TopicSettings> settings;
  };
  std::map<TopicIdPartition, Wanted> wanted;
  const bool same_configs = image->configs == image_->configs;
  const bool same_topics = image->topics == image_->topics;
  if (same_configs && same_topics) co_return io::Result<>{};
  for (const auto& [name, topic] : image->topics->by_name()) {
    std::shared_ptr<const TopicSettings> settings;
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      const TopicIdPartition id{topic->id, static_cast<PartitionIndex>(index)};
      const metadata::PartitionImage& partition = topic->partitions[index];
      if (!is_owner_of(id) ||
          std::ranges::find(partition.replicas, config.node_id) == partition.replicas.end()) {
        continue;
      }
      if (!settings) {
        settings = std::make_shared<const TopicSettings>(resolve_topic_settings(
            *image->configs, config.broker_configs, config.node_id, topic->name));
      }
      wanted.emplace(id, Wanted{topic.get(), &partition, settings});
    }
  }

  std::vector<storage::NewPartition> missing;
  for (const auto& [id, want] : wanted) {
    if (!store_->find(id)) {
      missing.push_back({.id = id,
                         .name = {want.topic->name, id.partition},
                         .config = log_config_of(*want.settings, id)});
    }
  }
  if (!missing.empty()) {
    if (auto made = co_await store_->create(std::move(missing)); !made)
      co_return std::unexpected(made.error());
  }

  for (const auto& [id, want] : wanted) {
    HostedPartition& hosted = partitions_[id];
    if (!hosted.log) {
      hosted.log = store_->find(id);
      OTTLA_CHECK(hosted.log != nullptr);
    }
    hosted.settings = want.settings;
    hosted.leader_epoch = want.partition->leader_epoch;
    hosted.partition_epoch = want.partition->partition_epoch;
    hosted.log->configure(log_config_of(*want.settings, id));
  }
  co_return io::Result<>{};
}

void Shard::show(metadata::ImagePtr image) {
  const metadata::ImagePtr before = std::exchange(image_, std::move(image));
  if (before->topics != image_->topics) update_groups(*before);
  image_changed_.pulse();
}

// The partitions of __consumer_offsets that this node leads and this shard owns, and which topics
// are others than before.
void Shard::update_groups(const metadata::Image& before) {
  std::vector<coordinator::GroupCoordinator::Led> led;
  if (const metadata::TopicImage* topic = image_->topics->find(coordinator::kOffsetsTopic)) {
    for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
      const TopicIdPartition id{topic->id, static_cast<PartitionIndex>(i)};
      const metadata::PartitionImage& partition = topic->partitions[i];
      const HostedPartition* hosted = is_owner_of(id) ? find(id) : nullptr;
      if (hosted && partition.leader == config.node_id)
        led.push_back({id.partition, hosted->log, partition.leader_epoch});
    }
  }
  groups.lead(led);
  std::set<std::string> changed;
  for (const auto& [name, topic] : before.topics->by_name()) {
    if (!image_->topics->find(topic->id)) changed.insert(name);
  }
  for (const auto& [name, topic] : image_->topics->by_name()) {
    const metadata::TopicImage* was = before.topics->find(topic->id);
    if (!was || was->partitions.size() != topic->partitions.size()) changed.insert(name);
  }
  groups.topics_changed(changed);
}

}  // namespace ottla::broker
