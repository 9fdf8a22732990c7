// DescribeCluster (key 60), v0 to v2: brokers and controller. v1 asks for a type of endpoint, v2
// for fenced brokers.
#include "broker/advertised.h"
#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "wire/messages/describe_cluster_request.h"
#include "wire/messages/describe_cluster_response.h"

namespace ottla::broker {

void handle_describe_cluster(RequestContext context) {
  constexpr std::int8_t kEndpointBrokers = 1;
  constexpr std::int8_t kEndpointControllers = 2;
  const auto request = context.decode<wire::DescribeClusterRequest>();
  if (!request) return;
  Shard& shard = context.shard;
  const metadata::ImagePtr image = shard.image();
  wire::DescribeClusterResponse response;
  response.cluster_id = image->cluster_id;
  if (request->endpoint_type != kEndpointBrokers) {
    const bool is_known = request->endpoint_type == kEndpointControllers;
    response.error_code =
        static_cast<std::int16_t>(is_known ? wire::ErrorCode::mismatched_endpoint_type
                                           : wire::ErrorCode::unsupported_endpoint_type);
    response.error_message =
        is_known ? "this is a broker: ask a controller for the endpoints of controllers"
                 : "there is no such type of endpoint";
    response.endpoint_type = kEndpointBrokers;
    return context.answer(response);
  }
  response.controller_id = shard.config.node_id;
  for (const AdvertisedBroker& broker :
       advertised_brokers(*image, shard.config, *context.peer, request->include_fenced_brokers)) {
    auto& answer = response.brokers.emplace_back();
    answer.broker_id = broker.id;
    answer.host = broker.host;
    answer.port = broker.port;
    answer.rack = broker.rack;
    answer.is_fenced = broker.is_fenced;
  }
  response.cluster_authorized_operations =
      request->include_cluster_authorized_operations ? kClusterOperationsAll : kOperationsNotAsked;
  context.answer(response);
}

}  // namespace ottla::broker
