// The real network: TCP over IPv4 and IPv6.
#pragma once

#include <vector>

#include "io/network.h"
#include "io/real/address.h"
#include "io/real/lanes.h"
#include "io/real/listener.h"
#include "io/real/loop.h"

namespace ottla::io::real {

class RealNetwork final : public Network {
 public:
  RealNetwork(Loop& loop, Lanes& lanes, ListeningPorts& ports)
      : loop_(loop), lanes_(lanes), ports_(ports) {}

  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint at) override;
  // Gives up on an address after kConnectTimeout.
  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to) override;

  static constexpr Duration kConnectTimeout = std::chrono::seconds(10);

 private:
  Task<Result<std::vector<Address>>> find(Endpoint endpoint);
  Task<Result<std::unique_ptr<Connection>>> connect_to(Address address, Endpoint name);

  Loop& loop_;
  Lanes& lanes_;
  ListeningPorts& ports_;
};

}  // namespace ottla::io::real
