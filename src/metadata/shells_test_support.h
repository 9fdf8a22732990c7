// What the tests of the shells share: a controller as a process of one simulated machine, and the
// way there over the simulated network, which can fail. Not part of the library.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "consensus/format.h"
#include "consensus/metadata_log.h"
#include "io/sim/test_support.h"
#include "metadata/bootstrap.h"
#include "metadata/controller_link.h"
#include "metadata/controller_server.h"
#include "metadata/features.h"
#include "metadata/metadata_testing.h"
#include "metadata/wire_fields.h"
#include "rpc/acceptor.h"
#include "rpc/client.h"
#include "storage/recovery.h"
#include "wire/messages/broker_heartbeat_request.h"
#include "wire/messages/broker_heartbeat_response.h"
#include "wire/messages/broker_registration_request.h"
#include "wire/messages/broker_registration_response.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"

namespace ottla::metadata::testing {

inline constexpr std::uint16_t kControllerPort = 9093;
inline const std::string kControllerHost = "controller";
inline const std::string kControllerFolder = "data";
inline const std::string kClusterId = "simulated-cluster";

struct ControllerSettings {
  std::uint64_t snapshot_bytes = 64 << 20;
  std::optional<NodeId> own_broker = std::nullopt;
  std::int64_t session_timeout_ms = 9000;
};

// Where a running controller is found by the test; `server` is null before it serves.
struct ControllerSeat {
  ControllerSettings settings;
  std::vector<Record> first = initial_levels();  // of a new cluster
  ControllerServer* server = nullptr;
  std::string failure;  // why it did not start
};

// A controller's whole life, as the node makes it: folder, log, server, port. Ends when it is asked
// to.
inline io::Task<int> run_controller(io::Env& env, ControllerSeat& seat) {
  const auto fail = [&](const io::Error& error) {
    seat.failure = error.message;
    return 1;
  };
  seat.server = nullptr;
  const std::vector<consensus::VoterEndpoint> endpoints{
      {"CONTROLLER", kControllerHost, kControllerPort}};
  auto formatted = co_await consensus::format_if_empty(
      env, kControllerFolder,
      {.cluster_id = kClusterId, .node_id = 1, .endpoints = endpoints, .bootstrap_records = {}});
  if (!formatted) co_return fail(formatted.error());
  auto folder = co_await storage::recover_log_dir(env, {.path = kControllerFolder, .limits = {}});
  if (!folder) co_return fail(folder.error());
  auto store = co_await (*folder)->open_store(env);
  if (!store) co_return fail(store.error());
  auto loaded = (*folder)->take({kMetadataTopicId, 0});
  if (!loaded) co_return fail({io::ErrorKind::not_found, "there is no metadata partition"});
  auto log = co_await consensus::MetadataLog::open(
      env, (*store)->open(std::move(*loaded), {}),
      {.directory = kControllerFolder + "/" + std::string(kMetadataTopic) + "-0",
       .node_id = 1,
       .directory_id = (*folder)->directory_id(),
       .endpoints = endpoints,
       .snapshot_bytes = seat.settings.snapshot_bytes});
  if (!log) co_return fail(log.error());
  ControllerServer server(env, std::move(*log),
                          {.cluster_id = (*folder)->cluster_id(),
                           .broker_session_timeout_ms = seat.settings.session_timeout_ms,
                           .own_broker = seat.settings.own_broker});
  if (auto started = co_await server.start(seat.first); !started) co_return fail(started.error());
  rpc::ReceiveBuffer receive;
  rpc::MemoryBudget budget(env.executor, 64 << 20);
  rpc::ClientLog client_log(env.clock, env.logger);
  rpc::Acceptor acceptor({env, server, rpc::ServerLimits{}, receive, budget, client_log},
                         "CONTROLLER");
  if (auto bound = co_await acceptor.listen({kControllerHost, kControllerPort}); !bound)
    co_return fail(bound.error());
  acceptor.start();
  seat.server = &server;
  co_await env.stop.wait();
  seat.server = nullptr;
  co_await server.stop();
  co_await acceptor.stop(std::chrono::seconds(1));
  co_await (*store)->stop();
  co_return 0;
}

// Over the simulated network; counts how often it had to connect.
class NetworkLink final : public ControllerLink {
 public:
  explicit NetworkLink(io::Env& env) : env_(env) {}
  io::Task<io::Result<std::unique_ptr<io::Connection>>> connect() override {
    ++connects;
    return env_.network.connect({kControllerHost, kControllerPort});
  }
  int connects = 0;

