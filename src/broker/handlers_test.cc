// The errors of each API of clients, on a whole node of two shards in the simulator. What works is
// asserted by the tests with other projects' clients; here stands what is refused, and how.
#include <functional>
#include <gmock/gmock.h>
#include <set>

#include "broker/node_test_support.h"
#include "metadata/features.h"
#include "wire/messages/alter_configs_request.h"
#include "wire/messages/alter_configs_response.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/create_partitions_request.h"
#include "wire/messages/create_partitions_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/describe_cluster_request.h"
#include "wire/messages/describe_cluster_response.h"
#include "wire/messages/describe_configs_request.h"
#include "wire/messages/describe_configs_response.h"
#include "wire/messages/describe_log_dirs_request.h"
#include "wire/messages/describe_log_dirs_response.h"
#include "wire/messages/describe_producers_request.h"
#include "wire/messages/describe_producers_response.h"
#include "wire/messages/describe_topic_partitions_request.h"
#include "wire/messages/describe_topic_partitions_response.h"
#include "wire/messages/find_coordinator_request.h"
#include "wire/messages/find_coordinator_response.h"
#include "wire/messages/incremental_alter_configs_request.h"
#include "wire/messages/incremental_alter_configs_response.h"
#include "wire/messages/init_producer_id_request.h"
#include "wire/messages/init_producer_id_response.h"
#include "wire/messages/list_groups_request.h"
#include "wire/messages/list_groups_response.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"
#include "wire/messages/metadata_request.h"
#include "wire/messages/metadata_response.h"
#include "wire/messages/offset_commit_request.h"
#include "wire/messages/offset_commit_response.h"
#include "wire/messages/offset_fetch_request.h"
#include "wire/messages/offset_fetch_response.h"
#include "wire/messages/offset_for_leader_epoch_request.h"
#include "wire/messages/offset_for_leader_epoch_response.h"

