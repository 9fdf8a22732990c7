#include "metadata/controller.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <limits>

#include "metadata/config_changes.h"
#include "metadata/config_definitions.h"
#include "metadata/features.h"
#include "metadata/partition_change.h"
#include "metadata/placement.h"
#include "metadata/topic_growth.h"
#include "metadata/wire_fields.h"
#include "storage/log_directory.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr std::int8_t kTurnOn = 1;  // in BrokerRegistrationChangeRecord
constexpr std::int8_t kTurnOff = -1;
constexpr NodeId kNoLeader = -1;
constexpr std::int16_t kSecurityProtocolMax = 3;

// `.` and `_` are the same in metric names, so names that differ only there collide.
std::string collision_key(std::string_view name) {
  std::string key(name);
  std::ranges::replace(key, '.', '_');
  return key;
}

bool contains(const std::vector<NodeId>& ids, NodeId id) {
  return std::ranges::find(ids, id) != ids.end();
}

wire::CreateTopicsResponse::CreatableTopicResult refused(const std::string& name, Refusal refusal) {
  wire::CreateTopicsResponse::CreatableTopicResult result;
  result.name = name;
  result.error_code = static_cast<std::int16_t>(refusal.code);
  result.error_message = std::move(refusal.message);
  result.configs.emplace();
  return result;
}

