// Who is in sync, eligible and leading as replicas come and go: the cases that Apache Kafka 4.3.1
// was asked (tests/clients/cases/controller.py), and what must hold whatever happens.
#include "metadata/partition_change.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

namespace ottla::metadata {
namespace {

using Replicas = std::vector<NodeId>;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One partition, and who is alive.
class PartitionChangeTest : public ::testing::Test {
 protected:
  PartitionChangeTest() { start({1, 2, 3}); }

  void start(Replicas replicas) {
    PartitionImage partition;
    partition.replicas = partition.isr = replicas;
    partition.leader = replicas.front();
    topic.partitions = {partition};
    active = {replicas.begin(), replicas.end()};
  }
  std::optional<wire::PartitionChangeRecord> change(Replicas isr, Replicas without_data = {}) {
    auto record = change_partition(topic, 0,
                                   {.isr = std::move(isr),
                                    .without_data = std::move(without_data),
                                    .may_lead = [this](NodeId id) { return active.contains(id); },
                                    .has_elr = has_elr,
                                    .min_isr = min_isr,
                                    .unclean_election = unclean_election});
    if (record) apply(*record);
    return record;
  }
  void apply(const wire::PartitionChangeRecord& record) {
    PartitionImage& now = topic.partitions[0];
    if (record.isr) now.isr = *record.isr;
    if (record.eligible_leader_replicas) now.elr = *record.eligible_leader_replicas;
    if (record.last_known_elr) now.last_known_elr = *record.last_known_elr;
    if (record.leader != -2) now.leader = record.leader;
    if (record.leader_recovery_state >= 0) now.leader_recovery_state = record.leader_recovery_state;
  }
  void leave(NodeId id) {
    active.erase(id);
    Replicas isr = topic.partitions[0].isr;
    std::erase(isr, id);
    change(isr);
  }
  void come_back(NodeId id) {
    active.insert(id);
    change(topic.partitions[0].isr);
  }
  void lose_data(NodeId id) {
    active.erase(id);
    Replicas isr = topic.partitions[0].isr;
    std::erase(isr, id);
    change(isr, {id});
  }
  const PartitionImage& now() const { return topic.partitions[0]; }

