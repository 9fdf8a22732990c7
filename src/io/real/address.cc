#include "io/real/address.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>

#include "io/real/system_error.h"

namespace ottla::io::real {

std::uint16_t Address::port() const {
  return ntohs(family() == AF_INET ? v4.sin_port : v6.sin6_port);
}

bool Address::is_loopback() const {
  if (family() == AF_INET) return (ntohl(v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

Endpoint Address::to_endpoint() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return {text, port()};
}

Address local_address(int socket) {
  Address address;
  ::getsockname(socket, &address.any, &address.size);
  return address;
}

std::optional<Address> parse_address(const Endpoint& endpoint) {
  Address address;
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(endpoint.port);
    address.size = sizeof(sockaddr_in);
    return address;
  }
  address = {};
  if (endpoint.host.empty() ||
      ::inet_pton(AF_INET6, endpoint.host.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(endpoint.port);
    return address;
  }
  return std::nullopt;
}

Result<std::vector<Address>> resolve(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failure = ::getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &first);
  if (failure == EAI_SYSTEM) return failed("resolving", endpoint.host, errno);
  if (failure != 0) {
    const ErrorKind kind = failure == EAI_AGAIN ? ErrorKind::timed_out : ErrorKind::not_found;
    return std::unexpected(Error{kind, fmt::format("resolving the host name {}: {}", endpoint.host,
                                                   ::gai_strerror(failure))});
  }
  std::vector<Address> found;
  for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    Address address;
    std::memcpy(&address.any, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
    if (at->ai_family == AF_INET) {
      address.v4.sin_port = htons(endpoint.port);
    } else {
      address.v6.sin6_port = htons(endpoint.port);
    }
    found.push_back(address);
  }
  ::freeaddrinfo(first);
  return found;
}

}  // namespace ottla::io::real
