#include "cli/consumer.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "wire/compression.h"
#include "wire/control_record.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"
#include "wire/record.h"

namespace ottla::cli {
namespace {

using wire::ErrorCode;
using FetchedPartition = wire::FetchResponse::PartitionData;
using Aborted = wire::FetchResponse::AbortedTransaction;

constexpr std::int64_t kEarliest = -2, kLatest = -1;
constexpr std::int16_t kFetchVersionMax = 12;  // the last that names topics by their names
constexpr std::int32_t kFetchWaitMs = 500;
constexpr std::int32_t kFetchBytes = 16 << 20;
constexpr std::int32_t kPartitionBytes = 1 << 20;
constexpr int kLeaderTriesMax = 50;
constexpr io::Duration kRetryPause = std::chrono::milliseconds(200);

struct Position {
  NodeId leader = -1;
  Offset next = 0;
  Offset end = INT64_MAX;  // where reading ends, without --follow
  bool is_done() const { return next >= end; }
};

class Reading {
 public:
  Reading(Cluster& cluster, const ConsumerSettings& settings, OnRecord on_record, OnPause on_pause)
      : cluster_(cluster),
        settings_(settings),
        on_record_(std::move(on_record)),
        on_pause_(std::move(on_pause)) {}

  io::Task<Answer<>> run() {
    if (auto found = co_await find_partitions(); !found) co_return found;
    if (auto placed = co_await place_all(); !placed) co_return placed;
    int failures = 0;
    while (!is_over()) {
      auto round = co_await read_round();
      if (round) {
        failures = 0;
        continue;
      }
      if (round.error().exit != ExitCode::unreachable || ++failures > kLeaderTriesMax)
        co_return round;
      co_await io::sleep_for(cluster_.env().clock, kRetryPause);
      if (auto found = co_await find_partitions(); !found && failures == kLeaderTriesMax)
        co_return found;
    }
    co_return Answer<>{};
  }

 private:
  bool is_over() const {
    if (stopped_ || (settings_.count > 0 && printed_ >= settings_.count)) return true;
    return std::ranges::all_of(positions_, [](const auto& one) { return one.second.is_done(); });
  }

  // Who leads what; later calls only update the leaders.
  io::Task<Answer<>> find_partitions() {
    auto topic = co_await cluster_.topic(settings_.topic);
    if (!topic) co_return std::unexpected(std::move(topic.error()));
    std::map<PartitionIndex, NodeId> leaders;
    for (const auto& partition : topic->partitions)
      leaders.emplace(partition.partition_index, partition.leader_id);
    std::vector<PartitionIndex> wanted = settings_.partitions;
    if (wanted.empty()) {
      for (const auto& [partition, leader] : leaders) wanted.push_back(partition);
    }
    for (const PartitionIndex partition : wanted) {
      const auto leader = leaders.find(partition);
      if (leader == leaders.end()) {
        co_return std::unexpected(ClusterError{
            ExitCode::not_found, fmt::format("topic '{}' has no partition {}; it has {}",
                                             settings_.topic, partition, leaders.size())});
      }
      positions_[partition].leader = leader->second;
    }
    co_return Answer<>{};
  }

  std::set<NodeId> leaders() const {
    std::set<NodeId> found;
    for (const auto& [partition, position] : positions_) {
      if (!position.is_done() && position.leader >= 0) found.insert(position.leader);
    }
    return found;
  }

  // --- where to begin and to end

  io::Task<Answer<>> place_all() {
    using Kind = OffsetSpec::Kind;
    std::map<PartitionIndex, Offset> starts, ends;
    for (const NodeId leader : leaders()) {
      for (const auto& [timestamp, into] : {std::pair(kEarliest, &starts), {kLatest, &ends}}) {
        if (auto asked = co_await ask(leader, timestamp, *into); !asked) co_return asked;
      }
    }
    std::map<PartitionIndex, Offset> at_time;
    if (settings_.from.kind == Kind::timestamp) {
      for (const NodeId leader : leaders()) {
        if (auto asked = co_await ask(leader, settings_.from.number, at_time); !asked)
          co_return asked;
      }
    }
    for (auto& [partition, position] : positions_) {
      if (!ends.contains(partition)) {
        co_return std::unexpected(ClusterError{
            ExitCode::unreachable,
            fmt::format("partition {} of '{}' has no leader", partition, settings_.topic)});
      }
      const Offset start = starts[partition];
      const Offset end = ends[partition];
      if (!settings_.follow) position.end = end;
      switch (settings_.from.kind) {
        case Kind::start:
          position.next = start;
          break;
        case Kind::end:
          position.next = end;
          break;
        case Kind::absolute:
          position.next = settings_.from.number;
          break;
        case Kind::last:
          position.next = std::max(start, end - settings_.from.number);
          break;
        case Kind::timestamp:  // -1: nothing is that young
          position.next = at_time[partition] < 0 ? end : at_time[partition];
          break;
      }
      if (position.next < start || position.next > end) {
        co_return std::unexpected(
            ClusterError{ExitCode::not_found,
                         fmt::format("partition {} of '{}' holds offsets {} to {}, and not {}",
                                     partition, settings_.topic, start, end, position.next)});
      }
    }
    co_return Answer<>{};
  }

