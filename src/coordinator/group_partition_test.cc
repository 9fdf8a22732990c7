// GroupPartition over the simulated disk: what is loaded, when replies go out, and what happens
// when the log refuses.
#include "coordinator/group_partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator_key.h"
#include "storage/store_test_support.h"

namespace ottla::coordinator {
namespace {

using storage::testing::describe_error;
using storage::testing::small_config;
using storage::testing::small_limits;
using ::testing::HasSubstr;
using wire::ErrorCode;
using namespace std::chrono_literals;

using Group = wire::OffsetFetchResponse::OffsetFetchResponseGroup;

wire::OffsetCommitRequest commit_of(const std::string& group, Offset offset, int partitions = 1) {
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

io::Task<std::expected<ReplyBody, ErrorCode>> commit(std::shared_ptr<GroupPartition> partition,
                                                     wire::OffsetCommitRequest request) {
  co_return co_await partition->ask([request = std::move(request)](GroupMachine& machine,
                                                                   Token token, Now now,
                                                                   Output& output) {
    machine.commit(
        {.token = token, .version = 8, .topic_id = [](const std::string&) { return Uuid{1, 2}; }},
        request, now, output);
  });
}

io::Task<Offset> fetch(std::shared_ptr<GroupPartition> partition, std::string group) {
  const auto found = co_await partition->look<Group>([&](GroupMachine& machine, Output&) {
    wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = group;
    auto& topic = request.topics.emplace().emplace_back();
    topic.name = "t";
    topic.partition_indexes = {0};
    return machine.fetch(request, false);
  });
  co_return found ? found->topics.at(0).partitions.at(0).committed_offset : -2;
}

struct Serving {
  storage::testing::Running running;
  std::shared_ptr<storage::PartitionLog> log;
  std::shared_ptr<GroupPartition> partition;
};

io::Task<> wait_for_room(std::shared_ptr<storage::Store> store) { co_await store->wait_for_room(); }

class GroupPartitionTest : public storage::testing::OneNodeTest {
 protected:
  GroupPartitionTest() : OneNodeTest(4) {}

  static io::Task<io::Result<Serving>> serve(io::Env& env, io::TaskGroup& tasks,
                                             storage::StoreLimits limits = small_limits()) {
    auto opened = co_await storage::testing::start_folder(env, limits);
    if (!opened) co_return std::unexpected(opened.error());
    auto log = co_await storage::testing::open_or_create(
        *opened, std::string(kOffsetsTopic), 0, storage::testing::kTopicId, small_config());
    if (!log) co_return std::unexpected(log.error());
    auto store = opened->store;
    auto partition = std::make_shared<GroupPartition>(env, *log, 0, GroupLimits{},
                                                      [store](io::Instant) -> io::Task<bool> {
                                                        co_await wait_for_room(store);
                                                        co_return true;
                                                      });
    tasks.spawn(partition->run());
    co_return Serving{std::move(*opened), *log, std::move(partition)};
  }
};

TEST_F(GroupPartitionTest, WhatWasAnsweredIsLoadedAfterAKill) {
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              for (int i = 0; i < 100; ++i) {
                const auto reply =
                    co_await commit(serving->partition, commit_of("g" + std::to_string(i % 7), i));
                EXPECT_TRUE(reply.has_value());
                EXPECT_EQ(serving->log->high_watermark(), serving->log->log_end_offset())
                    << "an answer before its record is committed";
              }
              serving->partition->stop();
              co_await tasks.join();
              co_return 0;
            }),
            0);
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              co_await io::sleep_for(env.clock, 1s);
              for (int i = 0; i < 7; ++i) {
                const Offset last = 98 + (i < 2 ? i : i - 7);
                EXPECT_EQ(co_await fetch(serving->partition, "g" + std::to_string(i)), last) << i;
              }
              EXPECT_EQ(co_await fetch(serving->partition, "other"), -1);
              serving->partition->stop();
              co_await tasks.join();
              co_return 0;
            }),
            0);
}

