#include "metadata/controller_server.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "metadata/wire_fields.h"
#include "wire/codec.h"
#include "wire/header.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/default_principal_data.h"
#include "wire/messages/describe_quorum_request.h"
#include "wire/messages/envelope_request.h"
#include "wire/messages/envelope_response.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/messages/fetch_snapshot_request.h"
#include "wire/messages/fetch_snapshot_response.h"

namespace ottla::metadata {
namespace {

using wire::ApiKey;
using wire::ErrorCode;
using Body = std::expected<Gather, std::string>;

struct ServedApi {
  ApiKey key;
  wire::Versions versions;
};

constexpr ServedApi kServed[] = {
    {ApiKey::kFetch, {17, 18}},
    {ApiKey::kApiVersions, {0, 4}},
    {ApiKey::kCreateTopics, {2, 7}},
    {ApiKey::kDeleteTopics, {1, 6}},
    {ApiKey::kAlterConfigs, {0, 2}},
    {ApiKey::kCreatePartitions, {0, 3}},
    {ApiKey::kIncrementalAlterConfigs, {0, 1}},
    {ApiKey::kDescribeQuorum, {0, 2}},
    {ApiKey::kEnvelope, {0, 0}},
    {ApiKey::kFetchSnapshot, {0, 1}},
    {ApiKey::kBrokerRegistration, {0, 4}},
    {ApiKey::kBrokerHeartbeat, {0, 2}},
    {ApiKey::kAllocateProducerIds, {0, 0}},
};

constexpr std::size_t kFetchBytesMax = 8 << 20;
constexpr std::int64_t kFetchWaitMsMax = 2000;
constexpr std::int16_t kDirectoriesFrom = 2;  // of DescribeQuorum
constexpr std::int16_t kNodesFrom = 2;        // of DescribeQuorum
constexpr std::size_t kObserversMax = 1000;   // that DescribeQuorum tells of
constexpr io::Duration kRoomPause = std::chrono::milliseconds(1);

template <class M>
Body encode(const M& message, std::int16_t version) {
  wire::Writer writer;
  if (const auto written = wire::encode(message, version, writer); !written) {
    return std::unexpected(written.error().to_string());
  }
  return std::move(writer).finish();
}

template <class M>
std::expected<M, std::string> decode(Slice body, std::int16_t version) {
  wire::Reader reader(std::move(body));
  auto message = wire::decode_next<M>(reader, version);
  if (!message) return std::unexpected(message.error().to_string());
  return std::move(*message);
}

// A level that is not known may mean records that this build would read wrongly.
io::Result<> check_level(const std::string& name, std::int16_t level) {
  const auto known = std::ranges::find(supported_features(), name, &FeatureRange::name);
  const bool is_known = known != supported_features().end();
  if (is_known && level >= known->min_level && level <= known->max_level) return {};
  const std::string range =
      is_known ? fmt::format("supports {} to {}", known->min_level, known->max_level)
               : std::string("does not know it");
  return std::unexpected(
      io::Error{io::ErrorKind::invalid,
                fmt::format("the cluster runs feature {} at level {}, but this version of Ottla {}",
                            name, level, range)});
}

// What clients may send by way of a broker (KIP-590): whether it is that, and can be read.
enum class Forwarded { yes, not_for_clients, unreadable };

Forwarded check_forwarded(ApiKey key, std::int16_t version, const Slice& body) {
  const auto is_readable = [&]<class M>() {
    return decode<M>(body, version) ? Forwarded::yes : Forwarded::unreadable;
  };
  switch (key) {
    case ApiKey::kCreateTopics:
      return is_readable.operator()<wire::CreateTopicsRequest>();
    case ApiKey::kDeleteTopics:
      return is_readable.operator()<wire::DeleteTopicsRequest>();
    case ApiKey::kAlterConfigs:
      return is_readable.operator()<wire::AlterConfigsRequest>();
    case ApiKey::kCreatePartitions:
      return is_readable.operator()<wire::CreatePartitionsRequest>();
    case ApiKey::kIncrementalAlterConfigs:
      return is_readable.operator()<wire::IncrementalAlterConfigsRequest>();
    default:
      return Forwarded::not_for_clients;
  }
}

// As Kafka's brokers write it: an int16 version, then DefaultPrincipalData of that version.
bool is_principal(const std::optional<Bytes>& bytes) {
  if (!bytes || bytes->size() < 2) return false;
  const auto version = load_big<std::int16_t>(bytes->data());
  if (!wire::DefaultPrincipalData::info.versions.contains(version)) return false;
  wire::Reader reader(Slice::copy_of(ByteView(*bytes).subspan(sizeof(version))));
  return wire::decode_next<wire::DefaultPrincipalData>(reader, version).has_value();
}

bool is_address(ByteView bytes) { return bytes.size() == 4 || bytes.size() == 16; }

class RandomIds final : public IdSource {
 public:
  explicit RandomIds(io::Random& random) : random_(random) {}
  Uuid next() override { return random_.uuid(); }