std::size_t number_of(std::string_view text) {
  std::size_t number = 1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

Controller::Controller(ControllerOptions options, ImagePtr image)
    : options_(std::move(options)), image_(std::move(image)), builder_(image_) {}

void Controller::apply(const std::vector<Record>& records, Provenance provenance) {
  for (const Record& record : records) {
    const auto applied = builder_.apply(record);
    OTTLA_CHECK(applied.has_value());  // decided by this very code, on this very state
  }
  if (!builder_.is_in_transaction()) image_ = builder_.publish(provenance);
}

void Controller::become_active(std::int64_t now_ms) {
  sessions_.clear();
  for (const auto& [id, broker] : image_->brokers) {
    if (broker.is_fenced || id == options_.own_broker) continue;
    sessions_[id] = {.ends_ms = now_ms + options_.broker_session_timeout_ms,
                     .registration_offset = broker.epoch};
  }
}

// --- brokers

std::optional<std::string> Controller::check_features(
    const wire::BrokerRegistrationRequest& request) const {
  const auto range_of = [&](std::string_view name) {
    return std::ranges::find(request.features, name,
                             &wire::BrokerRegistrationRequest::Feature::name);
  };
  const auto check = [&](std::string_view name, std::int16_t level) -> std::optional<std::string> {
    const auto range = range_of(name);
    const std::int16_t low = range == request.features.end() ? 0 : range->min_supported_version;
    const std::int16_t high = range == request.features.end() ? 0 : range->max_supported_version;
    if (level >= low && level <= high) return std::nullopt;
    return fmt::format(
        "Unable to register because the broker does not support finalized version {} of {}. The "
        "broker "
        "wants a version between {} and {}, inclusive.",
        level, name, low, high);
  };
  for (const auto& [name, level] : image_->features) {
    if (auto fault = check(name, level)) return fault;
  }
  for (const auto& feature : request.features) {  // what the cluster does not use is at level 0
    if (feature.name == kKraftVersion || image_->features.contains(feature.name)) continue;
    if (auto fault = check(feature.name, 0)) return fault;
  }
  return check(kKraftVersion, options_.kraft_version);
}

Decision<wire::BrokerRegistrationResponse> Controller::register_broker(
    const wire::BrokerRegistrationRequest& request, Offset next_offset, std::int64_t now_ms) {
  Decision<wire::BrokerRegistrationResponse> decision;
  const auto refuse = [&](ErrorCode code) {
    decision.response.error_code = static_cast<std::int16_t>(code);
    return decision;
  };
  if (request.cluster_id != options_.cluster_id) return refuse(ErrorCode::inconsistent_cluster_id);
  if (request.is_migrating_zk_broker) return refuse(ErrorCode::broker_id_not_registered);

  const auto known = image_->brokers.find(request.broker_id);
  const bool is_same_process =
      known != image_->brokers.end() && known->second.incarnation_id == request.incarnation_id;
  const auto session = sessions_.find(request.broker_id);
  if (!is_same_process && session != sessions_.end() && session->second.ends_ms > now_ms &&
      request.broker_id != options_.own_broker) {
    return refuse(ErrorCode::duplicate_broker_registration);
  }
  if (std::ranges::find(request.features, kMetadataVersion,
                        &wire::BrokerRegistrationRequest::Feature::name) ==
      request.features.end()) {
    return refuse(ErrorCode::invalid_registration);
  }
  if (check_features(request)) return refuse(ErrorCode::unsupported_version);
  // A record with another one could be read by no Kafka.
  if (std::ranges::any_of(request.listeners, [](const auto& listener) {
        return listener.security_protocol < 0 || listener.security_protocol > kSecurityProtocolMax;
      })) {
    return refuse(ErrorCode::invalid_registration);
  }
  if (request.log_dirs.empty()) return refuse(ErrorCode::invalid_registration);
  std::set<Uuid> directories;
  for (const Uuid& directory : request.log_dirs) {
    const bool is_reserved = directory.high == 0 && directory.low < 100;
    if (is_reserved || !directories.insert(directory).second)
      return refuse(ErrorCode::invalid_registration);
    for (const auto& [id, other] : image_->brokers) {
      if (id != request.broker_id &&
          std::ranges::find(other.directories, directory) != other.directories.end()) {
        return refuse(ErrorCode::invalid_registration);
      }
    }
  }

  if (!is_same_process) {
    // Without the epoch of its last life it may come back without its data (KIP-966).
    const bool is_clean = known != image_->brokers.end() && has_elr(*image_)
                              ? known->second.epoch == request.previous_broker_epoch
                              : true;
    change_partitions(is_clean ? Standing{.gone = request.broker_id}
                               : Standing{.without_data = request.broker_id},
                      decision.records);
  }
  wire::RegisterBrokerRecord record;
  record.broker_id = request.broker_id;
  record.incarnation_id = request.incarnation_id;
  record.broker_epoch = is_same_process
                            ? known->second.epoch
                            : next_offset + static_cast<Offset>(decision.records.size());
  for (const auto& listener : request.listeners) {
    // of one name the last counts
    std::erase_if(record.end_points,
                  [&](const auto& before) { return before.name == listener.name; });
    add_endpoint(record.end_points, endpoint_of(listener));
  }
  for (const auto& feature : request.features) {
    add_feature(record.features, feature.name, feature.min_supported_version,
                feature.max_supported_version);
  }
  record.rack = request.rack;
  record.fenced = is_same_process ? known->second.is_fenced : true;
  record.in_controlled_shutdown = is_same_process && known->second.is_shutting_down;
  record.log_dirs = request.log_dirs;
  // an amended registration goes on with its session, but has to be seen anew
  if (!is_same_process) sessions_.erase(request.broker_id);
  Session& standing = sessions_[request.broker_id];
  standing.registration_offset = next_offset + static_cast<Offset>(decision.records.size());
  standing.applied_offset = -1;
  decision.response.broker_epoch = record.broker_epoch;
  decision.records.emplace_back(std::move(record));
  return decision;
}

Decision<wire::BrokerHeartbeatResponse> Controller::heartbeat(
    const wire::BrokerHeartbeatRequest& request, Offset last_offset, std::int64_t now_ms) {
  Decision<wire::BrokerHeartbeatResponse> decision;
  const auto refuse = [&](ErrorCode code) {
    decision.response.error_code = static_cast<std::int16_t>(code);
    return decision;
  };
  const auto found = image_->brokers.find(request.broker_id);
  if (found == image_->brokers.end()) return refuse(ErrorCode::stale_broker_epoch);
  const BrokerImage& broker = found->second;
  if (broker.epoch != request.broker_epoch) return refuse(ErrorCode::stale_broker_epoch);

  Session& session = sessions_[request.broker_id];
  session.ends_ms = now_ms + options_.broker_session_timeout_ms;
  session.registration_offset = std::max(session.registration_offset, broker.epoch);
  session.applied_offset = request.current_metadata_offset;

  wire::BrokerRegistrationChangeRecord change;
  change.broker_id = broker.id;
  change.broker_epoch = broker.epoch;
  const auto fence = [&] {
    change_partitions({.gone = broker.id}, decision.records);
    change.fenced = kTurnOn;
    decision.records.emplace_back(change);
  };

  const bool is_caught_up = request.current_metadata_offset >= session.registration_offset;
  decision.response.is_caught_up = is_caught_up;
  decision.response.is_fenced = broker.is_fenced;
  if (broker.is_fenced) {
    if (request.want_shut_down) {
      fence();  // once more, as Kafka does
      decision.response.should_shut_down = true;
    } else if (!request.want_fence && is_caught_up) {
      change.fenced = kTurnOff;
      decision.records.emplace_back(change);
      change_partitions({.back = broker.id}, decision.records);
      decision.response.is_fenced = false;
    }
    return decision;
  }
  const bool is_leaving = broker.is_shutting_down || request.want_shut_down;
  if (request.want_fence && !broker.is_shutting_down) {
    fence();
    decision.response.is_fenced = true;
    decision.response.should_shut_down = request.want_shut_down;
    return decision;
  }
  if (!is_leaving) return decision;

  const bool begins_now = !broker.is_shutting_down && leads_something(broker.id);
  if (begins_now) {
    // hands its leaderships over first: to nobody if there is nobody else
    change.in_controlled_shutdown = kTurnOn;
    decision.records.emplace_back(change);
    change_partitions({.gone = broker.id}, decision.records);
    session.shutdown_offset = last_offset + static_cast<Offset>(decision.records.size());
    change.in_controlled_shutdown = 0;
  }
  if (!session.shutdown_offset || others_have_seen(*session.shutdown_offset, broker.id)) {
    if (!begins_now) change_partitions({.gone = broker.id}, decision.records);
    change.fenced = kTurnOn;
    decision.records.emplace_back(change);
    decision.response.is_fenced = true;
    decision.response.should_shut_down = true;
    sessions_.erase(broker.id);
  }
  return decision;
}

bool Controller::others_have_seen(Offset offset, NodeId but) const {
  return std::ranges::all_of(image_->brokers, [&](const auto& entry) {
    if (entry.first == but || entry.second.is_fenced) return true;
    const auto other = sessions_.find(entry.first);
    return other == sessions_.end() || other->second.applied_offset >= offset;
  });
}

std::vector<Record> Controller::tick(std::int64_t now_ms) {
  std::vector<Record> records;
  for (auto at = sessions_.begin(); at != sessions_.end() && records.empty();) {
    if (!at->second.ends_ms || *at->second.ends_ms > now_ms) {
      ++at;
      continue;
    }
    const auto broker = image_->brokers.find(at->first);
    if (broker != image_->brokers.end() && !broker->second.is_fenced) {
      change_partitions({.gone = at->first}, records);
      wire::BrokerRegistrationChangeRecord change;
      change.broker_id = at->first;
      change.broker_epoch = broker->second.epoch;
      change.fenced = kTurnOn;
      records.emplace_back(std::move(change));
    }
    at = sessions_.erase(at);
  }
  return records;
}

std::optional<std::int64_t> Controller::deadline_ms() const {
  std::optional<std::int64_t> soonest;
  for (const auto& [id, session] : sessions_) {
    if (session.ends_ms && (!soonest || *session.ends_ms < *soonest)) soonest = session.ends_ms;
  }
  return soonest;
}

bool Controller::leads_something(NodeId broker) const {
  for (const auto& [name, topic] : image_->topics->by_name()) {
    for (const PartitionImage& partition : topic->partitions) {
      if (partition.leader == broker) return true;
    }
  }
  return false;
}

TopicConfigLayers Controller::topic_config(std::string_view topic) const {
  return TopicConfigLayers::of(*image_->configs, options_.node_configs,
                               options_.own_broker.value_or(-1), topic);
}

// What it means for all partitions that one broker goes, or comes, or has lost its data.
void Controller::change_partitions(const Standing& standing, std::vector<Record>& records) const {
  const std::vector<NodeId> active = active_brokers(*image_);
  PartitionChange change;
  change.has_elr = has_elr(*image_);
  if (standing.without_data) change.without_data = {*standing.without_data};
  change.may_lead = [&](NodeId id) {
    if (id == standing.gone || id == standing.without_data) return false;
    return id == standing.back || contains(active, id);
  };
  for (const auto& [name, topic] : image_->topics->by_name()) {
    change.min_isr = 0;
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      const PartitionImage& partition = topic->partitions[index];
      const auto is_of = [&](const std::optional<NodeId>& broker) {
        return broker && (contains(partition.isr, *broker) || partition.leader == *broker);
      };
      const bool is_touched =
          is_of(standing.gone) || is_of(standing.without_data) ||
          (standing.without_data && contains(partition.elr, *standing.without_data)) ||
          (standing.back && partition.leader == kNoLeader);
      if (!is_touched) continue;
      if (change.min_isr == 0) {
        const TopicConfigLayers configs = topic_config(name);
        change.min_isr = number_of(configs.get(*find_topic_config("min.insync.replicas")).value);
        change.unclean_election =
            configs.get(*find_topic_config("unclean.leader.election.enable")).value == "true";
      }
      change.isr = partition.isr;
      if (standing.gone) std::erase(change.isr, *standing.gone);
      if (standing.without_data) std::erase(change.isr, *standing.without_data);
      if (auto record = change_partition(*topic, index, change))
        records.emplace_back(std::move(*record));
    }
  }
}

