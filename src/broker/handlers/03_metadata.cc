// Metadata (key 3), v0 to v13: brokers, and topics with their leaders. v1 knows the controller and
// null for all topics, v4 lets the client forbid auto-creation, v8 asks for authorized operations,
// v10 has topic ids, v12 looks up by id, v13 has a top-level error.
//
// A topic that is missing is created when both the client and auto.create.topics.enable allow it,
// and the answer then shows it: Kafka answers at once with an error upon which clients ask again.
#include <algorithm>
#include <set>

#include "broker/advertised.h"
#include "broker/handlers/handlers.h"
#include "broker/refusals.h"
#include "broker/topic_answer.h"
#include "broker/topic_changes.h"
#include "wire/messages/metadata_request.h"
#include "wire/messages/metadata_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using TopicAnswer = wire::MetadataResponse::MetadataResponseTopic;

constexpr std::int16_t kAllTopicsIsNullFrom = 1;
constexpr std::int16_t kNullNameFrom = 12;
constexpr std::int32_t kAutoCreateTimeoutMs = 30'000;

TopicAnswer describe_topic(const metadata::Image& image, const metadata::TopicImage& topic,
                           bool with_operations) {
  TopicAnswer answer;
  answer.name = topic.name;
  answer.topic_id = topic.id;
  answer.is_internal = is_internal_topic(topic.name);
  answer.topic_authorized_operations = with_operations ? kTopicOperationsAll : kOperationsNotAsked;
  answer.partitions.reserve(topic.partitions.size());
  for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
    describe_partition(image, topic.partitions[index], static_cast<std::int32_t>(index),
                       answer.partitions.emplace_back());
  }
  return answer;
}

TopicAnswer refuse_topic(std::optional<std::string> name, const Uuid& id, ErrorCode error) {
  TopicAnswer answer;
  answer.error_code = static_cast<std::int16_t>(error);
  answer.name = std::move(name);
  answer.topic_id = id;
  return answer;
}

// Creates what is missing; gives the error of each topic that could not be made.
io::Task<std::map<std::string, ErrorCode>> create_missing(Shard* shard,
                                                          const RequestContext* context,
                                                          std::set<std::string> names) {
  std::map<std::string, ErrorCode> errors;
  wire::CreateTopicsRequest request;
  request.timeout_ms = kAutoCreateTimeoutMs;
  for (const std::string& name : names) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = shard->config.num_partitions;
    topic.replication_factor = shard->config.default_replication_factor;
  }
  const auto made = co_await create_topics(*shard, make_create_topics(request, context->request),
                                           *context->peer, kAutoCreateTimeoutMs, false);
  if (!made) {
    for (const std::string& name : names) errors[name] = ErrorCode::unknown_topic_or_partition;
    co_return errors;
  }
  for (const auto& topic : made->topics) {
    const auto error = static_cast<ErrorCode>(topic.error_code);
    if (error == ErrorCode::none || error == ErrorCode::topic_already_exists) continue;
    errors[topic.name] =
        error == ErrorCode::invalid_topic_exception ? error : ErrorCode::unknown_topic_or_partition;
  }
  co_return errors;
}

io::Task<void> serve(RequestContext context, wire::MetadataRequest request) {
  Shard& shard = context.shard;
  const std::int16_t version = context.request.api_version;
  const bool wants_all =
      !request.topics || (version < kAllTopicsIsNullFrom && request.topics->empty());

  std::map<std::string, ErrorCode> errors;
  if (!wants_all && request.allow_auto_topic_creation && shard.config.auto_create_topics) {
    std::set<std::string> missing;
    for (const auto& topic : *request.topics) {
      if (!topic.topic_id.is_zero() || !topic.name || is_internal_topic(*topic.name)) continue;
      const bool is_there = shard.image()->topics->find(*topic.name) != nullptr;
      if (!is_there && missing_topic_error(*topic.name) == ErrorCode::unknown_topic_or_partition) {
        missing.insert(*topic.name);
      }
    }
    if (!missing.empty()) errors = co_await create_missing(&shard, &context, std::move(missing));
  }

  const metadata::ImagePtr image = shard.image();
  wire::MetadataResponse response;
  Refusals refusals;
  for (const AdvertisedBroker& broker : advertised_brokers(*image, shard.config, *context.peer)) {
    auto& answer = response.brokers.emplace_back();
    answer.node_id = broker.id;
    answer.host = broker.host;
    answer.port = broker.port;
    answer.rack = broker.rack;
  }
  response.cluster_id = image->cluster_id;
  // Clients send what is for the controller to any broker, which forwards it.
  response.controller_id = shard.config.node_id;
  response.cluster_authorized_operations =
      request.include_cluster_authorized_operations ? kClusterOperationsAll : kOperationsNotAsked;
  const bool with_operations = request.include_topic_authorized_operations;
  if (wants_all) {
    for (const auto& [name, topic] : image->topics->by_name()) {
      response.topics.push_back(describe_topic(*image, *topic, with_operations));
    }
  } else {
    for (const auto& wanted : *request.topics) {
      const bool by_id = !wanted.topic_id.is_zero();
      const metadata::TopicImage* topic = by_id         ? image->topics->find(wanted.topic_id)
                                          : wanted.name ? image->topics->find(*wanted.name)
                                                        : nullptr;
      if (topic) {
        response.topics.push_back(describe_topic(*image, *topic, with_operations));
      } else if (by_id || !wanted.name) {
        // a null name can be said from v12 on
        auto name = version >= kNullNameFrom ? std::optional<std::string>() : std::string();
        response.topics.push_back(
            refuse_topic(std::move(name), wanted.topic_id, ErrorCode::unknown_topic_id));
        refusals.add(ErrorCode::unknown_topic_id, wanted.topic_id.to_string());
      } else {
        const auto failed = errors.find(*wanted.name);
        const ErrorCode error =
            failed != errors.end() ? failed->second : missing_topic_error(*wanted.name);
        response.topics.push_back(refuse_topic(wanted.name, {}, error));
        refusals.add(error, *wanted.name);
      }
    }
  }
  refusals.write(context);
  context.answer(response);
}

}  // namespace

void handle_metadata(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
