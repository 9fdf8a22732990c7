// Producer and consumer of the command line against a whole node, in the simulator.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "broker/node.h"
#include "cli/configs.h"
#include "cli/consumer.h"
#include "cli/partitioner.h"
#include "cli/producer.h"
#include "io/sim/world.h"

namespace ottla::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::SizeIs;

struct Read {
  PartitionIndex partition = 0;
  Offset offset = 0;
  std::string key, value;
};

class OneNode : public testing::Test {
 protected:
  OneNode() : world_({.seed = 7}), node_(world_.add_node("b1")), client_(world_.add_node("c1")) {
    config_.listeners = {{.name = "PLAINTEXT", .bind = {"", 9092}}};
    config_.log_dir = "data";
    config_.num_partitions = 4;
  }

  void start_node() {
    is_ready_ = false;
    meeting_ = broker::make_meeting_point(
        config_, {.on_ready = [this](const broker::NodeReady&) { is_ready_ = true; }});
    node_.start(1, [this](io::Env& env) { return broker::run_node(env, meeting_); });
  }
  void wait_for_node() {
    start_node();
    ASSERT_TRUE(world_.run_until([&] { return is_ready_; }, 60s)) << world_.report();
  }

  // Runs `work` on a client node to its end.
  int run(std::function<io::Task<int>(Cluster&)> work, std::string bootstrap = "b1:9092") {
    work_ = std::move(work);
    client_.start(1, [this, bootstrap](io::Env& env) {
      return with_cluster(env, bootstrap, [this](Cluster& cluster) { return work_(cluster); });
    });
    EXPECT_TRUE(world_.run_until([&] { return !client_.is_running(); }, 300s)) << world_.report();
    return client_.exit_code();
  }

  io::Task<int> produce(Cluster& cluster, ProducerSettings settings, int from, int to) {
    Producer producer(cluster, std::move(settings));
    if (auto opened = co_await producer.open(); !opened) co_return fail(opened.error());
    for (int i = from; i < to; ++i) {
      auto added = producer.add({.key = "k" + std::to_string(i % 10), .value = std::to_string(i)});
      if (!added) co_return fail(added.error());
      if (i % 25 != 24 && i + 1 != to) continue;
      auto flushed =
          co_await producer.flush([this](const Stored& stored) { stored_ += stored.records; });
      if (!flushed) co_return fail(flushed.error());
    }
    co_return 0;
  }
  int fail(const ClusterError& error) {
    error_ = error.message;
    return to_int(error.exit);
  }

  io::Task<int> consume(Cluster& cluster, ConsumerSettings settings) {
    read_.clear();
    auto read = co_await consume_topic(
        cluster, std::move(settings),
        [this](const PrintedRecord& record) {
          read_.push_back({record.partition, record.offset,
                           std::string(as_text(record.key.value_or(ByteView()))),
                           std::string(as_text(record.value.value_or(ByteView())))});
        },
        [] { return true; });
    co_return read ? 0 : fail(read.error());
  }
  int read_all(ConsumerSettings settings) {
    return run([this, settings](Cluster& cluster) { return consume(cluster, settings); });
  }

  io::sim::World world_;
  io::sim::Node& node_;
  io::sim::Node& client_;
  broker::NodeConfig config_;
  std::shared_ptr<broker::NodeMeetingPoint> meeting_;
  bool is_ready_ = false;
  std::function<io::Task<int>(Cluster&)> work_;
  std::vector<Read> read_;
  std::string error_;
  std::int64_t stored_ = 0;
  bool was_producing_ = false;
};

TEST_F(OneNode, WhatIsProducedIsConsumedInTheOrderOfItsKey) {
  for (const wire::Codec codec : {wire::Codec::none, wire::Codec::gzip, wire::Codec::snappy,
                                  wire::Codec::lz4, wire::Codec::zstd}) {
    if (!node_.is_running()) wait_for_node();
    const std::string topic(wire::codec_name(codec));
    stored_ = 0;
    ASSERT_EQ(run([&](Cluster& cluster) {
                return produce(cluster, {.topic = topic, .codec = codec}, 0, 100);
              }),
              0)
        << error_;
    EXPECT_EQ(stored_, 100);
    ASSERT_EQ(read_all({.topic = topic}), 0) << error_;
    ASSERT_THAT(read_, SizeIs(100));
    std::map<std::string, int> last;
    for (const Read& record : read_) {
      EXPECT_EQ(record.partition, partition_of_key(as_bytes(record.key), 4));
      const int number = std::stoi(record.value);
      if (last.contains(record.key)) {
        EXPECT_GT(number, last[record.key]);
      }
      last[record.key] = number;
    }
    EXPECT_THAT(last, SizeIs(10));
  }
}

