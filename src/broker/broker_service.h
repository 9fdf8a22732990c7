// Hands a request to the handler of its API. Nothing else: what an API does stands in handlers/.
#pragma once

#include "broker/shard.h"
#include "rpc/service.h"

namespace ottla::broker {

class BrokerService final : public rpc::Service {
 public:
  explicit BrokerService(Shard& shard) : shard_(shard) {}

  void handle(rpc::Request request, const std::shared_ptr<rpc::Peer>& peer,
              rpc::ReplySlot reply) override;
  bool may_overlap(std::int16_t api_key) const override;
  bool serves(std::int16_t api_key, std::int16_t api_version) const override;

 private:
  Shard& shard_;
};

}  // namespace ottla::broker