Decision<wire::AllocateProducerIdsResponse> Controller::allocate_producer_ids(
    const wire::AllocateProducerIdsRequest& request) {
  Decision<wire::AllocateProducerIdsResponse> decision;
  const auto broker = image_->brokers.find(request.broker_id);
  if (broker == image_->brokers.end() || broker->second.epoch != request.broker_epoch) {
    decision.response.error_code = static_cast<std::int16_t>(ErrorCode::stale_broker_epoch);
    return decision;
  }
  const ProducerId first = image_->next_producer_id;
  if (first > std::numeric_limits<ProducerId>::max() - kProducerIdsBlock) {
    decision.response.error_code = static_cast<std::int16_t>(ErrorCode::unknown_server_error);
    return decision;
  }
  wire::ProducerIdsRecord record;
  record.broker_id = request.broker_id;
  record.broker_epoch = request.broker_epoch;
  record.next_producer_id = first + kProducerIdsBlock;
  decision.records.emplace_back(std::move(record));
  decision.response.producer_id_start = first;
  decision.response.producer_id_len = kProducerIdsBlock;
  return decision;
}

// --- topics

Decision<wire::CreateTopicsResponse> Controller::create_topics(
    const wire::CreateTopicsRequest& request, std::int16_t version, IdSource& ids) {
  constexpr std::int16_t kConfigsFrom = 5;
  Decision<wire::CreateTopicsResponse> decision;
  std::map<std::string, int> mentions;
  for (const auto& topic : request.topics) ++mentions[topic.name];
  CollisionKeys taken;
  for (const auto& [name, topic] : image_->topics->by_name())
    taken.emplace(collision_key(name), name);
  std::size_t text_bytes = 0;
  std::set<std::string> answered;
  for (const auto& topic : request.topics) {
    if (!answered.insert(topic.name).second) continue;
    if (mentions[topic.name] > 1) {
      decision.response.topics.push_back(
          refused(topic.name, {ErrorCode::invalid_request, "Duplicate topic name."}));
      continue;
    }
    decision.response.topics.push_back(
        create_topic(topic, version >= kConfigsFrom, ids, taken, text_bytes, decision.records));
  }
  if (request.validate_only) decision.records.clear();
  return decision;
}

