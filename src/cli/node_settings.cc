#include "cli/node_settings.h"

#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/ids.h"
#include "cli/listeners.h"
#include "cli/text.h"

namespace ottla::cli {
namespace {

class Resolver {
 public:
  explicit Resolver(const Settings& settings) : settings_(settings), faults_(settings.faults()) {}

  std::expected<NodeSettings, std::vector<SettingFault>> resolve() {
    broker::NodeConfig& node = result_.node;
    node.node_id = number<NodeId>("node.id");
    node.rack = settings_.value_or_default("broker.rack");
    read_cluster_id();
    read_log_dir();
    read_listeners();
    node.auto_create_topics = flag("auto.create.topics.enable");
    node.num_partitions = number<std::int32_t>("num.partitions");
    node.default_replication_factor = number<std::int16_t>("default.replication.factor");
    node.fetch_max_bytes = number<std::int32_t>("fetch.max.bytes");
    node.fetch_sessions_max = number<std::size_t>("max.incremental.fetch.session.cache.slots");
    node.describe_partitions_max = number<std::int32_t>("max.request.partition.size.limit");
    node.queued_bytes_max = number<std::uint64_t>("queued.max.request.bytes");
    node.connections_max = number<std::size_t>("max.connections");
    node.shutdown_grace_ms = number<std::int64_t>("ottla.shutdown.grace.ms");
    node.heartbeat_interval_ms = number<std::int64_t>("broker.heartbeat.interval.ms");
    node.session_timeout_ms = number<std::int64_t>("broker.session.timeout.ms");
    node.store.scrub_bytes_per_second = number<std::uint64_t>("ottla.scrub.bytes.per.second");
    node.store.compacts = flag("log.cleaner.enable");
    node.store.compaction_backoff_ms = number<std::int64_t>("log.cleaner.backoff.ms");
    node.store.compaction_map_bytes = number<std::uint64_t>("log.cleaner.dedupe.buffer.size");
    node.store.compaction_bytes_per_second =
        number<std::uint64_t>("log.cleaner.io.max.bytes.per.second");
    node.store.retention_check_interval_ms =
        number<std::int64_t>("log.retention.check.interval.ms");
    node.store.scrub_interval_ms = number<std::int64_t>("ottla.scrub.interval.ms");
    node.groups.classic.initial_rebalance_delay_ms =
        number<std::int32_t>("group.initial.rebalance.delay.ms");
    node.groups.classic.session_timeout_min_ms =
        number<std::int32_t>("group.min.session.timeout.ms");
    node.groups.classic.session_timeout_max_ms =
        number<std::int32_t>("group.max.session.timeout.ms");
    node.groups.classic.members_max = number<std::int32_t>("group.max.size");
    auto& consumer = node.groups.consumer;
    consumer.session_timeout_ms = number<std::int32_t>("group.consumer.session.timeout.ms");
    consumer.heartbeat_interval_ms = number<std::int32_t>("group.consumer.heartbeat.interval.ms");
    consumer.unsettled_interval_ms =
        number<std::int32_t>("ottla.group.consumer.unsettled.heartbeat.interval.ms");
    consumer.assignment_interval_ms = number<std::int32_t>("group.consumer.assignment.interval.ms");
    consumer.regex_refresh_ms = number<std::int32_t>("group.consumer.regex.refresh.interval.ms");
    consumer.members_max = number<std::int32_t>("group.consumer.max.size");
    node.groups.offset_metadata_bytes_max = number<std::int32_t>("offset.metadata.max.bytes");
    node.groups.offsets_retention_ms =
        number<std::int64_t>("offsets.retention.minutes") * std::int64_t{60'000};
    node.groups.offsets_retention_check_ms =
        number<std::int64_t>("offsets.retention.check.interval.ms");
    node.offsets_topic_partitions = number<std::int32_t>("offsets.topic.num.partitions");
    if (settings_.all().contains("offsets.topic.replication.factor"))
      node.offsets_topic_replication_factor =
          number<std::int16_t>("offsets.topic.replication.factor");
    node.offsets_topic_segment_bytes = number<std::int32_t>("offsets.topic.segment.bytes");
    node.server.frame_bytes_max = number<std::uint32_t>("socket.request.max.bytes");
    node.server.idle_ms_max = number<std::int64_t>("connections.max.idle.ms");
    for (const auto& [key, setting] : settings_.all())
      node.broker_configs.emplace(key, setting.value);
    read_process();
    if (!faults_.empty()) return std::unexpected(std::move(faults_));
    return std::move(result_);
  }

 private:
  void fault(std::string key, std::string cause, std::string remedy) {
    std::string place = settings_.place_of(key);
    faults_.push_back({std::move(place), std::move(key), std::move(cause), std::move(remedy)});
  }

  // Values were validated when they were set, and the defaults are the table's.
  template <class T>
  T number(std::string_view key) {
    const std::string value = settings_.value_or_default(key);
    const auto parsed = parse_number<T>(value);
    if (parsed) return *parsed;
    fault(std::string(key), fmt::format("\"{}\" is out of range", value), "Choose another number");
    return T{};
  }
  bool flag(std::string_view key) { return settings_.value_or_default(key) == "true"; }

  void read_cluster_id() {
    result_.node.cluster_id = settings_.value_or_default("ottla.cluster.id");
    if (result_.node.cluster_id.empty() || Uuid::parse(result_.node.cluster_id)) return;
    fault("ottla.cluster.id",
          fmt::format("\"{}\" is not the 22 characters of a base64 id", result_.node.cluster_id),
          "Leave it out to get a random one; `kafka-storage.sh random-uuid` makes one");
  }

  void read_log_dir() {
    const std::string value = settings_.value_or_default("log.dirs");
    const auto dirs = split(value, ',');
    if (dirs.size() == 1) {
      result_.node.log_dir = dirs.front();
    } else if (dirs.empty()) {
      fault("log.dirs", "it names no folder", "Name the folder that holds the data");
    } else {
      fault("log.dirs", fmt::format("it names {} folders, and a node has one yet", dirs.size()),
            "Name one");
    }
  }

  void read_listeners() {
    auto listeners = resolve_listeners(
        {.listeners = settings_.value_or_default("listeners"),
         .advertised = settings_.value_or_default("advertised.listeners"),
         .protocol_map = settings_.value_or_default("listener.security.protocol.map"),
         .controller_names = settings_.value_or_default("controller.listener.names")});
    if (listeners) {
      result_.node.listeners = std::move(*listeners);
      return;
    }
    for (ListenerFault& one : listeners.error())
      fault(std::move(one.key), std::move(one.cause), std::move(one.remedy));
  }

  void read_process() {
    ProcessSettings& process = result_.process;
    process.shards = number<unsigned>("ottla.shards");
    process.direct_io = flag("ottla.disk.direct");
    const std::string backend = settings_.value_or_default("ottla.disk.backend");
    process.disk_backend = backend == "io_uring"  ? ProcessSettings::DiskBackend::io_uring
                           : backend == "threads" ? ProcessSettings::DiskBackend::threads
                                                  : ProcessSettings::DiskBackend::automatic;
  }

  const Settings& settings_;
  std::vector<SettingFault> faults_;
  NodeSettings result_;
};

}  // namespace

std::expected<NodeSettings, std::vector<SettingFault>> resolve_node(const Settings& settings) {
  return Resolver(settings).resolve();
}

}  // namespace ottla::cli
