#include "broker/fetch_session.h"

#include <gtest/gtest.h>

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using Kind = FetchContext::Kind;

class Sessions : public testing::Test {
 protected:
  static FetchTarget target(PartitionIndex partition, Offset offset = 0) {
    return {.topic = "t", .partition = partition, .fetch_offset = offset, .max_bytes = 1000};
  }
  static FetchTopicPartition which(PartitionIndex partition) { return {{}, "t", partition}; }
  auto open(std::int32_t id, std::int32_t epoch, std::vector<FetchTarget> targets,
            std::vector<FetchTopicPartition> forgotten = {}, bool follower = false,
            bool ids = false) {
    return sessions.open(id, epoch, ids, follower, targets, forgotten, 12345 + 64 * ++calls,
                         now_ms);
  }
  std::int32_t made() { return open(0, 0, {target(0), target(1)})->session_id; }

  FetchSessions sessions{2, 1, 4};
  std::int64_t now_ms = 1000;
  std::uint64_t calls = 0;
};

TEST_F(Sessions, NoneAndNew) {
  EXPECT_EQ(open(0, -1, {target(0)})->kind, Kind::sessionless);
  const auto made = open(0, 0, {target(0)});
  EXPECT_EQ(made->kind, Kind::full);
  EXPECT_EQ(made->session_id % 4, 1);
}

TEST_F(Sessions, EpochsFollowEachOther) {
  const std::int32_t id = made();
  EXPECT_EQ(open(id, 1, {})->kind, Kind::incremental);
  EXPECT_EQ(open(id, 1, {}).error(), ErrorCode::invalid_fetch_session_epoch);
  EXPECT_EQ(open(id, 2, {})->kind, Kind::incremental);
  EXPECT_EQ(open(id + 4, 1, {}).error(), ErrorCode::fetch_session_id_not_found);
  EXPECT_EQ(open(id, 3, {}, {}, false, true).error(), ErrorCode::fetch_session_topic_id_error);
}

TEST_F(Sessions, ChangesAndForgets) {
  const std::int32_t id = made();
  const auto next = open(id, 1, {target(1, 50), target(2)}, {which(0)});
  const auto targets = next->session->targets();
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0].partition, 1);
  EXPECT_EQ(targets[0].fetch_offset, 50);
  EXPECT_EQ(targets[1].partition, 2);
}

TEST_F(Sessions, EndsWhenClosedOrEmpty) {
  const std::int32_t id = made();
  open(id, -1, {});
  EXPECT_EQ(sessions.find(id), nullptr);
  const std::int32_t other = made();
  EXPECT_EQ(open(other, 1, {}, {which(0), which(1)})->kind, Kind::sessionless);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST_F(Sessions, MentionsOnlyWhatChanged) {
  FetchSession& session = *open(0, 0, {target(0), target(1)})->session;
  EXPECT_TRUE(session.must_mention(which(0), {10, 10, 0}, false, false));
  EXPECT_FALSE(session.must_mention(which(0), {10, 10, 0}, false, false));
  EXPECT_TRUE(session.must_mention(which(0), {10, 10, 0}, true, false));
  EXPECT_TRUE(session.must_mention(which(0), {11, 10, 0}, false, false));
  EXPECT_TRUE(session.must_mention(which(0), {11, 10, 0}, false, true)) << "an error";
  EXPECT_TRUE(session.must_mention(which(0), {11, 10, 0}, false, false)) << "its end";
}

TEST_F(Sessions, WhoGaveDataReadsLast) {
  FetchSession& session = *open(0, 0, {target(0), target(1)})->session;
  session.must_mention(which(0), {10, 10, 0}, true, false);
  EXPECT_EQ(session.targets().front().partition, 1);
}

TEST_F(Sessions, BoundedAndFollowersFirst) {
  const std::int32_t first = made();
  now_ms += 1;
  made();
  EXPECT_EQ(open(0, 0, {target(0)})->kind, Kind::sessionless) << "full, and nobody idle";
  EXPECT_EQ(open(0, 0, {target(0)}, {}, true)->kind, Kind::full);
  EXPECT_EQ(sessions.find(first), nullptr) << "the oldest consumer yields to a follower";
  now_ms += FetchSessions::kEvictionMs + 1;
  EXPECT_EQ(open(0, 0, {target(0)})->kind, Kind::full);
  EXPECT_EQ(sessions.size(), 2u);
}

}  // namespace
}  // namespace ottla::broker
