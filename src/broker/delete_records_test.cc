// DeleteRecords on a whole node of two shards in the simulator: what is refused and how, and that
// what was deleted stays deleted.
#include <gmock/gmock.h>
#include <optional>

#include "broker/node_test_support.h"
#include "wire/messages/delete_records_request.h"
#include "wire/messages/delete_records_response.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"

namespace ottla::broker {
namespace {

using namespace testing;
using wire::ErrorCode;

class DeleteRecordsTest : public NodeTest {
 protected:
  using Answer = wire::DeleteRecordsResponse::DeleteRecordsPartitionResult;

  static wire::DeleteRecordsRequest request_for(const std::string& topic, std::int32_t partition,
                                                Offset offset) {
    wire::DeleteRecordsRequest request;
    request.timeout_ms = 5000;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    auto& part = wanted.partitions.emplace_back();
    part.partition_index = partition;
    part.offset = offset;
    return request;
  }
  Answer delete_records(const std::string& topic, std::int32_t partition, Offset offset,
                        std::int16_t version = 2) {
    return ask<wire::DeleteRecordsResponse>(request_for(topic, partition, offset), version)
        .topics.at(0)
        .partitions.at(0);
  }
  Offset earliest(const std::string& topic, std::int32_t partition) {
    wire::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    auto& part = wanted.partitions.emplace_back();
    part.partition_index = partition;
    part.timestamp = -2;
    return ask<wire::ListOffsetsResponse>(request, 7).topics.at(0).partitions.at(0).offset;
  }
  void fill(const std::string& topic, std::int32_t partition, int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(produce(produce_request(topic, partition)).error_code, 0);
  }
};

TEST_F(DeleteRecordsTest, MovesTheStart) {
  make_topic("t", 4);
  for (std::int32_t partition = 0; partition < 4; ++partition) {
    const auto version = static_cast<std::int16_t>(partition % 3);
    fill("t", partition, 5);
    const Answer moved = delete_records("t", partition, 3, version);
    EXPECT_EQ(moved.error_code, 0);
    EXPECT_EQ(moved.low_watermark, 3);
    EXPECT_EQ(moved.partition_index, partition);
    EXPECT_EQ(earliest("t", partition), 3);
    EXPECT_EQ(fetch(fetch_request("t", partition, 2)).error_code,
              number(ErrorCode::offset_out_of_range));
    const auto rest = fetch(fetch_request("t", partition, 3));
    EXPECT_EQ(rest.error_code, 0);
    EXPECT_EQ(rest.log_start_offset, 3);
    EXPECT_EQ(wire::load_batch_header(rest.records.flatten().data()).base_offset, 3);
    EXPECT_EQ(delete_records("t", partition, 1).low_watermark, 3) << "it never goes back";
    const Answer all = delete_records("t", partition, -1);
    EXPECT_EQ(all.error_code, 0);
    EXPECT_EQ(all.low_watermark, 5);
    EXPECT_EQ(produce(produce_request("t", partition)).base_offset, 5);
  }
}

TEST_F(DeleteRecordsTest, Refusals) {
  make_topic("t", 2);
  make_topic("compacted", 1, {{"cleanup.policy", "compact"}});
  make_topic("both", 1, {{"cleanup.policy", "compact,delete"}});
  fill("t", 1, 2);
  const auto refused = [&](const std::string& topic, std::int32_t partition, Offset offset) {
    const Answer answer = delete_records(topic, partition, offset);
    EXPECT_EQ(answer.low_watermark, -1);
    return answer.error_code;
  };
  EXPECT_EQ(refused("t", 1, 3), number(ErrorCode::offset_out_of_range));
  EXPECT_EQ(refused("t", 1, -2), number(ErrorCode::offset_out_of_range));
  EXPECT_EQ(refused("t", 2, 0), number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(refused("none", 0, 0), number(ErrorCode::unknown_topic_or_partition));
  EXPECT_EQ(refused("compacted", 0, 0), number(ErrorCode::policy_violation));
  EXPECT_EQ(delete_records("both", 0, -1).error_code, 0);
  EXPECT_EQ(earliest("t", 1), 0) << "nothing refused has moved it";
}

// Each part has its own answer, whichever shard it is on.
TEST_F(DeleteRecordsTest, PartByPart) {
  make_topic("t", 8);
  for (std::int32_t partition = 0; partition < 8; ++partition) fill("t", partition, 1);
  auto request = request_for("t", 0, 1);
  for (std::int32_t partition = 1; partition < 9; ++partition) {
    auto& part = request.topics[0].partitions.emplace_back();
    part.partition_index = partition;
    part.offset = partition % 2 == 0 ? 1 : 2;
  }
  const auto answers = ask<wire::DeleteRecordsResponse>(request, 2).topics.at(0).partitions;
  ASSERT_EQ(answers.size(), 9U);
  for (std::int32_t partition = 0; partition < 9; ++partition) {
    const auto& answer = answers[static_cast<std::size_t>(partition)];
    EXPECT_EQ(answer.partition_index, partition);
    const ErrorCode expected = partition == 8       ? ErrorCode::unknown_topic_or_partition
                               : partition % 2 == 0 ? ErrorCode::none
                                                    : ErrorCode::offset_out_of_range;
    EXPECT_EQ(answer.error_code, number(expected)) << partition;
    EXPECT_EQ(answer.low_watermark, expected == ErrorCode::none ? 1 : -1);
  }
}

// Answered means durable: a loss of power right behind the answer takes nothing back.
TEST_F(DeleteRecordsTest, OutliveALossOfPower) {
  make_topic("t", 2);
  fill("t", 0, 4);
  fill("t", 1, 4);
  EXPECT_EQ(delete_records("t", 0, 3).low_watermark, 3);
  EXPECT_EQ(delete_records("t", 1, -1).low_watermark, 4);
  ready = false;
  node.crash(io::sim::CrashKind::power_loss);
  start();
  EXPECT_EQ(earliest("t", 0), 3);
  EXPECT_EQ(earliest("t", 1), 4);
  EXPECT_EQ(fetch(fetch_request("t", 0, 3)).high_watermark, 4);
  EXPECT_EQ(produce(produce_request("t", 1)).base_offset, 4);
}

}  // namespace
}  // namespace ottla::broker
