#include "broker/topic_changes.h"

#include <algorithm>

#include "wire/header.h"

namespace ottla::broker {
namespace {

constexpr std::int16_t kCreateTopicsVersion = 7;

io::Instant deadline_of(Shard& shard, std::int32_t timeout_ms) {
  return shard.env.clock.now() + std::chrono::milliseconds(std::max(timeout_ms, 0));
}

}  // namespace

io::Task<io::Result<wire::CreateTopicsResponse>> create_topics(Shard& shard, rpc::Request request,
                                                               rpc::Peer peer,
                                                               std::int32_t timeout_ms,
                                                               bool validate_only) {
  const std::int16_t version = request.api_version;
  const io::Instant deadline = deadline_of(shard, timeout_ms);
  auto body = co_await shard.controller.forward(std::move(request), std::move(peer));
  if (!body) co_return std::unexpected(std::move(body.error()));
  auto response = wire::decode<wire::CreateTopicsResponse>(std::move(*body), version);
  if (!response) {
    co_return std::unexpected(io::Error{io::ErrorKind::invalid, response.error().to_string()});
  }
  if (validate_only) co_return std::move(*response);
  std::vector<std::string> made;
  for (const auto& topic : response->topics) {
    if (topic.error_code == 0) made.push_back(topic.name);
  }
  const bool shown = co_await shard.controller.wait_for_image(
      [made](const metadata::Image& image) {
        return std::ranges::all_of(
            made, [&](const std::string& name) { return image.topics->find(name) != nullptr; });
      },
      deadline);
  if (!shown) {
    for (auto& topic : response->topics) {
      if (topic.error_code == 0)
        topic.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
    }
  }
  co_return std::move(*response);
}

io::Task<io::Result<wire::DeleteTopicsResponse>> delete_topics(Shard& shard, rpc::Request request,
                                                               rpc::Peer peer,
                                                               std::int32_t timeout_ms) {
  const std::int16_t version = request.api_version;
  const io::Instant deadline = deadline_of(shard, timeout_ms);
  // below v6 the answer has names only: learn the ids now, since a topic of the same name may be
  // made at once
  const metadata::ImagePtr before = shard.image();
  auto body = co_await shard.controller.forward(std::move(request), std::move(peer));
  if (!body) co_return std::unexpected(std::move(body.error()));
  auto response = wire::decode<wire::DeleteTopicsResponse>(std::move(*body), version);
  if (!response) {
    co_return std::unexpected(io::Error{io::ErrorKind::invalid, response.error().to_string()});
  }
  std::vector<Uuid> gone;
  for (const auto& topic : response->responses) {
    if (topic.error_code != 0) continue;
    if (!topic.topic_id.is_zero()) {
      gone.push_back(topic.topic_id);
    } else if (topic.name) {
      if (const metadata::TopicImage* image = before->topics->find(*topic.name))
        gone.push_back(image->id);
    }
  }
  (void)co_await shard.controller.wait_for_image(
      [gone](const metadata::Image& image) {
        return std::ranges::none_of(
            gone, [&](const Uuid& id) { return image.topics->find(id) != nullptr; });
      },
      deadline);
  co_return std::move(*response);
}

io::Task<io::Result<wire::CreatePartitionsResponse>> create_partitions(
    Shard& shard, rpc::Request request, rpc::Peer peer, std::int32_t timeout_ms, bool validate_only,
    std::map<std::string, std::size_t> counts) {
  const std::int16_t version = request.api_version;
  const io::Instant deadline = deadline_of(shard, timeout_ms);
  auto body = co_await shard.controller.forward(std::move(request), std::move(peer));
  if (!body) co_return std::unexpected(std::move(body.error()));
  auto response = wire::decode<wire::CreatePartitionsResponse>(std::move(*body), version);
  if (!response) {
    co_return std::unexpected(io::Error{io::ErrorKind::invalid, response.error().to_string()});
  }
  if (validate_only) co_return std::move(*response);
  for (const auto& topic : response->results) {
    if (topic.error_code != 0) counts.erase(topic.name);
  }
  const bool shown = co_await shard.controller.wait_for_image(
      [counts](const metadata::Image& image) {
        return std::ranges::all_of(counts, [&](const auto& wanted) {
          const metadata::TopicImage* topic = image.topics->find(wanted.first);
          // one that is not there was deleted since: it came first
          return !topic || topic->partitions.size() >= wanted.second;
        });
      },
      deadline);
  if (!shown) {
    for (auto& topic : response->results) {
      if (topic.error_code == 0)
        topic.error_code = static_cast<std::int16_t>(wire::ErrorCode::request_timed_out);
    }
  }
  co_return std::move(*response);
}

rpc::Request on_behalf_of(const rpc::Request& client, const Slice& frame) {
  rpc::Request request;
  request.api_key = client.api_key;
  request.api_version = client.api_version;
  request.correlation_id = client.correlation_id;
  request.client_id = client.client_id;
  request.frame = frame.subslice(wire::kFrameLengthBytes, frame.size() - wire::kFrameLengthBytes);
  request.body = {};  // only the frame travels
  return request;
}

rpc::Request make_create_topics(const wire::CreateTopicsRequest& body, const rpc::Request& client) {
  auto frame =
      wire::request_frame(client.correlation_id, client.client_id, body, kCreateTopicsVersion);
  OTTLA_CHECK(frame.has_value());
  rpc::Request request = on_behalf_of(client, frame->flatten());
  request.api_key = static_cast<std::int16_t>(wire::CreateTopicsRequest::info.key);
  request.api_version = kCreateTopicsVersion;
  return request;
}

}  // namespace ottla::broker
