// What the broker's handlers ask of the controller. One for each shard; it hops to the shard that
// holds the connection to the controller and speaks Kafka's wire protocol there.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "base/ids.h"
#include "io/clock.h"
#include "io/error.h"
#include "io/task.h"
#include "metadata/image.h"
#include "rpc/service.h"

namespace ottla::broker {

class Controller {
 public:
  virtual ~Controller() = default;

  // Forwards a client's request in an Envelope (KIP-590) and gives the body of the answer.
  // `timed_out` if no controller could be reached in time.
  virtual io::Task<io::Result<Slice>> forward(rpc::Request request, rpc::Peer peer) = 0;

  // An id that no producer of this cluster has had (KIP-730); the controller hands out blocks.
  virtual io::Task<io::Result<ProducerId>> next_producer_id() = 0;

  // Returns when this shard serves all that the controller had committed when it was asked, or at
  // the deadline (false).
  virtual io::Task<bool> catch_up(io::Instant deadline) = 0;

  // Returns when this shard serves an image for which `seen` holds, or at the deadline (false).
  virtual io::Task<bool> wait_for_image(std::function<bool(const metadata::Image&)> seen,
                                        io::Instant deadline) = 0;
};

}  // namespace ottla::broker
