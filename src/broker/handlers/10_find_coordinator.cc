// FindCoordinator (key 10), v0 to v6: of a group, the leader of its partition of
// __consumer_offsets, which is made on first need. v1 has kinds of keys, v4 many keys. There are no
// transactions and no share groups yet: nobody coordinates those.
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "broker/advertised.h"
#include "broker/group_requests.h"
#include "broker/handlers/handlers.h"
#include "broker/topic_changes.h"
#include "coordinator/coordinator_key.h"
#include "wire/messages/find_coordinator_request.h"
#include "wire/messages/find_coordinator_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kBatchedFrom = 4;
constexpr std::int8_t kGroupKey = 0;
constexpr std::int8_t kShareKey = 2;  // 1 is for transactions
constexpr std::int32_t kCreateTimeoutMs = 30'000;
constexpr std::int16_t kReplicasMax = 3;  // of an internal topic whose factor is not set

struct Found {
  ErrorCode error = ErrorCode::none;
  std::string message;
  AdvertisedBroker broker;
};

Found refuse(ErrorCode error, std::string message) {
  return {.error = error, .message = std::move(message), .broker = {}};
}

// What went wrong, if anything: a topic that another node made meanwhile is as good.
io::Task<std::optional<std::string>> make_offsets_topic(Shard* shard, RequestContext* context) {
  const NodeConfig& config = shard->config;
  wire::CreateTopicsRequest request;
  request.timeout_ms = kCreateTimeoutMs;
  auto& topic = request.topics.emplace_back();
  topic.name = coordinator::kOffsetsTopic;
  topic.num_partitions = config.offsets_topic_partitions;
  const auto brokers = static_cast<std::int16_t>(
      std::min<std::size_t>(shard->image()->brokers.size(), kReplicasMax));
  topic.replication_factor =
      config.offsets_topic_replication_factor.value_or(std::max<std::int16_t>(brokers, 1));
  const auto set = [&](std::string name, std::string value) {
    auto& entry = topic.configs.emplace_back();
    entry.name = std::move(name);
    entry.value = std::move(value);
  };
  set("cleanup.policy", "compact");
  set("compression.type", "producer");
  set("segment.bytes", std::to_string(config.offsets_topic_segment_bytes));
  const auto made = co_await create_topics(*shard, make_create_topics(request, context->request),
                                           *context->peer, kCreateTimeoutMs, false);
  if (!made) co_return made.error().message;
  const auto& result = made->topics.front();
  const auto error = static_cast<ErrorCode>(result.error_code);
  if (error == ErrorCode::none || error == ErrorCode::topic_already_exists) co_return std::nullopt;
  co_return std::string(wire::error_name(error)) + ": " + result.error_message.value_or("");
}

Found find_group(const RequestContext& context, const std::string& group) {
  const Shard& shard = context.shard;
  const metadata::TopicImage* topic = shard.image()->topics->find(coordinator::kOffsetsTopic);
  if (!topic || topic->partitions.empty())
    return refuse(ErrorCode::coordinator_not_available, "__consumer_offsets is being made");
  const auto index = coordinator::coordinator_partition(
      group, static_cast<std::int32_t>(topic->partitions.size()));
  const NodeId leader = topic->partitions[static_cast<std::size_t>(index)].leader;
  const auto brokers = advertised_brokers(*shard.image(), shard.config, *context.peer);
  const auto broker = std::ranges::find(brokers, leader, &AdvertisedBroker::id);
  if (broker == brokers.end())
    return refuse(ErrorCode::coordinator_not_available, "the group's partition has no leader");
  return {.broker = *broker};
}

io::Task<void> serve(RequestContext context, wire::FindCoordinatorRequest request) {
  const bool is_batched = context.request.api_version >= kBatchedFrom;
  std::optional<std::string> failure;
  if (request.key_type == kGroupKey &&
      !context.shard.image()->topics->find(coordinator::kOffsetsTopic)) {
    failure = co_await make_offsets_topic(&context.shard, &context);
    if (failure) {
      context.shard.client_log.write(
          fmt::format("__consumer_offsets can't be made, so there are no groups: {}; set "
                      "offsets.topic.replication.factor to what the cluster can hold",
                      *failure));
    }
  }
  const auto find = [&](const std::string& key) {
    if (request.key_type < kGroupKey || request.key_type > kShareKey)
      return refuse(ErrorCode::invalid_request,
                    fmt::format("there are no keys of type {}", request.key_type));
    if (request.key_type != kGroupKey)
      return refuse(ErrorCode::coordinator_not_available,
                    "this broker serves no transactions and no share groups yet");
    if (failure) return refuse(ErrorCode::coordinator_not_available, *failure);
    return find_group(context, key);
  };
  wire::FindCoordinatorResponse response;
  if (!is_batched) {
    const Found found = find(request.key);
    response.error_code = static_cast<std::int16_t>(found.error);
    if (found.error != ErrorCode::none) response.error_message = found.message;
    response.node_id = found.broker.id;
    response.host = found.broker.host;
    response.port = found.error == ErrorCode::none ? found.broker.port : -1;
    context.answer(response);
    co_return;
  }
  for (const std::string& key : request.coordinator_keys) {
    const Found found = find(key);
    auto& coordinator = response.coordinators.emplace_back();
    coordinator.key = key;
    coordinator.node_id = found.broker.id;
    coordinator.host = found.broker.host;
    coordinator.port = found.error == ErrorCode::none ? found.broker.port : -1;
    coordinator.error_code = static_cast<std::int16_t>(found.error);
    if (found.error != ErrorCode::none) coordinator.error_message = found.message;
  }
  context.answer(response);
}

}  // namespace

void handle_find_coordinator(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
