#include "broker/node.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <utility>

#include "broker/broker_service.h"
#include "broker/controller.h"
#include "broker/shard.h"
#include "consensus/format.h"
#include "consensus/metadata_log.h"
#include "metadata/bootstrap.h"
#include "metadata/broker_lifecycle.h"
#include "metadata/controller_server.h"
#include "metadata/forwarder.h"
#include "metadata/observer.h"
#include "rpc/acceptor.h"
#include "rpc/server_connection.h"
#include "storage/recovery.h"

namespace ottla::broker {
namespace {

constexpr io::Duration kHandOverPatience = std::chrono::seconds(2);
constexpr std::uint64_t kControllerMemoryBytes = 64 << 20;
constexpr std::string_view kControllerListener = "CONTROLLER";
const io::Endpoint kInProcessController{
    "127.0.0.1", 9093};  // what the voter record says without a port of its own

int exit_code_of(const io::Error& error) {
  return static_cast<int>(error.kind == io::ErrorKind::in_use ? ExitCode::in_use
                                                              : ExitCode::failed);
}

// What a person can do about it, to follow the error's own message; empty where that says it.
std::string_view remedy_of(io::ErrorKind kind) {
  switch (kind) {
    case io::ErrorKind::no_space:
      return "; free some space there, then start the node again: what was acknowledged is kept";
    case io::ErrorKind::input_output:
      return "; look at the disk and the kernel's log (dmesg), then start the node again";
    case io::ErrorKind::permission:
      return "; let this user read and write there, or set log.dirs to another folder";
    case io::ErrorKind::not_found:
      return "; check log.dirs";
    case io::ErrorKind::exhausted:
      return "; raise the limit of open files (ulimit -n) or free some memory";
    default:
      return "";
  }
}

}  // namespace

// One shard's part of the broker half. Made and used on that shard.
struct ShardPart {
  ShardPart(io::Env& shard_env, const NodeConfig& node_config, Controller& controller,
            std::shared_ptr<storage::Store> store)
      : shard(shard_env, node_config, controller, std::move(store)),
        service(shard),
        budget(shard_env.executor, node_config.queued_bytes_max),
        context{shard_env, service, node_config.server, receive, budget, shard.client_log} {}

  Shard shard;
  BrokerService service;
  rpc::ReceiveBuffer receive;
  rpc::MemoryBudget budget;
  rpc::ServerContext context;
  std::vector<std::unique_ptr<rpc::Acceptor>>
      acceptors;  // one a listener, in the order of the configuration
};

class ControllerProxy;

// What a shard shows to shard 0, which calls for it.
struct ShardSlot {
  io::Env* env = nullptr;
  io::Event* done = nullptr;  // set when the node has ended
  std::unique_ptr<ControllerProxy> controller;
  std::unique_ptr<ShardPart> part;
};

class NodeMeetingPoint {
 public:
  NodeMeetingPoint(const NodeConfig& node_config, NodeCallbacks node_callbacks)
      : config(node_config), callbacks(std::move(node_callbacks)) {}
  const NodeConfig config;
  const NodeCallbacks callbacks;
  // of shard 0
  std::map<unsigned, ShardSlot*> slots;
  io::Event* arrived = nullptr;
  int exit_code = 0;
};

std::shared_ptr<NodeMeetingPoint> make_meeting_point(const NodeConfig& config,
                                                     NodeCallbacks callbacks) {
  return std::make_shared<NodeMeetingPoint>(config, std::move(callbacks));
}

// The broker half's way to the controller half inside one process: each connection is a channel
// whose other end the controller serves.
class InProcessLink final : public metadata::ControllerLink {
 public:
  InProcessLink(io::Env& env, metadata::ControllerServer& server)
      : env_(env),
        budget_(env.executor, kControllerMemoryBytes),
        log_(env.clock, env.logger),
        context_{env, server, rpc::ServerLimits{}, receive_, budget_, log_},
        tasks_(env.executor) {}

