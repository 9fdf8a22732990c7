// GroupPartition: nothing is answered before it is committed, whoever is left when it ends is sent
// away, and what waits for the log has a bound.
#include <gmock/gmock.h>

#include "coordinator/group_partition_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

io::Task<> commit_in_order(std::shared_ptr<GroupPartition> partition, std::string group,
                           std::vector<std::string>& answered) {
  const auto reply = co_await commit(std::move(partition), commit_of(group, 1));
  answered.push_back(reply ? group : "refused");
}

io::Task<> fetch_into(std::shared_ptr<GroupPartition> partition, std::string group,
                      std::vector<std::string>& answered) {
  const Offset found = co_await fetch(std::move(partition), group);
  answered.push_back(group + " " + std::to_string(found));
}

// A question whose step writes `count` records.
io::Task<ErrorCode> write_records(std::shared_ptr<GroupPartition> partition, std::size_t count) {
  const auto asked = co_await partition->look<int>([count](GroupMachine&, Output& output) {
    for (std::size_t i = 0; i < count; ++i)
      output.records.push_back(OffsetRecord{"many", "t", 0, std::nullopt});
    return 0;
  });
  co_return asked ? ErrorCode::none : asked.error();
}

io::Task<> write_records_into(std::shared_ptr<GroupPartition> partition, std::size_t count,
                              std::vector<ErrorCode>& errors) {
  errors.push_back(co_await write_records(std::move(partition), count));
}

// A request that the machine does not answer.
io::Task<> wait_forever(std::shared_ptr<GroupPartition> partition, std::vector<ErrorCode>& errors) {
  const auto reply = co_await partition->ask([](GroupMachine&, Token, Now, Output&) {});
  errors.push_back(reply ? ErrorCode::none : reply.error());
}

io::Task<> ask_later(std::shared_ptr<GroupPartition> partition, wire::JoinGroupRequest request,
                     std::vector<ReplyBody>& replies) {
  auto reply = co_await partition->ask(
      [request = std::move(request)](GroupMachine& machine, Token token, Now now, Output& output) {
        machine.join({.token = token, .client = {"c", "/h"}, .fresh_member_suffix = "1"}, request,
                     now, output);
      });
  EXPECT_TRUE(reply.has_value());
  if (reply) replies.push_back(std::move(*reply));
}

wire::JoinGroupRequest join_of(const std::string& group) {
  wire::JoinGroupRequest request;
  request.group_id = group;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 60'000;
  request.protocol_type = "tests";
  request.protocols.emplace_back().name = "p";
  return request;
}

class GroupPartitionReplyTest : public GroupPartitionTest {
 protected:
  // As on a leader whose followers lag: only set_high_watermark() commits.
  void live_with_followers(Body body) {
    live([body](Serving& serving) -> io::Task<> {
      serving.log->set_high_watermark(0);
      co_await body(serving);
    });
  }
  static io::Task<> until_durable(Serving& serving, Offset end) {
    while (serving.log->durable_end_offset() < end) co_await io::sleep_for(serving.env.clock, 1ms);
    co_await io::sleep_for(serving.env.clock, 1s);
  }
};

TEST_F(GroupPartitionReplyTest, NothingIsAnsweredBeforeItIsCommitted) {
  live_with_followers([](Serving& serving) -> io::Task<> {
    std::vector<std::string> answered;
    serving.tasks.spawn(commit_in_order(serving.partition, "a", answered));
    co_await until_durable(serving, 1);
    serving.tasks.spawn(fetch_into(serving.partition, "a", answered));
    serving.tasks.spawn(commit_in_order(serving.partition, "b", answered));
    serving.tasks.spawn(fetch_into(serving.partition, "b", answered));
    co_await until_durable(serving, 2);
    EXPECT_THAT(answered, IsEmpty());
    serving.log->set_high_watermark(1);
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, UnorderedElementsAre("a", "a 1"));
    serving.log->set_high_watermark(2);
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, UnorderedElementsAre("a", "a 1", "b", "b 1"));
  });
}