 private:
  io::Random& random_;
};

class WatchHighWatermark final : public storage::LogWatcher {
 public:
  explicit WatchHighWatermark(io::Executor& executor) : changed(executor) {}
  void on_change(storage::PartitionLog&) override { changed.set(); }
  io::Event changed;
};

}  // namespace

ControllerServer::ControllerServer(io::Env& env, std::unique_ptr<consensus::MetadataLog> log,
                                   ControllerOptions options)
    : env_(env),
      log_(std::move(log)),
      options_(std::move(options)),
      appended_(env.executor),
      stop_(env.executor),
      tasks_(env.executor) {}

io::Task<io::Result<>> ControllerServer::start(std::vector<Record> bootstrap) {
  ImageBuilder builder(empty_image(options_.cluster_id));
  Provenance last;
  auto replayed = co_await log_->replay(
      [&](const consensus::LogRecord& entry) -> std::expected<void, std::string> {
        auto record = decode_record(entry.value);
        if (!record) return std::unexpected(record.error());
        last = {entry.offset, entry.epoch, entry.timestamp};
        return builder.apply(std::move(*record));
      });
  if (!replayed) co_return replayed;
  if (builder.is_in_transaction()) {
    // The last leader died in the middle: what it began must end before anything else is written.
    const auto aborted = log_->append({encode_record(Record(wire::AbortTransactionRecord{}))});
    if (!aborted) co_return std::unexpected(aborted.error());
    if (auto done = builder.apply(wire::AbortTransactionRecord{}); !done) {
      co_return std::unexpected(io::Error{io::ErrorKind::invalid, done.error()});
    }
    last = {*aborted, log_->epoch(), env_.clock.wall_ms()};
  }
  const ImagePtr loaded = builder.publish(last);
  for (const auto& [name, level] : loaded->features) {
    if (auto known = check_level(name, level); !known) co_return known;
  }
  options_.kraft_version = log_->voters().kraft_version;
  rules_ = std::make_unique<Controller>(options_, loaded);
  rules_->become_active(now_ms());
  // Features are the first records of every cluster: without them this log is new.
  if (rules_->image()->features.empty() && !bootstrap.empty()) {
    for (const Record& record : bootstrap) {
      const auto* level = std::get_if<wire::FeatureLevelRecord>(&record);
      if (!level) continue;
      if (auto known = check_level(level->name, level->feature_level); !known) co_return known;
    }
    if (!co_await commit(std::move(bootstrap))) {
      co_return std::unexpected(
          io::Error{io::ErrorKind::input_output, "the metadata log's disk failed"});
    }
  }
  if (!co_await commit({own_registration()})) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::input_output, "the metadata log's disk failed"});
  }
  tasks_.spawn(tick_loop());
  co_return io::Result<>{};
}

Record ControllerServer::own_registration() const {
  wire::RegisterControllerRecord record;
  record.controller_id = log_->leader_id();
  record.incarnation_id = env_.random.uuid();
  for (const consensus::Voter& voter : log_->voters().voters) {
    for (const consensus::VoterEndpoint& endpoint : voter.endpoints)
      add_endpoint(record.end_points, {endpoint.listener, endpoint.host, endpoint.port, 0});
  }
  add_supported_features(record.features);
  return record;
}

io::Task<void> ControllerServer::stop() {
  stop_.set();
  for (io::Event* poll : long_polls_) poll->set();
  co_await tasks_.join();
}

bool ControllerServer::may_overlap(std::int16_t api_key) const {
  return static_cast<ApiKey>(api_key) == ApiKey::kEnvelope;
}