  io::Task<io::Result<std::unique_ptr<io::Connection>>> connect() override {
    io::ChannelPair pair = io::make_channel(env_.executor);
    auto served = std::make_shared<rpc::ServerConnection>(context_, std::move(pair.second),
                                                          std::string(kControllerListener));
    tasks_.spawn(serve(std::move(served)));
    co_return std::move(pair.first);
  }
  rpc::ServerContext& context() { return context_; }
  io::Task<void> join() { return tasks_.join(); }

 private:
  static io::Task<void> serve(std::shared_ptr<rpc::ServerConnection> connection) {
    co_await connection->run();
  }

  io::Env& env_;
  rpc::ReceiveBuffer receive_;
  rpc::MemoryBudget budget_;
  rpc::ClientLog log_;
  rpc::ServerContext context_;
  io::TaskGroup tasks_;
};

// The controller half and its neighbours on shard 0.
struct ControllerHalf {
  std::unique_ptr<storage::LogFolder> folder;
  std::unique_ptr<metadata::ControllerServer> server;
  std::unique_ptr<InProcessLink> link;
  std::unique_ptr<metadata::Observer> observer;
  std::unique_ptr<metadata::BrokerLifecycle> lifecycle;
  std::unique_ptr<metadata::Forwarder> forwarder;
  std::unique_ptr<rpc::Acceptor> controller_port;
};

// broker::Controller of one shard: hops to shard 0.
class ControllerProxy final : public Controller {
 public:
  ControllerProxy(io::Env& env, ShardSlot& slot, ControllerHalf& half)
      : env_(env), slot_(slot), half_(half) {}

  io::Task<io::Result<Slice>> forward(rpc::Request request, rpc::Peer peer) override {
    ControllerHalf* half = &half_;
    return io::call_on<io::Result<Slice>>(
        env_, 0,
        [half, request = std::move(request), host = std::move(peer.remote.host)]() mutable {
          return half->forwarder->forward(std::move(request.frame), request.api_key,
                                          request.api_version, std::move(host));
        });
  }

  io::Task<io::Result<ProducerId>> next_producer_id() override {
    ControllerHalf* half = &half_;
    return io::call_on<io::Result<ProducerId>>(
        env_, 0, [half] { return half->forwarder->next_producer_id(); });
  }

  io::Task<bool> catch_up(io::Instant deadline) override {
    ControllerHalf* half = &half_;
    const auto committed = co_await io::call_on<io::Result<Offset>>(
        env_, 0, [half] { return half->forwarder->last_committed(); });
    if (!committed) co_return false;
    co_return co_await wait_for_image(
        [offset = *committed](const metadata::Image& image) {
          return image.provenance.offset >= offset;
        },
        deadline);
  }

  io::Task<bool> wait_for_image(std::function<bool(const metadata::Image&)> seen,
                                io::Instant deadline) override {
    Shard& shard = slot_.part->shard;
    while (!seen(*shard.image())) {
      if (shard.has_last_image()) co_return false;
      if (!co_await shard.image_changed().wait_until(env_.clock, deadline))
        co_return seen(*shard.image());
    }
    co_return seen(*shard.image());
  }

 private:
  io::Env& env_;
  ShardSlot& slot_;
  ControllerHalf& half_;
};

namespace {

// Shard 0's conduct of the whole node.
class Node {
 public:
  Node(io::Env& env, NodeMeetingPoint& meeting)
      : env_(env),
        meeting_(meeting),
        config_(meeting.config),
        ending_(env.executor),
        tasks_(env.executor) {}

  io::Task<int> run() {
    auto started = co_await start();
    if (!started) {
      if (!env_.stop.is_set() || started.error().kind != io::ErrorKind::timed_out) {
        env_.logger.error("the node can't start: {}{}", started.error().message,
                          remedy_of(started.error().kind));
      }
      if (meeting_.exit_code == 0 && !env_.stop.is_set())
        meeting_.exit_code = exit_code_of(started.error());
      is_clean_ = is_clean_ && meeting_.exit_code == 0;
    } else {
      co_await ending_.wait();
    }
    co_await stop();
    co_return meeting_.exit_code;
  }