// The last of an epoch may not be committed yet when the next one begins.
TEST_F(GroupPartitionReplyTest, WhatWasLoadedIsToldWhenItIsCommitted) {
  live_with_followers([](Serving& serving) -> io::Task<> {
    std::vector<std::string> answered;
    serving.tasks.spawn(commit_in_order(serving.partition, "a", answered));
    co_await until_durable(serving, 1);
    serving.partition->stop();
    serving.begin_again(1);
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, ElementsAre("refused"));
    serving.tasks.spawn(fetch_into(serving.partition, "a", answered));
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, ElementsAre("refused"));
    serving.log->set_high_watermark(1);
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, ElementsAre("refused", "a 1"));
  });
}

// The high watermark moves between a step and its append, which is in a later turn.
TEST_F(GroupPartitionReplyTest, WhatIsNotAppendedYetIsNotCommitted) {
  live_with_followers([](Serving& serving) -> io::Task<> {
    std::vector<std::string> answered;
    serving.tasks.spawn(commit_in_order(serving.partition, "a", answered));
    co_await until_durable(serving, 1);
    serving.partition->stop();
    serving.begin_again(1);
    co_await io::sleep_for(serving.env.clock, 1s);
    serving.tasks.spawn(commit_in_order(serving.partition, "b", answered));
    EXPECT_EQ(serving.log->log_end_offset(), 1);
    serving.log->set_high_watermark(1);
    co_await until_durable(serving, 2);
    EXPECT_THAT(answered, ElementsAre("refused"));
    serving.log->set_high_watermark(2);
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_THAT(answered, ElementsAre("refused", "b"));
  });
}

TEST_F(GroupPartitionReplyTest, StoppingAnswersAllWhoWait) {
  live_with_followers([](Serving& serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 1), errors));
    co_await until_durable(serving, 1);
    serving.tasks.spawn(write_records_into(serving.partition, 0, errors));
    serving.tasks.spawn(wait_forever(serving.partition, errors));
    // not even appended, and never will be:
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 2), errors));
    EXPECT_THAT(errors, IsEmpty());
    serving.partition->stop();
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(4, ErrorCode::not_coordinator));
    EXPECT_EQ(serving.log->log_end_offset(), 1) << "it writes after it was stopped";
    serving.partition->stop();  // nothing is left to be answered twice
  });
}

// A step may find out that the partition has to be let go of.
TEST_F(GroupPartitionReplyTest, AStepThatStopsIsSentAwayToo) {
  live([](Serving& serving) -> io::Task<> {
    const auto asked = co_await serving.partition->look<int>([&](GroupMachine&, Output&) {
      serving.partition->stop();
      return 0;
    });
    EXPECT_EQ(asked ? ErrorCode::none : asked.error(), ErrorCode::not_coordinator);
  });
}

TEST_F(GroupPartitionReplyTest, ADeletedPartitionSendsAllAway) {
  live_with_followers([](Serving& serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 1), errors));
    co_await until_durable(serving, 1);
    serving.tasks.spawn(wait_forever(serving.partition, errors));
    std::vector<TopicIdPartition> gone = {serving.log->id()};
    EXPECT_TRUE((co_await serving.running.store->remove(std::move(gone))).has_value());
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(2, ErrorCode::not_coordinator));
  });
}

TEST_F(GroupPartitionReplyTest, AFailedDiskSendsAllAway) {
  bool fails = false;
  node_.disk().on_fault(
      [&](io::sim::OperationKind kind, std::string_view path) -> std::optional<io::ErrorKind> {
        if (fails && kind == io::sim::OperationKind::sync &&
            path.find("journal") != std::string_view::npos)
          return io::ErrorKind::input_output;
        return std::nullopt;
      });
  live_with_followers([&fails](Serving& serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    serving.tasks.spawn(wait_forever(serving.partition, errors));
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 1), errors));
    co_await until_durable(serving, 1);
    EXPECT_THAT(errors, IsEmpty());
    fails = true;
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 2), errors));
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_TRUE(serving.log->is_fenced());
    EXPECT_EQ(errors, std::vector<ErrorCode>(3, ErrorCode::not_coordinator));
    EXPECT_EQ(co_await write_records(serving.partition, 1), ErrorCode::not_coordinator);
  });
}

