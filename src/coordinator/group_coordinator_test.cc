// GroupCoordinator: which partitions it has, and whose life ends when.
#include "coordinator/group_coordinator.h"

#include <gmock/gmock.h>

#include "coordinator/group_partition_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;
using ::testing::IsEmpty;
using ::testing::SizeIs;

io::Task<> wait_forever(std::shared_ptr<GroupPartition> partition, std::vector<ErrorCode>& errors) {
  const auto reply = co_await partition->ask([](GroupMachine&, Token, Now, Output&) {});
  errors.push_back(reply ? ErrorCode::none : reply.error());
}

class GroupCoordinatorTest : public storage::testing::OneNodeTest {
 protected:
  GroupCoordinatorTest() : OneNodeTest(4) {}

  struct Node {
    io::Env& env;
    io::TaskGroup& tasks;
    std::vector<std::shared_ptr<storage::PartitionLog>> logs;  // of partitions 0 and 1, and another
    GroupCoordinator& groups;

    GroupCoordinator::Led led(PartitionIndex index, LeaderEpoch epoch = 0) const {
      return {index, logs[static_cast<std::size_t>(index)], epoch};
    }
    io::Task<ErrorCode> until_loaded(PartitionIndex index) const {
      return testing::until_loaded(env, groups.find(index));
    }
    io::Task<ErrorCode> commit_to(PartitionIndex index, Offset offset) const {
      const auto reply = co_await commit(groups.find(index), commit_of("g", offset));
      co_return reply ? ErrorCode::none : reply.error();
    }
  };
  using Body = std::function<io::Task<>(Node)>;
  void live(Body body) {
    EXPECT_EQ(run([this, body](io::Env& env) { return serve(env, body); }), 0);
  }

  std::optional<Uuid> topic_id_ = kTopic;
  const OneTopic topics_{topic_id_};

 private:
  io::Task<int> serve(io::Env& env, Body body) {
    io::TaskGroup tasks(env.executor);
    auto opened = co_await storage::testing::start_folder(env, storage::testing::small_limits());
    REQUIRE_OK(opened);
    std::vector<std::shared_ptr<storage::PartitionLog>> logs;
    const auto open = [&](std::string topic, Uuid id, PartitionIndex index) {
      return storage::testing::open_or_create(*opened, std::move(topic), index, id,
                                              storage::testing::small_config());
    };
    const std::string topic(kOffsetsTopic);
    for (auto opening : {0, 1, 2}) {
      auto log = co_await (opening < 2 ? open(topic, {7, 1}, opening) : open("other", {7, 2}, 0));
      REQUIRE_OK(log);
      logs.push_back(*log);
    }
    GroupCoordinator groups(
        env, GroupLimits{},
        {.wait_for_room = [store = opened->store](io::Instant) { return wait_for_room(store); },
         .cluster = &topics_});
    co_await body({env, tasks, logs, groups});
    groups.stop();
    co_await groups.join();
    co_await tasks.join();
    co_return 0;
  }
};

TEST_F(GroupCoordinatorTest, WhatIsLedIsServed) {
  live([](Node node) -> io::Task<> {
    EXPECT_THAT(node.groups.all(), IsEmpty());
    EXPECT_EQ(node.groups.find(0), nullptr);
    node.groups.lead({node.led(1)});
    EXPECT_EQ(node.groups.find(0), nullptr);
    EXPECT_EQ(co_await node.until_loaded(1), ErrorCode::none);
    const auto first = node.groups.find(1);
    node.groups.lead({node.led(0), node.led(1)});
    EXPECT_THAT(node.groups.all(), SizeIs(2));
    EXPECT_EQ(node.groups.find(1), first) << "what is led still begins anew";
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await node.commit_to(0, 5), ErrorCode::none);
    EXPECT_EQ(co_await fetch(node.groups.find(0), "g"), 5);
    EXPECT_EQ(co_await fetch(node.groups.find(1), "g"), -1) << "the partitions share a log";
  });
}

