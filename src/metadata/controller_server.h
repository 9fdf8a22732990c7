// The controller half of a node: the rules (controller.h) over the metadata log, served by Kafka's
// wire protocol to whoever is connected: the broker half of the same process over an in-process
// channel, others over a port if the configuration names one. Lives on shard 0.
//
// Every answer that depends on records waits until they are committed; a disk that fails ends the
// node.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "consensus/metadata_log.h"
#include "io/env.h"
#include "metadata/controller.h"
#include "rpc/service.h"
#include "wire/messages/describe_quorum_response.h"

namespace ottla::metadata {

class ControllerServer final : public rpc::Service {
 public:
  ControllerServer(io::Env& env, std::unique_ptr<consensus::MetadataLog> log,
                   ControllerOptions options);

  // Loads the state and, in a new cluster, writes its first records (`bootstrap`). Before it has
  // returned nothing may be served. Refuses (`invalid`) a cluster whose features have levels that
  // this build does not know.
  io::Task<io::Result<>> start(std::vector<Record> bootstrap);
  // Ends background work and long polls; answers under way go out first.
  io::Task<void> stop();

  void handle(rpc::Request request, const std::shared_ptr<rpc::Peer>& peer,
              rpc::ReplySlot reply) override;
  bool may_overlap(std::int16_t api_key) const override;
  bool serves(std::int16_t api_key, std::int16_t api_version) const override;

  const ImagePtr& image() const { return rules_->image(); }

 private:
  struct ObserverState {
    Uuid directory_id;
    Offset log_end_offset = 0;
    TimestampMs last_fetch_ms = -1;
    TimestampMs last_caught_up_ms = -1;
  };

  // Serves one request; the answer's body, or why the connection must end.
  io::Task<std::expected<Gather, std::string>> serve(std::int16_t api_key, std::int16_t version,
                                                     Slice body);
  io::Task<void> serve_and_reply(rpc::Request request, rpc::ReplySlot reply);

  template <class Request, class Response>
  io::Task<std::expected<Gather, std::string>> decide(
      std::int16_t version, Slice body,
      Decision<Response> (ControllerServer::*rule)(const Request&, std::int16_t));
  Decision<wire::BrokerRegistrationResponse> register_broker(
      const wire::BrokerRegistrationRequest& request, std::int16_t version);
  Decision<wire::BrokerHeartbeatResponse> heartbeat(const wire::BrokerHeartbeatRequest& request,
                                                    std::int16_t version);
  Decision<wire::AllocateProducerIdsResponse> allocate(
      const wire::AllocateProducerIdsRequest& request, std::int16_t version);
  Decision<wire::CreateTopicsResponse> create_topics(const wire::CreateTopicsRequest& request,
                                                     std::int16_t version);
  Decision<wire::DeleteTopicsResponse> delete_topics(const wire::DeleteTopicsRequest& request,
                                                     std::int16_t version);

  Decision<wire::CreatePartitionsResponse> create_partitions(
      const wire::CreatePartitionsRequest& request, std::int16_t version);
  Decision<wire::AlterConfigsResponse> alter_configs(const wire::AlterConfigsRequest& request,
                                                     std::int16_t version);
  Decision<wire::IncrementalAlterConfigsResponse> incremental_alter_configs(
      const wire::IncrementalAlterConfigsRequest& request, std::int16_t version);

  io::Task<std::expected<Gather, std::string>> serve_api_versions(std::int16_t version);
  io::Task<std::expected<Gather, std::string>> serve_fetch(std::int16_t version, Slice body);
  io::Task<std::expected<Gather, std::string>> serve_fetch_snapshot(std::int16_t version,
                                                                    Slice body);
  io::Task<std::expected<Gather, std::string>> serve_envelope(std::int16_t version, Slice body);
  io::Task<std::expected<Gather, std::string>> serve_describe_quorum(std::int16_t version,
                                                                     Slice body);

  // Tells the cluster of this controller's process, as each Kafka controller does at its start.
  Record own_registration() const;
  void describe(std::int16_t version, wire::DescribeQuorumResponse::PartitionData& answer) const;

  // Appends, applies, and waits for the commit. False if the disk failed. REQUIRES:
  // !is_appending_ when the records were decided, and no suspension since.
  io::Task<bool> commit(std::vector<Record> records);
  io::Task<void> tick_loop();
  io::Task<void> snapshot_if_due();
  std::int64_t now_ms() const { return env_.clock.now().ns / 1'000'000; }

  io::Env& env_;
  std::unique_ptr<consensus::MetadataLog> log_;
  ControllerOptions options_;
  std::unique_ptr<Controller> rules_;
  std::map<NodeId, ObserverState> observers_;  // who fetches the log, by node id
  std::set<io::Event*> long_polls_;            // fetches that wait, to be woken at the end
  bool is_writing_snapshot_ = false;
  // A decision waits for room in the journal: no other may be made before it is in the log.
  bool is_appending_ = false;
  io::Event appended_;
  io::Event stop_;
  io::TaskGroup tasks_;
};

}  // namespace ottla::metadata
