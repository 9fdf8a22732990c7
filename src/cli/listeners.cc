#include "cli/listeners.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <set>

#include "cli/text.h"

namespace ottla::cli {
namespace {

constexpr std::string_view kPlaintext = "PLAINTEXT";
constexpr std::string_view kKnownProtocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

bool is_listener_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char letter) {
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '_' || letter == '-';
  });
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& letter : upper) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 32);
  }
  return upper;
}

using ProtocolMap = std::map<std::string, std::string>;

// "NAME:PROTOCOL,..."
std::expected<ProtocolMap, std::string> parse_protocol_map(std::string_view text) {
  ProtocolMap map;
  for (const std::string_view item : split(text, ',')) {
    const std::size_t colon = item.find(':');
    if (colon == std::string_view::npos)
      return std::unexpected(fmt::format("\"{}\" is not NAME:PROTOCOL", item));
    const std::string name = upper_case(trim(item.substr(0, colon)));
    const std::string protocol = upper_case(trim(item.substr(colon + 1)));
    if (std::ranges::find(kKnownProtocols, protocol) == std::end(kKnownProtocols))
      return std::unexpected(fmt::format("\"{}\" is no security protocol", protocol));
    if (!map.emplace(name, protocol).second)
      return std::unexpected(fmt::format("{} is there twice", name));
  }
  return map;
}

// What a name speaks that the map does not mention.
std::string protocol_of(const ProtocolMap& map, const std::string& name) {
  if (const auto found = map.find(name); found != map.end()) return found->second;
  if (std::ranges::find(kKnownProtocols, name) != std::end(kKnownProtocols)) return name;
  return "";
}

class Resolver {
 public:
  explicit Resolver(const ListenerSettings& settings) : settings_(settings) {}

  std::expected<std::vector<broker::ListenerConfig>, std::vector<ListenerFault>> resolve() {
    read_protocol_map();
    for (const std::string_view name : split(settings_.controller_names, ','))
      controllers_.insert(upper_case(name));
    read_listeners();
    read_advertised();
    if (!faults_.empty()) return std::unexpected(std::move(faults_));
    return std::move(listeners_);
  }

 private:
  void fault(std::string key, std::string cause, std::string remedy) {
    faults_.push_back({std::move(key), std::move(cause), std::move(remedy)});
  }

  void read_protocol_map() {
    auto map = parse_protocol_map(settings_.protocol_map);
    if (map) {
      protocols_ = std::move(*map);
      return;
    }
    fault("listener.security.protocol.map", std::move(map.error()),
          "Write NAME:PLAINTEXT for each listener");
  }

  void read_listeners() {
    auto parsed = parse_listeners(settings_.listeners);
    if (!parsed) {
      fault("listeners", std::move(parsed.error()), "Write NAME://host:port, as PLAINTEXT://:9092");
      return;
    }
    std::set<std::uint16_t> ports;
    for (NamedEndpoint& one : *parsed) {
      check_protocol(one.name);
      if (one.at.port != 0 && !ports.insert(one.at.port).second) {
        fault("listeners", fmt::format("port {} is there twice", one.at.port),
              "Give each listener a port of its own");
      }
      const bool is_controller = controllers_.contains(one.name);
      listeners_.push_back({std::move(one.name), std::move(one.at), std::nullopt, is_controller});
    }
    if (std::ranges::all_of(listeners_, &broker::ListenerConfig::is_controller)) {
      fault("listeners", "there is none for clients: all are named in controller.listener.names",
            "Add one, as PLAINTEXT://:9092");
    }
  }

  void check_protocol(const std::string& name) {
    const std::string protocol = protocol_of(protocols_, name);
    if (protocol == kPlaintext) return;
    if (protocol.empty()) {
      fault("listener.security.protocol.map",
            fmt::format("it does not say what listener {} speaks", name),
            fmt::format("Add {}:PLAINTEXT", name));
    } else {
      fault("listeners",
            fmt::format("listener {} would speak {}, and only PLAINTEXT is served yet", name,
                        protocol),
            fmt::format(
                "Map {}:PLAINTEXT in listener.security.protocol.map, or leave the listener out",
                name));
    }
  }

  void read_advertised() {
    if (settings_.advertised.empty()) return;
    auto parsed = parse_listeners(settings_.advertised);
    if (!parsed) {
      fault("advertised.listeners", std::move(parsed.error()),
            "Write NAME://host:port, as PLAINTEXT://broker.example:9092");
      return;
    }
    for (NamedEndpoint& one : *parsed) {
      const auto listener = std::ranges::find(listeners_, one.name, &broker::ListenerConfig::name);
      if (listener == listeners_.end()) {
        fault("advertised.listeners", fmt::format("listener {} is not in listeners", one.name),
              "Use the same names in both");
      } else if (one.at.host.empty() || one.at.host == "0.0.0.0" || one.at.host == "::") {
        fault("advertised.listeners",
              fmt::format("clients can't connect to \"{}\"", one.at.to_string()),
              "Name an address that clients reach, or leave the setting out: then each client is "
              "told the address that it used itself");
      } else {
        listener->advertised = std::move(one.at);
      }
    }
  }

  const ListenerSettings& settings_;
  ProtocolMap protocols_;
  std::set<std::string> controllers_;
  std::vector<broker::ListenerConfig> listeners_;
  std::vector<ListenerFault> faults_;
};

}  // namespace

std::expected<io::Endpoint, std::string> parse_address(std::string_view text,
                                                       std::uint16_t default_port) {
  const std::string whole(text);
  io::Endpoint at{.host = "", .port = default_port};
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos)
      return std::unexpected(fmt::format("\"{}\" lacks the closing bracket", whole));
    at.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && !port.starts_with(':'))
      return std::unexpected(fmt::format("\"{}\" has something behind the bracket", whole));
  } else {
    const std::size_t colon = text.find(':');
    if (colon != text.rfind(':'))
      return std::unexpected(fmt::format("\"{}\": an IPv6 address stands in brackets", whole));
    at.host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), at.port);
    if (error != std::errc() || end != port.data() + port.size())
      return std::unexpected(fmt::format("\"{}\" has no port between 0 and 65535", whole));
  }
  return at;
}

std::expected<std::vector<NamedEndpoint>, std::string> parse_listeners(std::string_view text) {
  constexpr std::string_view kSeparator = "://";
  std::vector<NamedEndpoint> found;
  for (const std::string_view item : split(text, ',')) {
    const std::size_t at = item.find(kSeparator);
    if (at == std::string_view::npos)
      return std::unexpected(fmt::format("\"{}\" is not NAME://host:port", item));
    const std::string_view name = item.substr(0, at);
    if (!is_listener_name(name))
      return std::unexpected(fmt::format("\"{}\" is no name of a listener", name));
    const std::string_view address = item.substr(at + kSeparator.size());
    if (address.find(':') == std::string_view::npos)
      return std::unexpected(fmt::format("\"{}\" has no port", item));
    auto endpoint = parse_address(address);
    if (!endpoint) return std::unexpected(std::move(endpoint.error()));
    std::string upper = upper_case(name);
    if (std::ranges::find(found, upper, &NamedEndpoint::name) != found.end())
      return std::unexpected(fmt::format("{} is there twice", upper));
    found.push_back({std::move(upper), std::move(*endpoint)});
  }
  if (found.empty()) return std::unexpected("there is no listener in it");
  return found;
}

std::expected<std::vector<broker::ListenerConfig>, std::vector<ListenerFault>> resolve_listeners(
    const ListenerSettings& settings) {
  return Resolver(settings).resolve();
}

}  // namespace ottla::cli