TEST_F(OneNode, OffsetsCountsAndPartitionsAreKept) {
  wait_for_node();
  ASSERT_EQ(run([&](Cluster& cluster) { return produce(cluster, {.topic = "t"}, 0, 100); }), 0);
  using Kind = OffsetSpec::Kind;
  const PartitionIndex home = partition_of_key(as_bytes("k3"), 4);
  ASSERT_EQ(read_all({.topic = "t", .partitions = {home}, .from = {Kind::last, 2}}), 0);
  EXPECT_THAT(read_, SizeIs(2));
  ASSERT_EQ(read_all({.topic = "t", .partitions = {home}, .from = {Kind::absolute, 3}, .count = 2}),
            0);
  ASSERT_THAT(read_, SizeIs(2));
  EXPECT_EQ(read_[0].offset, 3);
  ASSERT_EQ(read_all({.topic = "t", .from = {Kind::end, 0}}), 0);
  EXPECT_THAT(read_, SizeIs(0));
  ASSERT_EQ(read_all({.topic = "t", .from = {Kind::timestamp, 1}}), 0);
  EXPECT_THAT(read_, SizeIs(100));
  EXPECT_EQ(read_all({.topic = "t", .from = {Kind::absolute, 1'000'000}}),
            to_int(ExitCode::not_found));
  EXPECT_THAT(error_, HasSubstr("holds offsets 0 to"));
  EXPECT_EQ(read_all({.topic = "t", .partitions = {9}}), to_int(ExitCode::not_found));
  EXPECT_EQ(read_all({.topic = "nowhere"}), to_int(ExitCode::not_found));
}

