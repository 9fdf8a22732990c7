// Endpoint <-> the system's addresses.
#pragma once

#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <vector>

#include "io/network.h"

namespace ottla::io::real {

struct Address {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t size = sizeof(sockaddr_in6);

  Address() : v6{} {}
  int family() const { return any.sa_family; }
  std::uint16_t port() const;
  bool is_loopback() const;
  // An IPv4 address that came in over an IPv6 socket is written as IPv4.
  Endpoint to_endpoint() const;
};

Address local_address(int socket);

// If `host` is an address as text, or empty (every local address).
std::optional<Address> parse_address(const Endpoint& endpoint);

// Asks the system's resolver. Blocks.
Result<std::vector<Address>> resolve(const Endpoint& endpoint);

}  // namespace ottla::io::real
