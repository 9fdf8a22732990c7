// What a broker passes on to the controller: clients' requests in an Envelope (KIP-590), and the
// wish for producer ids (KIP-730), of which it hands out a block one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "io/env.h"
#include "metadata/controller_link.h"

namespace ottla::metadata {

class Forwarder {
 public:
  Forwarder(io::Env& env, ControllerLink& link, NodeId node_id,
            std::function<BrokerEpoch()> broker_epoch);

  // `frame` is a client's whole request, header and body; gives the body of the controller's
  // answer. The API and its version tell the form of that answer's header.
  io::Task<io::Result<Slice>> forward(Slice frame, std::int16_t api_key, std::int16_t api_version,
                                      std::string client_host);

  io::Task<io::Result<ProducerId>> next_producer_id();

  io::Task<void> close();

 private:
  io::Env& env_;
  ControllerChannel envelopes_;
  ControllerChannel allocations_;
  NodeId node_id_;
  std::function<BrokerEpoch()> broker_epoch_;
  ProducerId next_id_ = 0;
  ProducerId block_end_ = 0;
  bool is_allocating_ = false;
  io::Event allocated_;
};

}  // namespace ottla::metadata
