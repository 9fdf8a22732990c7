// The cluster as its metadata log tells it, up to one offset: immutable, shared between shards.
// Each publication is a new Image that shares every part which did not change.
//
// After Kafka's MetadataImage; the records are those of __cluster_metadata-0 (KIP-631).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ottla::metadata {

inline constexpr std::string_view kMetadataTopic = "__cluster_metadata";
inline constexpr Uuid kMetadataTopicId{.high = 0, .low = 1};

// DirectoryId.java: what stands where a directory is not known.
inline constexpr Uuid kDirectoryMigrating{.high = 0, .low = 0};
inline constexpr Uuid kDirectoryUnassigned{.high = 0, .low = 1};
inline constexpr Uuid kDirectoryLost{.high = 0, .low = 2};

enum class ResourceType : std::int8_t {
  topic = 2,
  broker = 4,
  broker_logger = 8,
  client_metrics = 16,
  group = 32
};

struct EndpointImage {
  std::string listener;  // "PLAINTEXT"
  std::string host;
  std::uint16_t port = 0;
  std::int16_t security_protocol = 0;  // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
  bool operator==(const EndpointImage&) const = default;
};

// Name -> supported levels.
using FeatureLevels = std::map<std::string, std::pair<std::int16_t, std::int16_t>>;

struct BrokerImage {
  NodeId id = -1;
  BrokerEpoch epoch = -1;
  Uuid incarnation_id;
  std::vector<EndpointImage> endpoints;
  std::optional<std::string> rack;
  std::vector<Uuid> directories;
  FeatureLevels features;
  std::optional<std::vector<Uuid>> cordoned_directories;  // none: not told
  bool is_fenced = true;
  bool is_shutting_down = false;
};

struct ControllerImage {
  NodeId id = -1;
  Uuid incarnation_id;
  std::vector<EndpointImage> endpoints;
  FeatureLevels features;
};

struct PartitionImage {
  std::vector<NodeId> replicas;
  std::vector<Uuid> directories;  // one a replica
  std::vector<NodeId> isr;
  std::vector<NodeId> removing_replicas;
  std::vector<NodeId> adding_replicas;
  std::vector<NodeId> elr;
  std::vector<NodeId> last_known_elr;
  NodeId leader = -1;
  LeaderEpoch leader_epoch = 0;
  std::int32_t partition_epoch = 0;
  std::int8_t leader_recovery_state = 0;  // 0 recovered, 1 recovering
  bool operator==(const PartitionImage&) const = default;
};

struct TopicImage {
  std::string name;
  Uuid id;
  std::vector<PartitionImage> partitions;  // by index, without gaps
};

class TopicsImage {
 public:
  const TopicImage* find(std::string_view name) const;
  const TopicImage* find(const Uuid& id) const;
  const std::map<std::string, std::shared_ptr<const TopicImage>, std::less<>>& by_name() const {
    return by_name_;
  }

 private:
  friend class ImageBuilder;
  std::map<std::string, std::shared_ptr<const TopicImage>, std::less<>> by_name_;
  std::map<Uuid, std::shared_ptr<const TopicImage>> by_id_;
};

// Only what was set; defaults are in config_definitions.h.
using ConfigMap = std::map<std::string, std::string, std::less<>>;

struct ConfigsImage {
  std::map<std::pair<ResourceType, std::string>, ConfigMap> by_resource;
  // Of the resource, or an empty map. The cluster-wide broker configs are (broker, "").
  const ConfigMap& of(ResourceType type, std::string_view name) const;
};

struct Provenance {
  Offset offset = -1;  // of the last record that is in the image
  LeaderEpoch epoch = -1;
  TimestampMs timestamp = 0;
};

struct Image {
  Provenance provenance;
  std::string cluster_id;
  std::map<std::string, std::int16_t>
      features;                    // finalized levels; kraft.version is not among them
  std::int16_t kraft_version = 0;  // of the quorum, from control records
  std::map<NodeId, BrokerImage> brokers;
  std::shared_ptr<const TopicsImage> topics;    // never null
  std::shared_ptr<const ConfigsImage> configs;  // never null
  std::map<NodeId, ControllerImage> controllers;
  ProducerId next_producer_id = 0;
  NodeId producer_ids_broker = -1;  // who asked for the last block
  BrokerEpoch producer_ids_epoch = -1;
  // Records of kinds that this node does not act on yet (ACLs, quotas, SCRAM, tokens), framed: kept
  // for snapshots.
  std::vector<std::vector<std::uint8_t>> other_records;
};

using ImagePtr = std::shared_ptr<const Image>;

}  // namespace ottla::metadata