bool ControllerServer::serves(std::int16_t api_key, std::int16_t api_version) const {
  const auto found = std::ranges::find(kServed, static_cast<ApiKey>(api_key), &ServedApi::key);
  if (found == std::end(kServed)) return false;
  return found->versions.contains(api_version) || found->key == ApiKey::kApiVersions;
}

void ControllerServer::handle(rpc::Request request, const std::shared_ptr<rpc::Peer>&,
                              rpc::ReplySlot reply) {
  tasks_.spawn(serve_and_reply(std::move(request), std::move(reply)));
}

io::Task<void> ControllerServer::serve_and_reply(rpc::Request request, rpc::ReplySlot reply) {
  auto body = co_await serve(request.api_key, request.api_version, std::move(request.body));
  if (body) {
    reply.send(std::move(*body));
  } else {
    reply.close(body.error());
  }
}

io::Task<Body> ControllerServer::serve(std::int16_t api_key, std::int16_t version, Slice body) {
  switch (static_cast<ApiKey>(api_key)) {
    case ApiKey::kApiVersions:
      co_return co_await serve_api_versions(version);
    case ApiKey::kFetch:
      co_return co_await serve_fetch(version, std::move(body));
    case ApiKey::kFetchSnapshot:
      co_return co_await serve_fetch_snapshot(version, std::move(body));
    case ApiKey::kEnvelope:
      co_return co_await serve_envelope(version, std::move(body));
    case ApiKey::kDescribeQuorum:
      co_return co_await serve_describe_quorum(version, std::move(body));
    case ApiKey::kBrokerRegistration:
      co_return co_await decide(version, std::move(body), &ControllerServer::register_broker);
    case ApiKey::kBrokerHeartbeat:
      co_return co_await decide(version, std::move(body), &ControllerServer::heartbeat);
    case ApiKey::kAllocateProducerIds:
      co_return co_await decide(version, std::move(body), &ControllerServer::allocate);
    case ApiKey::kCreateTopics:
      co_return co_await decide(version, std::move(body), &ControllerServer::create_topics);
    case ApiKey::kDeleteTopics:
      co_return co_await decide(version, std::move(body), &ControllerServer::delete_topics);
    case ApiKey::kCreatePartitions:
      co_return co_await decide(version, std::move(body), &ControllerServer::create_partitions);
    case ApiKey::kAlterConfigs:
      co_return co_await decide(version, std::move(body), &ControllerServer::alter_configs);
    case ApiKey::kIncrementalAlterConfigs:
      co_return co_await decide(version, std::move(body),
                                &ControllerServer::incremental_alter_configs);
    default:
      co_return std::unexpected(fmt::format("API key {} is not served by a controller", api_key));
  }
}

// --- decisions

template <class Request, class Response>
io::Task<Body> ControllerServer::decide(
    std::int16_t version, Slice body,
    Decision<Response> (ControllerServer::*rule)(const Request&, std::int16_t)) {
  auto request = decode<Request>(std::move(body), version);
  if (!request) co_return std::unexpected(request.error());
  while (is_appending_) co_await appended_.wait();
  Decision<Response> decision = (this->*rule)(*request, version);
  bool is_committed = false;
  if (decision.records.empty()) {
    // it may still tell of what others have decided, and that may not be committed yet
    is_committed = co_await log_->wait_committed(rules_->image()->provenance.offset);
  } else {
    is_committed = co_await commit(std::move(decision.records));
  }
  if (!is_committed) co_return std::unexpected("the metadata log's disk failed");
  co_return encode(decision.response, version);
}

Decision<wire::BrokerRegistrationResponse> ControllerServer::register_broker(
    const wire::BrokerRegistrationRequest& request, std::int16_t) {
  return rules_->register_broker(request, log_->next_offset(), now_ms());
}

Decision<wire::BrokerHeartbeatResponse> ControllerServer::heartbeat(
    const wire::BrokerHeartbeatRequest& request, std::int16_t) {
  return rules_->heartbeat(request, log_->next_offset() - 1, now_ms());
}

Decision<wire::AllocateProducerIdsResponse> ControllerServer::allocate(
    const wire::AllocateProducerIdsRequest& request, std::int16_t) {
  return rules_->allocate_producer_ids(request);
}

Decision<wire::CreateTopicsResponse> ControllerServer::create_topics(
    const wire::CreateTopicsRequest& request, std::int16_t version) {
  RandomIds ids(env_.random);
  return rules_->create_topics(request, version, ids);
}

