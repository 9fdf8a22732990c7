// The first records of a cluster, also those of a folder that Kafka's own tool has formatted.
#include "metadata/bootstrap.h"

#include <gmock/gmock.h>

#include "consensus/snapshot.h"
#include "metadata/metadata_testing.h"
#include "metadata/shells_test_support.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::map<std::string, int> levels_of(const std::vector<Record>& records) {
  std::map<std::string, int> levels;
  for (const Record& record : records) {
    if (const auto* level = std::get_if<wire::FeatureLevelRecord>(&record))
      levels[level->name] = level->feature_level;
  }
  return levels;
}

class BootstrapTest : public ShellTest {
 protected:
  io::Result<std::vector<Record>> read() {
    io::Result<std::vector<Record>> result;
    broker.start(1, [&result](io::Env& env) { return read_into(env, result); });
    EXPECT_TRUE(wait([&] { return !broker.is_running(); })) << world.report();
    return result;
  }
  static io::Task<int> read_into(io::Env& env, io::Result<std::vector<Record>>& result) {
    result = co_await read_bootstrap(env, "data");
    co_return 0;
  }
  void write(const std::vector<Record>& records) {
    consensus::SnapshotBuilder builder(0, 0, 1, std::nullopt);
    std::vector<Bytes> framed;
    for (const Record& record : records) framed.push_back(encode_record(record));
    builder.add(framed);
    broker.disk().put("data/bootstrap.checkpoint", std::move(builder).finish());
  }
};

TEST_F(BootstrapTest, KafkasOwnFileIsRead) {
  broker.disk().copy_in(OTTLA_FORMAT_VECTORS, "data");
  const auto records = read();
  ASSERT_TRUE(records.has_value()) << records.error().message;
  EXPECT_EQ(levels_of(*records), levels_of(initial_levels()));
}

TEST_F(BootstrapTest, OtherLevelsAreTakenOver) {
  write({feature_record("metadata.version", 27), feature_record("group.version", 0)});
  const auto records = read();
  ASSERT_TRUE(records.has_value()) << records.error().message;
  EXPECT_EQ(levels_of(*records),
            (std::map<std::string, int>{{"metadata.version", 27}, {"group.version", 0}}));
}

TEST_F(BootstrapTest, WithoutTheFileItIsOurs) {
  broker.disk().make_directories("data");
  EXPECT_EQ(levels_of(read().value()), levels_of(initial_levels()));
}

TEST_F(BootstrapTest, AFileThatCannotBeReadIsNamed) {
  const Bytes garbage(100, 7);
  broker.disk().put("data/bootstrap.checkpoint", garbage);
  EXPECT_THAT(read().error().message, HasSubstr("data/bootstrap.checkpoint"));
  write({});
  EXPECT_THAT(read().error().message, HasSubstr("there is nothing in it"));
}

TEST_F(BootstrapTest, OneTransactionAndTheConfigThatElrAsksFor) {
  const auto names = [](const std::vector<Record>& records) {
    std::vector<std::string> found;
    for (const Record& record : records) found.emplace_back(record_name(record));
    return found;
  };
  const auto with = first_transaction(
      {feature_record("metadata.version", 30), feature_record(std::string(kElrVersion), 1)}, "2");
  EXPECT_EQ(names(with), (std::vector<std::string>{"BeginTransactionRecord", "FeatureLevelRecord",
                                                   "FeatureLevelRecord", "ConfigRecord",
                                                   "EndTransactionRecord"}));
  EXPECT_EQ(std::get<wire::ConfigRecord>(with[3]).value, "2");
  EXPECT_EQ(names(first_transaction({feature_record("metadata.version", 30)}, "2")),
            (std::vector<std::string>{"BeginTransactionRecord", "FeatureLevelRecord",
                                      "EndTransactionRecord"}));
}

TEST_F(BootstrapTest, LevelsOfAnotherAgeAreRefused) {
  seat.first = {feature_record("metadata.version", 21)};
  restart_controller();
  ASSERT_TRUE(wait([&] { return !controller.is_running(); })) << world.report();
  EXPECT_THAT(seat.failure, HasSubstr("metadata.version at level 21"));
  EXPECT_THAT(seat.failure, HasSubstr("supports 25 to 30"));
  seat.first = {feature_record("metadata.version", 30)};
  restart_controller();
  ASSERT_TRUE(wait([&] { return is_serving(); })) << seat.failure;
}

}  // namespace
}  // namespace ottla::metadata
