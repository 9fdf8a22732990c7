#include "metadata/image_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/metadata_testing.h"

namespace ottla::metadata {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr Uuid kTopic{7, 8};

std::vector<Record> one_topic() {
  return {topic_record("orders", kTopic), partition_record(kTopic, 0, {1, 2}, {1, 2}, 1),
          partition_record(kTopic, 1, {2, 1}, {2, 1}, 2)};
}

wire::PartitionChangeRecord change(std::int32_t index) {
  wire::PartitionChangeRecord record;
  record.topic_id = kTopic;
  record.partition_id = index;
  return record;
}

const PartitionImage& partition(const ImagePtr& image, std::size_t index) {
  return image->topics->find(kTopic)->partitions.at(index);
}

std::string fault_of(const std::vector<Record>& records, const ImagePtr& base = empty_image()) {
  const auto image = fold(records, base);
  return image ? "none" : image.error();
}

TEST(ImageBuilder, ATopicIsFoundByNameAndId) {
  const ImagePtr image = image_of(one_topic());
  ASSERT_NE(image->topics->find("orders"), nullptr);
  EXPECT_EQ(image->topics->find("orders"), image->topics->find(kTopic));
  EXPECT_EQ(image->topics->find("order"), nullptr);
  EXPECT_EQ(image->topics->find(kTopic)->partitions.size(), 2u);
}

TEST(ImageBuilder, EveryChangeRaisesThePartitionEpochAndOnlyALeaderTheLeaderEpoch) {
  auto shrink = change(0);
  shrink.isr = std::vector<NodeId>{1};
  ImagePtr image = image_of({shrink}, image_of(one_topic()));
  EXPECT_EQ(partition(image, 0).partition_epoch, 1);
  EXPECT_EQ(partition(image, 0).leader_epoch, 0);
  EXPECT_EQ(partition(image, 0).isr, (std::vector<NodeId>{1}));
  EXPECT_EQ(partition(image, 1).partition_epoch, 0);

  auto nobody = change(0);
  nobody.leader = -1;
  image = image_of({nobody}, image);
  EXPECT_EQ(partition(image, 0).leader, -1);
  EXPECT_EQ(partition(image, 0).leader_epoch, 1);
  EXPECT_EQ(partition(image, 0).partition_epoch, 2);

  auto same = change(0);
  same.leader = -1;  // the same leader again is a new reign all the same
  image = image_of({same}, image);
  EXPECT_EQ(partition(image, 0).leader_epoch, 2);
}

TEST(ImageBuilder, AnImageThatWasPublishedNeverChanges) {
  ImageBuilder builder(empty_image());
  for (Record& record : one_topic()) ASSERT_TRUE(builder.apply(std::move(record)));
  const ImagePtr before = builder.publish({1, 1, 1});
  auto nobody = change(0);
  nobody.leader = -1;
  ASSERT_TRUE(builder.apply(nobody));
  ASSERT_TRUE(builder.apply(config_record(ResourceType::topic, "orders", "a", "1")));
  ASSERT_TRUE(builder.apply(topic_record("second", {9, 9})));
  const ImagePtr after = builder.publish({2, 1, 1});
  EXPECT_EQ(partition(before, 0).leader, 1);
  EXPECT_EQ(before->topics->find("second"), nullptr);
  EXPECT_TRUE(before->configs->of(ResourceType::topic, "orders").empty());
  EXPECT_EQ(partition(after, 0).leader, -1);
  EXPECT_NE(after->topics->find("second"), nullptr);
}

TEST(ImageBuilder, WhatDidNotChangeIsShared) {
  ImageBuilder builder(image_of(one_topic()));
  ASSERT_TRUE(builder.apply(topic_record("second", {9, 9})));
  const ImagePtr base = builder.publish({1, 1, 1});
  ASSERT_TRUE(builder.apply(partition_record({9, 9}, 0, {1}, {1}, 1)));
  const ImagePtr next = builder.publish({2, 1, 1});
  EXPECT_EQ(base->topics->find(kTopic), next->topics->find(kTopic));
  EXPECT_NE(base->topics->find("second"), next->topics->find("second"));
  EXPECT_EQ(base->configs, next->configs);
}

TEST(ImageBuilder, ATransactionTakesEffectAtItsEndOrNever) {
  for (const bool commits : {true, false}) {
    ImageBuilder builder(empty_image());
    ASSERT_TRUE(builder.apply(wire::BeginTransactionRecord{}));
    EXPECT_TRUE(builder.is_in_transaction());
    for (Record& record : one_topic()) ASSERT_TRUE(builder.apply(std::move(record)));
    EXPECT_FALSE(builder.has_changes());
    const ImagePtr inside = builder.publish({1, 1, 1});
    EXPECT_EQ(inside->topics->find("orders"), nullptr);
    ASSERT_TRUE(commits ? builder.apply(wire::EndTransactionRecord{})
                        : builder.apply(wire::AbortTransactionRecord{}));
    EXPECT_FALSE(builder.is_in_transaction());
    EXPECT_EQ(builder.has_changes(), commits);
    EXPECT_EQ(builder.publish({2, 1, 1})->topics->find("orders") != nullptr, commits);
  }
}

TEST(ImageBuilder, RemovingATopicRemovesItsConfigsToo) {
  auto records = one_topic();
  records.push_back(config_record(ResourceType::topic, "orders", "retention.ms", "5"));
  records.push_back(config_record(ResourceType::broker, "orders", "x", "1"));
  wire::RemoveTopicRecord remove;
  remove.topic_id = kTopic;
  const ImagePtr image = image_of({remove}, image_of(records));
  EXPECT_EQ(image->topics->find("orders"), nullptr);
  EXPECT_EQ(image->topics->find(kTopic), nullptr);
  EXPECT_TRUE(image->configs->of(ResourceType::topic, "orders").empty());
  EXPECT_EQ(image->configs->of(ResourceType::broker, "orders").size(), 1u);
  // the name may be used again, by another topic
  EXPECT_TRUE(fold({topic_record("orders", {1, 2})}, image));
}

TEST(ImageBuilder, AConfigWithoutValueIsRemoved) {
  const ImagePtr image = image_of({config_record(ResourceType::topic, "t", "a", "1"),
                                   config_record(ResourceType::topic, "t", "a", std::nullopt),
                                   config_record(ResourceType::topic, "t", "b", std::nullopt)});
  EXPECT_TRUE(image->configs->by_resource.empty());
}

TEST(ImageBuilder, BrokersAreFencedUnfencedAndShutDown) {
  ImagePtr image = image_of({broker_record(1, 10, true)});
  EXPECT_TRUE(image->brokers.at(1).is_fenced);
  wire::BrokerRegistrationChangeRecord record;
  record.broker_id = 1;
  record.broker_epoch = 10;
  record.fenced = -1;
  image = image_of({record}, image);
  EXPECT_FALSE(image->brokers.at(1).is_fenced);
  record.fenced = 0;
  record.in_controlled_shutdown = 1;
  image = image_of({record}, image);
  EXPECT_FALSE(image->brokers.at(1).is_fenced);
  EXPECT_TRUE(image->brokers.at(1).is_shutting_down);
  record.broker_epoch = 11;
  EXPECT_THAT(fault_of({record}, image), HasSubstr("epoch"));
  record.broker_id = 2;
  EXPECT_THAT(fault_of({record}, image), HasSubstr("no broker 2"));
  // a new incarnation begins anew
  image = image_of({broker_record(1, 20, true)}, image);
  EXPECT_FALSE(image->brokers.at(1).is_shutting_down);
}

TEST(ImageBuilder, ALogThatContradictsItselfIsRefused) {
  const ImagePtr base = image_of(one_topic());
  EXPECT_THAT(fault_of({topic_record("orders", {3, 3})}, base), HasSubstr("TopicRecord"));
  EXPECT_THAT(fault_of({topic_record("other", kTopic)}, base), HasSubstr("there already"));
  EXPECT_THAT(fault_of({partition_record({3, 3}, 0, {1}, {1}, 1)}, base), HasSubstr("no topic"));
  EXPECT_THAT(fault_of({partition_record(kTopic, 3, {1}, {1}, 1)}, base), HasSubstr("not follow"));
  EXPECT_THAT(fault_of({partition_record(kTopic, -1, {1}, {1}, 1)}, base), HasSubstr("not follow"));
  EXPECT_THAT(fault_of({change(2)}, base), HasSubstr("no partition 2"));
  EXPECT_THAT(fault_of({change(-1)}, base), HasSubstr("no partition"));
  EXPECT_THAT(fault_of({wire::RemoveTopicRecord{}}, base), HasSubstr("no topic"));
  EXPECT_THAT(fault_of({wire::EndTransactionRecord{}}, base), HasSubstr("never began"));
  EXPECT_THAT(fault_of({wire::AbortTransactionRecord{}}, base), HasSubstr("never began"));
  EXPECT_THAT(fault_of({wire::BeginTransactionRecord{}, wire::BeginTransactionRecord{}}, base),
              HasSubstr("inside another"));
  EXPECT_THAT(fault_of({wire::UnregisterBrokerRecord{}}, base), HasSubstr("no broker"));
}

TEST(ImageBuilder, EachReplicaHasItsDirectory) {
  const ImagePtr base = image_of(one_topic());
  auto record = std::get<wire::PartitionRecord>(partition_record(kTopic, 0, {1, 2}, {1}, 1));
  record.directories.pop_back();
  EXPECT_THAT(fault_of({record}, base), HasSubstr("directories"));
  record.directories.clear();  // before KIP-858
  EXPECT_EQ(partition(image_of({record}, base), 0).directories.size(), 2u);
  auto more = change(0);
  more.replicas = std::vector<NodeId>{1, 2, 3};
  EXPECT_THAT(fault_of({more}, base), HasSubstr("directories"));
  more.directories = std::vector<Uuid>(3, kDirectoryUnassigned);
  EXPECT_EQ(fault_of({more}, base), "none");
}

TEST(ImageBuilder, ElrIsClearedForATopicOrForAll) {
  auto records = one_topic();
  auto with_elr = change(0);
  with_elr.eligible_leader_replicas = std::vector<NodeId>{2};
  with_elr.last_known_elr = std::vector<NodeId>{2};
  records.emplace_back(with_elr);
  const ImagePtr base = image_of(records);
  EXPECT_EQ(partition(base, 0).elr.size(), 1u);
  wire::ClearElrRecord clear;
  clear.topic_name = "another";
  EXPECT_EQ(partition(image_of({clear}, base), 0).elr.size(), 1u);
  clear.topic_name = "orders";
  EXPECT_TRUE(partition(image_of({clear}, base), 0).elr.empty());
  clear.topic_name = "";
  EXPECT_TRUE(partition(image_of({clear}, base), 0).last_known_elr.empty());
}

// records_of() is what a snapshot holds: nothing may get lost on the way.
TEST(ImageBuilder, TheRecordsOfAnImageMakeItAgain) {
  auto records = one_topic();
  auto odd = change(1);
  odd.leader = 1;
  odd.isr = std::vector<NodeId>{1};
  odd.eligible_leader_replicas = std::vector<NodeId>{2};
  odd.last_known_elr = std::vector<NodeId>{2};
  odd.removing_replicas = std::vector<NodeId>{2};
  odd.adding_replicas = std::vector<NodeId>{3};
  odd.leader_recovery_state = 1;
  odd.directories = std::vector<Uuid>{{5, 5}, kDirectoryLost};
  records.emplace_back(odd);
  records.push_back(feature_record("group.version", 1));
  records.push_back(feature_record("metadata.version", 30));
  auto broker = broker_record(4, 44, true);
  broker.rack = "r1";
  broker.in_controlled_shutdown = true;
  broker.cordoned_log_dirs = std::vector<Uuid>{{9, 9}};
  records.emplace_back(broker);
  records.emplace_back(broker_record(5, 55));
  wire::RegisterControllerRecord controller;
  controller.controller_id = 3000;
  controller.incarnation_id = {4, 4};
  records.emplace_back(controller);
  records.push_back(config_record(ResourceType::broker, "", "min.insync.replicas", "1"));
  records.push_back(config_record(ResourceType::topic, "orders", "retention.ms", "5"));
  wire::ProducerIdsRecord ids;
  ids.broker_id = 4;
  ids.broker_epoch = 44;
  ids.next_producer_id = 3000;
  records.emplace_back(ids);
  wire::UserScramCredentialRecord scram;  // a kind that nothing here acts on
  scram.name = "somebody";
  records.emplace_back(scram);

  const ImagePtr image = image_of(records);
  const ImagePtr again = image_of(records_of(*image));
  EXPECT_EQ(bytes_of(*again), bytes_of(*image));
  EXPECT_EQ(again->features, image->features);
  EXPECT_EQ(again->topics->find(kTopic)->partitions, image->topics->find(kTopic)->partitions);
  EXPECT_EQ(again->configs->by_resource, image->configs->by_resource);
  EXPECT_EQ(again->brokers.at(4).rack, "r1");
  EXPECT_EQ(again->brokers.at(4).cordoned_directories, image->brokers.at(4).cordoned_directories);
  EXPECT_TRUE(again->brokers.at(4).is_shutting_down);
  EXPECT_EQ(again->controllers.size(), 1u);
  EXPECT_EQ(again->next_producer_id, 3000);
  EXPECT_EQ(again->producer_ids_epoch, 44);
  EXPECT_EQ(again->other_records, image->other_records);
  EXPECT_EQ(again->other_records.size(), 1u);
  // features first, and of them the one that says how to read the rest
  const auto all = records_of(*image);
  EXPECT_EQ(std::get<wire::FeatureLevelRecord>(all[0]).name, "metadata.version");
  EXPECT_EQ(std::get<wire::FeatureLevelRecord>(all[1]).name, "group.version");
}

}  // namespace
}  // namespace ottla::metadata
