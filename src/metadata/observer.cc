#include "metadata/observer.h"

#include <fmt/format.h>

#include "consensus/snapshot.h"
#include "io/read_gather.h"
#include "wire/errors.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_snapshot_request.h"
#include "wire/messages/fetch_snapshot_response.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::metadata {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kFetchVersion = 18;
constexpr std::int16_t kFetchSnapshotVersion = 1;
constexpr std::int32_t kWaitMs = 500;
constexpr io::Duration kRequestTimeout = std::chrono::seconds(5);
constexpr io::Duration kRetryPause = std::chrono::milliseconds(20);
constexpr std::int64_t kSnapshotBytesMax = 1 << 30;

io::Error invalid(std::string message) { return {io::ErrorKind::invalid, std::move(message)}; }

}  // namespace

Observer::Observer(io::Env& env, ControllerLink& link, ObserverOptions options, Publish publish)
    : env_(env),
      options_(std::move(options)),
      publish_(std::move(publish)),
      channel_(env, link, fmt::format("raft-client-{}", options_.node_id)),
      builder_(empty_image(options_.cluster_id)),
      image_(empty_image(options_.cluster_id)),
      advanced_(env.executor),
      stop_(env.executor) {}

io::Task<io::Result<>> Observer::run() {
  io::Result<> result;
  while (!stopping_) {
    result = co_await fetch_once();
    if (stopping_) break;
    if (result) continue;
    if (result.error().kind == io::ErrorKind::invalid) break;
    env_.logger.debug("following the metadata log: {}", result.error().message);
    co_await stop_.wait_until(env_.clock, env_.clock.now() + kRetryPause);
  }
  co_await channel_.close();
  if (stopping_) co_return io::Result<>{};
  co_return result;
}

io::Task<void> Observer::stop() {
  stopping_ = true;
  stop_.set();
  co_await channel_.close();  // ends a fetch that waits
}

io::Task<io::Result<>> Observer::fetch_once() {
  auto client = co_await channel_.client();
  if (!client) co_return std::unexpected(client.error());
  wire::FetchRequest request;
  request.cluster_id = options_.cluster_id;
  request.replica_state.replica_id = options_.node_id;
  request.max_wait_ms = kWaitMs;
  request.max_bytes = options_.fetch_bytes;
  auto& topic = request.topics.emplace_back();
  topic.topic_id = kMetadataTopicId;
  auto& partition = topic.partitions.emplace_back();
  partition.current_leader_epoch = leader_epoch_;
  partition.fetch_offset = fetch_offset_;
  partition.last_fetched_epoch = fetched_epoch_;
  partition.replica_directory_id = options_.directory_id;
  partition.high_watermark = high_watermark_;
  auto response = co_await (*client)->call<wire::FetchResponse>(std::move(request), kFetchVersion,
                                                                kRequestTimeout);
  if (!response) {
    if (response.error().kind == io::ErrorKind::invalid)
      response.error().kind = io::ErrorKind::input_output;
    co_return std::unexpected(response.error());
  }
  if (response->error_code != 0) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::input_output,
                  fmt::format("the controller answered {}",
                              wire::error_name(static_cast<ErrorCode>(response->error_code)))});
  }
  if (response->responses.size() != 1 || response->responses[0].partitions.size() != 1) {
    co_return std::unexpected(invalid("the controller's answer names another partition"));
  }
  const auto& data = response->responses[0].partitions[0];
  const auto error = static_cast<ErrorCode>(data.error_code);
  if (error == ErrorCode::fenced_leader_epoch || error == ErrorCode::unknown_leader_epoch) {
    if (data.current_leader.leader_epoch == leader_epoch_) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::input_output,
                    "the controller refuses the epoch that it has itself named"});
    }
    leader_epoch_ = data.current_leader.leader_epoch;  // this is how the leader is discovered
    co_return io::Result<>{};
  }
  if (error != ErrorCode::none) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::input_output,
                  fmt::format("the controller answered {}", wire::error_name(error))});
  }
  if (data.snapshot_id.end_offset >= 0) {
    co_return co_await load_snapshot(**client, data.snapshot_id.end_offset, data.snapshot_id.epoch);
  }
  if (data.diverging_epoch.end_offset >= 0) {
    // what was applied was committed, and committed records do not go away
    co_return std::unexpected(
        invalid(fmt::format("the metadata log diverges at epoch {}, offset {}",
                            data.diverging_epoch.epoch, data.diverging_epoch.end_offset)));
  }
  co_return co_await take(data);
}

io::Task<io::Result<>> Observer::take(const wire::FetchResponse::PartitionData& data) {
  high_watermark_ = data.high_watermark;
  if (!data.records.empty()) {
    auto bytes = co_await io::read_gather(data.records.bytes());
    if (!bytes) co_return std::unexpected(bytes.error());
    if (auto applied = apply(*bytes, data.high_watermark); !applied) co_return applied;
  }
  if (applied_offset_ < last_.offset || image_->provenance.offset < last_.offset)
    co_return co_await publish_now();
  co_return io::Result<>{};
}

