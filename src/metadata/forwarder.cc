#include "metadata/forwarder.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "metadata/image.h"
#include "wire/errors.h"
#include "wire/header.h"
#include "wire/messages/allocate_producer_ids_request.h"
#include "wire/messages/allocate_producer_ids_response.h"
#include "wire/messages/default_principal_data.h"
#include "wire/messages/describe_quorum_request.h"
#include "wire/messages/describe_quorum_response.h"
#include "wire/messages/envelope_request.h"
#include "wire/messages/envelope_response.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr io::Duration kTimeout = std::chrono::seconds(30);
constexpr std::int16_t kDescribeQuorumVersion = 2;
constexpr io::Duration kRetryPause = std::chrono::milliseconds(20);

io::Error failed(std::string message) { return {io::ErrorKind::input_output, std::move(message)}; }

// Whether the same request may fare better on a new connection.
bool heals(io::ErrorKind kind) {
  return kind == io::ErrorKind::closed || kind == io::ErrorKind::timed_out;
}

// The client's address in four bytes; zeros where it is none of IPv4.
Bytes address_bytes(const std::string& host) {
  Bytes address(4, 0);
  const char* at = host.data();
  const char* end = at + host.size();
  for (std::uint8_t& byte : address) {
    const auto [next, error] = std::from_chars(at, end, byte);
    if (error != std::errc()) return Bytes(4, 0);
    at = next == end ? end : next + 1;
  }
  return address;
}

// An int16 version before the message: what a Kafka controller expects of a principal.
Bytes anonymous_principal() {
  wire::DefaultPrincipalData principal;
  principal.type = "User";
  principal.name = "ANONYMOUS";
  wire::Writer writer;
  writer.integer(std::int16_t{0});
  const auto written = wire::encode(principal, 0, writer);
  OTTLA_CHECK(written.has_value());
  const Slice bytes = std::move(writer).finish().flatten();
  return {bytes.view().begin(), bytes.view().end()};
}

}  // namespace

Forwarder::Forwarder(io::Env& env, ControllerLink& link, NodeId node_id,
                     std::function<BrokerEpoch()> broker_epoch)
    : env_(env),
      envelopes_(env, link, fmt::format("broker-{}-forwarding", node_id)),
      allocations_(env, link, fmt::format("broker-{}-producer-ids", node_id)),
      node_id_(node_id),
      broker_epoch_(std::move(broker_epoch)),
      allocated_(env.executor),
      stop_(env.executor) {}

io::Task<io::Result<Slice>> Forwarder::forward(Slice frame, std::int16_t api_key,
                                               std::int16_t api_version, std::string client_host) {
  const wire::ApiInfo* api = wire::find_api(api_key);
  OTTLA_CHECK(api != nullptr);
  const io::Instant give_up = env_.clock.now() + kPatience;
  while (true) {
    const io::Duration left = give_up - env_.clock.now();
    auto answer =
        co_await forward_once(frame, *api, api_version, client_host, std::min(left, kTimeout));
    if (answer || !heals(answer.error().kind)) co_return answer;
    if (stop_.is_set())
      co_return std::unexpected(io::Error{io::ErrorKind::closed, "this node stops"});
    if (env_.clock.now() + kRetryPause >= give_up) {
      co_return std::unexpected(io::Error{io::ErrorKind::timed_out, answer.error().message});
    }
    co_await stop_.wait_until(env_.clock, env_.clock.now() + kRetryPause);
  }
}

io::Task<io::Result<Slice>> Forwarder::forward_once(const Slice& frame, const wire::ApiInfo& api,
                                                    std::int16_t api_version,
                                                    const std::string& client_host,
                                                    io::Duration timeout) {
  auto client = co_await envelopes_.client();
  if (!client) {
    // whatever keeps the controller from being reached may pass
    co_return std::unexpected(io::Error{io::ErrorKind::closed, client.error().message});
  }
  wire::EnvelopeRequest request;
  request.request_data = frame;
  request.request_principal = anonymous_principal();
  request.client_host_address = address_bytes(client_host);
  auto response = co_await (*client)->call<wire::EnvelopeResponse>(std::move(request), 0, timeout);
  if (!response) co_return std::unexpected(response.error());
  const auto error = static_cast<ErrorCode>(response->error_code);
  if (error != ErrorCode::none || !response->response_data) {
    io::Error refused = failed(fmt::format("the controller answered {}", wire::error_name(error)));
    if (error == ErrorCode::not_controller) refused.kind = io::ErrorKind::closed;
    co_return std::unexpected(std::move(refused));
  }
  const Slice& answer = *response->response_data;
  const auto header = wire::parse_response_header(answer, api, api_version);
  if (!header) co_return std::unexpected(failed(header.error().to_string()));
  co_return answer.subslice(header->body_offset, answer.size() - header->body_offset);
}

io::Task<io::Result<Offset>> Forwarder::last_committed() {
  auto client = co_await envelopes_.client();
  if (!client) co_return std::unexpected(client.error());
  wire::DescribeQuorumRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic_name = kMetadataTopic;
  topic.partitions.emplace_back().partition_index = 0;
  auto response = co_await (*client)->call<wire::DescribeQuorumResponse>(
      std::move(request), kDescribeQuorumVersion, kTimeout);
  if (!response) co_return std::unexpected(response.error());
  if (response->error_code != 0 || response->topics.size() != 1 ||
      response->topics[0].partitions.size() != 1 ||
      response->topics[0].partitions[0].error_code != 0) {
    co_return std::unexpected(failed("the controller does not tell how far its log is committed"));
  }
  co_return response->topics[0].partitions[0].high_watermark - 1;
}

io::Task<io::Result<ProducerId>> Forwarder::next_producer_id() {
  while (next_id_ == block_end_) {
    if (is_allocating_) {  // somebody asks already
      co_await allocated_.wait();
      if (!is_allocating_ && allocation_failure_) co_return std::unexpected(*allocation_failure_);
      continue;
    }
    is_allocating_ = true;
    allocation_failure_.reset();
    allocated_.reset();
    const auto result = co_await allocate();
    is_allocating_ = false;
    if (!result) allocation_failure_ = result.error();
    allocated_.set();
    if (!result) co_return std::unexpected(result.error());
  }
  co_return next_id_++;
}

io::Task<io::Result<>> Forwarder::allocate() {
  auto client = co_await allocations_.client();
  if (!client) co_return std::unexpected(client.error());
  wire::AllocateProducerIdsRequest request;
  request.broker_id = node_id_;
  request.broker_epoch = broker_epoch_();
  auto response = co_await (*client)->call<wire::AllocateProducerIdsResponse>(request, 0, kTimeout);
  if (!response) co_return std::unexpected(response.error());
  if (response->error_code != 0 || response->producer_id_len <= 0) {
    co_return std::unexpected(
        failed(fmt::format("the controller answered {}",
                           wire::error_name(static_cast<ErrorCode>(response->error_code)))));
  }
  next_id_ = response->producer_id_start;
  block_end_ = next_id_ + response->producer_id_len;
  co_return io::Result<>{};
}

io::Task<void> Forwarder::close() {
  stop_.set();
  co_await envelopes_.close();
  co_await allocations_.close();
}

}  // namespace ottla::metadata
