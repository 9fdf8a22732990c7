// The command line's view of a cluster: found by a bootstrap address, reached by the addresses that
// its brokers advertise. Works with every broker that speaks Kafka's protocol: versions are agreed
// with each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "io/env.h"
#include "rpc/client.h"
#include "wire/errors.h"
#include "wire/messages/metadata_response.h"

namespace ottla::cli {

struct ClusterError {
  ExitCode exit = ExitCode::failed;
  std::string message;  // cause and, where there is one, remedy
};
template <class T = void>
using Answer = std::expected<T, ClusterError>;

// "UNKNOWN_TOPIC_OR_PARTITION (message)"
std::string describe_code(std::int16_t code, const std::optional<std::string>& message = {});

// One connection, and what the broker at its other end serves.
class BrokerLink {
 public:
  BrokerLink(std::unique_ptr<rpc::Client> client,
             std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>> served)
      : client_(std::move(client)), served_(std::move(served)) {}

  // The newest version of `Request` that both sides know, at most `version_max`; the error says
  // that there is none.
  template <class Request>
  Answer<std::int16_t> version_of(std::int16_t version_max) const {
    return choose_version(Request::info.key, Request::info.name, Request::info.versions.first,
                          std::min(version_max, Request::info.versions.last));
  }

  template <class Response, class Request>
  io::Task<Answer<Response>> call(Request request, std::int16_t version_max = INT16_MAX,
                                  io::Duration timeout = rpc::kRequestTimeoutDefault) {
    const auto version = version_of<Request>(version_max);
    if (!version) co_return std::unexpected(version.error());
    auto answer = co_await client_->call<Response>(std::move(request), *version, timeout);
    if (!answer)
      co_return std::unexpected(ClusterError{ExitCode::unreachable, answer.error().message});
    co_return std::move(*answer);
  }

  rpc::Client& client() { return *client_; }

 private:
  Answer<std::int16_t> choose_version(std::int16_t key, std::string_view name, std::int16_t min,
                                      std::int16_t max) const;

  std::unique_ptr<rpc::Client> client_;
  std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>> served_;  // by API key
};

class Cluster {
 public:
  // Asks the addresses of `bootstrap` ("host:port,host") one after the other.
  static io::Task<Answer<std::unique_ptr<Cluster>>> connect(io::Env& env, std::string bootstrap);

  // Of these topics, or of all; remembers where the brokers are. Errors of single topics are in the
  // answer.
  io::Task<Answer<wire::MetadataResponse>> metadata(std::optional<std::vector<std::string>> topics,
                                                    bool may_create_topics = false);

  // One topic, which must be there.
  io::Task<Answer<wire::MetadataResponse::MetadataResponseTopic>> topic(
      std::string name, bool may_create_topics = false);

  // A broker of whose address metadata() told. Connects when it has to.
  io::Task<Answer<BrokerLink*>> broker(NodeId id);
  // The broker that answered first; another one of the bootstrap addresses if it went away.
  io::Task<Answer<BrokerLink*>> any();
  io::Env& env() { return env_; }

  // Must be awaited before the end.
  io::Task<void> close();

 private:
  Cluster(io::Env& env, std::string bootstrap) : env_(env), bootstrap_(std::move(bootstrap)) {}

  io::Env& env_;
  const std::string bootstrap_;
  std::string answering_;  // the address of bootstrap_link_
  std::unique_ptr<BrokerLink> bootstrap_link_;
  std::map<NodeId, io::Endpoint> brokers_;
  std::map<NodeId, std::unique_ptr<BrokerLink>> links_;
};

// Connects, runs `work`, closes, prints the error of connecting. For the commands.
io::Task<int> with_cluster(io::Env& env, std::string bootstrap,
                           std::function<io::Task<int>(Cluster&)> work);

// Prints it, and gives its exit code.
int report(const ClusterError& error);

}  // namespace ottla::cli
