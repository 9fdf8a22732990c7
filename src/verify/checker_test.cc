// Hand-made histories: one that is right, and one wrong in each way.
#include "verify/checker.h"

#include <gtest/gtest.h>
#include <set>
#include <string>

namespace ottla::verify {
namespace {

class Checker : public testing::Test {
 protected:
  void send(Process process, Value value, std::optional<Offset> offset,
            Outcome outcome = Outcome::ok) {
    add({.kind = Operation::Kind::send,
         .process = process,
         .outcome = outcome,
         .sends = {{0, value, offset}}});
  }
  void poll(Process process, std::vector<Seen> seen, Outcome outcome = Outcome::ok) {
    add({.kind = Operation::Kind::poll,
         .process = process,
         .outcome = outcome,
         .polls = {{0, std::move(seen)}}});
  }
  void assign(Process process) {
    add({.kind = Operation::Kind::assign, .process = process, .assigned = {0}});
  }
  void add(Operation operation) {
    operation.invoked_ns = ++now;
    operation.completed_ns = ++now;
    history.push_back(std::move(operation));
  }
  std::set<std::string> found(Promise promise = {}) {
    std::set<std::string> names;
    for (const Finding& finding : check(history, promise))
      names.emplace(to_string(finding.anomaly));
    return names;
  }
  using Names = std::set<std::string>;

  History history;
  std::int64_t now = 0;
};

TEST_F(Checker, ARightHistoryHasNoFinding) {
  send(1, 10, 0);
  send(1, 11, 1);
  send(2, 12, 5);  // gaps are legal
  poll(3, {{0, 10}, {1, 11}});
  poll(3, {{5, 12}});
  EXPECT_EQ(found(), Names{});
}

TEST_F(Checker, InconsistentOffsets) {
  send(1, 10, 0);
  send(1, 11, 1);
  poll(3, {{0, 10}, {1, 11}});
  poll(4, {{0, 11}});
  EXPECT_TRUE(found().contains("inconsistent-offsets"));
}

TEST_F(Checker, LostWrite) {
  send(1, 10, 0);
  send(1, 11, 1);
  send(1, 12, 2);
  poll(3, {{0, 10}, {2, 12}});
  EXPECT_TRUE(found().contains("lost-write"));
}

TEST_F(Checker, UnseenTail) {
  send(1, 10, 0);
  send(1, 11, 1);
  poll(3, {{0, 10}});
  EXPECT_EQ(found(), Names{"unseen"});
}

TEST_F(Checker, Duplicate) {
  send(1, 10, 0);
  poll(3, {{0, 10}, {1, 10}});
  EXPECT_TRUE(found().contains("duplicate"));
  EXPECT_FALSE(found({.idempotent = false}).contains("duplicate"));
}

TEST_F(Checker, UnknownWriteMayBeThereOnceOnly) {
  send(1, 10, std::nullopt, Outcome::info);
  send(2, 11, std::nullopt, Outcome::info);
  poll(3, {{0, 10}});
  EXPECT_EQ(found(), Names{});
  poll(4, {{0, 10}, {1, 10}});
  EXPECT_TRUE(found().contains("unknown-write-repeated"));
}

TEST_F(Checker, AFailedWriteMustNotShow) {
  send(1, 10, std::nullopt, Outcome::fail);
  poll(3, {{0, 10}});
  EXPECT_EQ(found(), Names{"failed-but-visible"});
}

TEST_F(Checker, Phantom) {
  poll(3, {{0, 99}});
  EXPECT_EQ(found(), Names{"phantom"});
}

TEST_F(Checker, SkipsAndStepsBackInsideAPoll) {
  send(1, 10, 0);
  send(1, 11, 1);
  send(1, 12, 2);
  poll(3, {{0, 10}, {1, 11}, {2, 12}});
  poll(4, {{0, 10}, {2, 12}});
  EXPECT_EQ(found(), Names{"int-poll-skip"});
  poll(5, {{1, 11}, {0, 10}});
  EXPECT_EQ(found(), (Names{"int-poll-skip", "int-nonmonotonic-poll"}));
}

TEST_F(Checker, SkipsAndStepsBackBetweenPolls) {
  send(1, 10, 0);
  send(1, 11, 1);
  send(1, 12, 2);
  poll(3, {{0, 10}, {1, 11}, {2, 12}});
  poll(4, {{0, 10}});
  poll(4, {{2, 12}});
  EXPECT_EQ(found(), Names{"poll-skip"});
  poll(3, {{0, 10}});
  EXPECT_EQ(found(), (Names{"poll-skip", "nonmonotonic-poll"}));
}

TEST_F(Checker, AssignStartsAgain) {
  send(1, 10, 0);
  send(1, 11, 1);
  poll(3, {{0, 10}, {1, 11}});
  assign(3);
  poll(3, {{0, 10}});
  EXPECT_EQ(found(), Names{});
}

TEST_F(Checker, SendsOfOneProcessKeepTheirOrder) {
  send(1, 10, std::nullopt);
  send(1, 11, std::nullopt);
  poll(3, {{0, 11}, {1, 10}});
  EXPECT_EQ(found(), Names{"nonmonotonic-send"});
}

TEST_F(Checker, SendsOfOneOperationKeepTheirOrder) {
  add({.kind = Operation::Kind::send, .process = 1, .sends = {{0, 10, {}}, {0, 11, {}}}});
  poll(3, {{0, 11}, {1, 10}});
  EXPECT_EQ(found(), Names{"int-nonmonotonic-send"});
}

TEST_F(Checker, AnAcknowledgedOffsetLiesAboveEarlierOnes) {
  send(1, 10, 5);
  send(2, 11, 4);
  poll(3, {{4, 11}, {5, 10}});
  EXPECT_EQ(found(), Names{"ack-not-after-earlier"});
}

TEST_F(Checker, WritesJsonLines) {
  send(1, 10, 5);
  EXPECT_EQ(to_json_line(history[0]),
            R"({"process":1,"f":"send","type":"ok","invoked":1,"completed":2,"send":[[0,10,5]]})");
}

}  // namespace
}  // namespace ottla::verify
