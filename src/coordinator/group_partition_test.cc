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

constexpr Uuid kTopic{1, 2};
const Bytes kLaterKind = {0x7f, 0};
const Bytes kGroupKey = {0, 2, 0, 1, 'g'};
const Bytes kGarbage = {0, 3, 0xff};

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
  co_return co_await partition->ask(
      [request = std::move(request)](GroupMachine& machine, Token token, Now now, Output& output) {
        machine.commit(
            {.token = token, .version = 8, .topic_id = [](const std::string&) { return kTopic; }},
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

io::Task<> commit_into(std::shared_ptr<GroupPartition> partition, wire::OffsetCommitRequest request,
                       std::vector<ErrorCode>& errors) {
  const auto reply = co_await commit(std::move(partition), std::move(request));
  errors.push_back(reply ? ErrorCode::none : reply.error());
}

io::Task<bool> wait_for_room(std::shared_ptr<storage::Store> store) {
  co_await store->wait_for_room();
  co_return true;
}

struct Serving {
  io::Env& env;
  io::TaskGroup& tasks;
  std::shared_ptr<storage::PartitionLog> log;
  GroupPartition::Host host;
  std::shared_ptr<GroupPartition> partition;

  io::Task<ErrorCode> until_loaded() const {
    while (true) {
      const auto seen =
          co_await partition->look<int>([](const GroupMachine&, Output&) { return 0; });
      if (seen || seen.error() != ErrorCode::coordinator_load_in_progress)
        co_return seen ? ErrorCode::none : seen.error();
      co_await io::sleep_for(env.clock, 1ms);
    }
  }
};

class GroupPartitionTest : public storage::testing::OneNodeTest {
 protected:
  GroupPartitionTest() : OneNodeTest(4) {}

  // One life of a node that serves the partition: `body` runs at once, or when it is loaded.
  using Body = std::function<io::Task<>(Serving)>;
  void live_from_start(Body body) {
    EXPECT_EQ(run([this, body](io::Env& env) { return serve(env, body); }), 0);
  }
  void live(Body body) {
    live_from_start([body](Serving serving) -> io::Task<> {
      EXPECT_EQ(co_await serving.until_loaded(), ErrorCode::none);
      co_await body(serving);
    });
  }

  std::optional<Uuid> topic_id_ = kTopic;  // of the topic that is there

 private:
  io::Task<int> serve(io::Env& env, Body body) {
    io::TaskGroup tasks(env.executor);
    auto opened = co_await storage::testing::start_folder(env, small_limits());
    REQUIRE_OK(opened);
    auto log = co_await storage::testing::open_or_create(
        *opened, std::string(kOffsetsTopic), 0, storage::testing::kTopicId, small_config());
    REQUIRE_OK(log);
    const auto store = opened->store;
    const GroupPartition::Host host{
        .wait_for_room = [store](io::Instant) { return wait_for_room(store); },
        .topic_ids = [this](const std::string&) { return topic_id_; }};
    auto partition = std::make_shared<GroupPartition>(env, *log, 0, GroupLimits{}, host);
    tasks.spawn(partition->run());
    co_await body({env, tasks, *log, host, partition});
    partition->stop();
    co_await tasks.join();
    co_return 0;
  }
};

TEST_F(GroupPartitionTest, WhatWasAnsweredIsLoadedAfterAKill) {
  live([](Serving serving) -> io::Task<> {
    for (int i = 0; i < 100; ++i) {
      const auto reply =
          co_await commit(serving.partition, commit_of("g" + std::to_string(i % 7), i));
      EXPECT_TRUE(reply.has_value());
      EXPECT_EQ(serving.log->high_watermark(), serving.log->log_end_offset())
          << "an answer before its record is committed";
    }
  });
  live([](Serving serving) -> io::Task<> {
    for (int i = 0; i < 7; ++i) {
      const Offset last = 98 + (i < 2 ? i : i - 7);
      EXPECT_EQ(co_await fetch(serving.partition, "g" + std::to_string(i)), last) << i;
    }
    EXPECT_EQ(co_await fetch(serving.partition, "other"), -1);
  });
}

TEST_F(GroupPartitionTest, WhileLoadingAndAfterStoppingNobodyIsServed) {
  live([](Serving serving) -> io::Task<> {
    for (int i = 0; i < 40; ++i) {  // more than a start takes from the journal
      EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", i, 50))).has_value());
    }
  });
  live_from_start([](Serving serving) -> io::Task<> {
    const auto early = co_await commit(serving.partition, commit_of("g", 2));
    EXPECT_EQ(early ? ErrorCode::none : early.error(), ErrorCode::coordinator_load_in_progress);
    EXPECT_EQ(co_await serving.until_loaded(), ErrorCode::none);
    EXPECT_EQ(co_await fetch(serving.partition, "g"), 39);
    serving.partition->stop();
    const auto late = co_await commit(serving.partition, commit_of("g", 2));
    EXPECT_EQ(late ? ErrorCode::none : late.error(), ErrorCode::not_coordinator);
  });
}

TEST_F(GroupPartitionTest, CommitsOfOneTurnShareABatch) {
  live([](Serving serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    for (int i = 0; i < 10; ++i) {
      serving.tasks.spawn(
          commit_into(serving.partition, commit_of("g" + std::to_string(i), i), errors));
    }
    while (errors.size() < 10) co_await io::sleep_for(serving.env.clock, 10ms);
    EXPECT_EQ(errors, std::vector<ErrorCode>(10, ErrorCode::none));
    const auto seen = co_await storage::testing::read_all(*serving.log, 0);
    EXPECT_TRUE(seen.has_value());
    if (seen) EXPECT_EQ(seen->size(), 1u);
  });
}

// One request of 500 partitions is larger than a batch may be here (24 KiB): it is split.
TEST_F(GroupPartitionTest, AFullJournalAndLargeRequestsAreWaitedOut) {
  live([](Serving serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    for (int i = 0; i < 8; ++i)
      serving.tasks.spawn(commit_into(serving.partition, commit_of("big", i, 500), errors));
    while (errors.size() < 8) co_await io::sleep_for(serving.env.clock, 100ms);
    EXPECT_EQ(errors, std::vector<ErrorCode>(8, ErrorCode::none));
    EXPECT_EQ(co_await fetch(serving.partition, "big"), 7);
  });
}

// Larger than any batch: its members hear that it failed, and the others go on.
TEST_F(GroupPartitionTest, AGroupThatIsTooLargeIsRefusedAlone) {
  live([](Serving serving) -> io::Task<> {
    const auto large = co_await serving.partition->look<int>([](GroupMachine&, Output& output) {
      ClassicGroupRecord record{"huge", wire::GroupMetadataValue()};
      record.value->members.emplace_back().subscription = Bytes(200'000, 'x');
      output.records.push_back(std::move(record));
      return 0;
    });
    EXPECT_EQ(large ? ErrorCode::none : large.error(), ErrorCode::unknown_server_error);
    EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 3))).has_value());
    EXPECT_EQ(co_await fetch(serving.partition, "g"), 3);
  });
  EXPECT_THAT(world_.report(), HasSubstr("too large for the log"));
}

