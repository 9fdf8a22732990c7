#include "broker/topic_settings.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "metadata/topic_config.h"

namespace ottla::broker {
namespace {

constexpr std::int64_t kRetentionMs = 7ll * 24 * 3600 * 1000;

struct Lookup {
  const metadata::TopicConfigLayers layers;

  std::optional<std::string_view> text(std::string_view name, std::string_view node_name) const {
    const auto found = layers.find(name, node_name);
    return found ? std::optional(found->value) : std::nullopt;
  }
  // Values were checked when they were set; what can't be read now leaves the default.
  template <class T>
  void number(std::string_view name, std::string_view node_name, T& into) const {
    const auto value = text(name, node_name);
    if (!value) return;
    T parsed{};
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), parsed);
    if (error == std::errc() && end == value->data() + value->size()) into = parsed;
  }
};

}  // namespace

TopicSettings resolve_topic_settings(const metadata::ConfigsImage& configs,
                                     const metadata::ConfigMap& node_configs, NodeId node_id,
                                     std::string_view topic) {
  const Lookup lookup{metadata::TopicConfigLayers::of(configs, node_configs, node_id, topic)};
  TopicSettings settings;
  lookup.number("segment.bytes", "log.segment.bytes", settings.log.segment_bytes);
  lookup.number("segment.ms", "log.roll.ms", settings.log.segment_ms);
  lookup.number("segment.jitter.ms", "log.roll.jitter.ms", settings.segment_jitter_ms);
  lookup.number("segment.index.bytes", "log.index.size.max.bytes",
                settings.log.segment_index_bytes);
  lookup.number("index.interval.bytes", "log.index.interval.bytes",
                settings.log.index_interval_bytes);
  lookup.number("producer.id.expiration.ms", "producer.id.expiration.ms",
                settings.log.producer_id_expiration_ms);
  settings.log.retention_ms = kRetentionMs;
  lookup.number("retention.ms", "log.retention.ms", settings.log.retention_ms);
  lookup.number("retention.bytes", "log.retention.bytes", settings.log.retention_bytes);
  lookup.number("file.delete.delay.ms", "log.segment.delete.delay.ms",
                settings.log.file_delete_delay_ms);
  lookup.number("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio",
                settings.log.min_cleanable_dirty_ratio);
  lookup.number("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms",
                settings.log.min_compaction_lag_ms);
  lookup.number("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms",
                settings.log.max_compaction_lag_ms);
  lookup.number("delete.retention.ms", "log.cleaner.delete.retention.ms",
                settings.log.delete_retention_ms);
  lookup.number("min.insync.replicas", "min.insync.replicas", settings.min_insync_replicas);

  wire::ValidationSettings& validation = settings.validation;
  lookup.number("max.message.bytes", "message.max.bytes", validation.max_message_bytes);
  validation.segment_bytes = settings.log.segment_bytes;
  lookup.number("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms",
                validation.message_timestamp_before_max_ms);
  lookup.number("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms",
                validation.message_timestamp_after_max_ms);
  if (const auto policy = lookup.text("cleanup.policy", "log.cleanup.policy")) {
    settings.log.is_compacted = policy->find("compact") != std::string_view::npos;
    settings.log.is_deleted_when_old = policy->find("delete") != std::string_view::npos;
    validation.is_compacted = settings.log.is_compacted;
  }
  if (lookup.text("message.timestamp.type", "log.message.timestamp.type") == "LogAppendTime") {
    validation.message_timestamp_type = wire::TimestampType::log_append_time;
  }
  if (const auto type = lookup.text("compression.type", "compression.type")) {
    if (*type == "uncompressed") {
      validation.compression_type = wire::Codec::none;
    } else if (const auto codec = wire::parse_codec_name(*type)) {
      validation.compression_type = codec;
    }
  }
  if (validation.compression_type) {
    int level = 0;
    switch (*validation.compression_type) {
      case wire::Codec::gzip:
        level = -1;
        lookup.number("compression.gzip.level", "compression.gzip.level", level);
        validation.compression_level = level;
        break;
      case wire::Codec::lz4:
        level = 9;
        lookup.number("compression.lz4.level", "compression.lz4.level", level);
        validation.compression_level = level;
        break;
      case wire::Codec::zstd:
        level = 3;
        lookup.number("compression.zstd.level", "compression.zstd.level", level);
        validation.compression_level = level;
        break;
      case wire::Codec::none:
      case wire::Codec::snappy:
        break;
    }
  }
  if (lookup.text("ottla.validation", "ottla.validation") == "header") {
    validation.mode = wire::ValidationMode::header;
  }
  return settings;
}

storage::LogConfig log_config_of(const TopicSettings& settings, const TopicIdPartition& id) {
  storage::LogConfig config = settings.log;
  // less than all of it: a segment lives for at least a millisecond
  const std::int64_t most = std::min(settings.segment_jitter_ms, config.segment_ms - 1);
  if (most <= 0) return config;
  // one of most + 1, and with most = 2^63-2 still none too many
  const std::uint64_t draw = id.topic_id.low ^ (id.topic_id.high * 0x9e3779b97f4a7c15ull) ^
                             (static_cast<std::uint64_t>(id.partition) * 0xbf58476d1ce4e5b9ull);
  config.segment_ms -= static_cast<std::int64_t>(draw % (static_cast<std::uint64_t>(most) + 1));
  return config;
}

}  // namespace ottla::broker
