#include "metadata/broker_lifecycle.h"

#include <fmt/format.h>

#include "metadata/wire_fields.h"
#include "wire/errors.h"
#include "wire/messages/broker_heartbeat_request.h"
#include "wire/messages/broker_heartbeat_response.h"
#include "wire/messages/broker_registration_request.h"
#include "wire/messages/broker_registration_response.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kRegistrationVersion = 4;
constexpr std::int16_t kHeartbeatVersion = 2;
constexpr io::Duration kRequestTimeout = std::chrono::seconds(5);
constexpr io::Duration kRetryPause = std::chrono::milliseconds(20);
constexpr io::Duration kImagePatience = std::chrono::milliseconds(500);

}  // namespace

BrokerLifecycle::BrokerLifecycle(io::Env& env, ControllerLink& link, LifecycleOptions options,
                                 std::function<Offset()> applied_offset, io::Event& advanced)
    : env_(env),
      options_(std::move(options)),
      applied_offset_(std::move(applied_offset)),
      advanced_(advanced),
      channel_(env, link, fmt::format("{}", options_.node_id)),
      stop_(env.executor),
      stopped_(env.executor) {}

io::Task<io::Result<>> BrokerLifecycle::register_broker() {
  const io::Instant give_up = env_.clock.now() + options_.registration_timeout;
  while (true) {
    wire::BrokerRegistrationRequest request;
    request.broker_id = options_.node_id;
    request.cluster_id = options_.cluster_id;
    request.incarnation_id = options_.incarnation_id;
    request.log_dirs = options_.directories;
    request.rack = options_.rack;
    request.previous_broker_epoch = options_.previous_epoch;
    add_endpoints(request.listeners, options_.endpoints);
    add_supported_features(request.features);
    auto client = co_await channel_.client();
    std::string fault;
    if (client) {
      auto response = co_await (*client)->call<wire::BrokerRegistrationResponse>(
          std::move(request), kRegistrationVersion, kRequestTimeout);
      if (response && response->error_code == 0) {
        epoch_ = response->broker_epoch;
        break;
      }
      if (response) {
        const auto error = static_cast<ErrorCode>(response->error_code);
        fault = fmt::format("the controller refuses this broker: {}", wire::error_name(error));
        const bool heals =
            error == ErrorCode::duplicate_broker_registration || error == ErrorCode::not_controller;
        if (!heals) co_return std::unexpected(io::Error{io::ErrorKind::invalid, fault});
      } else {
        fault = response.error().message;
      }
    } else {
      fault = client.error().message;
    }
    if (env_.clock.now() >= give_up || env_.stop.is_set()) {
      co_return std::unexpected(io::Error{io::ErrorKind::timed_out, fault});
    }
    co_await io::sleep_for(env_.clock, kRetryPause);
  }
  while (applied_offset_() < epoch_) {
    advanced_.reset();
    if (!co_await advanced_.wait_until(env_.clock, env_.clock.now() + kImagePatience) &&
        (env_.clock.now() >= give_up || env_.stop.is_set())) {
      co_return std::unexpected(io::Error{
          io::ErrorKind::timed_out, "this broker's own registration does not come back to it"});
    }
  }
  co_return io::Result<>{};
}

io::Task<io::Result<BrokerLifecycle::Answer>> BrokerLifecycle::heartbeat(bool want_fence,
                                                                         bool want_shut_down) {
  auto client = co_await channel_.client();
  if (!client) co_return std::unexpected(client.error());
  wire::BrokerHeartbeatRequest request;
  request.broker_id = options_.node_id;
  request.broker_epoch = epoch_;
  request.current_metadata_offset = applied_offset_();
  request.want_fence = want_fence;
  request.want_shut_down = want_shut_down;
  auto response = co_await (*client)->call<wire::BrokerHeartbeatResponse>(
      std::move(request), kHeartbeatVersion, kRequestTimeout);
  if (!response) co_return std::unexpected(response.error());
  const auto error = static_cast<ErrorCode>(response->error_code);
  if (error == ErrorCode::stale_broker_epoch) co_return Answer{.is_stale = true};
  if (error != ErrorCode::none) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::input_output,
                  fmt::format("the controller answered {}", wire::error_name(error))});
  }
  co_return Answer{response->is_caught_up, response->is_fenced, response->should_shut_down};
}

io::Task<io::Result<>> BrokerLifecycle::unfence() {
  const io::Instant give_up = env_.clock.now() + options_.registration_timeout;
  while (true) {
    const auto answer = co_await heartbeat(false, false);
    if (answer && answer->is_stale) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::in_use, "another process has registered with this node's id"});
    }
    if (answer && !answer->is_fenced) co_return io::Result<>{};
    if (env_.clock.now() >= give_up || env_.stop.is_set()) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::timed_out, "the controller does not unfence this broker"});
    }
    advanced_.reset();
    co_await advanced_.wait_until(env_.clock, env_.clock.now() + kRetryPause);
  }
}

io::Task<bool> BrokerLifecycle::keep_alive() {
  bool is_ours = true;
  while (!co_await stop_.wait_until(env_.clock, env_.clock.now() + options_.heartbeat_interval)) {
    const auto answer = co_await heartbeat(false, false);
    if (!answer) {
      env_.logger.warning("no heartbeat reached the controller: {}", answer.error().message);
    } else if (answer->is_stale) {
      env_.logger.error("another process has registered as node {}: this one must stop",
                        options_.node_id);
      is_ours = false;
      break;
    }
  }
  stopped_.set();
  co_return is_ours;
}

io::Task<void> BrokerLifecycle::shut_down(io::Duration patience) {
  stop_.set();
  co_await stopped_.wait();
  const io::Instant give_up = env_.clock.now() + patience;
  while (env_.clock.now() < give_up) {
    const auto answer = co_await heartbeat(false, true);
    if (!answer || answer->is_stale || answer->should_shut_down) break;
    co_await io::sleep_for(env_.clock, kRetryPause);
  }
  co_await channel_.close();
}

io::Task<void> BrokerLifecycle::close() { return channel_.close(); }

}  // namespace ottla::metadata