 private:
  // Something happened after which the node must not go on.
  void fail(std::string_view why, std::string_view remedy = {}) {
    meeting_.exit_code = static_cast<int>(ExitCode::failed);
    is_clean_ = false;
    if (has_failed_) return;  // the first failure is the cause of the others
    has_failed_ = true;
    env_.logger.error("the node stops: {}{}", why, remedy);
    ending_.set();
    env_.stop.set();  // a start under way ends as well
  }

  io::Task<io::Result<>> start() {
    tasks_.spawn(end_when_asked());
    if (auto opened = co_await open_folder(); !opened) co_return opened;
    if (auto served = co_await start_controller(); !served) co_return served;
    if (auto made = co_await make_shards(); !made) co_return made;
    tasks_.spawn(follow_metadata());
    if (auto bound = co_await bind_ports(); !bound) co_return bound;
    if (auto registered = co_await half_.lifecycle->register_broker(); !registered)
      co_return registered;
    tasks_.spawn(half_.folder->keep_checkpoints(stores_));
    is_clean_ = true;
    if (auto unfenced = co_await half_.lifecycle->unfence(); !unfenced) co_return unfenced;
    tasks_.spawn(stay_alive());
    is_alive_ = true;
    co_await wait_until_led();
    co_await on_every_shard([](ShardPart& part) {
      for (auto& acceptor : part.acceptors) acceptor->start();
    });
    is_serving_ = true;
    tell_ready();
    co_return io::Result<>{};
  }

  io::Task<void> end_when_asked() {
    co_await env_.stop.wait();
    ending_.set();
  }

  // --- folder

  io::Task<io::Result<>> open_folder() {
    consensus::FormatOptions format{.cluster_id = config_.cluster_id,
                                    .node_id = config_.node_id,
                                    .endpoints = voter_endpoints()};
    for (const metadata::Record& record : metadata::initial_levels()) {
      format.bootstrap_records.push_back(metadata::encode_record(record));
    }
    const auto place = co_await env_.disk.status(config_.log_dir);
    if (place && !place->is_directory) {
      co_return std::unexpected(io::Error{
          io::ErrorKind::invalid,
          fmt::format("{} is a file; set log.dirs to a folder, or to one that can be made",
                      config_.log_dir)});
    }
    if (auto formatted =
            co_await consensus::format_if_empty(env_, config_.log_dir, std::move(format));
        !formatted) {
      co_return formatted;
    }
    storage::RecoverySettings settings{.path = config_.log_dir,
                                       .cluster_id = std::nullopt,
                                       .node_id = config_.node_id,
                                       .shards = env_.shards.count(),
                                       .limits = config_.store};
    if (!config_.cluster_id.empty()) settings.cluster_id = config_.cluster_id;
    auto folder = co_await storage::recover_log_dir(env_, std::move(settings));
    if (!folder) co_return std::unexpected(folder.error());
    half_.folder = std::move(*folder);
    for (const std::string& damage : half_.folder->report().damages)
      env_.logger.error("damaged: {}", damage);
    stores_.resize(env_.shards.count());
    for (const auto& [index, slot] : meeting_.slots) {
      storage::LogFolder* opened = half_.folder.get();
      ShardSlot* there = slot;
      auto store = co_await io::call_on<io::Result<std::shared_ptr<storage::Store>>>(
          env_, index,
          [opened, there, self = std::weak_ptr(self_)] { return open_there(opened, there, self); });
      if (!store) co_return std::unexpected(store.error());
      stores_[index] = std::move(*store);
    }
    co_return io::Result<>{};
  }

  static io::Task<io::Result<std::shared_ptr<storage::Store>>> open_there(
      storage::LogFolder* folder, ShardSlot* slot, std::weak_ptr<Node*> self) {
    auto store = co_await folder->open_store(*slot->env);
    if (!store) co_return std::unexpected(store.error());
    // tells shard 0 from wherever it happens
    (*store)->on_fenced([self = std::move(self), from = slot->env](const io::Error& error) {
      from->shards.post(0, [self, error] {
        if (const auto node = self.lock()) (*node)->fail(error.message, remedy_of(error.kind));
      });
    });
    co_return std::move(*store);
  }

