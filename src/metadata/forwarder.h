// What a broker passes on to the controller: clients' requests in an Envelope (KIP-590), and the
// wish for producer ids (KIP-730), of which it hands out a block one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "io/env.h"
#include "metadata/controller_link.h"

namespace ottla::metadata {

class Forwarder {
 public:
  Forwarder(io::Env& env, ControllerLink& link, NodeId node_id,
            std::function<BrokerEpoch()> broker_epoch);

  // `frame` is a client's whole request, header and body; gives the body of the controller's
  // answer. The API and its version tell the form of that answer's header. A connection that breaks
  // is made anew and the request sent again, as Kafka's brokers do: what was done before the answer
  // was lost then answers TOPIC_ALREADY_EXISTS or the like. `timed_out` when `kPatience` is over,
  // `closed` after close().
  io::Task<io::Result<Slice>> forward(Slice frame, std::int16_t api_key, std::int16_t api_version,
                                      std::string client_host);

  // The last offset of the metadata log that is committed now, or a later one: who serves an image
  // of it serves all that the controller has answered before.
  io::Task<io::Result<Offset>> last_committed();

  // An error concerns all who waited for the same block; asking again makes a new attempt.
  io::Task<io::Result<ProducerId>> next_producer_id();

  // Ends what is under way with `closed`.
  io::Task<void> close();

  static constexpr io::Duration kPatience = std::chrono::seconds(60);

 private:
  io::Task<io::Result<Slice>> forward_once(const Slice& frame, const wire::ApiInfo& api,
                                           std::int16_t api_version, const std::string& client_host,
                                           io::Duration timeout);
  io::Task<io::Result<>> allocate();

  io::Env& env_;
  ControllerChannel envelopes_;
  ControllerChannel allocations_;
  NodeId node_id_;
  std::function<BrokerEpoch()> broker_epoch_;
  ProducerId next_id_ = 0;
  ProducerId block_end_ = 0;
  bool is_allocating_ = false;
  std::optional<io::Error> allocation_failure_;  // of the last attempt
  io::Event allocated_;
  io::Event stop_;
};

}  // namespace ottla::metadata