namespace ottla::broker {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ErrorCode;

constexpr Uuid kNoSuchId{6, 6};

using HandlersTest = NodeTest;

TEST_F(HandlersTest, Produce) {
  const Uuid id = make_topic("t");
  EXPECT_EQ(produce(produce_request("t", 0)).error_code, 0);
  for (const auto& [topic, partition] : {std::pair{"none", 0}, {"t", 2}, {"t", -1}}) {
    const auto refused = produce(produce_request(topic, partition));
    EXPECT_EQ(refused.error_code, number(ErrorCode::unknown_topic_or_partition));
    EXPECT_EQ(refused.base_offset, -1);
  }
  auto by_id = produce_request("", 0);
  by_id.topic_data[0].topic_id = kNoSuchId;
  EXPECT_EQ(produce(by_id, 13).error_code, number(ErrorCode::unknown_topic_id));
  by_id.topic_data[0].topic_id = id;
  EXPECT_EQ(produce(by_id, 13).base_offset, 1);
  for (const std::int16_t acks : {2, -2})
    EXPECT_EQ(produce(produce_request("t", 0, acks)).error_code,
              number(ErrorCode::invalid_required_acks));
  Slice flipped = Slice::copy_of(batch_of(10));
  flipped.mutable_view()[65] ^= 1;
  EXPECT_EQ(produce(produce_request("t", 0, 1, flipped)).error_code,
            number(ErrorCode::corrupt_message));
  EXPECT_EQ(produce(produce_request("t", 0, 1, batch_of(2 << 20))).error_code,
            number(ErrorCode::message_too_large));
  EXPECT_NE(produce(produce_request("t", 0, 1, Slice())).error_code, 0);
  EXPECT_EQ(produce(produce_request("t", 0)).base_offset, 2);  // nothing refused was stored
}

// One part of a request that fails takes nothing from the others, whichever shards they are on.
TEST_F(HandlersTest, ProducePartByPart) {
  make_topic("many", 8);
  auto request = produce_request("many", 0);
  for (std::int32_t index = 1; index < 9; ++index) {
    auto& part = request.topic_data[0].partition_data.emplace_back();
    part.index = index;
    part.records = wire::Records(batch_of(10));
  }
  const auto answer = ask<wire::ProduceResponse>(request, 12).responses.at(0);
  ASSERT_THAT(answer.partition_responses, SizeIs(9));
  for (std::int32_t index = 0; index < 9; ++index) {
    const auto& part = answer.partition_responses[static_cast<std::size_t>(index)];
    EXPECT_EQ(part.index, index);
    EXPECT_EQ(part.error_code, index < 8 ? 0 : number(ErrorCode::unknown_topic_or_partition));
  }
}

// With acks=0 there is no answer in which to say it: the connection ends.
TEST_F(HandlersTest, ProduceWithoutAcknowledgement) {
  make_topic("t");
  const auto send = [&](const std::string& topic) {
    bool sent = false;
    asker.spawn([&](rpc::Client& client) {
      const auto frame =
          wire::request_frame(client.next_correlation(), "test", produce_request(topic, 0, 0), 12);
      return send_only(client, *frame, sent);
    });
    EXPECT_TRUE(world.run_until([&] { return sent; }, 10s));
    world.run_for(1s);
  };
  send("t");
  EXPECT_TRUE(asker.is_open());
  EXPECT_EQ(fetch(fetch_request("t", 0, 0)).high_watermark, 1);
  send("none");
  EXPECT_FALSE(asker.is_open());
  asker.connect();
  EXPECT_EQ(fetch(fetch_request("t", 0, 0)).high_watermark, 1);
}

TEST_F(HandlersTest, Fetch) {
  const Uuid id = make_topic("t");
  produce(produce_request("t", 1));
  EXPECT_EQ(fetch(fetch_request("t", 1, 0)).high_watermark, 1);
  EXPECT_EQ(fetch(fetch_request("none", 0, 0)).error_code,
            number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(fetch(fetch_request("t", 7, 0)).error_code,
            number(ErrorCode::unknown_topic_or_partition));
  for (const Offset offset : {Offset{2}, Offset{-1}, Offset{1} << 50}) {
    const auto out = fetch(fetch_request("t", 1, offset));
    EXPECT_EQ(out.error_code, number(ErrorCode::offset_out_of_range)) << offset;
    EXPECT_EQ(out.high_watermark, -1);
    EXPECT_TRUE(out.records.empty());
  }
  auto request = fetch_request("t", 1, 0);
  request.topics[0].partitions[0].current_leader_epoch = 5;
  EXPECT_EQ(fetch(request).error_code, number(ErrorCode::unknown_leader_epoch));
  request = fetch_request("", 1, 0);
  request.topics[0].topic_id = kNoSuchId;
  EXPECT_EQ(fetch(request, 13).error_code, number(ErrorCode::unknown_topic_id));
  request.topics[0].topic_id = id;
  EXPECT_EQ(fetch(request, 13).error_code, 0);
  request.replica_state.replica_id = 5;  // no follower of this partition
  EXPECT_EQ(fetch(request, 17).error_code, number(ErrorCode::unknown_leader_epoch));
}

TEST_F(HandlersTest, FetchSessions) {
  make_topic("t");
  auto request = fetch_request("t", 0, 0);
  request.session_id = 77;
  request.session_epoch = 1;
  EXPECT_EQ(ask<wire::FetchResponse>(request, 12).error_code,
            number(ErrorCode::fetch_session_id_not_found));
  request.session_id = 0;
  request.session_epoch = 0;
  const auto opened = ask<wire::FetchResponse>(request, 12);
  ASSERT_GT(opened.session_id, 0);
  request.session_id = opened.session_id;
  request.session_epoch = 9;
  EXPECT_EQ(ask<wire::FetchResponse>(request, 12).error_code,
            number(ErrorCode::invalid_fetch_session_epoch));
}

// A fetch that waits is answered when the node stops, and not after.
TEST_F(HandlersTest, FetchIsNotHeldWhenTheNodeStops) {
  make_topic("t");
  auto request = fetch_request("t", 0, 0);
  request.max_wait_ms = 60'000;
  rpc::testing::Answer<wire::FetchResponse> answer;
  asker.ask_later(request, 12, answer);
  world.run_for(2s);
  EXPECT_FALSE(answer.has_value());
  node.stop();
  ASSERT_TRUE(world.run_until([&] { return answer.has_value(); }, 5s)) << world.report();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->responses.at(0).partitions.at(0).error_code, 0);
}

TEST_F(HandlersTest, ListOffsets) {
  make_topic("t");
  produce(produce_request("t", 0));
  const auto offset_of = [&](const std::string& topic, std::int32_t partition,
                             std::int64_t timestamp, std::int16_t version = 10,
                             LeaderEpoch epoch = -1) {
    wire::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    auto& part = wanted.partitions.emplace_back();
    part.partition_index = partition;
    part.timestamp = timestamp;
    if (version >= 4) part.current_leader_epoch = epoch;
    return ask<wire::ListOffsetsResponse>(request, version).topics.at(0).partitions.at(0);
  };
  EXPECT_EQ(offset_of("t", 0, -1).offset, 1);
  EXPECT_EQ(offset_of("none", 0, -1).error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(offset_of("t", 9, -1).error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(offset_of("t", 0, -1, 10, 7).error_code, number(ErrorCode::unknown_leader_epoch));
  EXPECT_EQ(offset_of("t", 0, -3, 6).error_code, number(ErrorCode::unsupported_version));
  EXPECT_EQ(offset_of("t", 0, -99).error_code, number(ErrorCode::unsupported_version));
  const auto none = offset_of("t", 0, 5'000'000'000'000);  // after all records
  EXPECT_EQ(none.error_code, 0);
  EXPECT_EQ(none.offset, -1);
  EXPECT_EQ(offset_of("t", 0, 1000, 1).offset, 0);
}

TEST_F(HandlersTest, OffsetForLeaderEpoch) {
  make_topic("t");
  const auto end_of = [&](const std::string& topic, LeaderEpoch epoch, LeaderEpoch current = -1) {
    wire::OffsetForLeaderEpochRequest request;
    request.replica_id = -1;
    auto& wanted = request.topics.emplace_back();
    wanted.topic = topic;
    auto& part = wanted.partitions.emplace_back();
    part.leader_epoch = epoch;
    part.current_leader_epoch = current;
    return ask<wire::OffsetForLeaderEpochResponse>(request, 4).topics.at(0).partitions.at(0);
  };
  EXPECT_EQ(end_of("none", 0).error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(end_of("t", 0, 3).error_code, number(ErrorCode::unknown_leader_epoch));
  const auto to_come = end_of("t", 9);
  EXPECT_EQ(to_come.error_code, 0);
  EXPECT_EQ(to_come.end_offset, -1);
}

TEST_F(HandlersTest, Metadata) {
  const Uuid id = make_topic("t");
  const auto topic_of = [&](std::optional<std::string> name, Uuid by_id, bool create,
                            std::int16_t version = 13) {
    wire::MetadataRequest request;
    request.topics.emplace().emplace_back().name = std::move(name);
    request.topics->back().topic_id = by_id;
    request.allow_auto_topic_creation = create;
    return ask<wire::MetadataResponse>(request, version).topics.at(0);
  };
  EXPECT_EQ(topic_of("none", {}, false).error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(topic_of("a/b", {}, true).error_code, number(ErrorCode::invalid_topic_exception));
  EXPECT_EQ(topic_of("", {}, true).error_code, number(ErrorCode::invalid_topic_exception));
  EXPECT_EQ(topic_of(std::nullopt, kNoSuchId, true).error_code,
            number(ErrorCode::unknown_topic_id));
  EXPECT_EQ(topic_of(std::nullopt, id, false).name, "t");
  EXPECT_EQ(topic_of("t", {}, false).partitions.size(), 2U);

  const auto made = topic_of("made", {}, true);  // whoever asks by name may make it
  EXPECT_EQ(made.error_code, 0);
  EXPECT_THAT(made.partitions, SizeIs(2));
  EXPECT_EQ(topic_of("__consumer_offsets", {}, true).error_code,
            number(ErrorCode::unknown_topic_or_partition));

  wire::MetadataRequest nothing;
  EXPECT_THAT(ask<wire::MetadataResponse>(nothing, 12).topics, IsEmpty());
  EXPECT_THAT(ask<wire::MetadataResponse>(nothing, 0).topics, SizeIs(2));  // all of them
  nothing.topics = std::nullopt;
  EXPECT_THAT(ask<wire::MetadataResponse>(nothing, 12).topics, SizeIs(2));
}

// Answered when this shard's image shows it, so a client that asks at once finds it, on whichever
// shard it arrives; and by the same rule it is gone.
TEST_F(HandlersTest, TopicsAreThereWhenTheAnswerIs) {
  for (int i = 0; i < 40; ++i) {
    const std::string name = "topic-" + std::to_string(i);
    const Uuid id = make_topic(name, 4);
    for (std::int32_t index = 0; index < 4; ++index)
      ASSERT_EQ(produce(produce_request(name, index)).error_code, 0) << name << " " << index;
    wire::DeleteTopicsRequest request;
    request.timeout_ms = 10'000;
    request.topics.emplace_back().name = name;
    const auto gone = ask<wire::DeleteTopicsResponse>(request, 6).responses.at(0);
    ASSERT_EQ(gone.error_code, 0);
    EXPECT_EQ(gone.topic_id, id);
    ASSERT_EQ(produce(produce_request(name, 0)).error_code,
              number(ErrorCode::unknown_topic_or_partition));
  }
}

TEST_F(HandlersTest, CreateAndDeleteTopics) {
  make_topic("t");
  wire::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  for (const std::string name : {"t", "a/b", "ok"}) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = 1;
    topic.replication_factor = 1;
  }
  request.validate_only = true;
  std::map<std::string, int> errors;
  for (const auto& topic : ask<wire::CreateTopicsResponse>(request, 7).topics)
    errors[topic.name] = topic.error_code;
  EXPECT_EQ(errors["t"], number(ErrorCode::topic_already_exists));
  EXPECT_EQ(errors["a/b"], number(ErrorCode::invalid_topic_exception));
  EXPECT_EQ(errors["ok"], 0);
  EXPECT_EQ(produce(produce_request("ok", 0)).error_code,
            number(ErrorCode::unknown_topic_or_partition));  // it was only validated

  wire::DeleteTopicsRequest remove;
  remove.timeout_ms = 10'000;
  remove.topic_names = {"none"};
  EXPECT_EQ(ask<wire::DeleteTopicsResponse>(remove, 1).responses.at(0).error_code,
            number(ErrorCode::unknown_topic_or_partition));
  remove = {};
  remove.topics.emplace_back().topic_id = kNoSuchId;
  EXPECT_EQ(ask<wire::DeleteTopicsResponse>(remove, 6).responses.at(0).error_code,
            number(ErrorCode::unknown_topic_id));
}

// Answered when all shards go by it, and kept over a restart.
TEST_F(HandlersTest, AlteredConfigsTakeEffectAtOnce) {
  make_topic("t", 4);
  const auto alter = [&](std::int8_t type, const std::string& resource, const std::string& name,
                         std::optional<std::string> value, bool validate_only = false) {
    wire::IncrementalAlterConfigsRequest request;
    request.validate_only = validate_only;
    auto& wanted = request.resources.emplace_back();
    wanted.resource_type = type;
    wanted.resource_name = resource;
    auto& config = wanted.configs.emplace_back();
    config.name = name;
    config.config_operation = value ? 0 : 1;
    config.value = std::move(value);
    const auto answer = ask<wire::IncrementalAlterConfigsResponse>(request, 1).responses.at(0);
    EXPECT_EQ(answer.resource_name, resource);
    return answer.error_code;
  };
  const auto errors_of_many = [&](std::size_t bytes) {
    std::set<int> errors;
    for (std::int32_t index = 0; index < 4; ++index)
      errors.insert(produce(produce_request("t", index, -1, batch_of(bytes))).error_code);
    return errors;
  };
  const std::set<int> fine{0};
  const std::set<int> too_large{number(ErrorCode::message_too_large)};
  EXPECT_EQ(errors_of_many(2000), fine);
  EXPECT_EQ(alter(2, "t", "max.message.bytes", "1000", true), 0);
  EXPECT_EQ(errors_of_many(2000), fine);  // it was only validated
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(alter(2, "t", "max.message.bytes", "1000"), 0);
    ASSERT_EQ(errors_of_many(2000), too_large) << i;
    EXPECT_EQ(alter(2, "t", "max.message.bytes", std::nullopt), 0);
    ASSERT_EQ(errors_of_many(2000), fine) << i;
  }
  EXPECT_EQ(alter(4, "", "message.max.bytes", "1500"), 0);
  EXPECT_EQ(errors_of_many(2000), too_large);
  EXPECT_EQ(alter(4, "1", "message.max.bytes", "3000"), 0);
  EXPECT_EQ(errors_of_many(2000), fine);
  EXPECT_EQ(alter(4, "7", "message.max.bytes", "3000"), number(ErrorCode::invalid_request));
  EXPECT_EQ(alter(4, "x", "message.max.bytes", "3000"), number(ErrorCode::invalid_request));
  EXPECT_EQ(alter(2, "none", "retention.ms", "3000"),
            number(ErrorCode::unknown_topic_or_partition));

  wire::DescribeConfigsRequest describe;
  describe.include_synonyms = true;
  describe.resources.emplace_back().resource_type = 2;
  describe.resources[0].resource_name = "t";
  describe.resources[0].configuration_keys.emplace().emplace_back("max.message.bytes");
  const auto shown = ask<wire::DescribeConfigsResponse>(describe, 4).results.at(0).configs.at(0);
  EXPECT_EQ(shown.value, "3000");
  EXPECT_EQ(shown.config_source, 2);
  std::vector<std::pair<std::string, int>> synonyms;
  for (const auto& synonym : shown.synonyms)
    synonyms.emplace_back(synonym.value.value_or("null"), synonym.source);
  EXPECT_THAT(synonyms, ::testing::ElementsAre(std::pair("3000", 2), std::pair("1500", 3),
                                               std::pair("1048588", 5)));
}

// Answered when all shards have opened the new partitions.
TEST_F(HandlersTest, CreatePartitions) {
  make_topic("t", 1);
  const auto grow = [&](std::int32_t count, std::int32_t timeout_ms = 10'000,
                        bool validate_only = false) {
    wire::CreatePartitionsRequest request;
    request.timeout_ms = timeout_ms;
    request.validate_only = validate_only;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.count = count;
    topic.assignments = std::nullopt;
    return ask<wire::CreatePartitionsResponse>(request, 3).results.at(0).error_code;
  };
  EXPECT_EQ(grow(9, 10'000, true), 0);
  EXPECT_EQ(produce(produce_request("t", 1)).error_code,
            number(ErrorCode::unknown_topic_or_partition));  // it was only validated
  for (std::int32_t count = 2; count < 20; ++count) {
    ASSERT_EQ(grow(count), 0);
    ASSERT_EQ(produce(produce_request("t", count - 1)).error_code, 0) << count;
  }
  EXPECT_EQ(grow(19), number(ErrorCode::invalid_partitions));
  EXPECT_EQ(grow(3), number(ErrorCode::invalid_partitions));
  EXPECT_EQ(fetch(fetch_request("t", 18, 0)).high_watermark, 1);
}

TEST_F(HandlersTest, DescribeLogDirs) {
  make_topic("t", 4);
  make_topic("u", 1);
  produce(produce_request("t", 3));
  wire::DescribeLogDirsRequest request;
  auto& wanted = request.topics.emplace().emplace_back();
  wanted.topic = "t";
  wanted.partitions = {3, 3, 0, 7, -1};
  request.topics->emplace_back().topic = "none";
  request.topics->back().partitions = {0};
  for (std::int16_t version = 1; version <= 5; ++version) {
    const auto folder = ask<wire::DescribeLogDirsResponse>(request, version).results.at(0);
    EXPECT_EQ(folder.error_code, 0);
    ASSERT_THAT(folder.topics, SizeIs(1));
    ASSERT_THAT(folder.topics[0].partitions, SizeIs(2));
    EXPECT_EQ(folder.topics[0].partitions[0].partition_size, 0);
    EXPECT_EQ(folder.topics[0].partitions[1].partition_index, 3);
    EXPECT_EQ(folder.topics[0].partitions[1].partition_size,
              static_cast<std::int64_t>(batch_of(10).size()));
    EXPECT_EQ(folder.usable_bytes > 0, version >= 4);
  }
  request.topics = std::nullopt;  // all
  EXPECT_THAT(ask<wire::DescribeLogDirsResponse>(request, 5).results.at(0).topics, SizeIs(2));
  request.topics.emplace();
  EXPECT_THAT(ask<wire::DescribeLogDirsResponse>(request, 5).results.at(0).topics, IsEmpty());
}

TEST_F(HandlersTest, DescribeProducers) {
  make_topic("t", 2);
  produce(produce_request("t", 1));
  wire::DescribeProducersRequest request;
  for (const std::string name : {"t", "none", "a/b"}) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.partition_indexes = {1, 1, 5, -1};
  }
  const auto answer = ask<wire::DescribeProducersResponse>(request, 0);
  ASSERT_THAT(answer.topics, SizeIs(3));
  std::vector<int> codes;
  for (const auto& topic : answer.topics) {
    for (const auto& partition : topic.partitions) codes.push_back(partition.error_code);
  }
  const int missing = number(ErrorCode::unknown_topic_or_partition);
  const int illegal = number(ErrorCode::invalid_topic_exception);
  EXPECT_THAT(codes, ::testing::ElementsAre(0, number(ErrorCode::invalid_request), missing, missing,
                                            missing, missing, missing, missing, illegal, illegal,
                                            illegal, illegal));
}

// What this broker refuses by itself and what the controller decides, in the order of the request.
TEST_F(HandlersTest, AlterConfigs) {
  make_topic("t");
  wire::AlterConfigsRequest request;
  for (const auto& [type, name] : std::vector<std::pair<int, std::string>>{
           {4, "9"}, {2, "t"}, {4, "9"}, {32, "g"}, {99, "x"}, {4, "1"}}) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = static_cast<std::int8_t>(type);
    resource.resource_name = name;
  }
  std::vector<int> codes;
  for (const std::int16_t version : {0, 1, 2}) {
    const auto answer = ask<wire::AlterConfigsResponse>(request, version);
    codes.clear();
    for (const auto& one : answer.responses) codes.push_back(one.error_code);
    const int refused = number(ErrorCode::invalid_request);
    EXPECT_THAT(codes, ::testing::ElementsAre(refused, 0, refused, 0, refused, 0));
    EXPECT_EQ(answer.responses[1].resource_name, "t");
  }
}

TEST_F(HandlersTest, InitProducerId) {
  wire::InitProducerIdRequest request;
  request.transactional_id = "tx";
  EXPECT_EQ(ask<wire::InitProducerIdResponse>(request, 4).error_code,
            number(ErrorCode::not_coordinator));
  request.transactional_id = "";
  const auto empty = ask<wire::InitProducerIdResponse>(request, 4);
  EXPECT_EQ(empty.error_code, number(ErrorCode::invalid_request));
  EXPECT_EQ(empty.producer_id, -1);
  request.transactional_id = std::nullopt;
  const auto first = ask<wire::InitProducerIdResponse>(request, 4);
  const auto second = ask<wire::InitProducerIdResponse>(request, 0);
  EXPECT_EQ(first.error_code, 0);
  EXPECT_NE(first.producer_id, second.producer_id);
  EXPECT_EQ(second.producer_epoch, 0);
}

TEST_F(HandlersTest, FindCoordinator) {
  wire::FindCoordinatorRequest request;
  request.key = "group";
  const auto one = ask<wire::FindCoordinatorResponse>(request, 1);
  EXPECT_EQ(one.error_code, 0) << one.error_message.value_or("");
  EXPECT_EQ(one.node_id, 1);
  EXPECT_EQ(one.port, 9092);
  request = {};
  request.coordinator_keys = {"a", "b"};
  const auto both = ask<wire::FindCoordinatorResponse>(request, 4);
  ASSERT_THAT(both.coordinators, SizeIs(2));
  EXPECT_EQ(both.coordinators[1].key, "b");
  EXPECT_EQ(both.coordinators[1].error_code, 0);
  request.key_type = 1;  // transactions
  const auto none = ask<wire::FindCoordinatorResponse>(request, 4);
  EXPECT_EQ(none.coordinators.at(0).error_code, number(ErrorCode::coordinator_not_available));
  EXPECT_EQ(none.coordinators.at(0).node_id, -1);
  wire::MetadataRequest metadata;
  metadata.topics.emplace().emplace_back().name = "__consumer_offsets";
  const auto topic = ask<wire::MetadataResponse>(metadata, 12).topics.at(0);
  EXPECT_THAT(topic.partitions, SizeIs(50));
  EXPECT_TRUE(topic.is_internal);
}

// Groups of all shards, over two lives of the node.
TEST_F(HandlersTest, OffsetsOfManyGroups) {
  make_topic("t");
  const auto commit_all = [&](Offset offset) {
    for (int i = 0; i < 20; ++i) {
      wire::OffsetCommitRequest request;
      request.group_id = "g" + std::to_string(i);
      auto& topic = request.topics.emplace_back();
      topic.name = "t";
      topic.partitions.emplace_back().committed_offset = offset + i;
      const auto answer = ask<wire::OffsetCommitResponse>(request, 8);
      EXPECT_EQ(answer.topics.at(0).partitions.at(0).error_code,
                number(offset < 0 ? ErrorCode::not_coordinator : ErrorCode::none));
    }
  };
  commit_all(-100);  // nobody has asked for the coordinator yet
  wire::FindCoordinatorRequest find;
  find.key = "g";
  EXPECT_EQ(ask<wire::FindCoordinatorResponse>(find, 1).error_code, 0);
  commit_all(100);
  node.crash(io::sim::CrashKind::power_loss);
  ready = false;
  start();
  for (int i = 0; i < 20; ++i) {
    wire::OffsetFetchRequest request;
    auto& group = request.groups.emplace_back();
    group.group_id = "g" + std::to_string(i);
    group.topics.reset();
    wire::OffsetFetchResponse answer;
    for (int tries = 0; tries < 1000; ++tries) {
      answer = ask<wire::OffsetFetchResponse>(request, 8);
      if (answer.groups.at(0).error_code == 0) break;
    }
    ASSERT_THAT(answer.groups.at(0).topics, SizeIs(1)) << i;
    EXPECT_EQ(answer.groups[0].topics[0].partitions.at(0).committed_offset, 100 + i);
  }
  const auto listed = ask<wire::ListGroupsResponse>(wire::ListGroupsRequest{}, 5);
  EXPECT_EQ(listed.error_code, 0);
  EXPECT_THAT(listed.groups, SizeIs(20));
}

TEST_F(HandlersTest, ApiVersions) {
  wire::ApiVersionsRequest request;
  request.client_software_name = "test";
  request.client_software_version = "1.0-rc";
  const auto known = ask<wire::ApiVersionsResponse>(request, 4);
  EXPECT_EQ(known.error_code, 0);
  std::map<std::string, int> levels;
  for (const auto& feature : known.finalized_features)
    levels[feature.name] = feature.max_version_level;
  EXPECT_EQ(levels["metadata.version"], 30);
  EXPECT_EQ(levels["kraft.version"], 1);
  for (const std::string name : {"", "-test", "te st", "test."}) {
    request.client_software_name = name;
    EXPECT_EQ(ask<wire::ApiVersionsResponse>(request, 3).error_code,
              number(ErrorCode::invalid_request))
        << name;
  }
}

TEST_F(HandlersTest, DescribeConfigs) {
  make_topic("t");
  const auto describe = [&](std::int8_t type, const std::string& name) {
    wire::DescribeConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = type;
    resource.resource_name = name;
    resource.configuration_keys = std::nullopt;
    return ask<wire::DescribeConfigsResponse>(request, 4).results.at(0);
  };
  EXPECT_EQ(describe(2, "t").error_code, 0);
  EXPECT_EQ(describe(2, "none").error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(describe(2, "a/b").error_code, number(ErrorCode::invalid_topic_exception));
  EXPECT_EQ(describe(4, "1").error_code, 0);
  const auto other = describe(4, "2");
  EXPECT_EQ(other.error_code, number(ErrorCode::invalid_request));
  EXPECT_THAT(other.error_message.value_or(""), HasSubstr("expected 1"));
  EXPECT_THAT(other.configs, IsEmpty());
  EXPECT_EQ(describe(99, "1").error_code, number(ErrorCode::invalid_request));
}

TEST_F(HandlersTest, DescribeCluster) {
  wire::DescribeClusterRequest request;
  const auto known = ask<wire::DescribeClusterResponse>(request, 2);
  EXPECT_EQ(known.error_code, 0);
  ASSERT_THAT(known.brokers, SizeIs(1));
  EXPECT_EQ(known.brokers[0].host, "b1");  // the address that the client used
  request.endpoint_type = 2;
  EXPECT_EQ(ask<wire::DescribeClusterResponse>(request, 1).error_code,
            number(ErrorCode::mismatched_endpoint_type));
  request.endpoint_type = 9;
  EXPECT_EQ(ask<wire::DescribeClusterResponse>(request, 1).error_code,
            number(ErrorCode::unsupported_endpoint_type));
}

TEST_F(HandlersTest, DescribeTopicPartitions) {
  make_topic("a", 3);
  make_topic("b", 3);
  wire::DescribeTopicPartitionsRequest request;
  request.topics.emplace_back().name = "none";
  request.topics.emplace_back().name = "x y";
  const auto refused = ask<wire::DescribeTopicPartitionsResponse>(request, 0);
  ASSERT_THAT(refused.topics, SizeIs(2));
  EXPECT_EQ(refused.topics[0].error_code, number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(refused.topics[1].error_code, number(ErrorCode::invalid_topic_exception));

  request = {};
  request.response_partition_limit = 4;
  const auto page = ask<wire::DescribeTopicPartitionsResponse>(request, 0);
  ASSERT_TRUE(page.next_cursor.has_value());
  EXPECT_EQ(page.next_cursor->topic_name, "b");
  EXPECT_EQ(page.next_cursor->partition_index, 1);
  request.cursor.emplace();
  request.cursor->topic_name = "b";
  request.cursor->partition_index = 1;
  const auto rest = ask<wire::DescribeTopicPartitionsResponse>(request, 0);
  ASSERT_THAT(rest.topics, SizeIs(1));
  EXPECT_THAT(rest.topics[0].partitions, SizeIs(2));
  EXPECT_FALSE(rest.next_cursor.has_value());

  request.cursor->partition_index = -1;
  EXPECT_FALSE(try_ask<wire::DescribeTopicPartitionsResponse>(request, 0).has_value());
  asker.connect();  // the connection had to end, the node goes on
  EXPECT_THAT(
      ask<wire::DescribeTopicPartitionsResponse>(wire::DescribeTopicPartitionsRequest{}, 0).topics,
      SizeIs(2));
}

}  // namespace
}  // namespace ottla::broker
