#include "metadata/image_builder.h"

#include <algorithm>
#include <fmt/format.h>
#include <type_traits>
#include <utility>

#include "metadata/wire_fields.h"

namespace ottla::metadata {
namespace {

constexpr std::int32_t kNoLeaderChange = -2;
constexpr std::size_t kPartitionsMax = 1'000'000;  // of one topic

}  // namespace

const TopicImage* TopicsImage::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.get();
}

const TopicImage* TopicsImage::find(const Uuid& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

const ConfigMap& ConfigsImage::of(ResourceType type, std::string_view name) const {
  static const ConfigMap kNothing;
  const auto found = by_resource.find({type, std::string(name)});
  return found == by_resource.end() ? kNothing : found->second;
}

ImagePtr empty_image(std::string cluster_id) {
  auto image = std::make_shared<Image>();
  image->cluster_id = std::move(cluster_id);
  image->topics = std::make_shared<const TopicsImage>();
  image->configs = std::make_shared<const ConfigsImage>();
  return image;
}

ImageBuilder::ImageBuilder(ImagePtr base) : image_(*base) {}

std::expected<void, std::string> ImageBuilder::apply(Record record) {
  if (std::holds_alternative<wire::BeginTransactionRecord>(record)) {
    if (pending_) return std::unexpected("a metadata transaction begins inside another");
    pending_.emplace();
    return {};
  }
  if (std::holds_alternative<wire::AbortTransactionRecord>(record)) {
    if (!pending_) return std::unexpected("a metadata transaction is aborted that never began");
    pending_.reset();
    return {};
  }
  if (std::holds_alternative<wire::EndTransactionRecord>(record)) {
    if (!pending_) return std::unexpected("a metadata transaction ends that never began");
    const std::vector<Record> records = std::move(*pending_);
    pending_.reset();
    for (const Record& one : records) {
      if (auto applied = apply_now(one); !applied) return applied;
    }
    return {};
  }
  if (pending_) {
    pending_->push_back(std::move(record));
    return {};
  }
  return apply_now(record);
}

std::expected<void, std::string> ImageBuilder::apply_now(const Record& record) {
  failure_.reset();
  std::visit(
      [this](const auto& message) {
        using R = std::decay_t<decltype(message)>;
        if constexpr (std::is_same_v<R, wire::NoOpRecord> ||
                      std::is_same_v<R, wire::BeginTransactionRecord> ||
                      std::is_same_v<R, wire::EndTransactionRecord> ||
                      std::is_same_v<R, wire::AbortTransactionRecord> ||
                      std::is_same_v<R, wire::ZkMigrationStateRecord>) {
          return;  // nothing of the image
        } else if constexpr (requires { fold(message); }) {
          changed_ = true;
          fold(message);
        } else {
          changed_ = true;
          image_.other_records.push_back(encode_record(Record(message)));
        }
      },
      record);
  if (failure_) return std::unexpected(fmt::format("{}: {}", record_name(record), *failure_));
  return {};
}

void ImageBuilder::fail(std::string why) { failure_ = std::move(why); }

ImagePtr ImageBuilder::publish(Provenance provenance) {
  image_.provenance = provenance;
  if (topics_) image_.topics = std::exchange(topics_, nullptr);
  if (configs_) image_.configs = std::exchange(configs_, nullptr);
  own_topics_.clear();
  changed_ = false;
  return std::make_shared<const Image>(image_);
}

TopicsImage& ImageBuilder::topics() {
  if (!topics_) topics_ = std::make_shared<TopicsImage>(*image_.topics);
  return *topics_;
}

TopicImage* ImageBuilder::topic(const Uuid& id) {
  const auto own = own_topics_.find(id);
  if (own != own_topics_.end()) return own->second.get();
  const TopicImage* before = topics().find(id);
  if (!before) return nullptr;
  auto copy = std::make_shared<TopicImage>(*before);
  topics().by_name_[copy->name] = copy;
  topics().by_id_[id] = copy;
  own_topics_.emplace(id, copy);
  return copy.get();
}

void ImageBuilder::fold(const wire::RegisterBrokerRecord& record) {
  BrokerImage broker;
  broker.id = record.broker_id;
  broker.epoch = record.broker_epoch;
  broker.incarnation_id = record.incarnation_id;
  broker.endpoints = endpoints_of(record.end_points);
  broker.features = features_of(record.features);
  broker.rack = record.rack;
  broker.directories = record.log_dirs;
  broker.cordoned_directories = record.cordoned_log_dirs;
  broker.is_fenced = record.fenced;
  broker.is_shutting_down = record.in_controlled_shutdown;
  image_.brokers.insert_or_assign(record.broker_id, std::move(broker));
}

void ImageBuilder::fold(const wire::UnregisterBrokerRecord& record) {
  if (image_.brokers.erase(record.broker_id) == 0)
    fail(fmt::format("there is no broker {}", record.broker_id));
}

void ImageBuilder::fold(const wire::BrokerRegistrationChangeRecord& record) {
  const auto found = image_.brokers.find(record.broker_id);
  if (found == image_.brokers.end())
    return fail(fmt::format("there is no broker {}", record.broker_id));
  BrokerImage& broker = found->second;
  if (broker.epoch != record.broker_epoch) {
    return fail(fmt::format("broker {} has epoch {}, not {}", record.broker_id, broker.epoch,
                            record.broker_epoch));
  }
  if (record.fenced != 0) broker.is_fenced = record.fenced > 0;
  if (record.in_controlled_shutdown != 0)
    broker.is_shutting_down = record.in_controlled_shutdown > 0;
  if (!record.log_dirs.empty()) broker.directories = record.log_dirs;
  if (record.cordoned_log_dirs) broker.cordoned_directories = record.cordoned_log_dirs;
}

void ImageBuilder::fold(const wire::FenceBrokerRecord& record) {
  const auto found = image_.brokers.find(record.id);
  if (found == image_.brokers.end()) return fail(fmt::format("there is no broker {}", record.id));
  found->second.is_fenced = true;
}

void ImageBuilder::fold(const wire::UnfenceBrokerRecord& record) {
  const auto found = image_.brokers.find(record.id);
  if (found == image_.brokers.end()) return fail(fmt::format("there is no broker {}", record.id));
  found->second.is_fenced = false;
}

void ImageBuilder::fold(const wire::TopicRecord& record) {
  if (topics().find(record.name) || topics().find(record.topic_id)) {
    return fail(fmt::format("topic {} is there already", record.name));
  }
  auto made = std::make_shared<TopicImage>();
  made->name = record.name;
  made->id = record.topic_id;
  topics().by_name_.emplace(record.name, made);
  topics().by_id_.emplace(record.topic_id, made);
  own_topics_.emplace(record.topic_id, std::move(made));
}

void ImageBuilder::fold(const wire::PartitionRecord& record) {
  TopicImage* of = topic(record.topic_id);
  if (!of) return fail(fmt::format("there is no topic {}", record.topic_id.to_string()));
  const auto index = static_cast<std::size_t>(record.partition_id);
  if (record.partition_id < 0 || index >= kPartitionsMax || index > of->partitions.size()) {
    return fail(fmt::format("partition {} of {} does not follow {}", record.partition_id, of->name,
                            of->partitions.size()));
  }
  if (index == of->partitions.size()) of->partitions.emplace_back();
  PartitionImage& partition = of->partitions[index];
  partition.replicas = record.replicas;
  partition.directories = record.directories;
  if (partition.directories.empty())
    partition.directories.assign(record.replicas.size(), kDirectoryMigrating);
  if (partition.directories.size() != partition.replicas.size())
    return fail("it names another number of directories than of replicas");
  partition.isr = record.isr;
  partition.removing_replicas = record.removing_replicas;
  partition.adding_replicas = record.adding_replicas;
  partition.elr = record.eligible_leader_replicas.value_or(std::vector<NodeId>());
  partition.last_known_elr = record.last_known_elr.value_or(std::vector<NodeId>());
  partition.leader = record.leader;
  partition.leader_epoch = record.leader_epoch;
  partition.partition_epoch = record.partition_epoch;
  partition.leader_recovery_state = record.leader_recovery_state;
}

// The leader epoch is in no change record: it rises by one with each change of leader; the
// partition epoch with every change.
void ImageBuilder::fold(const wire::PartitionChangeRecord& record) {
  TopicImage* of = topic(record.topic_id);
  const auto index = static_cast<std::size_t>(record.partition_id);
  if (!of || record.partition_id < 0 || index >= of->partitions.size()) {
    return fail(fmt::format("there is no partition {} of {}", record.partition_id,
                            record.topic_id.to_string()));
  }
  PartitionImage& partition = of->partitions[index];
  if (record.replicas) partition.replicas = *record.replicas;
  if (record.directories) partition.directories = *record.directories;
  if (partition.directories.size() != partition.replicas.size())
    return fail("it leaves another number of directories than of replicas");
  if (record.isr) partition.isr = *record.isr;
  if (record.removing_replicas) partition.removing_replicas = *record.removing_replicas;
  if (record.adding_replicas) partition.adding_replicas = *record.adding_replicas;
  if (record.eligible_leader_replicas) partition.elr = *record.eligible_leader_replicas;
  if (record.last_known_elr) partition.last_known_elr = *record.last_known_elr;
  if (record.leader_recovery_state >= 0)
    partition.leader_recovery_state = record.leader_recovery_state;
  if (record.leader != kNoLeaderChange) {
    partition.leader = record.leader;
    ++partition.leader_epoch;
  }
  ++partition.partition_epoch;
}

void ImageBuilder::fold(const wire::RemoveTopicRecord& record) {
  const TopicImage* gone = topics().find(record.topic_id);
  if (!gone) return fail(fmt::format("there is no topic {}", record.topic_id.to_string()));
  const std::string name = gone->name;
  topics().by_name_.erase(name);
  topics().by_id_.erase(record.topic_id);
  own_topics_.erase(record.topic_id);
  if (!configs_) configs_ = std::make_shared<ConfigsImage>(*image_.configs);
  configs_->by_resource.erase({ResourceType::topic, name});
}

void ImageBuilder::fold(const wire::ConfigRecord& record) {
  if (!configs_) configs_ = std::make_shared<ConfigsImage>(*image_.configs);
  const std::pair key(static_cast<ResourceType>(record.resource_type), record.resource_name);
  if (record.value) {
    configs_->by_resource[key][record.name] = *record.value;
    return;
  }
  const auto found = configs_->by_resource.find(key);
  if (found == configs_->by_resource.end()) return;
  found->second.erase(record.name);
  if (found->second.empty()) configs_->by_resource.erase(found);
}

void ImageBuilder::fold(const wire::FeatureLevelRecord& record) {
  if (record.feature_level == 0) {
    image_.features.erase(record.name);
  } else {
    image_.features[record.name] = record.feature_level;
  }
}

void ImageBuilder::fold(const wire::ProducerIdsRecord& record) {
  image_.next_producer_id = record.next_producer_id;
  image_.producer_ids_broker = record.broker_id;
  image_.producer_ids_epoch = record.broker_epoch;
}

void ImageBuilder::fold(const wire::ClearElrRecord& record) {
  std::vector<Uuid> ids;
  for (const auto& [name, of] : topics().by_name_) {
    if (record.topic_name.empty() || record.topic_name == name) ids.push_back(of->id);
  }
  for (const Uuid& id : ids) {
    for (PartitionImage& partition : topic(id)->partitions) {
      partition.elr.clear();
      partition.last_known_elr.clear();
    }
  }
}

void ImageBuilder::fold(const wire::RegisterControllerRecord& record) {
  ControllerImage controller;
  controller.id = record.controller_id;
  controller.incarnation_id = record.incarnation_id;
  controller.endpoints = endpoints_of(record.end_points);
  controller.features = features_of(record.features);
  image_.controllers.insert_or_assign(record.controller_id, std::move(controller));
}

std::vector<Record> records_of(const Image& image) {
  std::vector<Record> records;
  const auto add_feature = [&](const std::string& name, std::int16_t level) {
    wire::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    records.emplace_back(std::move(record));
  };
  // the level of the metadata comes first: it says how the rest is to be read
  if (const auto found = image.features.find("metadata.version"); found != image.features.end()) {
    add_feature(found->first, found->second);
  }
  for (const auto& [name, level] : image.features) {
    if (name != "metadata.version") add_feature(name, level);
  }
  for (const auto& [id, broker] : image.brokers) {
    wire::RegisterBrokerRecord record;
    record.broker_id = id;
    record.incarnation_id = broker.incarnation_id;
    record.broker_epoch = broker.epoch;
    add_endpoints(record.end_points, broker.endpoints);
    add_features(record.features, broker.features);
    record.rack = broker.rack;
    record.fenced = broker.is_fenced;
    record.in_controlled_shutdown = broker.is_shutting_down;
    record.log_dirs = broker.directories;
    record.cordoned_log_dirs = broker.cordoned_directories;
    records.emplace_back(std::move(record));
  }
  for (const auto& [id, controller] : image.controllers) {
    wire::RegisterControllerRecord record;
    record.controller_id = id;
    record.incarnation_id = controller.incarnation_id;
    add_endpoints(record.end_points, controller.endpoints);
    add_features(record.features, controller.features);
    records.emplace_back(std::move(record));
  }
  for (const auto& [name, topic] : image.topics->by_name()) {
    wire::TopicRecord record;
    record.name = name;
    record.topic_id = topic->id;
    records.emplace_back(std::move(record));
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      const PartitionImage& from = topic->partitions[index];
      wire::PartitionRecord partition;
      partition.partition_id = static_cast<std::int32_t>(index);
      partition.topic_id = topic->id;
      partition.replicas = from.replicas;
      partition.isr = from.isr;
      partition.removing_replicas = from.removing_replicas;
      partition.adding_replicas = from.adding_replicas;
      partition.leader = from.leader;
      partition.leader_recovery_state = from.leader_recovery_state;
      partition.leader_epoch = from.leader_epoch;
      partition.partition_epoch = from.partition_epoch;
      partition.directories = from.directories;
      if (!from.elr.empty()) partition.eligible_leader_replicas = from.elr;
      if (!from.last_known_elr.empty()) partition.last_known_elr = from.last_known_elr;
      records.emplace_back(std::move(partition));
    }
  }
  for (const auto& [resource, configs] : image.configs->by_resource) {
    for (const auto& [name, value] : configs) {
      wire::ConfigRecord record;
      record.resource_type = static_cast<std::int8_t>(resource.first);
      record.resource_name = resource.second;
      record.name = name;
      record.value = value;
      records.emplace_back(std::move(record));
    }
  }
  for (const auto& framed : image.other_records) {
    auto record = decode_record(Slice::copy_of(framed));
    OTTLA_CHECK(record.has_value());  // it was decoded before it was kept
    records.push_back(std::move(*record));
  }
  if (image.next_producer_id > 0) {
    wire::ProducerIdsRecord record;
    record.broker_id = image.producer_ids_broker;
    record.broker_epoch = image.producer_ids_epoch;
    record.next_producer_id = image.next_producer_id;
    records.emplace_back(std::move(record));
  }
  return records;
}

}  // namespace ottla::metadata
