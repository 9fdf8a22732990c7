// AlterConfigs and IncrementalAlterConfigs alike: what only the broker that was asked can check,
// the way to the controller, and the wait until this node goes by what was changed.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "broker/topic_changes.h"

namespace ottla::broker {

// What was changed is durable then, so a node that needs longer is late and not wrong.
inline constexpr io::Duration kConfigsSeenPatience = std::chrono::seconds(5);

// Why a broker's configs can't be changed here: they belong to one broker, which must be this one;
// nullopt for what the controller may decide.
std::optional<std::string> not_for_this_broker(const Shard& shard, std::int8_t resource_type,
                                               const std::string& resource_name);

template <class Request, class Response>
io::Task<void> alter_configs(RequestContext context, Request request) {
  std::map<std::pair<std::int8_t, std::string>, std::string> refused;
  Request rest;
  rest.validate_only = request.validate_only;
  for (const auto& resource : request.resources) {
    auto why = not_for_this_broker(context.shard, resource.resource_type, resource.resource_name);
    if (why)
      refused.insert_or_assign({resource.resource_type, resource.resource_name}, std::move(*why));
    else
      rest.resources.push_back(resource);
  }
  rpc::Request forwarded = context.request;
  if (!refused.empty()) {
    auto frame = wire::request_frame(forwarded.correlation_id, forwarded.client_id, rest,
                                     forwarded.api_version);
    OTTLA_CHECK(frame.has_value());  // less of what could be read
    forwarded = on_behalf_of(forwarded, frame->flatten());
  }
  const std::int16_t version = context.request.api_version;
  auto body = co_await context.shard.controller.forward(std::move(forwarded), *context.peer);
  std::string failure;
  Response decided;
  if (body) {
    auto response = wire::decode<Response>(std::move(*body), version);
    if (response)
      decided = std::move(*response);
    else
      failure = response.error().to_string();
  } else {
    failure = body.error().message;
  }
  const bool has_changed =
      !request.validate_only &&
      std::ranges::any_of(decided.responses, [](const auto& one) { return one.error_code == 0; });
  if (has_changed) {
    const io::Instant deadline = context.shard.env.clock.now() + kConfigsSeenPatience;
    (void)co_await context.shard.controller.catch_up(deadline);
  }

  std::map<std::pair<std::int8_t, std::string>, typename Response::AlterConfigsResourceResponse>
      of_controller;
  for (auto& one : decided.responses)
    of_controller.insert_or_assign({one.resource_type, one.resource_name}, one);
  Response response;
  for (const auto& resource : request.resources) {
    auto& answer = response.responses.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    answer.error_message = std::nullopt;
    const auto why = refused.find({resource.resource_type, resource.resource_name});
    if (why != refused.end()) {
      answer.error_code = static_cast<std::int16_t>(wire::ErrorCode::invalid_request);
      answer.error_message = why->second;
      continue;
    }
    const auto decision = of_controller.find({resource.resource_type, resource.resource_name});
    if (decision != of_controller.end()) {
      answer = decision->second;
    } else {
      answer.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
      answer.error_message = "the controller did not answer: " + failure;
    }
  }
  context.answer(response);
}

}  // namespace ottla::broker