  std::vector<consensus::VoterEndpoint> voter_endpoints() const {
    for (const ListenerConfig& listener : config_.listeners) {
      if (!listener.is_controller) continue;
      const io::Endpoint at = listener.advertised.value_or(listener.bind);
      return {{listener.name, at.host.empty() ? "127.0.0.1" : at.host, at.port}};
    }
    return {
        {std::string(kControllerListener), kInProcessController.host, kInProcessController.port}};
  }

  // --- controller half

  io::Task<io::Result<>> start_controller() {
    auto loaded = half_.folder->take({metadata::kMetadataTopicId, 0});
    if (!loaded) {
      co_return std::unexpected(io::Error{
          io::ErrorKind::invalid,
          fmt::format("{} has no metadata partition: is it a log dir of a broker without a "
                      "controller?",
                      config_.log_dir)});
    }
    auto partition = stores_[0]->open(std::move(*loaded), storage::LogConfig{});
    consensus::MetadataLogOptions options{
        .directory = fmt::format("{}/{}-0", config_.log_dir, metadata::kMetadataTopic),
        .node_id = config_.node_id,
        .directory_id = half_.folder->directory_id(),
        .endpoints = voter_endpoints()};
    auto log =
        co_await consensus::MetadataLog::open(env_, std::move(partition), std::move(options));
    if (!log) co_return std::unexpected(log.error());
    cluster_id_ = half_.folder->cluster_id();
    half_.server = std::make_unique<metadata::ControllerServer>(
        env_, std::move(*log),
        metadata::ControllerOptions{
            .cluster_id = cluster_id_,
            .broker_session_timeout_ms = config_.session_timeout_ms,
            .num_partitions = config_.num_partitions,
            .default_replication_factor = config_.default_replication_factor,
            .node_configs = config_.broker_configs,
            .own_broker = config_.node_id});
    auto bootstrap = co_await metadata::read_bootstrap(env_, config_.log_dir);
    if (!bootstrap) co_return std::unexpected(bootstrap.error());
    const auto min_insync = config_.broker_configs.find("min.insync.replicas");
    auto first = metadata::first_transaction(
        std::move(*bootstrap),
        min_insync == config_.broker_configs.end() ? "1" : min_insync->second);
    if (auto started = co_await half_.server->start(std::move(first)); !started) co_return started;
    committed_at_start_ = half_.server->image()->provenance.offset;
    half_.link = std::make_unique<InProcessLink>(env_, *half_.server);
    half_.observer = std::make_unique<metadata::Observer>(
        env_, *half_.link,
        metadata::ObserverOptions{cluster_id_, config_.node_id, half_.folder->directory_id()},
        [this](metadata::ImagePtr image) { return publish(std::move(image)); });
    // Nothing that was acknowledged is missing unless recovery had to cut: then the epoch of the
    // last incarnation may be claimed, whether the stop was clean or not.
    const auto before = half_.server->image()->brokers.find(config_.node_id);
    const bool is_complete =
        !half_.folder->report().was_lossy && before != half_.server->image()->brokers.end();
    half_.lifecycle = std::make_unique<metadata::BrokerLifecycle>(
        env_, *half_.link,
        metadata::LifecycleOptions{
            .cluster_id = cluster_id_,
            .node_id = config_.node_id,
            .incarnation_id = env_.random.uuid(),
            .directories = {half_.folder->directory_id()},
            .endpoints = registered_endpoints(),
            .rack = config_.rack.empty() ? std::nullopt : std::optional(config_.rack),
            .previous_epoch = is_complete ? before->second.epoch : -1,
            .heartbeat_interval = std::chrono::milliseconds(config_.heartbeat_interval_ms)},
        [this] { return half_.observer->applied_offset(); }, half_.observer->advanced());
    half_.forwarder = std::make_unique<metadata::Forwarder>(
        env_, *half_.link, config_.node_id, [this] { return half_.lifecycle->epoch(); });
    co_return io::Result<>{};
  }

  // What other brokers would be told; clients of this node are told the address that they used
  // themselves.
  std::vector<metadata::EndpointImage> registered_endpoints() const {
    std::vector<metadata::EndpointImage> endpoints;
    for (const ListenerConfig& listener : config_.listeners) {
      if (listener.is_controller) continue;
      const io::Endpoint at = listener.advertised.value_or(listener.bind);
      endpoints.push_back({listener.name, at.host.empty() ? "127.0.0.1" : at.host, at.port, 0});
    }
    return endpoints;
  }