  TopicImage topic;
  std::set<NodeId> active;
  std::size_t min_isr = 2;
  bool has_elr = true;
  bool unclean_election = false;
};

TEST_F(PartitionChangeTest, WhoLeavesASmallIsrStaysEligible) {
  leave(3);
  EXPECT_THAT(now().isr, ElementsAre(1, 2));
  EXPECT_THAT(now().elr, IsEmpty());
  leave(2);
  EXPECT_THAT(now().isr, ElementsAre(1));
  EXPECT_THAT(now().elr, ElementsAre(2));
  leave(1);
  EXPECT_THAT(now().isr, IsEmpty());
  EXPECT_THAT(now().elr, ElementsAre(1, 2));
  EXPECT_THAT(now().last_known_elr, ElementsAre(1));
  EXPECT_EQ(now().leader, -1);
  come_back(3);  // was not eligible when it left
  EXPECT_EQ(now().leader, -1);
  come_back(2);
  EXPECT_EQ(now().leader, 2);
  EXPECT_THAT(now().isr, ElementsAre(2));
  EXPECT_THAT(now().elr, ElementsAre(1));
  EXPECT_THAT(now().last_known_elr, IsEmpty());
  EXPECT_EQ(now().leader_recovery_state, 0);
}

TEST_F(PartitionChangeTest, ALargeIsrNeedsNobodyElse) {
  leave(2);
  leave(3);
  EXPECT_THAT(now().elr, ElementsAre(3));  // 2 left while two were enough
  EXPECT_TRUE(change({1, 2}).has_value());
  EXPECT_THAT(now().elr, IsEmpty());
}

TEST_F(PartitionChangeTest, MinIsrIsNoMoreThanThereAreReplicas) {
  start({1});
  leave(1);
  EXPECT_THAT(now().elr, ElementsAre(1));
  come_back(1);
  EXPECT_EQ(now().leader, 1);
  EXPECT_THAT(now().isr, ElementsAre(1));
  EXPECT_EQ(now().leader_recovery_state, 0);
}

TEST_F(PartitionChangeTest, WhoLostItsDataLeadsOnlyIfItLedLast) {
  start({1});
  leave(1);
  lose_data(1);
  EXPECT_THAT(now().elr, IsEmpty());
  EXPECT_THAT(now().last_known_elr, ElementsAre(1));
  come_back(1);
  EXPECT_EQ(now().leader, 1);
  EXPECT_EQ(now().leader_recovery_state, 1);
  EXPECT_THAT(now().last_known_elr, IsEmpty());

  start({1, 2});
  leave(2);
  leave(1);
  lose_data(1);
  EXPECT_THAT(now().elr, ElementsAre(2));
  come_back(1);
  EXPECT_EQ(now().leader, -1);  // 2 may have more
  active.insert(1);
  lose_data(2);
  EXPECT_EQ(now().leader, 1);  // nobody has, any more
  EXPECT_EQ(now().leader_recovery_state, 1);
}

TEST_F(PartitionChangeTest, UncleanElectionsOnlyWhereTheyAreAllowed) {
  leave(3);
  leave(2);
  leave(1);
  come_back(3);
  EXPECT_EQ(now().leader, -1);
  unclean_election = true;
  come_back(3);
  EXPECT_EQ(now().leader, 3);
  EXPECT_THAT(now().isr, ElementsAre(3));
  EXPECT_THAT(now().elr, IsEmpty());
  EXPECT_EQ(now().leader_recovery_state, 1);
}

TEST_F(PartitionChangeTest, WithoutElrTheLastMemberStaysInTheIsr) {
  has_elr = false;
  leave(3);
  leave(1);
  EXPECT_EQ(now().leader, 2);
  leave(2);
  EXPECT_THAT(now().isr, ElementsAre(2));
  EXPECT_THAT(now().elr, IsEmpty());
  EXPECT_EQ(now().leader, -1);
  come_back(1);
  EXPECT_EQ(now().leader, -1);
  come_back(2);
  EXPECT_EQ(now().leader, 2);
}

TEST_F(PartitionChangeTest, NothingChangesNothing) {
  EXPECT_FALSE(change({1, 2, 3}).has_value());
  leave(1);
  EXPECT_FALSE(change(now().isr).has_value());
}

// A model beside it: which replicas hold the newest record. A record is acknowledged while the ISR
// has min.insync.replicas members; whoever leads cleanly must hold the last acknowledged one.
TEST_F(PartitionChangeTest, ACleanLeaderHasWhatWasAcknowledged) {
  std::mt19937 random(7);
  for (int run = 0; run < 300; ++run) {
    start({1, 2, 3});
    min_isr = 1 + random() % 3;
    std::map<NodeId, int> holds;
    int acknowledged = 0;
    int written = 0;
    for (int step = 0; step < 60; ++step) {
      const NodeId id = 1 + static_cast<NodeId>(random() % 3);
      switch (random() % 5) {
        case 0:
          if (active.contains(id)) leave(id);
          break;
        case 1:
          if (!active.contains(id)) come_back(id);
          break;
        case 2:  // ends and comes back empty; only what others hold is safe then
          lose_data(id);
          holds[id] = 0;
          break;
        case 3:  // follows up and joins the ISR again
          if (now().leader != -1 && active.contains(id)) {
            holds[id] = holds[now().leader];
            Replicas isr = now().isr;
            if (std::ranges::find(isr, id) == isr.end()) isr.push_back(id);
            change(isr);
          }
          break;
        default:
          if (now().leader == -1) break;
          holds[now().leader] = ++written;
          for (const NodeId member : now().isr) holds[member] = written;
          if (now().isr.size() >= min_isr) acknowledged = written;
      }
      int most = 0;
      for (const auto& [replica, newest] : holds) most = std::max(most, newest);
      acknowledged = std::min(acknowledged, most);  // what nobody has can't be asked for
      written = most;
      if (now().leader != -1 && now().leader_recovery_state == 0) {
        EXPECT_GE(holds[now().leader], acknowledged) << "run " << run << " step " << step;
        EXPECT_TRUE(active.contains(now().leader));
        EXPECT_NE(std::ranges::find(now().isr, now().leader), now().isr.end());
      }
      for (const NodeId eligible : now().elr) {
        EXPECT_EQ(std::ranges::find(now().isr, eligible), now().isr.end());
        if (now().leader_recovery_state == 0)
          EXPECT_GE(holds[eligible], acknowledged) << "run " << run << " step " << step;
      }
      if (now().leader_recovery_state != 0) break;  // from here on records may be lost
    }
  }
}

}  // namespace
}  // namespace ottla::metadata