// Its records are neither in the log nor will they ever be.
TEST_F(GroupPartitionReplyTest, WhoIsNotAppendedYetIsSentAwayToo) {
  live([](Serving& serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    serving.tasks.spawn(commit_into(serving.partition, commit_of("g", 1), errors));
    std::vector<TopicIdPartition> gone = {serving.log->id()};
    serving.tasks.spawn([](Serving& with, std::vector<TopicIdPartition> ids) -> io::Task<> {
      EXPECT_TRUE((co_await with.running.store->remove(std::move(ids))).has_value());
    }(serving, std::move(gone)));
    co_await io::sleep_for(serving.env.clock, 1s);
    EXPECT_EQ(errors, std::vector<ErrorCode>(1, ErrorCode::not_coordinator));
  });
}

TEST_F(GroupPartitionReplyTest, WhatWaitsForTheLogHasABound) {
  live([](Serving& serving) -> io::Task<> {
    std::vector<ErrorCode> errors;
    serving.tasks.spawn(write_records_into(serving.partition, kUnwrittenRecordsMax - 1, errors));
    serving.tasks.spawn(write_records_into(serving.partition, 1, errors));  // just fits
    EXPECT_THAT(errors, IsEmpty());
    EXPECT_EQ(co_await write_records(serving.partition, 0), ErrorCode::coordinator_not_available);
    const auto late = co_await commit(serving.partition, commit_of("g", 1));
    EXPECT_EQ(late ? ErrorCode::none : late.error(), ErrorCode::coordinator_not_available);
    while (errors.size() < 2) co_await io::sleep_for(serving.env.clock, 10ms);
    EXPECT_EQ(errors, std::vector<ErrorCode>(2, ErrorCode::none));
    EXPECT_EQ(serving.log->log_end_offset(), kUnwrittenRecordsMax);
    EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 1))).has_value());
  });
}

// --- time

// The machine is woken when something is due, though the partition slept for longer.
TEST_F(GroupPartitionReplyTest, WhoJoinsIsAnsweredWhenTheDelayIsOver) {
  live([](Serving& serving) -> io::Task<> {
    co_await io::sleep_for(serving.env.clock, 1min);
    std::vector<ReplyBody> replies;
    const io::Instant began = serving.env.clock.now();
    serving.tasks.spawn(ask_later(serving.partition, join_of("g"), replies));
    while (replies.empty()) co_await io::sleep_for(serving.env.clock, 10ms);
    const auto waited_ms = (serving.env.clock.now().ns - began.ns) / 1'000'000;
    const std::int32_t delay_ms = GroupLimits{}.classic.initial_rebalance_delay_ms;
    EXPECT_GE(waited_ms, delay_ms);
    EXPECT_LE(waited_ms, delay_ms + 100);
    EXPECT_EQ(std::get<wire::JoinGroupResponse>(replies.at(0)).error_code, 0);
    co_await io::sleep_for(serving.env.clock, 2min);  // its session ends, and that is written
    EXPECT_GT(serving.log->log_end_offset(), 0);
  });
}

TEST_F(GroupPartitionReplyTest, RecordsCarryTheLeaderEpochAndTheTime) {
  live([](Serving& serving) -> io::Task<> {
    serving.partition->stop();
    serving.begin_again(5);
    EXPECT_EQ(co_await serving.until_loaded(), ErrorCode::none);
    EXPECT_TRUE((co_await commit(serving.partition, commit_of("g", 1))).has_value());
    EXPECT_EQ(serving.log->latest_epoch(), 5);
    EXPECT_EQ(serving.partition->leader_epoch(), 5);
    const auto seen = co_await storage::testing::read_all(*serving.log, 0);
    EXPECT_TRUE(seen.has_value() && seen->size() == 1);
    if (!seen || seen->empty()) co_return;
    const auto header = wire::load_batch_header(seen->front().bytes.data());
    EXPECT_LE(serving.env.clock.wall_ms() - header.max_timestamp, 1000);
    EXPECT_GE(serving.env.clock.wall_ms(), header.max_timestamp);
  });
}

}  // namespace
}  // namespace ottla::coordinator
