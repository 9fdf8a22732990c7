// GroupPartition over the simulated disk: what is loaded, when replies go out, and what happens
// when the log refuses.
#include "coordinator/group_partition.h"

#include <gmock/gmock.h>

#include "coordinator/group_partition_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const Bytes kLaterKind = {0x7f, 0};
const Bytes kGroupKey = {0, 2, 0, 1, 'g'};
const Bytes kGarbage = {0, 3, 0xff};

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
    live([=](Serving& serving) -> io::Task<> {
      EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 3))).has_value());
      serving.partition->stop();
      wire::RecordBatchBuilder builder({});
      fill(builder);
      const Slice built = *builder.build();
      Bytes bytes(built.data(), built.data() + built.size());
      if (flip) bytes.back() ^= 1;
      EXPECT_TRUE(storage::testing::append(*serving.log, Slice::copy_of(bytes)).has_value());
      serving.begin_again(1);
      EXPECT_EQ(co_await serving.until_loaded(), expected);
      if (expected == ErrorCode::none) EXPECT_EQ(co_await fetch(serving.partition, "g"), 3);
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