TEST_F(GroupPartitionTest, WhileLoadingAndAfterStoppingNobodyIsServed) {
  EXPECT_EQ(
      run([](io::Env& env) -> io::Task<int> {
        io::TaskGroup tasks(env.executor);
        auto serving = co_await serve(env, tasks);
        REQUIRE_OK(serving);
        for (int i = 0; i < 40; ++i) {  // more than a start takes from the journal
          EXPECT_TRUE((co_await commit(serving->partition, commit_of("g", i, 50))).has_value());
        }
        serving->partition->stop();
        co_await tasks.join();
        co_return 0;
      }),
      0);
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              const auto early = co_await commit(serving->partition, commit_of("g", 2));
              EXPECT_EQ(early ? ErrorCode::none : early.error(),
                        ErrorCode::coordinator_load_in_progress);
              co_await io::sleep_for(env.clock, 1s);
              EXPECT_EQ(co_await fetch(serving->partition, "g"), 39);
              serving->partition->stop();
              const auto late = co_await commit(serving->partition, commit_of("g", 2));
              EXPECT_EQ(late ? ErrorCode::none : late.error(), ErrorCode::not_coordinator);
              co_await tasks.join();
              co_return 0;
            }),
            0);
}

io::Task<> commit_into(std::shared_ptr<GroupPartition> partition, wire::OffsetCommitRequest request,
                       std::vector<ErrorCode>& errors) {
  const auto reply = co_await commit(std::move(partition), std::move(request));
  errors.push_back(reply ? ErrorCode::none : reply.error());
}

TEST_F(GroupPartitionTest, CommitsOfOneTurnShareABatch) {
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              co_await io::sleep_for(env.clock, 1s);
              std::vector<ErrorCode> errors;
              for (int i = 0; i < 10; ++i)
                tasks.spawn(
                    commit_into(serving->partition, commit_of("g" + std::to_string(i), i), errors));
              co_await io::sleep_for(env.clock, 1s);
              EXPECT_EQ(errors, std::vector<ErrorCode>(10, ErrorCode::none));
              auto seen = co_await storage::testing::read_all(*serving->log, 0);
              REQUIRE_OK(seen);
              EXPECT_EQ(seen->size(), 1u);
              serving->partition->stop();
              co_await tasks.join();
              co_return 0;
            }),
            0);
}

// One request of 2,000 partitions is larger than a batch may be here (24 KiB): it is split.
TEST_F(GroupPartitionTest, AFullJournalAndLargeRequestsAreWaitedOut) {
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              co_await io::sleep_for(env.clock, 1s);
              std::vector<ErrorCode> errors;
              for (int i = 0; i < 8; ++i)
                tasks.spawn(commit_into(serving->partition, commit_of("big", i, 500), errors));
              for (int i = 0; i < 600 && errors.size() < 8; ++i)
                co_await io::sleep_for(env.clock, 100ms);
              EXPECT_EQ(errors.size(), 8u);
              for (const ErrorCode error : errors) EXPECT_EQ(error, ErrorCode::none);
              EXPECT_EQ(co_await fetch(serving->partition, "big"), 7);
              serving->partition->stop();
              co_await tasks.join();
              co_return 0;
            }),
            0);
}

// Larger than any batch: its members hear that it failed, and the others go on.
TEST_F(GroupPartitionTest, AGroupThatIsTooLargeIsRefusedAlone) {
  EXPECT_EQ(run([](io::Env& env) -> io::Task<int> {
              io::TaskGroup tasks(env.executor);
              auto serving = co_await serve(env, tasks);
              REQUIRE_OK(serving);
              co_await io::sleep_for(env.clock, 1s);
              const auto large =
                  co_await serving->partition->look<int>([](GroupMachine&, Output& output) {
                    ClassicGroupRecord record{"huge", wire::GroupMetadataValue()};
                    record.value->members.emplace_back().subscription = Bytes(200'000, 'x');
                    output.records.push_back(std::move(record));
                    return 0;
                  });
              EXPECT_EQ(large ? ErrorCode::none : large.error(), ErrorCode::unknown_server_error);
              EXPECT_TRUE((co_await commit(serving->partition, commit_of("g", 3))).has_value());
              EXPECT_EQ(co_await fetch(serving->partition, "g"), 3);
              serving->partition->stop();
              co_await tasks.join();
              co_return 0;
            }),
            0);
  EXPECT_THAT(world_.report(), HasSubstr("too large for the log"));
}

}  // namespace
}  // namespace ottla::coordinator
