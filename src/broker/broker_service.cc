#include "broker/broker_service.h"

#include "broker/api_table.h"

namespace ottla::broker {

void BrokerService::handle(rpc::Request request, const std::shared_ptr<rpc::Peer>& peer,
                           rpc::ReplySlot reply) {
  const ServedApi* api = find_served(request.api_key);
  OTTLA_CHECK(api != nullptr);  // serves() said so
  api->handler(RequestContext{shard_, std::move(request), peer, std::move(reply)});
}

// Batches of one producer may wait for the same flush: their order is fixed when they are appended.
bool BrokerService::may_overlap(std::int16_t api_key) const {
  return api_key == static_cast<std::int16_t>(wire::ApiKey::kProduce);
}

bool BrokerService::serves(std::int16_t api_key, std::int16_t api_version) const {
  const ServedApi* api = find_served(api_key);
  if (!api) return false;
  return api->served.contains(api_version) || api->key == wire::ApiKey::kApiVersions;
}

}  // namespace ottla::broker
