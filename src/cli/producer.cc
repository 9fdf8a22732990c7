#include "cli/producer.h"

#include <fmt/format.h>
#include <set>

#include "cli/partitioner.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/init_producer_id_request.h"
#include "wire/messages/init_producer_id_response.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"

namespace ottla::cli {
namespace {

using wire::ErrorCode;

constexpr std::size_t kBatchBytes = 512 << 10;  // below every broker's message.max.bytes
constexpr std::size_t kGatheredBytes = 4 << 20;
constexpr io::Duration kTryTimeout = std::chrono::seconds(10);
constexpr io::Duration kCreationPatience = std::chrono::seconds(3);
constexpr io::Duration kRetryPause = std::chrono::milliseconds(100);
constexpr std::int16_t kProduceVersionMax = 12;  // the last that names topics by their names
constexpr std::int16_t kInitVersionMax = 4;

std::optional<ByteView> view_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}

}  // namespace

io::Task<Answer<>> Producer::learn_leaders() {
  auto topic = co_await cluster_.topic(settings_.topic, settings_.may_create_topic);
  if (!topic) co_return std::unexpected(std::move(topic.error()));
  leaders_.clear();
  for (const auto& partition : topic->partitions)
    leaders_.emplace(partition.partition_index, partition.leader_id);
  co_return Answer<>{};
}

io::Task<Answer<>> Producer::open() {
  const io::Instant deadline =
      cluster_.env().clock.now() + std::chrono::milliseconds(settings_.timeout_ms);
  // A topic that is made by asking for it is not there, or not led, at once. A broker that makes
  // none says the same.
  const io::Instant made_until = cluster_.env().clock.now() + kCreationPatience;
  for (;;) {
    auto learned = co_await learn_leaders();
    const bool is_led = learned && !leaders_.empty() && leaders_.begin()->second >= 0;
    if (is_led) break;
    const bool may_come =
        learned || learned.error().exit == ExitCode::unreachable ||
        (settings_.may_create_topic && learned.error().exit == ExitCode::not_found &&
         cluster_.env().clock.now() < made_until);
    if (!may_come || cluster_.env().clock.now() >= deadline) {
      if (!learned) co_return learned;
      co_return std::unexpected(ClusterError{
          ExitCode::unreachable, fmt::format("topic '{}' has no leader", settings_.topic)});
    }
    co_await io::sleep_for(cluster_.env().clock, kRetryPause);
  }
  if (settings_.acks != -1) co_return Answer<>{};
  for (;;) {
    auto got = co_await get_producer_id();
    const bool may_come = !got && got.error().exit == ExitCode::unreachable;
    if (!may_come || cluster_.env().clock.now() >= deadline) co_return got;
    co_await io::sleep_for(cluster_.env().clock, kRetryPause);
  }
}

io::Task<Answer<>> Producer::get_producer_id() {
  wire::InitProducerIdRequest request;
  request.transactional_id.reset();
  request.transaction_timeout_ms = INT32_MAX;
  auto link = co_await cluster_.any();
  if (!link) co_return std::unexpected(std::move(link.error()));
  auto answer =
      co_await (*link)->call<wire::InitProducerIdResponse>(std::move(request), kInitVersionMax);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->error_code != 0) {
    const bool is_retriable = wire::is_retriable(static_cast<ErrorCode>(answer->error_code));
    co_return std::unexpected(
        ClusterError{is_retriable ? ExitCode::unreachable : ExitCode::failed,
                     fmt::format("no producer id: {}", describe_code(answer->error_code))});
  }
  producer_id_ = answer->producer_id;
  producer_epoch_ = answer->producer_epoch;
  co_return Answer<>{};
}

PartitionIndex Producer::partition_for(const InputRecord& record) {
  if (record.partition) return *record.partition;
  if (record.key) return partition_of_key(as_bytes(*record.key), partition_count());
  if (!sticky_) {
    sticky_ = static_cast<PartitionIndex>(
        cluster_.env().random.below(static_cast<std::uint64_t>(partition_count())));
  }
  return *sticky_;
}

wire::BatchOptions Producer::batch_options(PartitionIndex partition) const {
  wire::BatchOptions options{.codec = settings_.codec};
  if (producer_id_ < 0) return options;
  const auto sequence = next_sequence_.find(partition);
  options.producer_id = producer_id_;
  options.producer_epoch = producer_epoch_;
  options.base_sequence = sequence == next_sequence_.end() ? 0 : sequence->second;
  return options;
}

Answer<> Producer::add(const InputRecord& record) {
  const PartitionIndex partition = partition_for(record);
  if (!leaders_.contains(partition)) {
    return std::unexpected(ClusterError{
        ExitCode::not_found, fmt::format("topic '{}' has no partition {}; it has {}",
                                         settings_.topic, partition, partition_count())});
  }
  std::vector<wire::RecordHeader> headers;
  headers.reserve(record.headers.size());
  for (const auto& [name, value] : record.headers) headers.push_back({name, view_of(value)});
  auto found = open_.find(partition);
  if (found == open_.end()) found = open_.try_emplace(partition, batch_options(partition)).first;
  wire::RecordBatchBuilder& builder = found->second;
  const std::size_t before = builder.uncompressed_size();
  builder.append({.timestamp = record.timestamp.value_or(cluster_.env().clock.wall_ms()),
                  .key = view_of(record.key),
                  .value = view_of(record.value),
                  .headers = headers});
  gathered_bytes_ += builder.uncompressed_size() - before;
  is_full_ =
      is_full_ || builder.uncompressed_size() >= kBatchBytes || gathered_bytes_ >= kGatheredBytes;
  return {};
}