Decision<wire::DeleteTopicsResponse> ControllerServer::delete_topics(
    const wire::DeleteTopicsRequest& request, std::int16_t version) {
  return rules_->delete_topics(request, version);
}

Decision<wire::CreatePartitionsResponse> ControllerServer::create_partitions(
    const wire::CreatePartitionsRequest& request, std::int16_t) {
  return rules_->create_partitions(request);
}

Decision<wire::AlterConfigsResponse> ControllerServer::alter_configs(
    const wire::AlterConfigsRequest& request, std::int16_t) {
  return rules_->alter_configs(request);
}

Decision<wire::IncrementalAlterConfigsResponse> ControllerServer::incremental_alter_configs(
    const wire::IncrementalAlterConfigsRequest& request, std::int16_t) {
  return rules_->incremental_alter_configs(request);
}

io::Task<bool> ControllerServer::commit(std::vector<Record> records) {
  std::vector<Bytes> framed;
  framed.reserve(records.size());
  for (const Record& record : records) framed.push_back(encode_record(record));
  auto last = log_->append(framed);
  if (!last && last.error().kind == io::ErrorKind::exhausted) {
    is_appending_ = true;
    appended_.reset();
    while (!last && last.error().kind == io::ErrorKind::exhausted && !stop_.is_set()) {
      co_await io::sleep_for(env_.clock, kRoomPause);
      last = log_->append(framed);
    }
    is_appending_ = false;
    appended_.set();
  }
  if (!last) {
    env_.logger.error("{}", last.error().message);
    co_return false;
  }
  // In memory at once, so that the next decision sees it; told to nobody before the commit.
  rules_->apply(records, {*last, log_->epoch(), env_.clock.wall_ms()});
  const bool committed = co_await log_->wait_committed(*last);
  if (committed && log_->wants_snapshot() && !is_writing_snapshot_) {
    is_writing_snapshot_ = true;
    tasks_.spawn(snapshot_if_due());
  }
  co_return committed;
}

io::Task<void> ControllerServer::snapshot_if_due() {
  const ImagePtr image = rules_->image();
  if (co_await log_->wait_committed(image->provenance.offset)) {
    std::vector<Bytes> framed;
    for (const Record& record : records_of(*image)) framed.push_back(encode_record(record));
    const auto written =
        co_await log_->write_snapshot({image->provenance.offset + 1, image->provenance.epoch},
                                      image->provenance.timestamp, std::move(framed));
    if (!written)
      env_.logger.error("no snapshot of the metadata could be written: {}",
                        written.error().message);
  }
  is_writing_snapshot_ = false;
}

io::Task<void> ControllerServer::tick_loop() {
  while (!stop_.is_set()) {
    const auto deadline = rules_->deadline_ms();
    const io::Instant until = deadline ? io::Instant{*deadline * 1'000'000} : io::Instant::never();
    if (env_.clock.now() < until) {
      // a heartbeat moves the deadline away, so looking again when it has passed is enough
      if (co_await stop_.wait_until(env_.clock, until == io::Instant::never()
                                                    ? env_.clock.now() + std::chrono::seconds(1)
                                                    : until)) {
        break;
      }
      continue;
    }
    while (is_appending_) co_await appended_.wait();
    auto records = rules_->tick(now_ms());
    if (!records.empty() && !co_await commit(std::move(records))) break;
  }
}

// --- other APIs

io::Task<Body> ControllerServer::serve_api_versions(std::int16_t version) {
  constexpr std::int16_t kZeroLevelsFrom = 4;
  wire::ApiVersionsResponse response;
  const auto self = std::ranges::find(kServed, ApiKey::kApiVersions, &ServedApi::key);
  const bool is_known = self->versions.contains(version);
  for (const ServedApi& api : kServed) {
    auto& range = response.api_keys.emplace_back();
    range.api_key = static_cast<std::int16_t>(api.key);
    range.min_version = api.versions.first;
    range.max_version = api.versions.last;
  }
  if (!is_known) response.error_code = static_cast<std::int16_t>(ErrorCode::unsupported_version);
  for (const FeatureRange& feature : supported_features()) {
    if (feature.min_level == 0 && version < kZeroLevelsFrom) continue;
    auto& supported = response.supported_features.emplace_back();
    supported.name = feature.name;
    supported.min_version = feature.min_level;
    supported.max_version = feature.max_level;
  }
  response.finalized_features_epoch = rules_->image()->provenance.offset;
  const auto add_finalized = [&](std::string_view name, std::int16_t level) {
    auto& finalized = response.finalized_features.emplace_back();
    finalized.name = name;
    finalized.max_version_level = level;
    finalized.min_version_level = level;
  };
  for (const auto& [name, level] : rules_->image()->features) add_finalized(name, level);
  if (const auto level = log_->voters().kraft_version; level > 0)
    add_finalized(kKraftVersion, level);
  if (!is_known) {
    response.supported_features.clear();
    response.finalized_features.clear();
    response.finalized_features_epoch = -1;
  }
  co_return encode(response, is_known ? version : std::int16_t{0});
}

