#include "metadata/forwarder.h"

#include <array>
#include <charconv>
#include <fmt/format.h>

#include "wire/errors.h"
#include "wire/header.h"
#include "wire/messages/allocate_producer_ids_request.h"
#include "wire/messages/allocate_producer_ids_response.h"
#include "wire/messages/default_principal_data.h"
#include "wire/messages/envelope_request.h"
#include "wire/messages/envelope_response.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr io::Duration kTimeout = std::chrono::seconds(30);

io::Error failed(std::string message) { return {io::ErrorKind::input_output, std::move(message)}; }

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
      allocated_(env.executor) {}

io::Task<io::Result<Slice>> Forwarder::forward(Slice frame, std::int16_t api_key,
                                               std::int16_t api_version, std::string client_host) {
  const wire::ApiInfo* api = wire::find_api(api_key);
  OTTLA_CHECK(api != nullptr);
  auto client = co_await envelopes_.client();
  if (!client) co_return std::unexpected(client.error());
  wire::EnvelopeRequest request;
  request.request_data = std::move(frame);
  request.request_principal = anonymous_principal();
  request.client_host_address = address_bytes(client_host);
  auto response = co_await (*client)->call<wire::EnvelopeResponse>(std::move(request), 0, kTimeout);
  if (!response) co_return std::unexpected(response.error());
  if (response->error_code != 0 || !response->response_data) {
    co_return std::unexpected(
        failed(fmt::format("the controller answered {}",
                           wire::error_name(static_cast<ErrorCode>(response->error_code)))));
  }
  const Slice& answer = *response->response_data;
  const auto header = wire::parse_response_header(answer, *api, api_version);
  if (!header) co_return std::unexpected(failed(header.error().to_string()));
  co_return answer.subslice(header->body_offset, answer.size() - header->body_offset);
}

io::Task<io::Result<ProducerId>> Forwarder::next_producer_id() {
  while (next_id_ == block_end_) {
    if (is_allocating_) {  // somebody asks already
      co_await allocated_.wait();
      continue;
    }
    is_allocating_ = true;
    allocated_.reset();
    io::Result<> result;
    if (auto client = co_await allocations_.client(); !client) {
      result = std::unexpected(client.error());
    } else {
      wire::AllocateProducerIdsRequest request;
      request.broker_id = node_id_;
      request.broker_epoch = broker_epoch_();
      auto response =
          co_await (*client)->call<wire::AllocateProducerIdsResponse>(request, 0, kTimeout);
      if (!response) {
        result = std::unexpected(response.error());
      } else if (response->error_code != 0 || response->producer_id_len <= 0) {
        result = std::unexpected(
            failed(fmt::format("the controller answered {}",
                               wire::error_name(static_cast<ErrorCode>(response->error_code)))));
      } else {
        next_id_ = response->producer_id_start;
        block_end_ = next_id_ + response->producer_id_len;
      }
    }
    is_allocating_ = false;
    allocated_.set();
    if (!result) co_return std::unexpected(result.error());
  }
  co_return next_id_++;
}

io::Task<void> Forwarder::close() {
  co_await envelopes_.close();
  co_await allocations_.close();
}

}  // namespace ottla::metadata
