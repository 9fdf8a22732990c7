// The files in the root of a log dir and the names of partition directories, as Kafka has them.
// Pure; read and written with atomic_file.h. Grammar: docs/formats/log_directory.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

// --- names

inline constexpr std::string_view kLockFile = ".lock";
inline constexpr std::string_view kMetaPropertiesFile = "meta.properties";
inline constexpr std::string_view kBootstrapCheckpointFile = "bootstrap.checkpoint";
inline constexpr std::string_view kCleanShutdownFile = ".kafka_cleanshutdown";
inline constexpr std::string_view kPartitionMetadataFile = "partition.metadata";
inline constexpr std::string_view kMetadataTopic = "__cluster_metadata";
inline constexpr std::string_view kRemoteIndexCacheDirectory = "remote-log-index-cache";
inline constexpr std::string_view kOwnSuffix = ".ottla";

inline constexpr std::size_t kTopicNameCharsMax = 249;
inline constexpr std::size_t kFileNameBytesMax = 255;
inline constexpr std::size_t kSmallFileBytesMax = 64 * 1024;  // of the text files below

// Why `name` may not be a topic's; nullopt if it may: 1 to 249 of [a-zA-Z0-9._-], not "." or "..".
std::optional<std::string> topic_name_fault(std::string_view name);
inline bool is_topic_name(std::string_view name) { return !topic_name_fault(name); }

// Names that differ only in `.` and `_` collide in metric names; CreateTopics refuses the second.
bool topic_names_collide(std::string_view a, std::string_view b);

enum class PartitionDirectoryState : std::uint8_t {
  live,
  deleted,  // -delete: renamed, to be removed
  stray,    // -stray: not in the image of this node; kept
  future    // -future: being moved here from another log dir
};

struct PartitionDirectory {
  TopicPartition partition;  // the topic may be cut short unless it is live
  PartitionDirectoryState state = PartitionDirectoryState::live;
  Uuid unique;  // of the 32 hex digits; zero if live
  bool operator==(const PartitionDirectory&) const = default;
};

// `<topic>-<partition>`. REQUIRES: is_topic_name(), partition >= 0.
std::string partition_directory_name(const TopicPartition& partition);
// `<topic>-<partition>.<32 hex>-delete` and so on; the topic is cut so that it fits a file name.
std::string partition_directory_name(const TopicPartition& partition, PartitionDirectoryState state,
                                     Uuid unique);
std::optional<PartitionDirectory> parse_partition_directory(std::string_view name);

// What a name in the root of a log dir is.
enum class RootName : std::uint8_t {
  kafka_file,        // lock, meta.properties, checkpoints, the clean marker
  own_file,          // ends in .ottla
  partition,         // parses as a partition's directory, in any state
  metadata_log,      // __cluster_metadata-0
  kafka_other,       // a directory that Kafka's log loader passes over
  leftover,          // a temporary file of ours or Kafka's: may be removed
  unknown_file,      // left alone, by Kafka too
  unknown_directory  // left alone; a Java broker refuses to start
};
RootName classify_root_name(std::string_view name, bool is_directory);

// --- meta.properties

struct MetaProperties {
  std::string cluster_id;
  NodeId node_id = -1;
  Uuid directory_id;
  bool operator==(const MetaProperties&) const = default;
};
// Java properties, version 1, in Kafka's order of lines. `comment_date` is Java's date line without
// the `#`; Kafka writes it, no one reads it; empty: no such line.
std::string serialize_meta_properties(const MetaProperties& properties,
                                      std::string_view comment_date = {});
// Refused: version 0 (ZooKeeper's) or unknown, a missing key, ids that do not parse, a key twice.
// Unknown keys are ignored, as by Kafka.
Parsed<MetaProperties> parse_meta_properties(std::string_view text);

// --- partition.metadata

std::string serialize_partition_metadata(Uuid topic_id);
Parsed<Uuid> parse_partition_metadata(std::string_view text);

// --- .kafka_cleanshutdown

// The broker epoch is this node's, as PreviousBrokerEpoch of its next registration (KIP-966).
std::string serialize_clean_shutdown(BrokerEpoch epoch);
// Kafka takes an unreadable marker as epoch -1; so may the caller. The marker itself still counts.
Parsed<BrokerEpoch> parse_clean_shutdown(std::string_view text);

}  // namespace ottla::storage