io::Task<Body> ControllerServer::serve_fetch(std::int16_t version, Slice body) {
  auto request = decode<wire::FetchRequest>(std::move(body), version);
  if (!request) co_return std::unexpected(request.error());
  wire::FetchResponse response;
  if (request->cluster_id && *request->cluster_id != options_.cluster_id) {
    response.error_code = static_cast<std::int16_t>(ErrorCode::inconsistent_cluster_id);
    co_return encode(response, version);
  }
  if (request->topics.size() != 1 || request->topics[0].topic_id != kMetadataTopicId ||
      request->topics[0].partitions.size() != 1 ||
      request->topics[0].partitions[0].partition != 0) {
    response.error_code = static_cast<std::int16_t>(ErrorCode::invalid_request);
    co_return encode(response, version);
  }
  const auto& wanted = request->topics[0].partitions[0];
  storage::PartitionLog& log = log_->log();
  const auto has_news = [&] { return log.high_watermark() > wanted.fetch_offset; };
  const bool is_current_epoch = wanted.current_leader_epoch == log_->epoch();
  const bool is_sensible = request->max_wait_ms >= 0 && wanted.current_leader_epoch >= 0 &&
                           wanted.fetch_offset >= 0 && wanted.last_fetched_epoch >= 0 &&
                           wanted.last_fetched_epoch <= wanted.current_leader_epoch;

  if (is_current_epoch && is_sensible && !has_news() &&
      wanted.fetch_offset >= log.log_start_offset()) {
    WatchHighWatermark watch(env_.executor);
    log.watch(watch);
    long_polls_.insert(&watch.changed);
    const auto wait_ms = std::clamp<std::int64_t>(request->max_wait_ms, 0, kFetchWaitMsMax);
    const io::Instant deadline = env_.clock.now() + std::chrono::milliseconds(wait_ms);
    while (!has_news() && !stop_.is_set() &&
           co_await watch.changed.wait_until(env_.clock, deadline)) {
      watch.changed.reset();
    }
    long_polls_.erase(&watch.changed);
  }

  auto& topic = response.responses.emplace_back();
  topic.topic_id = kMetadataTopicId;
  auto& answer = topic.partitions.emplace_back();
  answer.partition_index = 0;
  answer.high_watermark = log.high_watermark();
  answer.log_start_offset = log.log_start_offset();
  answer.aborted_transactions.emplace();
  answer.records = wire::Records::none();
  answer.current_leader.leader_id = log_->leader_id();
  answer.current_leader.leader_epoch = log_->epoch();
  for (const consensus::Voter& voter : log_->voters().voters) {
    if (voter.endpoints.empty()) continue;
    auto& endpoint = response.node_endpoints.emplace_back();
    endpoint.node_id = voter.id;
    endpoint.host = voter.endpoints.front().host;
    endpoint.port = voter.endpoints.front().port;
  }
  const auto refuse = [&](ErrorCode code) {
    answer.error_code = static_cast<std::int16_t>(code);
    answer.high_watermark = -1;
    return encode(response, version);
  };
  if (!is_sensible) co_return refuse(ErrorCode::invalid_request);
  if (!is_current_epoch) {
    co_return refuse(wanted.current_leader_epoch < log_->epoch() ? ErrorCode::fenced_leader_epoch
                                                                 : ErrorCode::unknown_leader_epoch);
  }

  const NodeId replica = request->replica_state.replica_id;
  if (observers_.contains(replica) || observers_.size() < kObserversMax) {
    ObserverState& observer = observers_[replica];
    observer.directory_id = wanted.replica_directory_id;
    observer.log_end_offset = wanted.fetch_offset;
    observer.last_fetch_ms = env_.clock.wall_ms();
    if (wanted.fetch_offset >= log.high_watermark())
      observer.last_caught_up_ms = observer.last_fetch_ms;
  }

  const auto& snapshot = log_->snapshot();
  if (snapshot && (wanted.fetch_offset < log.log_start_offset() ||
                   (wanted.fetch_offset == 0 && snapshot->end_offset > 0))) {
    answer.snapshot_id.end_offset = snapshot->end_offset;
    answer.snapshot_id.epoch = snapshot->epoch;
    co_return encode(response, version);
  }
  if (wanted.fetch_offset > log.log_start_offset()) {
    const storage::EpochEnd end = log.end_offset_for_epoch(wanted.last_fetched_epoch);
    if (end.is_known() &&
        (end.epoch != wanted.last_fetched_epoch || end.end_offset < wanted.fetch_offset)) {
      answer.diverging_epoch.epoch = end.epoch;
      answer.diverging_epoch.end_offset = end.end_offset;
      co_return encode(response, version);
    }
  }
  if (has_news()) {
    const auto max_bytes = static_cast<std::size_t>(std::max(request->max_bytes, 1));
    auto read = co_await log.read({.from = wanted.fetch_offset,
                                   .max_bytes = std::min(max_bytes, kFetchBytesMax),
                                   .upper_bound = log.high_watermark()});
    if (!read) co_return refuse(storage::to_error_code(read.error()));
    answer.records = wire::Records(std::move(read->records));
  }
  co_return encode(response, version);
}

