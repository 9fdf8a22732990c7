#include "wire_client.h"

#include <fmt/format.h>

#include "wire/messages/init_producer_id_request.h"
#include "wire/messages/init_producer_id_response.h"
#include "wire/messages/metadata_request.h"
#include "wire/record.h"

namespace ottla::sim_campaign {
namespace {

constexpr std::int16_t kMetadataVersion = 12, kInitVersion = 4;

}  // namespace

io::Task<bool> Link::open() {
  if (client_ && client_->is_open()) co_return true;
  co_await close();
  auto made = co_await rpc::Client::connect(env_, {kBroker, kPort}, kClientId);
  if (made) client_ = std::move(*made);
  co_return made.has_value();
}

io::Task<void> Link::close() {
  if (!client_) co_return;
  co_await client_->close();
  client_.reset();
}

io::Task<std::optional<wire::MetadataResponse>> Link::metadata() {
  wire::MetadataRequest request;
  request.topics.reset();
  request.allow_auto_topic_creation = false;
  return call<wire::MetadataResponse>(std::move(request), kMetadataVersion);
}

io::Task<std::optional<Uuid>> Link::topic_id(std::string name) {
  auto answer = co_await metadata();
  if (!answer) co_return std::nullopt;
  for (const auto& topic : answer->topics) {
    if (topic.name == name && topic.error_code == 0 && !topic.partitions.empty())
      co_return topic.topic_id;
  }
  co_return std::nullopt;
}

io::Task<std::optional<ProducerIdentity>> new_producer(Link& link, Record& record) {
  wire::InitProducerIdRequest request;
  request.transactional_id.reset();
  request.transaction_timeout_ms = INT32_MAX;
  auto answer = co_await link.call<wire::InitProducerIdResponse>(std::move(request), kInitVersion);
  if (!answer || answer->error_code != 0) co_return std::nullopt;
  if (!record.producer_ids.insert(answer->producer_id).second)
    record.violated(fmt::format("producer id {} was given twice", answer->producer_id));
  co_return ProducerIdentity{answer->producer_id, answer->producer_epoch};
}

Slice make_records(Record& record, io::sim::Prng& prng, ProducerIdentity producer,
                   Sequence sequence, std::int32_t count, std::size_t value_bytes_max,
                   std::int64_t wall_ms, std::vector<verify::Value>& values) {
  wire::BatchOptions options{
      .producer_id = producer.id, .producer_epoch = producer.epoch, .base_sequence = sequence};
  if (prng.chance(0.2)) options.codec = wire::Codec::lz4;
  wire::RecordBatchBuilder builder(options);
  for (std::int32_t i = 0; i < count; ++i) {
    const verify::Value value = record.next_value++;
    Bytes bytes(kValueBytes + prng.below(value_bytes_max), filling(value));
    store_big<std::int64_t>(bytes.data(), value);
    builder.append({.timestamp = wall_ms, .value = ByteView(bytes)});
    values.push_back(value);
  }
  return builder.build().value();
}

}  // namespace ottla::sim_campaign
