// The broker's standing with the controller: registration, heartbeats, unfencing, and the way out
// (KIP-631). One request at a time. While starting it does not pause: each answer leads to the next
// question.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/env.h"
#include "metadata/controller_link.h"
#include "metadata/image.h"

namespace ottla::metadata {

struct LifecycleOptions {
  std::string cluster_id;
  NodeId node_id = 1;
  Uuid incarnation_id;  // random, of this process
  std::vector<Uuid> directories;
  std::vector<EndpointImage> endpoints;
  std::optional<std::string> rack;
  // Epoch of this broker's last incarnation if nothing that it had is missing; -1 otherwise
  // (KIP-966).
  BrokerEpoch previous_epoch = -1;
  io::Duration heartbeat_interval = std::chrono::seconds(2);
  io::Duration registration_timeout = std::chrono::seconds(60);
};

class BrokerLifecycle {
 public:
  // `applied_offset` tells how far the image is; `advanced` is set when it has moved.
  BrokerLifecycle(io::Env& env, ControllerLink& link, LifecycleOptions options,
                  std::function<Offset()> applied_offset, io::Event& advanced);

  // Registers and waits until the registration is in the image. An error says why the controller
  // refuses this broker.
  io::Task<io::Result<>> register_broker();
  // Asks to be unfenced and waits until it is: from then on partitions are led.
  io::Task<io::Result<>> unfence();
  // Heartbeats until stop() or shut_down(). Spawned by the owner. False when another process has
  // taken this node's id.
  io::Task<bool> keep_alive();
  // Hands over what is led, and is fenced. Best effort: returns after `patience` at the latest.
  io::Task<void> shut_down(io::Duration patience);
  // Instead of shut_down() where keep_alive() was never spawned.
  io::Task<void> close();

  BrokerEpoch epoch() const { return epoch_; }

 private:
  struct Answer {
    bool is_caught_up = false;
    bool is_fenced = true;
    bool should_shut_down = false;
    bool is_stale = false;
  };
  io::Task<io::Result<Answer>> heartbeat(bool want_fence, bool want_shut_down);

  io::Env& env_;
  LifecycleOptions options_;
  std::function<Offset()> applied_offset_;
  io::Event& advanced_;
  ControllerChannel channel_;
  BrokerEpoch epoch_ = -1;
  bool is_shutting_down_ = false;
  io::Event stop_;
  io::Event stopped_;  // keep_alive has ended
};

}  // namespace ottla::metadata