io::Task<Body> ControllerServer::serve_fetch_snapshot(std::int16_t version, Slice body) {
  auto request = decode<wire::FetchSnapshotRequest>(std::move(body), version);
  if (!request) co_return std::unexpected(request.error());
  wire::FetchSnapshotResponse response;
  if (request->cluster_id && *request->cluster_id != options_.cluster_id) {
    response.error_code = static_cast<std::int16_t>(ErrorCode::inconsistent_cluster_id);
    co_return encode(response, version);
  }
  for (const auto& topic : request->topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.name = topic.name;
    for (const auto& wanted : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.index = wanted.partition;
      answer.snapshot_id.end_offset = wanted.snapshot_id.end_offset;
      answer.snapshot_id.epoch = wanted.snapshot_id.epoch;
      answer.current_leader.leader_id = log_->leader_id();
      answer.current_leader.leader_epoch = log_->epoch();
      answer.unaligned_records = wire::Records::none();
      const auto refuse = [&](ErrorCode code) {
        answer.error_code = static_cast<std::int16_t>(code);
      };
      if (topic.name != kMetadataTopic || wanted.partition != 0) {
        refuse(ErrorCode::unknown_topic_or_partition);
      } else if (wanted.current_leader_epoch != log_->epoch()) {
        refuse(wanted.current_leader_epoch < log_->epoch() ? ErrorCode::fenced_leader_epoch
                                                           : ErrorCode::unknown_leader_epoch);
      } else if (wanted.position < 0) {
        refuse(ErrorCode::position_out_of_range);
      } else {
        const auto max_bytes =
            std::min(static_cast<std::size_t>(std::max(request->max_bytes, 1)), kFetchBytesMax);
        auto part =
            co_await log_->read_snapshot({wanted.snapshot_id.end_offset, wanted.snapshot_id.epoch},
                                         static_cast<std::uint64_t>(wanted.position), max_bytes);
        if (!part) {
          refuse(ErrorCode::kafka_storage_error);
        } else if (!*part) {
          refuse(ErrorCode::snapshot_not_found);
        } else if ((*part)->bytes.empty()) {
          refuse(ErrorCode::position_out_of_range);
        } else {
          answer.size = static_cast<std::int64_t>((*part)->size_bytes);
          answer.position = wanted.position;
          answer.unaligned_records = wire::Records(std::move((*part)->bytes));
        }
      }
    }
  }
  co_return encode(response, version);
}

