// What the tests of GroupPartition share: a life of a node that serves one partition over the
// simulated disk, and requests to it. Not part of the library.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cluster_view_testing.h"
#include "coordinator/coordinator_key.h"
#include "coordinator/group_partition.h"
#include "storage/store_test_support.h"

namespace ottla::coordinator::testing {

using storage::testing::describe_error;
using wire::ErrorCode;
using namespace std::chrono_literals;

inline constexpr Uuid kTopic{1, 2};

using CommittedOffsets = wire::OffsetFetchResponse::OffsetFetchResponseGroup;

inline wire::OffsetCommitRequest commit_of(const std::string& group, Offset offset,
                                           int partitions = 1) {
  wire::OffsetCommitRequest request;
  request.group_id = group;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  for (int i = 0; i < partitions; ++i) {
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = i;
    partition.committed_offset = offset;
  }
  return request;
}

inline io::Task<std::expected<ReplyBody, ErrorCode>> commit(
    std::shared_ptr<GroupPartition> partition, wire::OffsetCommitRequest request) {
  co_return co_await partition->ask(
      [request = std::move(request)](GroupMachine& machine, Token token, Now now, Output& output) {
        machine.commit(
            {.token = token, .version = 8, .topic_id = [](const std::string&) { return kTopic; }},
            request, now, output);
      });
}

inline io::Task<Offset> fetch(std::shared_ptr<GroupPartition> partition, std::string group) {
  const auto found =
      co_await partition->look<CommittedOffsets>([&](GroupMachine& machine, Output&) {
        wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
        request.group_id = group;
        auto& topic = request.topics.emplace().emplace_back();
        topic.name = "t";
        topic.partition_indexes = {0};
        return machine.fetch(request, false);
      });
  co_return found ? found->topics.at(0).partitions.at(0).committed_offset : -2;
}

inline io::Task<> commit_into(std::shared_ptr<GroupPartition> partition,
                              wire::OffsetCommitRequest request, std::vector<ErrorCode>& errors) {
  const auto reply = co_await commit(std::move(partition), std::move(request));
  errors.push_back(reply ? ErrorCode::none : reply.error());
}

inline io::Task<bool> wait_for_room(std::shared_ptr<storage::Store> store) {
  co_await store->wait_for_room();
  co_return true;
}

// NONE once it serves, or why it never will.
inline io::Task<ErrorCode> until_loaded(io::Env& env, std::shared_ptr<GroupPartition> partition) {
  while (true) {
    const auto seen = co_await partition->look<int>([](const GroupMachine&, Output&) { return 0; });
    if (seen || seen.error() != ErrorCode::coordinator_load_in_progress)
      co_return seen ? ErrorCode::none : seen.error();
    co_await io::sleep_for(env.clock, 1ms);
  }
}

struct Serving {
  io::Env& env;
  io::TaskGroup& tasks;
  storage::testing::Running running;
  std::shared_ptr<storage::PartitionLog> log;
  GroupPartition::Host host;
  std::shared_ptr<GroupPartition> partition;

  io::Task<ErrorCode> until_loaded() const {
    return coordinator::testing::until_loaded(env, partition);
  }
  // Another life of the same partition: the one before has to be stopped.
  void begin_again(LeaderEpoch leader_epoch) {
    partition = std::make_shared<GroupPartition>(env, log, leader_epoch, GroupLimits{}, host);
    tasks.spawn(partition->run());
  }
};

class GroupPartitionTest : public storage::testing::OneNodeTest {
 protected:
  GroupPartitionTest() : OneNodeTest(4) {}

  // One life of a node that serves the partition: `body` runs at once, or when it is loaded.
  using Body = std::function<io::Task<>(Serving&)>;
  void live_from_start(Body body) {
    EXPECT_EQ(run([this, body](io::Env& env) { return serve(env, body); }), 0);
  }
  void live(Body body) {
    live_from_start([body](Serving& serving) -> io::Task<> {
      EXPECT_EQ(co_await serving.until_loaded(), ErrorCode::none);
      co_await body(serving);
    });
  }

  std::optional<Uuid> topic_id_ = kTopic;  // of the topic that is there
  const OneTopic topics_{topic_id_};

 private:
  io::Task<int> serve(io::Env& env, Body body) {
    io::TaskGroup tasks(env.executor);
    auto opened = co_await storage::testing::start_folder(env, storage::testing::small_limits());
    REQUIRE_OK(opened);
    auto log = co_await storage::testing::open_or_create(*opened, std::string(kOffsetsTopic), 0,
                                                         storage::testing::kTopicId,
                                                         storage::testing::small_config());
    REQUIRE_OK(log);
    const auto store = opened->store;
    const GroupPartition::Host host{
        .wait_for_room = [store](io::Instant) { return wait_for_room(store); },
        .cluster = &topics_};
    auto partition = std::make_shared<GroupPartition>(env, *log, 0, GroupLimits{}, host);
    tasks.spawn(partition->run());
    Serving serving{env, tasks, *opened, *log, host, partition};
    co_await body(serving);
    serving.partition->stop();
    co_await tasks.join();
    co_return 0;
  }
};

}  // namespace ottla::coordinator::testing
