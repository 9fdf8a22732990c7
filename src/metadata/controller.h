// The controller's rules, pure: a request and the time in, records and an answer out. The caller
// appends the records, applies them here at once, and sends the answer when they are committed;
// nothing else changes the state, so loading the log is the same as having decided.
//
// After Kafka's QuorumController and its managers (KIP-631, KIP-841, KIP-966); messages are those
// that Kafka's tools show.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metadata/image.h"
#include "metadata/image_builder.h"
#include "metadata/record.h"
#include "metadata/topic_config.h"
#include "wire/errors.h"
#include "wire/messages/allocate_producer_ids_request.h"
#include "wire/messages/allocate_producer_ids_response.h"
#include "wire/messages/alter_configs_request.h"
#include "wire/messages/alter_configs_response.h"
#include "wire/messages/broker_heartbeat_request.h"
#include "wire/messages/broker_heartbeat_response.h"
#include "wire/messages/broker_registration_request.h"
#include "wire/messages/broker_registration_response.h"
#include "wire/messages/create_partitions_request.h"
#include "wire/messages/create_partitions_response.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/incremental_alter_configs_request.h"
#include "wire/messages/incremental_alter_configs_response.h"

namespace ottla::metadata {

inline constexpr std::int32_t kProducerIdsBlock = 1000;
inline constexpr std::size_t kRecordsMax = 10'000;  // of one CreateTopics, as in Kafka
// Names and values in the records of one CreateTopics or AlterConfigs: they must fit one batch of
// the log.
inline constexpr std::size_t kRecordTextBytesMax = 2 << 20;

struct ControllerOptions {
  std::string cluster_id;
  std::int16_t kraft_version = 1;  // finalized, but in the log's control records
  std::int64_t broker_session_timeout_ms = 9000;
  std::int32_t num_partitions = 1;
  std::int16_t default_replication_factor = 1;
  // Of topics, by the broker settings that stand in for them; shown in the answer of CreateTopics.
  ConfigMap node_configs;
  // The broker in this process: the lock of its folder proves that an earlier one is dead, so it is
  // never refused for the sake of that one's session.
  std::optional<NodeId> own_broker;
};

// Records to append as one batch, and what to answer once they are committed.
template <class Response>
struct Decision {
  std::vector<Record> records;
  Response response;
};

// A source of topic ids; the shell gives it from io::Random.
class IdSource {
 public:
  virtual ~IdSource() = default;
  virtual Uuid next() = 0;
};

class Controller {
 public:
  Controller(ControllerOptions options, ImagePtr image);

  // --- decisions; `now_ms` is monotonic

  // `next_offset` is the one that the first record would get: the broker's epoch is its
  // registration's offset.
  Decision<wire::BrokerRegistrationResponse> register_broker(
      const wire::BrokerRegistrationRequest& request, Offset next_offset, std::int64_t now_ms);
  Decision<wire::BrokerHeartbeatResponse> heartbeat(const wire::BrokerHeartbeatRequest& request,
                                                    Offset last_offset, std::int64_t now_ms);
  Decision<wire::AllocateProducerIdsResponse> allocate_producer_ids(
      const wire::AllocateProducerIdsRequest& request);
  Decision<wire::CreateTopicsResponse> create_topics(const wire::CreateTopicsRequest& request,
                                                     std::int16_t version, IdSource& ids);
  Decision<wire::DeleteTopicsResponse> delete_topics(const wire::DeleteTopicsRequest& request,
                                                     std::int16_t version);
  // The rules of one topic: topic_growth.h.
  Decision<wire::CreatePartitionsResponse> create_partitions(
      const wire::CreatePartitionsRequest& request);
  // The rules of one resource: config_changes.h.
  Decision<wire::AlterConfigsResponse> alter_configs(const wire::AlterConfigsRequest& request);
  Decision<wire::IncrementalAlterConfigsResponse> incremental_alter_configs(
      const wire::IncrementalAlterConfigsRequest& request);

  // Fences a broker whose session has ended; one at a time, since each changes what the next finds.
  std::vector<Record> tick(std::int64_t now_ms);
  // When tick() is next useful; nullopt if there is nothing to wait for.
  std::optional<std::int64_t> deadline_ms() const;

  // --- state

  // Records that were appended, in their order. `provenance` is that of the last.
  void apply(const std::vector<Record>& records, Provenance provenance);
  const ImagePtr& image() const { return image_; }

  // A new active controller: every unfenced broker but the own one gets a fresh session.
  void become_active(std::int64_t now_ms);

 private:
  struct Session {
    // None before the first heartbeat: a registration alone opens no session.
    std::optional<std::int64_t> ends_ms;
    Offset registration_offset = 0;         // of the last registration record
    Offset applied_offset = -1;             // as the broker last said
    std::optional<Offset> shutdown_offset;  // where its controlled shutdown began
  };

  // Topic names by what they are in metrics, where `.` and `_` are the same.
  using CollisionKeys = std::map<std::string, std::string>;
  wire::CreateTopicsResponse::CreatableTopicResult create_topic(
      const wire::CreateTopicsRequest::CreatableTopic& topic, bool with_configs, IdSource& ids,
      CollisionKeys& taken, std::size_t& text_bytes_of_request, std::vector<Record>& records) const;
  std::optional<std::string> check_features(const wire::BrokerRegistrationRequest& request) const;
  bool leads_something(NodeId broker) const;
  bool others_have_seen(Offset offset, NodeId but) const;
  TopicConfigLayers topic_config(std::string_view topic) const;
  // One broker's new standing; the image still shows the old one.
  struct Standing {
    std::optional<NodeId> gone = std::nullopt;
    std::optional<NodeId> back = std::nullopt;
    std::optional<NodeId> without_data = std::nullopt;  // and gone
  };
  void change_partitions(const Standing& standing, std::vector<Record>& records) const;

  // constant
  ControllerOptions options_;
  // durable: the fold of the log
  ImagePtr image_;
  ImageBuilder builder_;
  // soft
  std::map<NodeId, Session> sessions_;
};

}  // namespace ottla::metadata