io::Task<Answer<>> Producer::flush(std::function<void(const Stored&)> on_stored) {
  Batches unsent;
  for (auto& [partition, builder] : open_) {
    auto bytes = builder.build();
    if (!bytes) {
      co_return std::unexpected(
          ClusterError{ExitCode::failed,
                       fmt::format("a batch can't be made: {}", wire::describe(bytes.error()))});
    }
    if (producer_id_ >= 0) {
      Sequence& next = next_sequence_[partition];
      next = wire::sequence_plus(next, builder.record_count());
    }
    unsent.emplace(partition, Batch{std::move(*bytes), builder.record_count()});
  }
  open_.clear();
  sticky_.reset();
  gathered_bytes_ = 0;
  is_full_ = false;
  const io::Instant deadline =
      cluster_.env().clock.now() + std::chrono::milliseconds(settings_.timeout_ms);
  while (!unsent.empty()) {
    auto sent = co_await send_round(unsent, on_stored);
    if (!sent && sent.error().exit != ExitCode::unreachable) co_return sent;
    if (unsent.empty()) break;
    if (!sent) last_refusal_ = sent.error().message;
    if (cluster_.env().clock.now() >= deadline) {
      co_return std::unexpected(ClusterError{
          ExitCode::unreachable,
          fmt::format("{} partition(s) of '{}' could not be written within {} ms: {}",
                      unsent.size(), settings_.topic, settings_.timeout_ms, last_refusal_)});
    }
    co_await io::sleep_for(cluster_.env().clock, kRetryPause);
    if (auto learned = co_await learn_leaders(); !learned) last_refusal_ = learned.error().message;
  }
  co_return Answer<>{};
}

io::Task<Answer<>> Producer::send_round(Batches& unsent,
                                        const std::function<void(const Stored&)>& on_stored) {
  std::set<NodeId> leaders;
  for (const auto& [partition, batch] : unsent) {
    const auto leader = leaders_.find(partition);
    if (leader == leaders_.end() || leader->second < 0) {
      last_refusal_ = fmt::format("partition {} has no leader", partition);
    } else {
      leaders.insert(leader->second);
    }
  }
  for (const NodeId leader : leaders) {
    if (auto sent = co_await send_to(leader, unsent, on_stored); !sent) co_return sent;
  }
  co_return Answer<>{};
}

io::Task<Answer<>> Producer::send_to(NodeId leader, Batches& unsent,
                                     const std::function<void(const Stored&)>& on_stored) {
  auto link = co_await cluster_.broker(leader);
  if (!link) co_return std::unexpected(std::move(link.error()));
  wire::ProduceRequest request;
  request.acks = settings_.acks;
  request.timeout_ms = static_cast<std::int32_t>(settings_.timeout_ms);
  wire::ProduceRequest::TopicProduceData topic;
  topic.name = settings_.topic;
  for (const auto& [partition, batch] : unsent) {
    if (leaders_[partition] != leader) continue;
    wire::ProduceRequest::PartitionProduceData data;
    data.index = partition;
    data.records = wire::Records(batch.bytes);
    topic.partition_data.push_back(std::move(data));
  }
  std::vector<PartitionIndex> asked;
  asked.reserve(topic.partition_data.size());
  for (const auto& data : topic.partition_data) asked.push_back(data.index);
  request.topic_data.push_back(std::move(topic));

  if (settings_.acks == 0) {
    const auto version = (*link)->version_of<wire::ProduceRequest>(kProduceVersionMax);
    if (!version) co_return std::unexpected(version.error());
    rpc::Client& client = (*link)->client();
    auto frame = wire::request_frame(client.next_correlation(), "ottla-cli", request, *version);
    if (!frame) {
      co_return std::unexpected(ClusterError{ExitCode::failed, frame.error().to_string()});
    }
    if (auto sent = co_await client.send_only(std::move(*frame)); !sent)
      co_return std::unexpected(ClusterError{ExitCode::unreachable, sent.error().message});
    // Answered behind it, so that all of it has left before this process ends.
    auto behind = co_await (*link)->call<wire::ApiVersionsResponse>(wire::ApiVersionsRequest(), 0);
    if (!behind) co_return std::unexpected(std::move(behind.error()));
    for (const PartitionIndex partition : asked) {
      on_stored({partition, -1, unsent.at(partition).records});
      unsent.erase(partition);
    }
    co_return Answer<>{};
  }

  auto answer = co_await (*link)->call<wire::ProduceResponse>(std::move(request),
                                                              kProduceVersionMax, kTryTimeout);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  for (const auto& one : answer->responses) {
    for (const auto& partition : one.partition_responses) {
      const auto batch = unsent.find(partition.index);
      if (batch == unsent.end()) continue;
      const auto code = static_cast<ErrorCode>(partition.error_code);
      if (code == ErrorCode::none || code == ErrorCode::duplicate_sequence_number) {
        on_stored({partition.index, partition.base_offset, batch->second.records});
        unsent.erase(batch);
        continue;
      }
      last_refusal_ = describe_code(partition.error_code, partition.error_message);
      if (wire::is_retriable(code)) continue;
      co_return std::unexpected(
          ClusterError{ExitCode::failed,
                       fmt::format("partition {} of '{}' refuses {} record(s): {}", partition.index,
                                   settings_.topic, batch->second.records, last_refusal_)});
    }
  }
  co_return Answer<>{};
}

}  // namespace ottla::cli