  io::Task<Answer<>> ask(NodeId leader, std::int64_t timestamp,
                         std::map<PartitionIndex, Offset>& into) {
    auto link = co_await cluster_.broker(leader);
    if (!link) co_return std::unexpected(std::move(link.error()));
    wire::ListOffsetsRequest request;
    request.replica_id = -1;
    request.isolation_level = settings_.committed_only ? 1 : 0;
    wire::ListOffsetsRequest::ListOffsetsTopic topic;
    topic.name = settings_.topic;
    for (const auto& [partition, position] : positions_) {
      if (position.leader != leader) continue;
      wire::ListOffsetsRequest::ListOffsetsPartition one;
      one.partition_index = partition;
      one.timestamp = timestamp;
      topic.partitions.push_back(one);
    }
    request.topics.push_back(std::move(topic));
    auto answer = co_await (*link)->call<wire::ListOffsetsResponse>(std::move(request));
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    for (const auto& answered : answer->topics) {
      for (const auto& one : answered.partitions) {
        if (one.error_code != 0) {
          co_return std::unexpected(ClusterError{
              ExitCode::failed, fmt::format("partition {} of '{}': {}", one.partition_index,
                                            settings_.topic, describe_code(one.error_code))});
        }
        into[one.partition_index] = one.offset;
      }
    }
    co_return Answer<>{};
  }

  // --- reading

  // Asks every leader once, all at the same time.
  io::Task<Answer<>> read_round() {
    const std::set<NodeId> asked = leaders();
    if (asked.empty()) {
      co_return std::unexpected(
          ClusterError{ExitCode::unreachable, fmt::format("'{}' has no leader", settings_.topic)});
    }
    if (asked.size() == 1) co_return co_await read_from(*asked.begin());
    io::TaskGroup group(cluster_.env().executor);
    Answer<> result;
    for (const NodeId leader : asked) group.spawn(read_into(*this, leader, result));
    co_await group.join();
    co_return result;
  }

  static io::Task<void> read_into(Reading& reading, NodeId leader, Answer<>& result) {
    auto read = co_await reading.read_from(leader);
    if (!read) result = std::move(read);
  }

  io::Task<Answer<>> read_from(NodeId leader) {
    auto link = co_await cluster_.broker(leader);
    if (!link) co_return std::unexpected(std::move(link.error()));
    auto answer =
        co_await (*link)->call<wire::FetchResponse>(make_request(leader), kFetchVersionMax);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    if (answer->error_code != 0) {
      co_return std::unexpected(ClusterError{ExitCode::failed, describe_code(answer->error_code)});
    }
    Answer<> result;
    for (auto& topic : answer->responses) {
      for (FetchedPartition& fetched : topic.partitions) {
        const auto position = positions_.find(fetched.partition_index);
        if (position == positions_.end()) continue;
        auto taken = take(position->first, position->second, fetched);
        if (!taken) result = std::move(taken);
      }
    }
    if (!on_pause_()) stopped_ = true;
    co_return result;
  }

  wire::FetchRequest make_request(NodeId leader) const {
    wire::FetchRequest request;
    request.max_wait_ms = kFetchWaitMs;
    request.min_bytes = 1;
    request.max_bytes = kFetchBytes;
    request.isolation_level = settings_.committed_only ? 1 : 0;
    wire::FetchRequest::FetchTopic topic;
    topic.topic = settings_.topic;
    for (const auto& [partition, position] : positions_) {
      if (position.leader != leader || position.is_done()) continue;
      wire::FetchRequest::FetchPartition one;
      one.partition = partition;
      one.fetch_offset = position.next;
      one.partition_max_bytes = kPartitionBytes;
      topic.partitions.push_back(one);
    }
    request.topics.push_back(std::move(topic));
    return request;
  }

