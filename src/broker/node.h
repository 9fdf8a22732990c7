// A node: the broker half on every shard, the controller half on shard 0, and their start and end
// in the right order.
//
//   start  folder (format, lock, recovery) -> controller -> image -> registration -> ports bound ->
//   unfenced -> serving end    no new connections -> answers under way -> leaderships handed over
//   -> logs drained -> clean marker
//
// The same code runs in the real world and in the simulator; it knows only Env.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/node_config.h"
#include "io/env.h"

namespace ottla::broker {

enum class ExitCode : int {
  stopped = 0,        // was asked to
  failed = 1,         // a disk failed, an invariant of the folder is broken ...
  configuration = 2,  // the settings make no sense
  in_use = 3,         // the port or the folder belongs to somebody else
};

struct NodeReady {
  std::string cluster_id;
  NodeId node_id = 1;
  std::vector<std::pair<std::string, io::Endpoint>> listeners;  // name, and where it really listens
};

struct NodeCallbacks {
  std::function<void(const NodeReady&)> on_ready;  // on shard 0, once, when requests are served
};

// Where the shards of one process meet while they start. One for each run.
class NodeMeetingPoint;
std::shared_ptr<NodeMeetingPoint> make_meeting_point(const NodeConfig& config,
                                                     NodeCallbacks callbacks);

// Runs this shard's part of the node; called on every shard with the same meeting point. Ends soon
// after env.stop was set, or when the node can't go on; gives an ExitCode, the same on every shard
// but for failures to start.
io::Task<int> run_node(io::Env& env, std::shared_ptr<NodeMeetingPoint> meeting);

}  // namespace ottla::broker
