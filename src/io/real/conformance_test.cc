// The conformance suite on the real world: with io_uring and with threads, with direct I/O and
// without.
#include "io/conformance/conformance.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <optional>

#include "io/real/runtime.h"

namespace ottla::io::real {
namespace {

struct World {
  const char* name;
  DiskBackend backend;
  bool direct_io;
  unsigned shards;
};

constexpr World kWorlds[] = {
    {"threads_direct", DiskBackend::threads, true, 1},
    {"threads_buffered", DiskBackend::threads, false, 2},
    {"uring_direct", DiskBackend::io_uring, true, 2},
    {"uring_buffered", DiskBackend::io_uring, false, 1},
};

using Parameter = std::tuple<World, conformance::Case>;

Task<int> run_case(conformance::Setting& setting, conformance::Case which) {
  co_await which.run(setting);
  co_return 0;
}

// The other shards only serve; they end with the first.
Task<int> do_nothing() { co_return 0; }

class RealConformance : public testing::TestWithParam<Parameter> {};

TEST_P(RealConformance, Holds) {
  const auto& [world, which] = GetParam();
  // Beside the binary: /tmp may be a file system without direct I/O.
  std::string pattern = "conformance-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::string folder = std::filesystem::absolute(pattern);
  conformance::Checker checker;
  NullLogger logger;
  {
    Runtime runtime({.shards = world.shards,
                     .disk_backend = world.backend,
                     .direct_io = world.direct_io,
                     .handle_signals = false,
                     .logger = &logger});
    std::optional<conformance::Setting> setting;
    EXPECT_EQ(runtime.run([&, which](Env& env) {
      if (env.shard != 0) return do_nothing();
      setting.emplace(env, folder, "127.0.0.1", checker);
      return run_case(*setting, which);
    }),
              0);
  }
  for (const std::string& failure : checker.failures()) ADD_FAILURE() << failure;
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Io, RealConformance,
                         testing::Combine(testing::ValuesIn(kWorlds),
                                          testing::ValuesIn(conformance::all_cases())),
                         [](const auto& about) {
                           std::string name = std::get<0>(about.param).name;
                           name += "_" + std::get<1>(about.param).name;
                           std::ranges::replace(name, '/', '_');
                           return name;
                         });

}  // namespace
}  // namespace ottla::io::real
