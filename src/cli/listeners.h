// `listeners`, `advertised.listeners`, `listener.security.protocol.map` and
// `controller.listener.names`, as Kafka writes them, to the listeners of a node. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "broker/node_config.h"
#include "io/network.h"

namespace ottla::cli {

struct NamedEndpoint {
  std::string name;  // "PLAINTEXT"
  io::Endpoint at;
  bool operator==(const NamedEndpoint&) const = default;
};

// "NAME://host:port,NAME://[::1]:port"; an empty host is every address of the machine. The error
// says what is wrong with which item.
std::expected<std::vector<NamedEndpoint>, std::string> parse_listeners(std::string_view text);

// "host:port", "host" (with port 9092), "[::1]:9092".
std::expected<io::Endpoint, std::string> parse_address(std::string_view text,
                                                       std::uint16_t default_port = 9092);

struct ListenerFault {
  std::string key;  // of the setting to blame
  std::string cause;
  std::string remedy;
  bool operator==(const ListenerFault&) const = default;
};

struct ListenerSettings {
  std::string listeners;
  std::string advertised;    // empty: each client is told the address that it used
  std::string protocol_map;  // empty: Kafka's default
  std::string controller_names;
};

// All that is wrong, or the listeners in the order of the setting.
std::expected<std::vector<broker::ListenerConfig>, std::vector<ListenerFault>> resolve_listeners(
    const ListenerSettings& settings);

}  // namespace ottla::cli