wire::CreateTopicsResponse::CreatableTopicResult Controller::create_topic(
    const wire::CreateTopicsRequest::CreatableTopic& topic, bool with_configs, IdSource& ids,
    CollisionKeys& taken, std::size_t& text_bytes_of_request, std::vector<Record>& records) const {
  const auto refuse = [&](ErrorCode code, std::string message) {
    return refused(topic.name, {code, std::move(message)});
  };
  if (storage::topic_name_fault(topic.name)) {
    return refuse(ErrorCode::invalid_topic_exception, topic_name_message(topic.name));
  }
  if (topic.name == kMetadataTopic) {
    return refuse(ErrorCode::invalid_request,
                  fmt::format("Creation of internal topic {} is prohibited.", topic.name));
  }
  if (image_->topics->find(topic.name)) {
    return refuse(ErrorCode::topic_already_exists,
                  fmt::format("Topic '{}' already exists.", topic.name));
  }
  const std::string key = collision_key(topic.name);
  if (const auto other = taken.find(key); other != taken.end()) {
    return refuse(
        ErrorCode::invalid_topic_exception,
        fmt::format("Topic '{}' collides with existing topic: {}", topic.name, other->second));
  }

  std::vector<Record> made;
  wire::TopicRecord topic_record;
  topic_record.name = topic.name;
  topic_record.topic_id = ids.next();
  made.emplace_back(topic_record);

  ConfigMap configs;
  std::size_t text_bytes = topic.name.size();
  for (const auto& config : topic.configs) {
    text_bytes += config.name.size() + config.value.value_or("").size();
    const ConfigDefinition* definition = find_topic_config(config.name);
    if (!definition) {
      return refuse(ErrorCode::invalid_config,
                    unknown_config_message("topic", topic_configs(), config.name));
    }
    if (!config.value) {
      return refuse(ErrorCode::invalid_config,
                    fmt::format("Null value not supported for topic configs: {}", config.name));
    }
    std::string value = canonical_config(*definition, *config.value);
    if (const auto valid = validate_config(*definition, value); !valid) {
      return refuse(ErrorCode::invalid_config, valid.error());
    }
    if (!configs.emplace(config.name, value).second) {
      return refuse(ErrorCode::invalid_request,
                    fmt::format("The config {} is set twice.", config.name));
    }
    wire::ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(ResourceType::topic);
    record.resource_name = topic.name;
    record.name = config.name;
    record.value = std::move(value);
    made.emplace_back(std::move(record));
  }

  // A new least size of the ISR makes those invalid that the old one made eligible.
  if (configs.contains("min.insync.replicas") && has_elr(*image_)) {
    wire::ClearElrRecord clear;
    clear.topic_name = topic.name;
    made.emplace_back(std::move(clear));
  }

  if (auto conflict = topic_configs_conflict(configs)) {
    return refuse(ErrorCode::invalid_config, std::move(*conflict));
  }

  std::int32_t partitions = topic.num_partitions;
  std::int16_t factor = topic.replication_factor;

  if (!topic.assignments.empty()) {
    if (factor != -1) {
      return refuse(
          ErrorCode::invalid_request,
          "A manual partition assignment was specified, but replication factor was not set to -1.");
    }
    if (partitions != -1) {
      return refuse(
          ErrorCode::invalid_request,
          "A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    std::map<std::int32_t, const std::vector<NodeId>*> by_index;
    for (const auto& assignment : topic.assignments) {
      if (!by_index.emplace(assignment.partition_index, &assignment.broker_ids).second) {
        return refuse(ErrorCode::invalid_replica_assignment,
                      fmt::format("Found multiple manual partition assignments for partition {}",
                                  assignment.partition_index));
      }
    }
    partitions = static_cast<std::int32_t>(by_index.size());
    factor = static_cast<std::int16_t>(by_index.begin()->second->size());
    std::int32_t expected = 0;
    for (const auto& [index, replicas] : by_index) {
      if (index != expected++) {
        return refuse(ErrorCode::invalid_replica_assignment,
                      "partitions should be a consecutive 0-based integer sequence");
      }
      auto placement = place_by_hand(*image_, index, *replicas, static_cast<std::size_t>(factor));
      if (!placement) return refused(topic.name, std::move(placement.error()));
      made.push_back(new_partition(*image_, topic_record.topic_id, index, *placement));
    }
  } else {
    if (factor < -1 || factor == 0) {
      return refuse(ErrorCode::invalid_replication_factor,
                    "Replication factor must be larger than 0, or -1 to use the default value.");
    }
    if (partitions < -1 || partitions == 0) {
      return refuse(ErrorCode::invalid_partitions,
                    "Number of partitions was set to an invalid non-positive value.");
    }
    if (partitions == -1) partitions = options_.num_partitions;
    if (factor == -1) factor = options_.default_replication_factor;
    if (records.size() + static_cast<std::size_t>(partitions) > kRecordsMax) {
      return refuse(ErrorCode::policy_violation,
                    "Excessively large number of partitions per request.");
    }
    auto placements = place_by_turns(*image_, 0, partitions, factor);
    if (!placements) return refused(topic.name, std::move(placements.error()));
    for (std::int32_t index = 0; index < partitions; ++index) {
      made.push_back(new_partition(*image_, topic_record.topic_id, index,
                                   (*placements)[static_cast<std::size_t>(index)]));
    }
  }
  if (records.size() + made.size() > kRecordsMax) {
    return refuse(ErrorCode::policy_violation,
                  "Excessively large number of partitions per request.");
  }
  if (text_bytes_of_request + text_bytes > kRecordTextBytesMax) {
    return refuse(ErrorCode::policy_violation, "Excessively large configs per request.");
  }

  text_bytes_of_request += text_bytes;
  taken.emplace(key, topic.name);
  std::ranges::move(made, std::back_inserter(records));
  wire::CreateTopicsResponse::CreatableTopicResult result;
  result.name = topic.name;
  result.topic_id = topic_record.topic_id;
  result.error_message = std::nullopt;
  result.configs = std::nullopt;
  if (with_configs) {
    result.num_partitions = partitions;
    result.replication_factor = factor;
    auto& answers = result.configs.emplace();
    const TopicConfigLayers before = topic_config(topic.name);
    const TopicConfigLayers layers{configs, before.broker, before.cluster, before.node};
    for (const ConfigDefinition& definition : topic_configs()) {
      auto& answer = answers.emplace_back();
      answer.name = definition.name;
      const TopicConfigLayers::Found found = layers.get(definition);
      answer.value = std::string(found.value);
      answer.config_source = static_cast<std::int8_t>(found.source);
    }
  }
  return result;
}

Decision<wire::CreatePartitionsResponse> Controller::create_partitions(
    const wire::CreatePartitionsRequest& request) {
  Decision<wire::CreatePartitionsResponse> decision;
  std::map<std::string, int> mentions;
  for (const auto& topic : request.topics) ++mentions[topic.name];
  std::set<std::string> answered;
  for (const auto& topic : request.topics) {
    if (!answered.insert(topic.name).second) continue;
    auto& answer = decision.response.results.emplace_back();
    answer.name = topic.name;
    std::expected<std::vector<Record>, Refusal> records =
        std::unexpected(Refusal{ErrorCode::invalid_request, "Duplicate topic name."});
    if (mentions[topic.name] == 1) {
      TopicGrowth wanted{.topic = topic.name,
                         .partitions = topic.count,
                         .assignments = {},
                         .new_partitions_max = kRecordsMax - decision.records.size()};
      if (topic.assignments) {
        auto& assignments = wanted.assignments.emplace();
        for (const auto& assignment : *topic.assignments)
          assignments.push_back(assignment.broker_ids);
      }
      records = grow_topic(*image_, wanted);
    }
    if (!records) {
      answer.error_code = static_cast<std::int16_t>(records.error().code);
      if (!records.error().message.empty())
        answer.error_message = std::move(records.error().message);
      continue;
    }
    std::ranges::move(*records, std::back_inserter(decision.records));
  }
  if (request.validate_only) decision.records.clear();
  return decision;
}

// --- configs

namespace {

ResourceChange change_of(const wire::AlterConfigsRequest::AlterConfigsResource& resource) {
  ResourceChange change{.type = resource.resource_type,
                        .name = resource.resource_name,
                        .configs = {},
                        .replaces_all = true};
  for (const auto& config : resource.configs)
    change.configs.push_back(
        {config.name, static_cast<std::int8_t>(ConfigOperation::set), config.value});
  return change;
}

ResourceChange change_of(
    const wire::IncrementalAlterConfigsRequest::AlterConfigsResource& resource) {
  ResourceChange change{
      .type = resource.resource_type, .name = resource.resource_name, .configs = {}};
  for (const auto& config : resource.configs)
    change.configs.push_back({config.name, config.config_operation, config.value});
  return change;
}

std::size_t text_bytes_of(const std::vector<Record>& records) {
  std::size_t bytes = 0;
  for (const Record& record : records) {
    if (const auto* config = std::get_if<wire::ConfigRecord>(&record)) {
      bytes += config->resource_name.size() + config->name.size() +
               config->value.value_or(std::string()).size();
    }
  }
  return bytes;
}

// Resource by resource: what is refused of one is not refused of another.
template <class Response, class Request>
Decision<Response> alter(const Image& image, const Request& request) {
  Decision<Response> decision;
  std::map<std::pair<std::int8_t, std::string>, int> mentions;
  for (const auto& resource : request.resources)
    ++mentions[{resource.resource_type, resource.resource_name}];
  std::size_t text_bytes = 0;
  for (const auto& resource : request.resources) {
    auto& answer = decision.response.responses.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    answer.error_message = std::nullopt;
    std::expected<std::vector<Record>, Refusal> records = std::unexpected(
        Refusal{ErrorCode::invalid_request, "Each resource must appear at most once."});
    if (mentions[{resource.resource_type, resource.resource_name}] == 1)
      records = change_configs(image, change_of(resource));
    if (records) {
      text_bytes += text_bytes_of(*records);
      if (decision.records.size() + records->size() > kRecordsMax ||
          text_bytes > kRecordTextBytesMax) {
        records = std::unexpected(
            Refusal{ErrorCode::policy_violation, "Excessively large configs per request."});
      }
    }
    if (!records) {
      answer.error_code = static_cast<std::int16_t>(records.error().code);
      answer.error_message = std::move(records.error().message);
      continue;
    }
    std::ranges::move(*records, std::back_inserter(decision.records));
  }
  if (request.validate_only) decision.records.clear();
  return decision;
}

}  // namespace

Decision<wire::AlterConfigsResponse> Controller::alter_configs(
    const wire::AlterConfigsRequest& request) {
  return alter<wire::AlterConfigsResponse>(*image_, request);
}

Decision<wire::IncrementalAlterConfigsResponse> Controller::incremental_alter_configs(
    const wire::IncrementalAlterConfigsRequest& request) {
  return alter<wire::IncrementalAlterConfigsResponse>(*image_, request);
}

Decision<wire::DeleteTopicsResponse> Controller::delete_topics(
    const wire::DeleteTopicsRequest& request, std::int16_t version) {
  constexpr std::int16_t kIdsFrom = 6;
  constexpr std::int16_t kDisabledFrom = 3;  // knows that error
  Decision<wire::DeleteTopicsResponse> decision;
  const auto answer = [&](std::optional<std::string> name, const Uuid& id, ErrorCode code,
                          std::string message) {
    auto& result = decision.response.responses.emplace_back();
    result.name = std::move(name);
    if (version < kIdsFrom && !result.name) result.name = std::string();
    result.topic_id = id;
    result.error_code = static_cast<std::int16_t>(code);
    if (!message.empty()) result.error_message = std::move(message);
  };

  if (const auto found = options_.node_configs.find("delete.topic.enable");
      found != options_.node_configs.end() && found->second == "false") {
    const ErrorCode code =
        version < kDisabledFrom ? ErrorCode::invalid_request : ErrorCode::topic_deletion_disabled;
    for (const std::string& name : request.topic_names) answer(name, {}, code, {});
    for (const auto& topic : request.topics) answer(topic.name, topic.topic_id, code, {});
    return decision;
  }

  // What is named twice, in whatever way, is not deleted at all.
  std::map<std::string, int> names;
  std::map<Uuid, int> ids;
  for (const std::string& name : request.topic_names) ++names[name];
  for (const auto& topic : request.topics) {
    const bool has_id = !topic.topic_id.is_zero();
    if (topic.name && has_id) {
      answer(topic.name, topic.topic_id, ErrorCode::invalid_request,
             "You may not specify both topic name and topic id.");
    } else if (topic.name) {
      ++names[*topic.name];
    } else if (has_id) {
      ++ids[topic.topic_id];
    } else {
      answer(std::nullopt, {}, ErrorCode::invalid_request,
             "Neither topic name nor id were specified.");
    }
  }
  const auto remove = [&](const TopicImage& topic) {
    wire::RemoveTopicRecord record;
    record.topic_id = topic.id;
    decision.records.emplace_back(std::move(record));
    answer(topic.name, topic.id, ErrorCode::none, {});
  };
  for (const auto& [name, mentions] : names) {
    const TopicImage* topic = image_->topics->find(name);
    if (mentions > 1) {
      answer(name, {}, ErrorCode::invalid_request, "Duplicate topic name.");
    } else if (!topic) {
      answer(name, {}, ErrorCode::unknown_topic_or_partition,
             "This server does not host this topic-partition.");
    } else if (ids.erase(topic->id) > 0) {
      answer(name, topic->id, ErrorCode::invalid_request,
             "The provided topic name maps to an ID that was already supplied.");
    } else {
      remove(*topic);
    }
  }
  for (const auto& [id, mentions] : ids) {
    const TopicImage* topic = image_->topics->find(id);
    if (mentions > 1) {
      answer(std::nullopt, id, ErrorCode::invalid_request, "Duplicate topic id.");
    } else if (!topic) {
      answer(std::nullopt, id, ErrorCode::unknown_topic_id,
             "This server does not host this topic ID.");
    } else {
      remove(*topic);
    }
  }
  return decision;
}

}  // namespace ottla::metadata
