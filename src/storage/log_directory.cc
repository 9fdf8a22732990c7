#include "storage/log_directory.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint_file.h"
#include "storage/text_scan.h"

namespace ottla::storage {
namespace {

constexpr std::size_t kUniqueDigits = 32;
constexpr std::pair<PartitionDirectoryState, std::string_view> kStates[] = {
    {PartitionDirectoryState::deleted, "-delete"},
    {PartitionDirectoryState::stray, "-stray"},
    {PartitionDirectoryState::future, "-future"},
};

bool is_topic_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string hex_of(Uuid id) { return fmt::format("{:016x}{:016x}", id.high, id.low); }

std::optional<Uuid> parse_hex(std::string_view digits) {
  if (digits.size() != kUniqueDigits) return std::nullopt;
  if (digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  Uuid id;
  std::from_chars(digits.data(), digits.data() + 16, id.high, 16);
  std::from_chars(digits.data() + 16, digits.data() + 32, id.low, 16);
  return id;
}

// `<topic>-<n>`, with n as Kafka writes it: digits without a leading zero.
std::optional<TopicPartition> parse_topic_partition(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view topic = name.substr(0, dash);
  const std::string_view digits = name.substr(dash + 1);
  if (digits.size() > 1 && digits.starts_with('0')) return std::nullopt;
  const auto partition = parse_decimal<PartitionIndex>(digits);
  if (!partition || !is_topic_name(topic)) return std::nullopt;
  return TopicPartition{std::string(topic), *partition};
}

// One `key=value` or `key: value` line of Java properties, without escapes, which none of these
// values needs; nullopt for blank lines and comments.
std::optional<std::pair<std::string_view, std::string_view>> split_property(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t\f");
  if (begin == std::string_view::npos || line[begin] == '#' || line[begin] == '!') {
    return std::nullopt;
  }
  line.remove_prefix(begin);
  const std::size_t end = line.find_first_of("=: \t");
  if (end == std::string_view::npos) return std::pair(line, std::string_view());
  const std::string_view key = line.substr(0, end);
  std::size_t value = line.find_first_not_of(" \t", end);
  if (value != std::string_view::npos && (line[value] == '=' || line[value] == ':')) {
    value = line.find_first_not_of(" \t", value + 1);
  }
  return std::pair(key, value == std::string_view::npos ? std::string_view() : line.substr(value));
}

}  // namespace

std::optional<std::string> topic_name_fault(std::string_view name) {
  if (name.empty()) return "the topic name is empty";
  if (name == "." || name == "..") return "the topic name is '.' or '..'";
  if (name.size() > kTopicNameCharsMax) {
    return fmt::format("the topic name has {} characters, at most {} are allowed", name.size(),
                       kTopicNameCharsMax);
  }
  if (!std::ranges::all_of(name, is_topic_char)) {
    return "the topic name has characters other than ASCII letters, digits, '.', '_' and '-'";
  }
  return std::nullopt;
}

bool topic_names_collide(std::string_view a, std::string_view b) {
  const auto unify = [](char c) { return c == '.' ? '_' : c; };
  return std::ranges::equal(a, b, {}, unify, unify);
}

std::string partition_directory_name(const TopicPartition& partition) {
  OTTLA_CHECK(is_topic_name(partition.topic) && partition.partition >= 0);
  return fmt::format("{}-{}", partition.topic, partition.partition);
}

std::string partition_directory_name(const TopicPartition& partition, PartitionDirectoryState state,
                                     Uuid unique) {
  if (state == PartitionDirectoryState::live) return partition_directory_name(partition);
  OTTLA_CHECK(is_topic_name(partition.topic) && partition.partition >= 0);
  const auto* found =
      std::ranges::find(kStates, state, [](const auto& item) { return item.first; });
  const std::string end =
      fmt::format("-{}.{}{}", partition.partition, hex_of(unique), found->second);
  return partition.topic.substr(0, kFileNameBytesMax - end.size()) + end;
}

std::optional<PartitionDirectory> parse_partition_directory(std::string_view name) {
  for (const auto& [state, suffix] : kStates) {
    if (!name.ends_with(suffix)) continue;
    std::string_view rest = name.substr(0, name.size() - suffix.size());
    if (rest.size() <= kUniqueDigits + 1 || rest[rest.size() - kUniqueDigits - 1] != '.') continue;
    const auto unique = parse_hex(rest.substr(rest.size() - kUniqueDigits));
    auto partition = parse_topic_partition(rest.substr(0, rest.size() - kUniqueDigits - 1));
    if (unique && partition) return PartitionDirectory{std::move(*partition), state, *unique};
  }
  auto partition = parse_topic_partition(name);
  if (!partition) return std::nullopt;
  return PartitionDirectory{std::move(*partition), PartitionDirectoryState::live, {}};
}

RootName classify_root_name(std::string_view name, bool is_directory) {
  if (is_directory) {
    if (name == kRemoteIndexCacheDirectory) return RootName::kafka_other;
    const auto parsed = parse_partition_directory(name);
    if (!parsed) return RootName::unknown_directory;
    const bool is_metadata = parsed->partition == TopicPartition{std::string(kMetadataTopic), 0};
    return is_metadata && parsed->state == PartitionDirectoryState::live ? RootName::metadata_log
                                                                         : RootName::partition;
  }
  constexpr std::string_view kKafkas[] = {
      kLockFile,          kMetaPropertiesFile, kCleanShutdownFile, kBootstrapCheckpointFile,
      kRecoveryPointFile, kHighWatermarkFile,  kLogStartFile,      kCleanerOffsetFile};
  if (std::ranges::find(kKafkas, name) != std::end(kKafkas)) return RootName::kafka_file;
  if (name.ends_with(kOwnSuffix)) return RootName::own_file;
  if (name.ends_with(kTemporarySuffix)) {
    // Only of files that are replaced as a whole: another `.tmp` is a stranger's.
    const std::string_view target = name.substr(0, name.size() - kTemporarySuffix.size());
    const bool is_known =
        std::ranges::find(kKafkas, target) != std::end(kKafkas) || target.ends_with(kOwnSuffix);
    if (is_known) return RootName::leftover;
  }
  return RootName::unknown_file;
}

std::string serialize_meta_properties(const MetaProperties& properties,
                                      std::string_view comment_date) {
  std::string text = "#\n";
  if (!comment_date.empty()) text += fmt::format("#{}\n", comment_date);
  return text + fmt::format("node.id={}\ndirectory.id={}\nversion=1\ncluster.id={}\n",
                            properties.node_id, properties.directory_id.to_string(),
                            properties.cluster_id);
}

Parsed<MetaProperties> parse_meta_properties(std::string_view text) {
  std::map<std::string_view, std::string_view> values;
  while (!text.empty()) {
    const auto property = split_property(take_line(text));
    if (!property) continue;
    if (!values.insert(*property).second) {
      return format_error(fmt::format("the key {} is there twice", property->first));
    }
  }
  const auto value_of = [&](std::string_view key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string_view() : found->second;
  };
  const std::string_view version = value_of("version");
  if (version == "0") return format_error("version 0 is that of a ZooKeeper cluster");
  if (version != "1") return format_error(fmt::format("unknown version '{}'", version));
  MetaProperties properties;
  properties.cluster_id = value_of("cluster.id");
  if (properties.cluster_id.empty()) return format_error("cluster.id is missing");
  const auto node_id = parse_decimal<NodeId>(value_of("node.id"));
  if (!node_id || *node_id < 0) return format_error("node.id is missing or is no node's id");
  properties.node_id = *node_id;
  const auto directory_id = Uuid::parse(value_of("directory.id"));
  if (!directory_id || directory_id->is_zero()) {
    return format_error("directory.id is missing or is no id");
  }
  properties.directory_id = *directory_id;
  return properties;
}

std::string serialize_partition_metadata(Uuid topic_id) {
  return fmt::format("version: 0\ntopic_id: {}", topic_id.to_string());
}

Parsed<Uuid> parse_partition_metadata(std::string_view text) {
  constexpr std::string_view kVersionKey = "version: ";
  constexpr std::string_view kTopicIdKey = "topic_id: ";
  if (text.empty()) return format_error("the file is empty");
  const std::string_view version = take_line(text);
  if (!version.starts_with(kVersionKey)) return format_error("the version is missing");
  if (version.substr(kVersionKey.size()) != "0") {
    return format_error(fmt::format("unknown version '{}'", version.substr(kVersionKey.size())));
  }
  if (!text.starts_with(kTopicIdKey)) return format_error("the topic id is missing");
  const std::string_view line = take_line(text);
  if (!text.empty()) return format_error("there is something behind the topic id");
  const auto topic_id = Uuid::parse(line.substr(kTopicIdKey.size()));
  if (!topic_id || topic_id->is_zero()) return format_error("the topic id is no id");
  return *topic_id;
}

std::string serialize_clean_shutdown(BrokerEpoch epoch) {
  return fmt::format("{{\"version\":0,\"brokerEpoch\":{}}}", epoch);
}

// A JSON object of two numbers, in any order and spacing. No general parser: nothing else is ever
// written there.
Parsed<BrokerEpoch> parse_clean_shutdown(std::string_view text) {
  std::map<std::string, std::int64_t> fields;
  std::string compact;
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') compact += c;
  }
  if (!compact.starts_with('{') || !compact.ends_with('}') || compact.size() < 2) {
    return format_error("it is no JSON object");
  }
  std::string_view rest = std::string_view(compact).substr(1, compact.size() - 2);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view field = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const std::size_t colon = field.find(':');
    const bool is_quoted =
        colon != std::string_view::npos && colon >= 2 && field[0] == '"' && field[colon - 1] == '"';
    if (!is_quoted) return format_error("a field has no name");
    const auto number = parse_decimal<std::int64_t>(field.substr(colon + 1));
    if (!number) return format_error("a field is no number");
    fields[std::string(field.substr(1, colon - 2))] = *number;
  }
  if (!fields.contains("version") || fields["version"] != 0) {
    return format_error("the version is missing or unknown");
  }
  if (!fields.contains("brokerEpoch")) return format_error("brokerEpoch is missing");
  return fields["brokerEpoch"];
}

}  // namespace ottla::storage
