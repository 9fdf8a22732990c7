// The address by which a client is told to reach a broker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/node_config.h"
#include "metadata/image.h"
#include "rpc/service.h"

namespace ottla::broker {

struct AdvertisedBroker {
  NodeId id = -1;
  std::string host;
  std::uint16_t port = 0;
  std::optional<std::string> rack;
  bool is_fenced = false;
};

// The brokers of the image as this client shall see them, by id: at the listener that it came in
// by. For this node without an advertised address that is the address which the client used: it
// works from where the client stands, be that the loopback, another host or a forwarded port.
// Fenced brokers only if asked for.
std::vector<AdvertisedBroker> advertised_brokers(const metadata::Image& image,
                                                 const NodeConfig& config, const rpc::Peer& peer,
                                                 bool with_fenced = false);

}  // namespace ottla::broker