 private:
  io::Env& env_;
};

// A world with a controller's machine and that of a broker.
class ShellTest : public ::testing::Test {
 protected:
  explicit ShellTest(io::sim::WorldOptions options = {.seed = 5}) : world(options) {}

  void start_controller(ControllerSettings settings = {}) {
    seat.settings = settings;
    restart_controller();
    ASSERT_TRUE(wait([&] { return is_serving(); })) << seat.failure << world.report();
  }
  void restart_controller() {
    seat.server = nullptr;
    controller.start(1, [this](io::Env& env) { return run_controller(env, seat); });
  }
  void crash_controller(io::sim::CrashKind kind) {
    controller.crash(kind);
    seat.server = nullptr;
  }
  // Killed or without power, as `prng` has it, and back after less than `away_ms`.
  void interrupt_controller(io::sim::Prng& prng, std::uint64_t away_ms) {
    crash_controller(prng.chance(0.5) ? io::sim::CrashKind::process_kill
                                      : io::sim::CrashKind::power_loss);
    world.run_for(std::chrono::milliseconds(prng.below(away_ms)));
    restart_controller();
  }
  bool is_serving() const { return controller.is_running() && seat.server != nullptr; }
  bool wait(const std::function<bool()>& done, io::Duration limit = std::chrono::minutes(2)) {
    return world.run_until(done, limit);
  }
  // Runs `body` as the broker machine's process, to its end.
  int run(io::sim::Process::ShardMain body) { return io::sim::run(world, broker, std::move(body)); }
  const Image& state() const { return *seat.server->image(); }

  io::sim::World world;
  io::sim::Node& controller = world.add_node(kControllerHost);
  io::sim::Node& broker = world.add_node("broker");
  ControllerSeat seat;
};

// A `Base` for each seed, in whose world the seed draws the mixture of faults.
template <class Base>
class SeededTest : public Base, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  SeededTest() : Base({.seed = GetParam(), .swarm = io::sim::SwarmOptions::draw(GetParam())}) {}
};

// Tries until it succeeds, or the process is to end.
inline io::Task<std::unique_ptr<rpc::Client>> connect(io::Env& env) {
  while (true) {
    auto client = co_await rpc::Client::connect(env, {kControllerHost, kControllerPort}, "test");
    if (client) co_return std::move(*client);
    co_await io::sleep_for(env.clock, std::chrono::milliseconds(20));
  }
}

inline wire::BrokerRegistrationRequest registration(NodeId id, std::uint64_t incarnation = 1) {
  wire::BrokerRegistrationRequest request;
  request.broker_id = id;
  request.cluster_id = kClusterId;
  request.incarnation_id = {static_cast<std::uint64_t>(id), incarnation};
  request.log_dirs = {{1000, static_cast<std::uint64_t>(id)}};
  add_supported_features(request.features);
  return request;
}

inline wire::CreateTopicsRequest create_request(const std::string& name,
                                                std::int32_t partitions = 1) {
  wire::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = 1;
  return request;
}

// Registers broker `id` and unfences it; its epoch.
inline io::Task<io::Result<BrokerEpoch>> join(rpc::Client& client, NodeId id) {
  auto registered = co_await client.call<wire::BrokerRegistrationResponse>(registration(id), 4);
  if (!registered) co_return std::unexpected(registered.error());
  wire::BrokerHeartbeatRequest beat;
  beat.broker_id = id;
  beat.broker_epoch = registered->broker_epoch;
  beat.current_metadata_offset = 1'000'000;
  auto answer = co_await client.call<wire::BrokerHeartbeatResponse>(beat, 2);
  if (!answer) co_return std::unexpected(answer.error());
  EXPECT_FALSE(answer->is_fenced);
  co_return registered->broker_epoch;
}

}  // namespace ottla::metadata::testing