  Answer<> take(PartitionIndex partition, Position& position, FetchedPartition& fetched) {
    if (fetched.error_code != 0) {
      const auto code = static_cast<ErrorCode>(fetched.error_code);
      return std::unexpected(ClusterError{
          wire::is_retriable(code) ? ExitCode::unreachable : ExitCode::failed,
          fmt::format("partition {} of '{}' at offset {}: {}", partition, settings_.topic,
                      position.next, describe_code(fetched.error_code))});
    }
    if (fetched.records.is_null()) return {};
    const Slice bytes = fetched.records.flatten();
    std::vector<Aborted> aborted;
    if (fetched.aborted_transactions) aborted = std::move(*fetched.aborted_transactions);
    std::ranges::sort(aborted, {}, &Aborted::first_offset);
    std::set<ProducerId> aborting;  // producers whose present transaction was aborted
    std::size_t next_aborted = 0;
    std::size_t batches = 0;
    wire::BatchCursor cursor(bytes);
    for (wire::Batch batch; cursor.next(batch) && !is_over(); ++batches) {
      while (next_aborted < aborted.size() &&
             aborted[next_aborted].first_offset <= batch.header.last_offset()) {
        aborting.insert(aborted[next_aborted++].producer_id);
      }
      if (batch.header.is_control()) {
        const auto key = wire::first_control_key(batch);
        if (key && key->type == wire::ControlRecordType::abort)
          aborting.erase(batch.header.producer_id);
      } else if (!wire::crc_matches(batch.bytes)) {
        return broken(partition, batch.header.base_offset, "its CRC is wrong");
      } else if (!(settings_.committed_only && batch.header.is_transactional() &&
                   aborting.contains(batch.header.producer_id))) {
        if (auto printed = print_batch(partition, position, batch); !printed) return printed;
      }
      position.next = std::max(position.next, batch.header.next_offset());
    }
    const bool is_cut = cursor.error() == wire::BatchError::truncated;
    if (cursor.error() && !(is_cut && batches > 0))
      return broken(partition, position.next, std::string(wire::describe(*cursor.error())));
    return {};
  }

  std::unexpected<ClusterError> broken(PartitionIndex partition, Offset offset, std::string why) {
    return std::unexpected(
        ClusterError{ExitCode::failed,
                     fmt::format("partition {} of '{}': the batch at offset {} can't be read: {}",
                                 partition, settings_.topic, offset, why)});
  }

  Answer<> print_batch(PartitionIndex partition, const Position& position,
                       const wire::Batch& batch) {
    ByteView records = batch.records();
    Slice plain;
    if (batch.header.is_compressed()) {
      const auto codec = batch.header.codec();
      auto decompressed = codec ? wire::decompress(*codec, records, wire::kDecompressedBytesMax)
                                : std::expected<Slice, wire::BatchError>(
                                      std::unexpected(wire::BatchError::unknown_codec));
      if (!decompressed) {
        return broken(partition, batch.header.base_offset,
                      std::string(wire::describe(decompressed.error())));
      }
      plain = std::move(*decompressed);
      records = plain;
    }
    wire::RecordCursor cursor(records, batch.header.record_count);
    for (wire::Record record; cursor.next(record);) {
      const Offset offset = wire::record_offset(batch.header, record);
      if (offset < position.next || offset >= position.end) continue;
      if (settings_.count > 0 && printed_ >= settings_.count) return {};
      PrintedRecord printed{.topic = settings_.topic,
                            .partition = partition,
                            .offset = offset,
                            .timestamp = wire::record_timestamp(batch.header, record),
                            .key = record.key,
                            .value = record.value,
                            .headers = {}};
      wire::HeaderCursor headers(record);
      for (wire::RecordHeader header; headers.next(header);)
        printed.headers.emplace_back(header.key, header.value);
      on_record_(printed);
      ++printed_;
    }
    if (cursor.error()) {
      return broken(partition, batch.header.base_offset,
                    std::string(wire::describe(*cursor.error())));
    }
    return {};
  }

  Cluster& cluster_;
  const ConsumerSettings& settings_;
  OnRecord on_record_;
  OnPause on_pause_;
  std::map<PartitionIndex, Position> positions_;
  std::int64_t printed_ = 0;
  bool stopped_ = false;
};

}  // namespace

io::Task<Answer<>> consume_topic(Cluster& cluster, ConsumerSettings settings, OnRecord on_record,
                                 OnPause on_pause) {
  Reading reading(cluster, settings, std::move(on_record), std::move(on_pause));
  co_return co_await reading.run();
}

}  // namespace ottla::cli
