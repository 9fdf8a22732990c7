#include "broker/advertised.h"

#include <algorithm>

namespace ottla::broker {

std::vector<AdvertisedBroker> advertised_brokers(const metadata::Image& image,
                                                 const NodeConfig& config, const rpc::Peer& peer,
                                                 bool with_fenced) {
  std::vector<AdvertisedBroker> brokers;
  for (const auto& [id, broker] : image.brokers) {
    if (broker.is_fenced && !with_fenced) continue;
    const auto endpoint =
        std::ranges::find(broker.endpoints, peer.listener, &metadata::EndpointImage::listener);
    if (endpoint == broker.endpoints.end()) continue;
    AdvertisedBroker& known = brokers.emplace_back(
        AdvertisedBroker{id, endpoint->host, endpoint->port, broker.rack, broker.is_fenced});
    if (id != config.node_id) continue;
    const auto listener = std::ranges::find(config.listeners, peer.listener, &ListenerConfig::name);
    if (listener != config.listeners.end() && !listener->advertised) {
      known.host = peer.local.host;
      known.port = peer.local.port;
    }
  }
  return brokers;
}

}  // namespace ottla::broker