  io::Task<void> follow_metadata() {
    const auto result = co_await half_.observer->run();
    if (!result)
      fail(fmt::format("the metadata log can't be followed: {}", result.error().message));
  }

  io::Task<void> stay_alive() {
    const bool is_ours = co_await half_.lifecycle->keep_alive();
    if (!is_ours) fail("another process has registered with this node's id");
  }

  // --- shards

  template <class F>
  io::Task<void> on_every_shard(F what) {
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index, [there, what] { return apply(there, what); });
    }
  }
  template <class F>
  static io::Task<int> apply(ShardSlot* slot, F what) {
    if (slot->part) what(*slot->part);
    co_return 0;
  }

  io::Task<io::Result<>> make_shards() {
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index, [this, there, store = stores_[index]] {
        return make_part(this, there, store);
      });
    }
    std::vector<Shard*> siblings;
    siblings.reserve(meeting_.slots.size());
    for (const auto& [index, slot] : meeting_.slots) siblings.push_back(&slot->part->shard);
    co_await on_every_shard([siblings](ShardPart& part) { part.shard.set_siblings(siblings); });
    co_return io::Result<>{};
  }

  static io::Task<int> make_part(Node* node, ShardSlot* slot,
                                 std::shared_ptr<storage::Store> store) {
    slot->controller = std::make_unique<ControllerProxy>(*slot->env, *slot, node->half_);
    slot->part =
        std::make_unique<ShardPart>(*slot->env, node->config_, *slot->controller, std::move(store));
    co_return 0;
  }

  // Shows an image to all shards; partitions that recovery found go to their owners first. Images
  // older than what this folder was left with are passed over: they would ask for partitions whose
  // names belong to later topics. For the same reason what no topic owns is set aside before
  // anything is made.
  io::Task<io::Result<>> publish(metadata::ImagePtr image) {
    if (image->provenance.offset < committed_at_start_) co_return io::Result<>{};
    std::map<unsigned, std::vector<storage::LoadedPartition>> found;
    const bool has_new_topics = !published_ || published_->topics != image->topics;
    if (has_new_topics && !half_.folder->found().empty()) {
      for (const TopicIdPartition& id : half_.folder->found()) {
        const metadata::TopicImage* topic = image->topics->find(id.topic_id);
        if (!topic || static_cast<std::size_t>(id.partition) >= topic->partitions.size()) continue;
        const unsigned owner = meeting_.slots.at(0)->part->shard.owner_of(id);
        if (auto loaded = half_.folder->take(id)) found[owner].push_back(std::move(*loaded));
      }
    }
    if (!published_) {
      if (auto aside = co_await half_.folder->set_aside_others(stores_[0]); !aside) co_return aside;
    }
    io::Result<> result;
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      auto removed = co_await io::call_on<io::Result<>>(
          env_, index, [there, image] { return there->part->shard.remove_gone(image); });
      if (!removed) result = std::move(removed);
    }
    for (const auto& [index, slot] : meeting_.slots) {
      if (!result) break;
      ShardSlot* there = slot;
      auto prepared = co_await io::call_on<io::Result<>>(
          env_, index, [there, image, loaded = std::move(found[index])]() mutable {
            return prepare_there(there, std::move(image), std::move(loaded));
          });
      if (!prepared) result = std::move(prepared);
    }
    for (const auto& [index, slot] : meeting_.slots) {
      if (!result) break;
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index, [there, image] { return show_there(there, image); });
    }
    published_ = std::move(image);
    image_published_.pulse();
    if (!result) {
      fail(fmt::format("what the metadata says can't be done: {}", result.error().message),
           remedy_of(result.error().kind));
    }
    co_return result;
  }

  static io::Task<int> show_there(ShardSlot* slot, metadata::ImagePtr image) {
    slot->part->shard.show(std::move(image));
    co_return 0;
  }
  static io::Task<io::Result<>> prepare_there(ShardSlot* slot, metadata::ImagePtr image,
                                              std::vector<storage::LoadedPartition> loaded) {
    Shard& shard = slot->part->shard;
    for (storage::LoadedPartition& partition : loaded) {
      const TopicSettings settings = resolve_topic_settings(
          *image->configs, shard.config.broker_configs, shard.config.node_id, partition.name.topic);
      const TopicIdPartition id = partition.id;
      shard.store().open(std::move(partition), log_config_of(settings, id));
    }
    return shard.prepare(std::move(image));
  }

  // Until the image says that this broker is unfenced, so that the first client finds a leader.
  io::Task<void> wait_until_led() {
    const auto is_led = [this] {
      if (!published_) return false;
      const auto own = published_->brokers.find(config_.node_id);
      return own != published_->brokers.end() && !own->second.is_fenced;
    };
    while (!is_led() && !ending_.is_set()) {
      co_await image_published_.wait_until(env_.clock,
                                           env_.clock.now() + std::chrono::milliseconds(100));
    }
  }

  // --- ports

  static io::Error bind_error(io::Error error) {
    switch (error.kind) {
      case io::ErrorKind::in_use:
        error.message += "; stop the process that has this port, or set listeners to another one";
        break;
      case io::ErrorKind::permission:
        error.kind = io::ErrorKind::invalid;  // of no file
        error.message +=
            "; set listeners to a port from 1024 on, or allow this user the lower ones";
        break;
      default:
        error.message += "; set listeners to an address of this machine, or leave the host out";
    }
    return error;
  }

  io::Task<io::Result<>> bind_ports() {
    for (const ListenerConfig& listener : config_.listeners) {
      io::Endpoint at = listener.bind;
      if (listener.is_controller) {
        half_.controller_port =
            std::make_unique<rpc::Acceptor>(half_.link->context(), listener.name);
        if (auto bound = co_await half_.controller_port->listen(at); !bound)
          co_return std::unexpected(bind_error(bound.error()));
        half_.controller_port->start();
        continue;
      }
      for (const auto& [index, slot] : meeting_.slots) {
        ShardSlot* there = slot;
        auto bound = co_await io::call_on<io::Result<io::Endpoint>>(
            env_, index, [there, name = listener.name, at, most = config_.connections_max] {
              return bind_there(there, name, at, most);
            });
        if (!bound) co_return std::unexpected(bind_error(bound.error()));
        at.port = bound->port;  // the other shards share the port that the first one got
        if (index == 0) ready_.listeners.emplace_back(listener.name, *bound);
      }
    }
    co_return io::Result<>{};
  }

  static io::Task<io::Result<io::Endpoint>> bind_there(ShardSlot* slot, std::string name,
                                                       io::Endpoint at,
                                                       std::size_t connections_max) {
    auto acceptor =
        std::make_unique<rpc::Acceptor>(slot->part->context, std::move(name), connections_max);
    auto bound = co_await acceptor->listen(std::move(at));
    if (!bound) co_return std::unexpected(bound.error());
    io::Endpoint local = acceptor->local();
    slot->part->acceptors.push_back(std::move(acceptor));
    co_return local;
  }

  void tell_ready() {
    ready_.cluster_id = cluster_id_;
    ready_.node_id = config_.node_id;
    if (meeting_.callbacks.on_ready) meeting_.callbacks.on_ready(ready_);
  }

  // --- the end

  io::Task<void> stop() {
    const io::Duration grace = std::chrono::milliseconds(config_.shutdown_grace_ms);
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index,
                                [there, grace, serving = is_serving_, failed = has_failed_] {
                                  return stop_serving(there, grace, serving, failed);
                                });
    }
    if (is_alive_)
      co_await half_.lifecycle->shut_down(is_clean_ ? kHandOverPatience : io::Duration(0));
    else if (half_.lifecycle)
      co_await half_.lifecycle->close();
    if (half_.observer) co_await half_.observer->stop();
    if (half_.forwarder) co_await half_.forwarder->close();
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index, [there] { return join_requests(there); });
    }
    if (half_.controller_port) co_await half_.controller_port->stop(grace);
    if (half_.server) co_await half_.server->stop();
    env_.stop.set();
    ending_.set();
    co_await tasks_.join();
    if (half_.link) co_await half_.link->join();
    if (half_.folder && is_clean_) {
      const auto closed = co_await half_.folder->close_clean(stores_, half_.lifecycle->epoch());
      if (!closed) {
        env_.logger.error("the logs could not be closed: {}{}", closed.error().message,
                          remedy_of(closed.error().kind));
        meeting_.exit_code = static_cast<int>(ExitCode::failed);
      }
    }
    for (unsigned index = 0; index < stores_.size(); ++index) {
      if (!stores_[index]) continue;
      // Given away: where no part has it, it must go on its own shard.
      co_await io::call_on<int>(env_, index, [store = std::move(stores_[index])]() mutable {
        return stop_store(std::move(store));
      });
    }
    stores_.clear();
    for (const auto& [index, slot] : meeting_.slots) {
      ShardSlot* there = slot;
      co_await io::call_on<int>(env_, index, [there] { return release(there); });
    }
  }

  static io::Task<int> stop_serving(ShardSlot* slot, io::Duration grace, bool was_serving,
                                    bool has_failed) {
    if (!slot->part) co_return 0;
    Shard& shard = slot->part->shard;
    shard.stop_waiting();
    if (has_failed) shard.take_no_more_images();
    if (was_serving) {
      for (auto& acceptor : slot->part->acceptors) co_await acceptor->stop(grace);
    }
    shard.take_no_more_images();
    co_return 0;
  }
  static io::Task<int> stop_store(std::shared_ptr<storage::Store> store) {
    co_await store->stop();
    co_return 0;
  }
  static io::Task<int> join_requests(ShardSlot* slot) {
    if (slot->part) co_await slot->part->shard.tasks.join();
    if (slot->part) co_await slot->part->shard.groups.join();
    co_return 0;
  }
  static io::Task<int> release(ShardSlot* slot) {
    if (slot->part) co_await slot->part->shard.store_tasks.join();
    slot->part.reset();
    slot->controller.reset();
    if (slot->done) slot->done->set();
    co_return 0;
  }

  io::Env& env_;
  NodeMeetingPoint& meeting_;
  const NodeConfig& config_;
  ControllerHalf half_;
  std::vector<std::shared_ptr<storage::Store>> stores_;
  std::string cluster_id_;
  Offset committed_at_start_ = -1;  // of the metadata log
  metadata::ImagePtr published_;
  io::Event image_published_{env_.executor};
  NodeReady ready_;
  bool is_clean_ =
      false;  // all found is opened, and nothing has failed: the clean marker may be written
  bool is_alive_ = false;  // heartbeats run
  bool is_serving_ = false;
  bool has_failed_ = false;
  // For messages of other shards that may come when this has gone.
  const std::shared_ptr<Node*> self_ = std::make_shared<Node*>(this);
  io::Event ending_;
  io::TaskGroup tasks_;
};

io::Task<int> run_first_shard(io::Env& env, std::shared_ptr<NodeMeetingPoint> meeting) {
  ShardSlot own{.env = &env};
  io::Event arrived(env.executor);
  meeting->slots[0] = &own;
  meeting->arrived = &arrived;
  // others may have come before this one did
  while (meeting->slots.size() < env.shards.count()) {
    arrived.reset();
    co_await arrived.wait();
  }
  Node node(env, *meeting);
  co_return co_await node.run();
}

io::Task<int> run_other_shard(io::Env& env, std::shared_ptr<NodeMeetingPoint> meeting) {
  io::Event done(env.executor);
  ShardSlot own{.env = &env, .done = &done};
  env.shards.post(0, [meeting, slot = &own, shard = env.shard] {
    meeting->slots[shard] = slot;
    if (meeting->arrived) meeting->arrived->set();
  });
  co_await done.wait();
  co_return 0;
}

}  // namespace

io::Task<int> run_node(io::Env& env, std::shared_ptr<NodeMeetingPoint> meeting) {
  return env.shard == 0 ? run_first_shard(env, std::move(meeting))
                        : run_other_shard(env, std::move(meeting));
}

}  // namespace ottla::broker