TEST_F(OneNode, ARecordIsStoredOnceThoughTheNodeDiesMeanwhile) {
  wait_for_node();
  world_.at(world_.now() + 5ms, [this] {
    was_producing_ = client_.is_running();
    node_.crash(io::sim::CrashKind::power_loss);
  });
  world_.at(world_.now() + 2s, [this] { start_node(); });
  const int code = run([&](Cluster& cluster) {
    return produce(cluster, {.topic = "t", .timeout_ms = 60'000}, 0, 2000);
  });
  ASSERT_EQ(code, 0) << error_;
  EXPECT_TRUE(was_producing_);
  ASSERT_TRUE(world_.run_until([&] { return is_ready_ && node_.is_running(); }, 60s));
  world_.run_for(3s);
  ASSERT_EQ(read_all({.topic = "t"}), 0) << error_;
  std::map<std::string, int> times;
  for (const Read& record : read_) ++times[record.value];
  EXPECT_THAT(times, SizeIs(2000));
  EXPECT_THAT(read_, SizeIs(2000));
}

TEST_F(OneNode, EveryKindOfAcksStores) {
  wait_for_node();
  for (const std::int16_t acks : {-1, 0, 1}) {
    ASSERT_EQ(run([&, acks](Cluster& cluster) {
                return produce(cluster, {.topic = "t", .acks = acks}, 0, 10);
              }),
              0)
        << error_;
  }
  ASSERT_EQ(read_all({.topic = "t"}), 0);
  EXPECT_THAT(read_, SizeIs(30));
}

TEST_F(OneNode, ATopicIsNotMadeAgainstTheUsersWill) {
  wait_for_node();
  const int code = run([&](Cluster& cluster) {
    return produce(cluster, {.topic = "t", .may_create_topic = false}, 0, 1);
  });
  EXPECT_EQ(code, to_int(ExitCode::not_found));
  EXPECT_THAT(error_, HasSubstr("ottla topic create t"));
}

TEST_F(OneNode, AnAdvertisedAddressThatFailsIsExplained) {
  config_.listeners[0].advertised = io::Endpoint{"elsewhere", 19092};
  wait_for_node();
  ASSERT_EQ(run([&](Cluster& cluster) {
              return produce(cluster, {.topic = "t", .timeout_ms = 1000}, 0, 1);
            }),
            to_int(ExitCode::unreachable));
  EXPECT_THAT(error_, HasSubstr("b1:9092 answers, but broker 1 tells its clients to come to "
                                "elsewhere:19092"));
}

TEST_F(OneNode, ConfigsAndPartitionsAreChangedAndShown) {
  wait_for_node();
  ASSERT_EQ(run([&](Cluster& cluster) { return produce(cluster, {.topic = "t"}, 0, 1); }), 0);
  std::vector<ConfigTarget> targets = {{ConfigResource::topic, "t"},
                                       {ConfigResource::broker, ""},
                                       {ConfigResource::broker, "1"},
                                       {ConfigResource::group, "g"}};
  const std::vector<std::pair<std::string, std::string>> wanted = {
      {"retention.ms", "topic"},
      {"log.retention.ms", "all brokers"},
      {"log.retention.ms", "broker"},
      {"consumer.session.timeout.ms", "group"}};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& [name, source] = wanted[i];
    const auto change = [&](Cluster& cluster, std::string value, bool dry_run) -> io::Task<int> {
      auto done =
          co_await change_configs(cluster, targets[i], {{name, 0, std::move(value)}}, dry_run);
      co_return done ? 0 : fail(done.error());
    };
    std::string shown;
    const auto show = [&](Cluster& cluster) -> io::Task<int> {
      auto configs = co_await describe_configs(cluster, targets[i]);
      if (!configs) co_return fail(configs.error());
      shown = "none";
      for (const ShownConfig& config : *configs) {
        if (config.name == name) shown = config.value.value_or("null") + " " + config.source;
      }
      co_return 0;
    };
    EXPECT_EQ(run([&](Cluster& cluster) { return change(cluster, "50000", true); }), 0) << error_;
    EXPECT_EQ(run([&](Cluster& cluster) { return change(cluster, "50000", false); }), 0) << error_;
    EXPECT_EQ(run(show), 0) << error_;
    EXPECT_EQ(shown, "50000 " + source);
    EXPECT_EQ(run([&](Cluster& cluster) { return change(cluster, "soon", false); }),
              to_int(ExitCode::failed));
    EXPECT_THAT(error_, HasSubstr("is not changed"));
  }
  const auto grow = [&](std::string topic, std::int32_t count) {
    return run([&, topic, count](Cluster& cluster) -> io::Task<int> {
      auto done = co_await add_partitions(cluster, topic, count, false);
      co_return done ? 0 : fail(done.error());
    });
  };
  EXPECT_EQ(grow("t", 7), 0) << error_;
  EXPECT_EQ(grow("t", 7), to_int(ExitCode::failed));
  EXPECT_THAT(error_, HasSubstr("Topic already has 7 partition(s)."));
  EXPECT_EQ(grow("none", 7), to_int(ExitCode::not_found));
}

TEST(ConfigFlags, ChangesAreRead) {
  const auto changes = parse_changes(
      {.set = {"a=1=2"}, .removed = {"b"}, .appended = {"c="}, .subtracted = {"d=x,y"}});
  ASSERT_TRUE(changes.has_value());
  ASSERT_THAT(*changes, SizeIs(4));
  EXPECT_EQ((*changes)[0].name, "a");
  EXPECT_EQ((*changes)[0].value, "1=2");
  EXPECT_EQ((*changes)[1].operation, 2);
  EXPECT_EQ((*changes)[1].value, "");
  EXPECT_EQ((*changes)[2].operation, 3);
  EXPECT_EQ((*changes)[3].operation, 1);
  EXPECT_EQ((*changes)[3].value, std::nullopt);
  for (const std::string bad : {"a", "=1", ""}) EXPECT_FALSE(parse_changes({.set = {bad}})) << bad;
}

TEST_F(OneNode, NobodyThereIsSaidWithARemedy) {
  EXPECT_EQ(run([](Cluster&) -> io::Task<int> { co_return 0; }), to_int(ExitCode::unreachable));
}

}  // namespace
}  // namespace ottla::cli