io::Task<Body> ControllerServer::serve_envelope(std::int16_t version, Slice body) {
  auto request = decode<wire::EnvelopeRequest>(std::move(body), version);
  if (!request) co_return std::unexpected(request.error());
  wire::EnvelopeResponse response;
  const auto refuse = [&](ErrorCode code) {
    response.error_code = static_cast<std::int16_t>(code);
    return encode(response, version);
  };
  if (!is_principal(request->request_principal))
    co_return refuse(ErrorCode::principal_deserialization_failure);
  if (!is_address(request->client_host_address)) co_return refuse(ErrorCode::invalid_request);
  const auto header = wire::parse_request_header(request->request_data);
  if (!header || !header->api) co_return refuse(ErrorCode::unsupported_version);
  const auto key = static_cast<ApiKey>(header->api_key);
  const Slice& frame = request->request_data;
  const Slice inner_body = frame.subslice(header->body_offset, frame.size() - header->body_offset);
  const Forwarded forwarded = check_forwarded(key, header->api_version, inner_body);
  if (forwarded == Forwarded::not_for_clients) co_return refuse(ErrorCode::invalid_request);
  if (!serves(header->api_key, header->api_version) || forwarded == Forwarded::unreadable)
    co_return refuse(ErrorCode::unsupported_version);
  auto inner = co_await serve(header->api_key, header->api_version, inner_body);
  if (!inner) co_return std::unexpected(inner.error());

  const bool is_flexible = header->api->response_header_version(header->api_version) > 0;
  wire::Writer writer;
  writer.integer(header->correlation_id);
  if (is_flexible) writer.integer(std::uint8_t{0});
  writer.insert(*inner);
  response.response_data = std::move(writer).finish().flatten();
  co_return encode(response, version);
}

io::Task<Body> ControllerServer::serve_describe_quorum(std::int16_t version, Slice body) {
  auto request = decode<wire::DescribeQuorumRequest>(std::move(body), version);
  if (!request) co_return std::unexpected(request.error());
  // There is one partition to ask for; asked for anything else too, Kafka knows none of it.
  const bool is_known = request->topics.size() == 1 &&
                        request->topics[0].topic_name == kMetadataTopic &&
                        request->topics[0].partitions.size() == 1 &&
                        request->topics[0].partitions[0].partition_index == 0;
  wire::DescribeQuorumResponse response;
  for (const auto& topic : request->topics) {
    auto& topic_answer = response.topics.emplace_back();
    topic_answer.topic_name = topic.topic_name;
    for (const auto& partition : topic.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      if (is_known) {
        describe(version, answer);
        continue;
      }
      answer.error_code = static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
      answer.error_message = "This server does not host this topic-partition.";
    }
  }
  if (!is_known || version < kNodesFrom) co_return encode(response, version);
  for (const consensus::Voter& voter : log_->voters().voters) {
    auto& node = response.nodes.emplace_back();
    node.node_id = voter.id;
    for (const consensus::VoterEndpoint& endpoint : voter.endpoints) {
      auto& listener = node.listeners.emplace_back();
      listener.name = endpoint.listener;
      listener.host = endpoint.host;
      listener.port = endpoint.port;
    }
  }
  co_return encode(response, version);
}

void ControllerServer::describe(std::int16_t version,
                                wire::DescribeQuorumResponse::PartitionData& answer) const {
  const TimestampMs now = env_.clock.wall_ms();
  answer.leader_id = log_->leader_id();
  answer.leader_epoch = log_->epoch();
  answer.high_watermark = log_->log().high_watermark();
  for (const consensus::Voter& voter : log_->voters().voters) {
    auto& state = answer.current_voters.emplace_back();
    state.replica_id = voter.id;
    if (version >= kDirectoriesFrom) state.replica_directory_id = voter.directory_id;
    state.log_end_offset = log_->log().log_end_offset();
    state.last_fetch_timestamp = now;
    state.last_caught_up_timestamp = now;
  }
  for (const auto& [id, observer] : observers_) {
    if (std::ranges::find(log_->voters().voters, id, &consensus::Voter::id) !=
        log_->voters().voters.end()) {
      continue;
    }
    auto& state = answer.observers.emplace_back();
    state.replica_id = id;
    if (version >= kDirectoriesFrom) state.replica_directory_id = observer.directory_id;
    state.log_end_offset = observer.log_end_offset;
    state.last_fetch_timestamp = observer.last_fetch_ms;
    state.last_caught_up_timestamp = observer.last_caught_up_ms;
  }
}

}  // namespace ottla::metadata
