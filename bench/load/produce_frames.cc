#include "produce_frames.h"

#include <chrono>
#include <fmt/format.h>
#include <random>

#include "wire/codec.h"
#include "wire/errors.h"
#include "wire/header.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"
#include "wire/record.h"

namespace ottla::load {
namespace {

constexpr std::int16_t kProduceVersion = 13;  // what current clients send: topics by id
constexpr std::size_t kCorrelationAt = 8;     // behind length, key and version
constexpr std::int32_t kTimeoutMs = 30'000;

}  // namespace

Batch make_batch(std::size_t record_bytes, std::size_t batch_bytes) {
  std::mt19937_64 random(1);
  Bytes value(record_bytes);
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  wire::RecordBatchBuilder builder;
  Batch batch;
  while (true) {
    for (std::uint8_t& byte : value) byte = static_cast<std::uint8_t>(random());
    wire::RecordBatchBuilder longer = builder;
    longer.append({.timestamp = now, .value = value});
    auto built = longer.build();
    if (!built) die("a batch can't be built");
    if (batch.records > 0 && built->size() > batch_bytes) return batch;
    batch = {std::move(*built), longer.record_count()};
    if (batch.bytes.size() >= batch_bytes) return batch;
    builder = std::move(longer);
  }
}

Bytes make_produce_frame(const Topic& topic, int partition, const Batch& batch) {
  wire::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = kTimeoutMs;
  auto& to = request.topic_data.emplace_back();
  to.name = topic.name;
  to.topic_id = topic.id;
  auto& part = to.partition_data.emplace_back();
  part.index = partition;
  part.records = wire::Records(batch.bytes);
  const auto frame = wire::request_frame(0, "ottla-load", request, kProduceVersion);
  if (!frame) die(frame.error().to_string());
  const Slice bytes = frame->flatten();
  return {bytes.data(), bytes.data() + bytes.size()};
}

void set_correlation(Bytes& frame, std::int32_t correlation) {
  store_big<std::int32_t>(frame.data() + kCorrelationAt, correlation);
}

std::optional<ProduceAnswer> read_produce_answer(const Slice& frame, std::string& error) {
  static const wire::ApiInfo& api = *wire::find_api(wire::ProduceRequest::info.key);
  const auto header = wire::parse_response_header(frame, api, kProduceVersion);
  if (!header) {
    error = header.error().to_string();
    return std::nullopt;
  }
  const auto response = wire::decode<wire::ProduceResponse>(
      frame.subslice(header->body_offset, frame.size() - header->body_offset), kProduceVersion);
  if (!response || response->responses.size() != 1 ||
      response->responses[0].partition_responses.size() != 1) {
    error = response ? "an answer for other than one partition" : response.error().to_string();
    return std::nullopt;
  }
  const auto& partition = response->responses[0].partition_responses[0];
  if (partition.error_code != 0) {
    error = fmt::format("partition {}: error {} {}", partition.index, partition.error_code,
                        partition.error_message.value_or(""));
    return std::nullopt;
  }
  return ProduceAnswer{header->correlation_id, partition.index, partition.base_offset};
}

}  // namespace ottla::load