// A node may stop between the end of a topic and the tombstones of its offsets.
TEST_F(GroupPartitionTest, ATopicThatWentMeanwhileTakesItsOffsets) {
  live([](Serving serving) -> io::Task<> {
    EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 3))).has_value());
  });
  topic_id_ = std::nullopt;
  live(
      [](Serving serving) -> io::Task<> { EXPECT_EQ(co_await fetch(serving.partition, "g"), -1); });
  topic_id_ = kTopic;
  live([this](Serving serving) -> io::Task<> {
    EXPECT_EQ(co_await fetch(serving.partition, "g"), -1) << "the tombstone is not in the log";
    EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 4))).has_value());
    topic_id_ = Uuid{9, 9};  // made again
    serving.partition->topics_changed({"another"});
    EXPECT_EQ(co_await fetch(serving.partition, "g"), 4);
    serving.partition->topics_changed({"t"});
    EXPECT_EQ(co_await fetch(serving.partition, "g"), -1);
  });
}

// A log that can't be understood is not taken for one with less in it: committed positions would
// seem never to have been.
class DamagedGroupPartitionTest : public GroupPartitionTest {
 protected:
  // Puts a batch into the log, and loads it as the next leader would.
  void write_and_load(std::function<void(wire::RecordBatchBuilder&)> fill, bool flip,
                      ErrorCode expected) {
    live([=](Serving serving) -> io::Task<> {
      EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 3))).has_value());
      serving.partition->stop();
      wire::RecordBatchBuilder builder({});
      fill(builder);
      const Slice built = *builder.build();
      Bytes bytes(built.data(), built.data() + built.size());
      if (flip) bytes.back() ^= 1;
      EXPECT_TRUE(storage::testing::append(*serving.log, Slice::copy_of(bytes)).has_value());
      serving.partition = std::make_shared<GroupPartition>(serving.env, serving.log, 1,
                                                           GroupLimits{}, serving.host);
      serving.tasks.spawn(serving.partition->run());
      EXPECT_EQ(co_await serving.until_loaded(), expected);
      if (expected == ErrorCode::none) EXPECT_EQ(co_await fetch(serving.partition, "g"), 3);
      serving.partition->stop();
    });
  }
};

TEST_F(DamagedGroupPartitionTest, AKindOfALaterVersionIsPassedOver) {
  write_and_load(
      [](wire::RecordBatchBuilder& builder) {
        builder.append({.key = ByteView(kLaterKind), .value = ByteView(kGarbage)});
      },
      false, ErrorCode::none);
  EXPECT_THAT(world_.report(), HasSubstr("1 records are of kinds"));
}

TEST_F(DamagedGroupPartitionTest, ARecordThatCantBeReadEndsTheLoading) {
  write_and_load(
      [](wire::RecordBatchBuilder& builder) {
        builder.append({.key = ByteView(kGroupKey), .value = ByteView(kGarbage)});
      },
      false, ErrorCode::not_coordinator);
  EXPECT_THAT(world_.report(), HasSubstr("the batch at offset 1: a value"));
}

TEST_F(DamagedGroupPartitionTest, AWrongChecksumEndsTheLoading) {
  write_and_load(
      [](wire::RecordBatchBuilder& builder) {
        builder.append({.key = ByteView(kLaterKind), .value = ByteView(kGarbage)});
      },
      true, ErrorCode::not_coordinator);
  EXPECT_THAT(world_.report(), HasSubstr("the batch at offset 1: its checksum is wrong"));
}

}  // namespace
}  // namespace ottla::coordinator
