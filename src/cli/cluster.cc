#include "cli/cluster.h"

#include <fmt/format.h>

#include "cli/listeners.h"
#include "cli/process.h"
#include "cli/text.h"
#include "wire/api.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/metadata_request.h"

namespace ottla::cli {
namespace {

constexpr io::Duration kConnectTimeout = std::chrono::seconds(5);
constexpr io::Duration kHelloTimeout = std::chrono::seconds(10);
constexpr const char* kClientId = "ottla-cli";
constexpr std::int16_t kApiVersionsAsked = 3;  // what every broker since 2.4 knows

using Connected = io::Result<std::unique_ptr<rpc::Client>>;

struct Connecting {
  explicit Connecting(io::Executor& executor) : done(executor) {}
  io::Event done;
  std::optional<Connected> result;
};

io::Task<void> connect_into(io::Env& env, io::Endpoint to, std::shared_ptr<Connecting> into) {
  auto client = co_await rpc::Client::connect(env, std::move(to), kClientId);
  into->result.emplace(std::move(client));
  into->done.set();
}

// A system waits two minutes for an address that swallows packets; nobody else does.
io::Task<Connected> connect_in_time(io::Env& env, io::Endpoint to) {
  auto connecting = std::make_shared<Connecting>(env.executor);
  env.executor.spawn(connect_into(env, to, connecting));
  co_await connecting->done.wait_until(env.clock, env.clock.now() + kConnectTimeout);
  if (connecting->result) co_return std::move(*connecting->result);
  co_return std::unexpected(io::Error{
      io::ErrorKind::timed_out, fmt::format("connecting to {} takes too long", to.to_string())});
}

// Connects and learns what is served there.
io::Task<io::Result<std::unique_ptr<BrokerLink>>> open_link(io::Env& env, io::Endpoint to) {
  auto client = co_await connect_in_time(env, to);
  if (!client) co_return std::unexpected(std::move(client.error()));
  wire::ApiVersionsRequest hello;
  hello.client_software_name = "ottla-cli";
  hello.client_software_version = OTTLA_VERSION;
  auto answer =
      co_await (*client)->call<wire::ApiVersionsResponse>(hello, kApiVersionsAsked, kHelloTimeout);
  const auto too_new = static_cast<std::int16_t>(wire::ErrorCode::unsupported_version);
  if ((!answer && answer.error().kind == io::ErrorKind::invalid) ||
      (answer && answer->error_code == too_new)) {
    answer = co_await (*client)->call<wire::ApiVersionsResponse>(wire::ApiVersionsRequest(), 0,
                                                                 kHelloTimeout);
  }
  if (!answer || answer->error_code != 0) {
    std::string why = answer ? describe_code(answer->error_code) : answer.error().message;
    co_await (*client)->close();
    co_return std::unexpected(
        io::Error{io::ErrorKind::closed,
                  fmt::format("{} does not speak Kafka's protocol ({})", to.to_string(), why)});
  }
  std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>> served;
  for (const auto& api : answer->api_keys)
    served.insert_or_assign(api.api_key, std::pair(api.min_version, api.max_version));
  co_return std::make_unique<BrokerLink>(std::move(*client), std::move(served));
}

}  // namespace

std::string describe_code(std::int16_t code, const std::optional<std::string>& message) {
  std::string text(wire::error_name(static_cast<wire::ErrorCode>(code)));
  if (message && !message->empty()) text += fmt::format(" ({})", *message);
  return text;
}

Answer<std::int16_t> BrokerLink::choose_version(std::int16_t key, std::string_view name,
                                                std::int16_t min, std::int16_t max) const {
  const auto found = served_.find(key);
  if (found != served_.end()) {
    const std::int16_t version = std::min(max, found->second.second);
    if (version >= std::max(min, found->second.first)) return version;
  }
  return std::unexpected(ClusterError{
      ExitCode::failed, fmt::format("the broker does not serve {} in a version known here", name)});
}

io::Task<Answer<std::unique_ptr<Cluster>>> Cluster::connect(io::Env& env, std::string bootstrap) {
  std::unique_ptr<Cluster> cluster(new Cluster(env, std::move(bootstrap)));
  auto link = co_await cluster->any();
  if (!link) co_return std::unexpected(std::move(link.error()));
  co_return std::move(cluster);
}

io::Task<Answer<BrokerLink*>> Cluster::any() {
  if (bootstrap_link_ && bootstrap_link_->client().is_open()) co_return bootstrap_link_.get();
  if (bootstrap_link_) co_await bootstrap_link_->client().close();
  bootstrap_link_.reset();
  std::string reasons;
  for (const std::string_view item : split(bootstrap_, ',')) {
    auto address = parse_address(item);
    if (!address)
      co_return std::unexpected(ClusterError{ExitCode::usage, std::move(address.error())});
    auto link = co_await open_link(env_, *address);
    if (link) {
      answering_ = address->to_string();
      bootstrap_link_ = std::move(*link);
      co_return bootstrap_link_.get();
    }
    reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", link.error().message);
  }
  if (reasons.empty()) reasons = "no address was given";
  co_return std::unexpected(ClusterError{
      ExitCode::unreachable,
      fmt::format(
          "no broker answers: {}. Start a node with `ottla serve`, or name another one with "
          "--bootstrap HOST:PORT",
          reasons)});
}

io::Task<Answer<wire::MetadataResponse>> Cluster::metadata(
    std::optional<std::vector<std::string>> topics, bool may_create_topics) {
  wire::MetadataRequest request;
  request.allow_auto_topic_creation = may_create_topics;
  request.topics.reset();
  if (topics) {
    request.topics.emplace();
    for (std::string& name : *topics) {
      wire::MetadataRequest::MetadataRequestTopic topic;
      topic.name = std::move(name);
      request.topics->push_back(std::move(topic));
    }
  }
  auto link = co_await any();
  if (!link) co_return std::unexpected(std::move(link.error()));
  auto answer = co_await (*link)->call<wire::MetadataResponse>(std::move(request));
  if (answer) {
    for (const auto& broker : answer->brokers) {
      brokers_.insert_or_assign(broker.node_id,
                                io::Endpoint{broker.host, static_cast<std::uint16_t>(broker.port)});
    }
  }
  co_return answer;
}

io::Task<Answer<wire::MetadataResponse::MetadataResponseTopic>> Cluster::topic(
    std::string name, bool may_create_topics) {
  auto answer = co_await metadata(std::vector<std::string>{name}, may_create_topics);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->topics.empty()) {
    co_return std::unexpected(
        ClusterError{ExitCode::failed, fmt::format("the broker says nothing of topic '{}'", name)});
  }
  auto& topic = answer->topics.front();
  if (topic.error_code == static_cast<std::int16_t>(wire::ErrorCode::unknown_topic_or_partition)) {
    co_return std::unexpected(ClusterError{
        ExitCode::not_found,
        fmt::format("there is no topic '{}'. `ottla topic create {}` makes it", name, name)});
  }
  if (topic.error_code != 0) {
    const auto code = static_cast<wire::ErrorCode>(topic.error_code);
    co_return std::unexpected(
        ClusterError{wire::is_retriable(code) ? ExitCode::unreachable : ExitCode::failed,
                     fmt::format("topic '{}': {}", name, describe_code(topic.error_code))});
  }
  std::ranges::sort(topic.partitions, {},
                    &wire::MetadataResponse::MetadataResponsePartition::partition_index);
  co_return std::move(topic);
}