io::Result<> Observer::apply(const Slice& batches, Offset high_watermark) {
  wire::BatchCursor cursor(batches);
  for (wire::Batch batch; cursor.next(batch);) {
    if (batch.header.next_offset() <= fetch_offset_) continue;
    if (batch.header.last_offset() >= high_watermark) break;  // not committed yet: fetched again
    if (!wire::crc_matches(batch.bytes))
      return std::unexpected(
          io::Error{io::ErrorKind::input_output, "a batch of the metadata log has a wrong CRC"});
    if (batch.header.is_control()) {
      wire::RecordCursor records(batch.records(), batch.header.record_count);
      for (wire::Record record; records.next(record);) {
        if (auto taken = consensus::apply_control_record(record, voters_); !taken) {
          return std::unexpected(
              invalid(fmt::format("offset {}: {}", batch.header.base_offset, taken.error())));
        }
      }
      builder_.set_kraft_version(voters_.kraft_version);
    } else {
      wire::RecordCursor records(batch.records(), batch.header.record_count);
      for (wire::Record record; records.next(record);) {
        const Offset offset = wire::record_offset(batch.header, record);
        if (offset < fetch_offset_ || !record.value) continue;
        const auto value = batches.subslice(
            static_cast<std::size_t>(record.value->data() - batches.data()), record.value->size());
        auto decoded = decode_record(value);
        if (!decoded)
          return std::unexpected(invalid(fmt::format("offset {}: {}", offset, decoded.error())));
        if (auto folded = builder_.apply(std::move(*decoded)); !folded) {
          return std::unexpected(invalid(fmt::format("offset {}: {}", offset, folded.error())));
        }
      }
      if (records.error())
        return std::unexpected(
            invalid(fmt::format("the batch at offset {} can't be read", batch.header.base_offset)));
    }
    fetch_offset_ = batch.header.next_offset();
    fetched_epoch_ = batch.header.leader_epoch;
    last_ = {batch.header.last_offset(), batch.header.leader_epoch, batch.header.max_timestamp};
  }
  return {};
}

io::Task<io::Result<>> Observer::publish_now() {
  if (builder_.is_in_transaction()) co_return io::Result<>{};
  image_ = builder_.publish(last_);
  if (auto published = co_await publish_(image_); !published)
    co_return std::unexpected(invalid(published.error().message));
  applied_offset_ = image_->provenance.offset;
  advanced_.set();
  co_return io::Result<>{};
}

io::Task<io::Result<>> Observer::load_snapshot(rpc::Client& client, Offset end_offset,
                                               LeaderEpoch epoch) {
  Bytes file;
  std::int64_t size = -1;
  while (size < 0 || static_cast<std::int64_t>(file.size()) < size) {
    wire::FetchSnapshotRequest request;
    request.cluster_id = options_.cluster_id;
    request.replica_id = options_.node_id;
    request.max_bytes = options_.fetch_bytes;
    auto& topic = request.topics.emplace_back();
    topic.name = kMetadataTopic;
    auto& partition = topic.partitions.emplace_back();
    partition.current_leader_epoch = leader_epoch_;
    partition.snapshot_id.end_offset = end_offset;
    partition.snapshot_id.epoch = epoch;
    partition.position = static_cast<std::int64_t>(file.size());
    partition.replica_directory_id = options_.directory_id;
    auto response = co_await client.call<wire::FetchSnapshotResponse>(
        std::move(request), kFetchSnapshotVersion, kRequestTimeout);
    if (!response) co_return std::unexpected(response.error());
    const bool has_part = response->error_code == 0 && response->topics.size() == 1 &&
                          response->topics[0].partitions.size() == 1 &&
                          response->topics[0].partitions[0].error_code == 0;
    if (!has_part) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::input_output, "the controller gives no part of its snapshot"});
    }
    const auto& part = response->topics[0].partitions[0];
    if (part.size < 0 || part.size > kSnapshotBytesMax || part.unaligned_records.empty()) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::input_output, "the controller's snapshot has an odd size"});
    }
    size = part.size;
    const Slice bytes = part.unaligned_records.flatten();
    file.insert(file.end(), bytes.view().begin(), bytes.view().end());
  }
  auto content = consensus::parse_snapshot(Slice::copy_of(file));
  if (!content) co_return std::unexpected(invalid("the controller's snapshot: " + content.error()));
  builder_ = ImageBuilder(empty_image(options_.cluster_id));
  voters_ = content->voters.value_or(consensus::VoterSet{.kraft_version = 0, .voters = {}});
  builder_.set_kraft_version(voters_.kraft_version);
  for (const Slice& value : content->records) {
    auto decoded = decode_record(value);
    if (!decoded)
      co_return std::unexpected(invalid("the controller's snapshot: " + decoded.error()));
    if (auto folded = builder_.apply(std::move(*decoded)); !folded) {
      co_return std::unexpected(invalid("the controller's snapshot: " + folded.error()));
    }
  }
  fetch_offset_ = end_offset;
  fetched_epoch_ = epoch;
  last_ = {end_offset - 1, epoch, content->last_contained_log_timestamp};
  co_return co_await publish_now();
}

}  // namespace ottla::metadata
