#include "metadata/config_definitions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>
#include <vector>

#include "base/edit_distance.h"

namespace ottla::metadata {
namespace {

constexpr ConfigDefinition kTopicConfigs[] = {
    {.name = "cleanup.policy",
     .type = ConfigType::list,
     .default_value = "delete",
     .documentation = "What happens to old records: delete drops whole segments by age or size, "
                      "compact keeps the last record of each key; both may be named.",
     .one_of = "compact|delete",
     .node_name = "log.cleanup.policy"},
    {.name = "compression.gzip.level",
     .type = ConfigType::int32,
     .default_value = "-1",
     .documentation =
         "Level of gzip when the broker compresses: 1 to 9, or -1 for the library's own choice.",
     .one_of = "-1|1|2|3|4|5|6|7|8|9",
     .node_name = "compression.gzip.level"},
    {.name = "compression.lz4.level",
     .type = ConfigType::int32,
     .default_value = "9",
     .documentation = "Level of lz4 when the broker compresses.",
     .at_least = 1,
     .at_most = 17,
     .node_name = "compression.lz4.level"},
    {.name = "compression.type",
     .type = ConfigType::string,
     .default_value = "producer",
     .documentation = "The codec that records are stored in; producer keeps what came.",
     .one_of = "uncompressed|zstd|lz4|snappy|gzip|producer",
     .node_name = "compression.type"},
    {.name = "compression.zstd.level",
     .type = ConfigType::int32,
     .default_value = "3",
     .documentation = "Level of zstd when the broker compresses.",
     .at_least = -131072,
     .at_most = 22,
     .node_name = "compression.zstd.level"},
    {.name = "delete.retention.ms",
     .type = ConfigType::int64,
     .default_value = "86400000",
     .documentation = "How long tombstones and transaction markers stay in a compacted topic.",
     .at_least = 0,
     .node_name = "log.cleaner.delete.retention.ms"},
    {.name = "file.delete.delay.ms",
     .type = ConfigType::int64,
     .default_value = "60000",
     .documentation = "How long a removed file lingers before it is deleted.",
     .at_least = 0,
     .node_name = "log.segment.delete.delay.ms"},
    {.name = "flush.messages",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation =
         "Kafka's forced flush by count. Here every acknowledged record is flushed already.",
     .at_least = 1,
     .node_name = "log.flush.interval.messages"},
    {.name = "flush.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation =
         "Kafka's forced flush by time. Here every acknowledged record is flushed already.",
     .at_least = 0,
     .node_name = "log.flush.interval.ms"},
    {.name = "follower.replication.throttled.replicas",
     .type = ConfigType::list,
     .default_value = "",
     .documentation = "Replicas whose catching up is throttled, as partition:broker pairs or *.",
     .refused_because = "nothing is replicated between nodes yet"},
    {.name = "index.interval.bytes",
     .type = ConfigType::int32,
     .default_value = "4096",
     .documentation = "How many bytes of records lie between two entries of the offset index.",
     .at_least = 0,
     .node_name = "log.index.interval.bytes"},
    {.name = "leader.replication.throttled.replicas",
     .type = ConfigType::list,
     .default_value = "",
     .documentation =
         "Replicas whose serving of followers is throttled, as partition:broker pairs or *.",
     .refused_because = "nothing is replicated between nodes yet"},
    {.name = "local.retention.bytes",
     .type = ConfigType::int64,
     .default_value = "-2",
     .documentation = "Size kept on local disk under tiered storage; -2 means retention.bytes.",
     .at_least = -2,
     .node_name = "log.local.retention.bytes"},
    {.name = "local.retention.ms",
     .type = ConfigType::int64,
     .default_value = "-2",
     .documentation = "Age kept on local disk under tiered storage; -2 means retention.ms.",
     .at_least = -2,
     .node_name = "log.local.retention.ms"},
    {.name = "max.compaction.lag.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "The longest that a record may wait for compaction.",
     .at_least = 1,
     .node_name = "log.cleaner.max.compaction.lag.ms"},
    {.name = "max.message.bytes",
     .type = ConfigType::int32,
     .default_value = "1048588",
     .documentation = "The largest batch, compressed, that is accepted.",
     .at_least = 0,
     .node_name = "message.max.bytes"},
    {.name = "message.timestamp.after.max.ms",
     .type = ConfigType::int64,
     .default_value = "3600000",
     .documentation = "How far a record's create time may lie ahead of the broker's clock.",
     .at_least = 0,
     .node_name = "log.message.timestamp.after.max.ms"},
    {.name = "message.timestamp.before.max.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "How far a record's create time may lie behind the broker's clock.",
     .at_least = 0,
     .node_name = "log.message.timestamp.before.max.ms"},
    {.name = "message.timestamp.type",
     .type = ConfigType::string,
     .default_value = "CreateTime",
     .documentation = "Whether a record's timestamp is the producer's or the time of its append.",
     .one_of = "CreateTime|LogAppendTime",
     .node_name = "log.message.timestamp.type"},
    {.name = "min.cleanable.dirty.ratio",
     .type = ConfigType::float64,
     .default_value = "0.5",
     .documentation = "How much of a log must be uncompacted before it is compacted.",
     .at_least = 0,
     .at_most = 1,
     .node_name = "log.cleaner.min.cleanable.ratio"},
    {.name = "min.compaction.lag.ms",
     .type = ConfigType::int64,
     .default_value = "0",
     .documentation = "How long a record stays as it is before compaction may touch it.",
     .at_least = 0,
     .node_name = "log.cleaner.min.compaction.lag.ms"},
    {.name = "min.insync.replicas",
     .type = ConfigType::int32,
     .default_value = "1",
     .documentation = "How many replicas must have a record before acks=all is answered.",
     .at_least = 1,
     .node_name = "min.insync.replicas"},
    {.name = "ottla.validation",
     .type = ConfigType::string,
     .default_value = "full",
     .documentation = "Of compressed batches: full looks at every record inside, header only at "
                      "the batch's header and CRC.",
     .one_of = "full|header",
     .node_name = "ottla.validation"},
    {.name = "preallocate",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Whether a new segment gets its space at once.",
     .node_name = "log.preallocate",
     .refused_because = "a segment takes its space as it grows"},
    {.name = "remote.log.copy.disable",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Stops the upload of segments to tiered storage."},
    {.name = "remote.log.delete.on.disable",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Whether tiered data goes when tiering is switched off."},
    {.name = "remote.storage.enable",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Tiered storage for the topic.",
     .refused_because = "there is no tiered storage yet"},
    {.name = "retention.bytes",
     .type = ConfigType::int64,
     .default_value = "-1",
     .documentation = "Size of a partition above which its oldest segments go; -1 for no limit.",
     .node_name = "log.retention.bytes"},
    {.name = "retention.ms",
     .type = ConfigType::int64,
     .default_value = "604800000",
     .documentation = "Age above which segments go; -1 for no limit.",
     .at_least = -1,
     .node_name = "log.retention.ms"},
    {.name = "segment.bytes",
     .type = ConfigType::int32,
     .default_value = "1073741824",
     .documentation = "Size at which a new segment begins.",
     .at_least = 1048576,
     .node_name = "log.segment.bytes"},
    {.name = "segment.index.bytes",
     .type = ConfigType::int32,
     .default_value = "10485760",
     .documentation = "Largest size of an index file.",
     .at_least = 4,
     .node_name = "log.index.size.max.bytes"},
    {.name = "segment.jitter.ms",
     .type = ConfigType::int64,
     .default_value = "0",
     .documentation = "Kafka's random part of segment.ms. Taken, and without effect here.",
     .at_least = 0,
     .node_name = "log.roll.jitter.ms"},
    {.name = "segment.ms",
     .type = ConfigType::int64,
     .default_value = "604800000",
     .documentation = "Age at which a new segment begins.",
     .at_least = 1,
     .node_name = "log.roll.ms"},
    {.name = "unclean.leader.election.enable",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation =
         "Whether a replica outside the in-sync set may lead, and acknowledged records be lost.",
     .node_name = "unclean.leader.election.enable"},
};
static_assert(std::ranges::is_sorted(kTopicConfigs, {}, &ConfigDefinition::name));

constexpr ConfigDefinition kBrokerConfigs[] = {
    {.name = "advertised.listeners",
     .type = ConfigType::string,
     .default_value = "",
     .documentation = "The addresses that clients are told. Without it, each client is told the "
                      "address that it used itself.",
     .is_read_only = true,
     .default_is_null = true},
    {.name = "auto.create.topics.enable",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether a topic that a client asks for is made.",
     .is_read_only = true},
    {.name = "auto.leader.rebalance.enable",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether leadership goes back to the preferred replica by itself.",
     .is_read_only = true},
    {.name = "broker.heartbeat.interval.ms",
     .type = ConfigType::int32,
     .default_value = "2000",
     .documentation = "How often a broker tells the controller that it lives.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "broker.rack",
     .type = ConfigType::string,
     .default_value = "",
     .documentation = "Where this node stands; replicas are spread over racks.",
     .is_read_only = true,
     .default_is_null = true},
    {.name = "broker.session.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "9000",
     .documentation = "How long the controller waits for a heartbeat before it fences a broker.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "compression.gzip.level",
     .type = ConfigType::int32,
     .default_value = "-1",
     .documentation = "Default of the topic config of that name.",
     .one_of = "-1|1|2|3|4|5|6|7|8|9"},
    {.name = "compression.lz4.level",
     .type = ConfigType::int32,
     .default_value = "9",
     .documentation = "Default of the topic config of that name.",
     .at_least = 1,
     .at_most = 17},
    {.name = "compression.type",
     .type = ConfigType::string,
     .default_value = "producer",
     .documentation = "Default of the topic config of that name.",
     .one_of = "uncompressed|zstd|lz4|snappy|gzip|producer"},
    {.name = "compression.zstd.level",
     .type = ConfigType::int32,
     .default_value = "3",
     .documentation = "Default of the topic config of that name.",
     .at_least = -131072,
     .at_most = 22},
    {.name = "connections.max.idle.ms",
     .type = ConfigType::int64,
     .default_value = "600000",
     .documentation = "A connection without a request for this long is closed.",
     .is_read_only = true},
    {.name = "controlled.shutdown.enable",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether a node hands over its leaderships before it stops.",
     .is_read_only = true},
    {.name = "controller.listener.names",
     .type = ConfigType::list,
     .default_value = "CONTROLLER",
     .documentation = "The listeners that serve controllers.",
     .is_read_only = true},
    {.name = "controller.quorum.election.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "1000",
     .documentation = "How long a candidate waits for votes.",
     .is_read_only = true},
    {.name = "controller.quorum.fetch.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "2000",
     .documentation = "How long a follower of the quorum goes without its leader.",
     .is_read_only = true},
    {.name = "default.replication.factor",
     .type = ConfigType::int32,
     .default_value = "1",
     .documentation = "Replicas of topics that are made without saying how many.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "delete.topic.enable",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether topics may be deleted.",
     .is_read_only = true},
    {.name = "fetch.max.bytes",
     .type = ConfigType::int32,
     .default_value = "57671680",
     .documentation = "The most that one Fetch answer holds.",
     .at_least = 1024,
     .is_read_only = true},
    {.name = "group.consumer.assignment.interval.ms",
     .type = ConfigType::int32,
     .default_value = "100",
     .documentation = "The least time between two assignments of a group of the consumer protocol: "
                      "members that come together are assigned together.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "group.consumer.heartbeat.interval.ms",
     .type = ConfigType::int32,
     .default_value = "5000",
     .documentation = "How often members of a group of the consumer protocol are told to send "
                      "heartbeats, once all have what they shall have.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "group.consumer.max.size",
     .type = ConfigType::int32,
     .default_value = "2147483647",
     .documentation = "Members of a group of the consumer protocol, at most.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "group.consumer.regex.refresh.interval.ms",
     .type = ConfigType::int32,
     .default_value = "600000",
     .documentation = "How old a group's list of topics that match a regular expression may be; "
                      "new topics are seen without it.",
     .at_least = 10'000,
     .is_read_only = true},
    {.name = "group.consumer.session.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "45000",
     .documentation = "After this long without a heartbeat a member of a group of the consumer "
                      "protocol is gone.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "group.initial.rebalance.delay.ms",
     .type = ConfigType::int32,
     .default_value = "3000",
     .documentation = "How long the first rebalance of a classic group waits for more members.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "group.max.session.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "1800000",
     .documentation = "The longest session timeout that a member of a classic group may ask for.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "group.max.size",
     .type = ConfigType::int32,
     .default_value = "2147483647",
     .documentation = "Members of a classic group, at most.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "group.min.session.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "6000",
     .documentation = "The shortest session timeout that a member of a classic group may ask for.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "listener.security.protocol.map",
     .type = ConfigType::string,
     .default_value = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
     .documentation = "Which protocol each listener speaks.",
     .is_read_only = true},
    {.name = "listeners",
     .type = ConfigType::list,
     .default_value = "PLAINTEXT://:9092",
     .documentation = "Where this node listens, as NAME://host:port.",
     .is_read_only = true},
    {.name = "log.cleaner.backoff.ms",
     .type = ConfigType::int64,
     .default_value = "15000",
     .documentation = "How long compaction pauses when there is nothing to compact.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "log.cleaner.dedupe.buffer.size",
     .type = ConfigType::int64,
     .default_value = "134217728",
     .documentation = "Memory for the keys of what is being compacted, of all shards together; it "
                      "is taken for a pass and given back after it.",
     .at_least = 1048576,
     .is_read_only = true},
    {.name = "log.cleaner.delete.retention.ms",
     .type = ConfigType::int64,
     .default_value = "86400000",
     .documentation = "Default of delete.retention.ms.",
     .at_least = 0},
    {.name = "log.cleaner.enable",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether compacted topics are compacted; without it they grow.",
     .is_read_only = true},
    {.name = "log.cleaner.io.max.bytes.per.second",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "How fast compaction reads, in each shard.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "log.cleaner.max.compaction.lag.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "Default of max.compaction.lag.ms.",
     .at_least = 1},
    {.name = "log.cleaner.min.cleanable.ratio",
     .type = ConfigType::float64,
     .default_value = "0.5",
     .documentation = "Default of min.cleanable.dirty.ratio.",
     .at_least = 0,
     .at_most = 1},
    {.name = "log.cleaner.min.compaction.lag.ms",
     .type = ConfigType::int64,
     .default_value = "0",
     .documentation = "Default of min.compaction.lag.ms.",
     .at_least = 0},
    {.name = "log.cleanup.policy",
     .type = ConfigType::list,
     .default_value = "delete",
     .documentation = "Default of cleanup.policy.",
     .one_of = "compact|delete"},
    {.name = "log.dirs",
     .type = ConfigType::list,
     .default_value = "data",
     .documentation = "The folders that hold the logs.",
     .is_read_only = true},
    {.name = "log.flush.interval.messages",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "Default of flush.messages.",
     .at_least = 1},
    {.name = "log.flush.interval.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "Default of flush.ms.",
     .at_least = 0,
     .default_is_null = true},
    {.name = "log.index.interval.bytes",
     .type = ConfigType::int32,
     .default_value = "4096",
     .documentation = "Default of index.interval.bytes.",
     .at_least = 0},
    {.name = "log.index.size.max.bytes",
     .type = ConfigType::int32,
     .default_value = "10485760",
     .documentation = "Default of segment.index.bytes.",
     .at_least = 4},
    {.name = "log.local.retention.bytes",
     .type = ConfigType::int64,
     .default_value = "-2",
     .documentation = "Default of local.retention.bytes.",
     .at_least = -2},
    {.name = "log.local.retention.ms",
     .type = ConfigType::int64,
     .default_value = "-2",
     .documentation = "Default of local.retention.ms.",
     .at_least = -2},
    {.name = "log.message.timestamp.after.max.ms",
     .type = ConfigType::int64,
     .default_value = "3600000",
     .documentation = "Default of message.timestamp.after.max.ms.",
     .at_least = 0},
    {.name = "log.message.timestamp.before.max.ms",
     .type = ConfigType::int64,
     .default_value = "9223372036854775807",
     .documentation = "Default of message.timestamp.before.max.ms.",
     .at_least = 0},
    {.name = "log.message.timestamp.type",
     .type = ConfigType::string,
     .default_value = "CreateTime",
     .documentation = "Default of message.timestamp.type.",
     .one_of = "CreateTime|LogAppendTime"},
    {.name = "log.preallocate",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Default of preallocate.",
     .refused_because = "a segment takes its space as it grows"},
    {.name = "log.retention.bytes",
     .type = ConfigType::int64,
     .default_value = "-1",
     .documentation = "Default of retention.bytes."},
    {.name = "log.retention.check.interval.ms",
     .type = ConfigType::int64,
     .default_value = "300000",
     .documentation = "How often old segments are looked for.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "log.retention.ms",
     .type = ConfigType::int64,
     .default_value = "604800000",
     .documentation = "Default of retention.ms.",
     .at_least = -1,
     .default_is_null = true},
    {.name = "log.roll.jitter.ms",
     .type = ConfigType::int64,
     .default_value = "0",
     .documentation = "Default of segment.jitter.ms.",
     .at_least = 0,
     .default_is_null = true},
    {.name = "log.roll.ms",
     .type = ConfigType::int64,
     .default_value = "604800000",
     .documentation = "Default of segment.ms.",
     .at_least = 1,
     .default_is_null = true},
    {.name = "log.segment.bytes",
     .type = ConfigType::int32,
     .default_value = "1073741824",
     .documentation = "Default of segment.bytes.",
     .at_least = 1048576},
    {.name = "log.segment.delete.delay.ms",
     .type = ConfigType::int64,
     .default_value = "60000",
     .documentation = "Default of file.delete.delay.ms.",
     .at_least = 0},
    {.name = "max.connections",
     .type = ConfigType::int32,
     .default_value = "100000",
     .documentation = "Connections that one shard serves at a time.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "max.incremental.fetch.session.cache.slots",
     .type = ConfigType::int32,
     .default_value = "1000",
     .documentation = "Fetch sessions kept by the node.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "max.request.partition.size.limit",
     .type = ConfigType::int32,
     .default_value = "2000",
     .documentation = "Partitions on one page of DescribeTopicPartitions.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "message.max.bytes",
     .type = ConfigType::int32,
     .default_value = "1048588",
     .documentation = "Default of max.message.bytes.",
     .at_least = 0},
    {.name = "min.insync.replicas",
     .type = ConfigType::int32,
     .default_value = "1",
     .documentation = "Default of the topic config of that name.",
     .at_least = 1},
    {.name = "node.id",
     .type = ConfigType::int32,
     .default_value = "1",
     .documentation = "The number of this node in its cluster.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "num.partitions",
     .type = ConfigType::int32,
     .default_value = "1",
     .documentation = "Partitions of topics that are made without saying how many.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "offset.metadata.max.bytes",
     .type = ConfigType::int32,
     .default_value = "4096",
     .documentation = "Bytes of the text that may be committed with an offset.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "offsets.retention.check.interval.ms",
     .type = ConfigType::int64,
     .default_value = "600000",
     .documentation = "How often offsets that nobody needs any more are looked for.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "offsets.retention.minutes",
     .type = ConfigType::int32,
     .default_value = "10080",
     .documentation = "How long committed offsets outlive the last member of their group.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "offsets.topic.num.partitions",
     .type = ConfigType::int32,
     .default_value = "50",
     .documentation = "Partitions of __consumer_offsets.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "offsets.topic.replication.factor",
     .type = ConfigType::int16,
     .default_value = "3",
     .documentation = "Replicas of __consumer_offsets. If it is not set: as many as there are "
                      "brokers, at most three.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "offsets.topic.segment.bytes",
     .type = ConfigType::int32,
     .default_value = "104857600",
     .documentation = "Bytes of a segment of __consumer_offsets.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "ottla.cluster.id",
     .type = ConfigType::string,
     .default_value = "",
     .documentation =
         "The cluster's id when an empty folder is formatted; made at random without it.",
     .is_read_only = true,
     .default_is_null = true},
    {.name = "ottla.disk.backend",
     .type = ConfigType::string,
     .default_value = "auto",
     .documentation =
         "How the disk is driven: io_uring, threads, or the better one that the kernel allows.",
     .one_of = "auto|io_uring|threads",
     .is_read_only = true},
    {.name = "ottla.disk.direct",
     .type = ConfigType::boolean,
     .default_value = "true",
     .documentation = "Whether the page cache is bypassed where the file system can.",
     .is_read_only = true},
    {.name = "ottla.group.consumer.unsettled.heartbeat.interval.ms",
     .type = ConfigType::int32,
     .default_value = "100",
     .documentation = "How often members of a group of the consumer protocol are told to send "
                      "heartbeats while not all have what they shall have; large groups less "
                      "often, about 1,000 heartbeats a second.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "ottla.scrub.bytes.per.second",
     .type = ConfigType::int64,
     .default_value = "4194304",
     .documentation =
         "How fast the background scrub of this node reads closed segments, to find what has "
         "rotted on the disk; 0 turns it off.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "ottla.scrub.interval.ms",
     .type = ConfigType::int64,
     .default_value = "604800000",
     .documentation =
         "A closed segment is scrubbed at most so often: seven days. After an unclean stop all "
         "are scrubbed at once, at the rate above.",
     .at_least = 1000,
     .at_most = 315'360'000'000,
     .is_read_only = true},
    {.name = "ottla.shards",
     .type = ConfigType::int32,
     .default_value = "0",
     .documentation = "Event loops; 0 for one a core.",
     .at_least = 0,
     .at_most = 1024,
     .is_read_only = true},
    {.name = "ottla.shutdown.grace.ms",
     .type = ConfigType::int64,
     .default_value = "5000",
     .documentation = "How long requests under way may take when the node stops.",
     .at_least = 0,
     .is_read_only = true},
    {.name = "ottla.validation",
     .type = ConfigType::string,
     .default_value = "full",
     .documentation = "Default of the topic config of that name.",
     .one_of = "full|header"},
    {.name = "producer.id.expiration.ms",
     .type = ConfigType::int32,
     .default_value = "86400000",
     .documentation = "How long an idle producer's sequence numbers are remembered; after that a "
                      "repeated batch is not recognised.",
     .at_least = 1},
    {.name = "queued.max.request.bytes",
     .type = ConfigType::int64,
     .default_value = "268435456",
     .documentation = "Memory that the requests of one shard may hold.",
     .is_read_only = true},
    {.name = "socket.request.max.bytes",
     .type = ConfigType::int32,
     .default_value = "104857600",
     .documentation = "The largest request.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "transaction.state.log.num.partitions",
     .type = ConfigType::int32,
     .default_value = "50",
     .documentation = "Partitions of __transaction_state.",
     .at_least = 1,
     .is_read_only = true},
    {.name = "unclean.leader.election.enable",
     .type = ConfigType::boolean,
     .default_value = "false",
     .documentation = "Default of the topic config of that name."},
};
static_assert(std::ranges::is_sorted(kBrokerConfigs, {}, &ConfigDefinition::name));

// Bounds are the defaults of Kafka's group.consumer.min.* and group.consumer.max.*.
constexpr ConfigDefinition kGroupConfigs[] = {
    {.name = "consumer.heartbeat.interval.ms",
     .type = ConfigType::int32,
     .default_value = "5000",
     .documentation = "How often members of a group of the consumer protocol tell that they live, "
                      "once all have what they shall have.",
     .at_least = 5000,
     .at_most = 15000,
     .node_name = "group.consumer.heartbeat.interval.ms"},
    {.name = "consumer.session.timeout.ms",
     .type = ConfigType::int32,
     .default_value = "45000",
     .documentation = "How long a member of a group of the consumer protocol may be silent.",
     .at_least = 45000,
     .at_most = 60000,
     .node_name = "group.consumer.session.timeout.ms"},
};
static_assert(std::ranges::is_sorted(kGroupConfigs, {}, &ConfigDefinition::name));

const ConfigDefinition* find(std::span<const ConfigDefinition> among, std::string_view name) {
  const auto found = std::ranges::lower_bound(among, name, {}, &ConfigDefinition::name);
  return found != among.end() && found->name == name ? &*found : nullptr;
}

std::string refusal(const ConfigDefinition& definition, std::string_view value,
                    std::string_view rule) {
  std::string text = "Invalid value ";
  text.append(value)
      .append(" for configuration ")
      .append(definition.name)
      .append(": ")
      .append(rule);
  return text;
}

std::string plain(double number) {
  const auto whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? std::to_string(whole) : std::to_string(number);
}

// "a|b" as "a, b".
std::string named(std::string_view choices) {
  std::string text;
  for (const char letter : choices)
    text += letter == '|' ? std::string(", ") : std::string(1, letter);
  return text;
}

bool is_one_of(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const std::size_t end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    choices = end == std::string_view::npos ? std::string_view() : choices.substr(end + 1);
  }
  return false;
}

// Whole numbers must fit their type exactly; from_chars says so.
template <class T>
std::expected<void, std::string> check_number(const ConfigDefinition& definition,
                                              std::string_view value, std::string_view type_name) {
  T number{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return std::unexpected(
        refusal(definition, value, std::string("Not a number of type ").append(type_name)));
  }
  if (!definition.one_of.empty() && !is_one_of(definition.one_of, value)) {
    return std::unexpected(
        refusal(definition, value, "Value must be one of: " + named(definition.one_of)));
  }
  const auto as_double = static_cast<double>(number);
  if (std::isnan(as_double)) {
    return std::unexpected(refusal(definition, value, "Value must be a number"));
  }
  if (as_double < definition.at_least) {
    return std::unexpected(
        refusal(definition, value, "Value must be at least " + plain(definition.at_least)));
  }
  if (as_double > definition.at_most) {
    return std::unexpected(
        refusal(definition, value, "Value must be no more than " + plain(definition.at_most)));
  }
  return {};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::span<const ConfigDefinition> topic_configs() { return kTopicConfigs; }
std::span<const ConfigDefinition> broker_configs() { return kBrokerConfigs; }
std::span<const ConfigDefinition> group_configs() { return kGroupConfigs; }
const ConfigDefinition* find_topic_config(std::string_view name) {
  return find(kTopicConfigs, name);
}
const ConfigDefinition* find_broker_config(std::string_view name) {
  return find(kBrokerConfigs, name);
}
const ConfigDefinition* find_group_config(std::string_view name) {
  return find(kGroupConfigs, name);
}

std::vector<std::string_view> list_items(std::string_view list) {
  std::vector<std::string_view> items;
  bool has_more = !trim(list).empty();
  while (has_more) {
    const std::size_t end = list.find(',');
    has_more = end != std::string_view::npos;
    items.push_back(trim(list.substr(0, end)));
    if (has_more) list.remove_prefix(end + 1);
  }
  return items;
}

std::string canonical_config(const ConfigDefinition& definition, std::string_view value) {
  std::string text(trim(value));
  if (definition.type == ConfigType::boolean) {
    std::ranges::transform(text, text.begin(), [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
  } else if (definition.type == ConfigType::list) {
    std::string joined;
    std::set<std::string_view> known;
    for (const std::string_view item : list_items(text)) {
      if (!known.insert(item).second) continue;
      if (known.size() > 1) joined += ',';
      joined += item;
    }
    return joined;
  }
  return text;
}

std::expected<void, std::string> validate_config(const ConfigDefinition& definition,
                                                 std::string_view value) {
  if (!definition.refused_because.empty() && value != definition.default_value) {
    return std::unexpected(refusal(definition, value, definition.refused_because));
  }
  switch (definition.type) {
    case ConfigType::boolean:
      if (value == "true" || value == "false") return {};
      return std::unexpected(
          refusal(definition, value, "Expected value to be either true or false"));
    case ConfigType::int16:
      return check_number<std::int16_t>(definition, value, "SHORT");
    case ConfigType::int32:
      return check_number<std::int32_t>(definition, value, "INT");
    case ConfigType::int64:
      return check_number<std::int64_t>(definition, value, "LONG");
    case ConfigType::float64:
      return check_number<double>(definition, value, "DOUBLE");
    case ConfigType::list:
      if (!definition.one_of.empty()) {
        for (const std::string_view item : list_items(value)) {
          if (!is_one_of(definition.one_of, item)) {
            return std::unexpected(refusal(
                definition, value, "each item must be one of: " + named(definition.one_of)));
          }
        }
      }
      return {};
    case ConfigType::string:
    case ConfigType::class_name:
    case ConfigType::password:
      if (!definition.one_of.empty() && !is_one_of(definition.one_of, value)) {
        return std::unexpected(
            refusal(definition, value, "String must be one of: " + named(definition.one_of)));
      }
      return {};
  }
  return {};
}

std::string_view nearest_config(std::span<const ConfigDefinition> among, std::string_view name) {
  constexpr std::size_t kNear = 4;  // more changes than this are another word
  std::string_view best;
  std::size_t best_distance = kNear + 1;
  for (const ConfigDefinition& definition : among) {
    // names come from clients: a long one costs nothing
    if (name.size() > definition.name.size() + kNear ||
        definition.name.size() > name.size() + kNear)
      continue;
    const std::size_t distance = edit_distance(name, definition.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = definition.name;
    }
  }
  return best;
}

}  // namespace ottla::metadata