io::Task<Answer<BrokerLink*>> Cluster::broker(NodeId id) {
  if (const auto found = links_.find(id); found != links_.end()) {
    if (found->second->client().is_open()) co_return found->second.get();
    co_await found->second->client().close();
    links_.erase(id);
  }
  const auto address = brokers_.find(id);
  if (address == brokers_.end()) {
    co_return std::unexpected(ClusterError{
        ExitCode::unreachable, fmt::format("no broker {} is known; is it running?", id)});
  }
  const io::Endpoint to = address->second;
  auto link = co_await open_link(env_, to);
  if (!link) {
    std::string hint;
    if (to.to_string() != answering_) {
      hint = fmt::format(
          ". {} answers, but broker {} tells its clients to come to {}, which does not work from "
          "here. Set advertised.listeners on that broker to an address that this machine reaches "
          "(or leave it out: a node of Ottla then tells each client the address that it used)",
          answering_, id, to.to_string());
    }
    co_return std::unexpected(
        ClusterError{ExitCode::unreachable, fmt::format("{}{}", link.error().message, hint)});
  }
  BrokerLink* const opened = link->get();
  links_.insert_or_assign(id, std::move(*link));
  co_return opened;
}

io::Task<void> Cluster::close() {
  for (auto& [id, link] : links_) co_await link->client().close();
  if (bootstrap_link_) co_await bootstrap_link_->client().close();
}

int report(const ClusterError& error) {
  print_error(fmt::format("ottla: {}", error.message));
  return to_int(error.exit);
}

io::Task<int> with_cluster(io::Env& env, std::string bootstrap,
                           std::function<io::Task<int>(Cluster&)> work) {
  auto cluster = co_await Cluster::connect(env, std::move(bootstrap));
  if (!cluster) co_return report(cluster.error());
  const int code = co_await work(**cluster);
  co_await (*cluster)->close();
  co_return code;
}

}  // namespace ottla::cli