TEST_F(GroupCoordinatorTest, WhatIsNotLedAnyMoreIsLetGo) {
  live([](Node node) -> io::Task<> {
    node.groups.lead({node.led(0), node.led(1)});
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await node.until_loaded(1), ErrorCode::none);
    std::vector<ErrorCode> errors;
    node.tasks.spawn(wait_forever(node.groups.find(0), errors));
    node.groups.lead({node.led(1)});
    co_await io::sleep_for(node.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(1, ErrorCode::not_coordinator));
    EXPECT_EQ(node.groups.find(0), nullptr);
    EXPECT_EQ(co_await node.commit_to(1, 1), ErrorCode::none);
    node.groups.lead({});
    EXPECT_THAT(node.groups.all(), IsEmpty());
  });
}

TEST_F(GroupCoordinatorTest, ANewLeaderEpochIsANewLife) {
  live([](Node node) -> io::Task<> {
    node.groups.lead({node.led(0)});
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await node.commit_to(0, 5), ErrorCode::none);
    const auto before = node.groups.find(0);
    std::vector<ErrorCode> errors;
    node.tasks.spawn(wait_forever(before, errors));
    node.groups.lead({node.led(0, 1)});
    const auto after = node.groups.find(0);
    EXPECT_NE(after, before);
    EXPECT_EQ(after->leader_epoch(), 1);
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    co_await io::sleep_for(node.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(1, ErrorCode::not_coordinator));
    EXPECT_EQ(co_await fetch(after, "g"), 5);
  });
}

// The topic was deleted and made again, between two images.
TEST_F(GroupCoordinatorTest, AnotherLogIsANewLife) {
  live([](Node node) -> io::Task<> {
    node.groups.lead({node.led(0)});
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await node.commit_to(0, 5), ErrorCode::none);
    const auto before = node.groups.find(0);
    node.groups.lead({{0, node.logs[2], 0}});
    EXPECT_NE(node.groups.find(0), before);
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await fetch(node.groups.find(0), "g"), -1);
  });
}

TEST_F(GroupCoordinatorTest, StoppingEndsAllOfThem) {
  live([](Node node) -> io::Task<> {
    node.groups.lead({node.led(0), node.led(1)});
    EXPECT_EQ(co_await node.until_loaded(0), ErrorCode::none);
    EXPECT_EQ(co_await node.until_loaded(1), ErrorCode::none);
    std::vector<ErrorCode> errors;
    for (const auto& partition : node.groups.all())
      node.tasks.spawn(wait_forever(partition, errors));
    node.groups.stop();
    co_await node.groups.join();
    co_await io::sleep_for(node.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(2, ErrorCode::not_coordinator));
    EXPECT_THAT(node.groups.all(), IsEmpty());
    node.groups.lead({node.led(0, 1)});  // an image that was on its way
    EXPECT_THAT(node.groups.all(), IsEmpty());
  });
}

TEST_F(GroupCoordinatorTest, EveryPartitionHearsOfTopics) {
  live([this](Node node) -> io::Task<> {
    node.groups.lead({node.led(0), node.led(1)});
    for (const PartitionIndex index : {0, 1}) {
      EXPECT_EQ(co_await node.until_loaded(index), ErrorCode::none);
      EXPECT_EQ(co_await node.commit_to(index, 5), ErrorCode::none);
    }
    topic_id_ = std::nullopt;
    node.groups.topics_changed({"another"});
    for (const PartitionIndex index : {0, 1})
      EXPECT_EQ(co_await fetch(node.groups.find(index), "g"), 5);
    node.groups.topics_changed({"t"});
    for (const PartitionIndex index : {0, 1})
      EXPECT_EQ(co_await fetch(node.groups.find(index), "g"), -1);
  });
}

}  // namespace
}  // namespace ottla::coordinator
