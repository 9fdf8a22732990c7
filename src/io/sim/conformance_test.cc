// The conformance suite on the simulated world, calm and with every seed's own delays and orders.
#include "io/conformance/conformance.h"

#include <algorithm>

#include "io/sim/test_support.h"

namespace ottla::io::sim {
namespace {

Task<int> run_case(conformance::Setting& setting, conformance::Case which) {
  co_await which.run(setting);
  co_return 0;
}

Task<int> do_nothing() { co_return 0; }

void run_case_in(SwarmOptions swarm, std::uint64_t seed, unsigned shards,
                 const conformance::Case& which) {
  // No faults: the suite says what holds without them.
  swarm.network.reset = swarm.network.refuse = swarm.network.lose_connect = 0;
  swarm.clock.wall_step = 0;
  World world({.seed = seed, .swarm = swarm});
  Node& node = world.add_node("host");
  node.disk().make_directories("folder");
  conformance::Checker checker;
  std::optional<conformance::Setting> setting;
  node.start(shards, [&](Env& env) {
    if (env.shard != 0) return do_nothing();
    setting.emplace(env, "folder", "host", checker);
    return run_case(*setting, which);
  });
  EXPECT_TRUE(world.run_until([&] { return !node.is_running(); }, 60min)) << world.report();
  for (const std::string& failure : checker.failures())
    ADD_FAILURE() << "seed " << seed << ": " << failure;
}

class SimConformance : public testing::TestWithParam<conformance::Case> {};

TEST_P(SimConformance, holds_in_a_calm_world) {
  run_case_in({}, 1, 1, GetParam());
  run_case_in({}, 2, 2, GetParam());
}

TEST_P(SimConformance, holds_in_drawn_worlds) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed)
    run_case_in(SwarmOptions::draw(seed), seed, 1 + seed % 2, GetParam());
}

std::string name_of(const testing::TestParamInfo<conformance::Case>& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Suite, SimConformance, testing::ValuesIn(conformance::all_cases()),
                         name_of);

}  // namespace
}  // namespace ottla::io::sim
