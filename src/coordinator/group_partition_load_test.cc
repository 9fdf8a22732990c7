// GroupPartition: what other writers may have put into the log is loaded too: Kafka compresses, and
// commits offsets in transactions.
#include <gmock/gmock.h>

#include "coordinator/group_partition_test_support.h"
#include "coordinator/group_record.h"
#include "wire/control_record.h"

namespace ottla::coordinator {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr ProducerId kProducer{77};

void add(wire::RecordBatchBuilder& builder, const std::string& group, Offset offset) {
  OffsetRecord record{group, "t", 0, wire::OffsetCommitValue()};
  record.value->offset = offset;
  record.value->topic_id = kTopic;
  const EncodedRecord encoded = encode_record(record);
  builder.append({.key = ByteView(encoded.key), .value = ByteView(*encoded.value)});
}

Slice marker(wire::ControlRecordType type, ProducerId producer = kProducer) {
  return wire::build_end_txn_batch(0, 0, producer, 0, {.type = type, .coordinator_epoch = 0}, 0);
}

class GroupPartitionLoadTest : public GroupPartitionTest {
 protected:
  // Loads what is written; `then` looks at it.
  void load(std::vector<Slice> batches, Body then, ErrorCode expected = ErrorCode::none) {
    live([=](Serving& serving) -> io::Task<> {
      serving.partition->stop();
      for (const Slice& batch : batches) {
        const auto appended = storage::testing::append(
            *serving.log, batch, {.origin = storage::AppendOrigin::coordinator});
        EXPECT_TRUE(appended.has_value());
      }
      serving.begin_again(1);
      EXPECT_EQ(co_await serving.until_loaded(), expected);
      co_await then(serving);
    });
  }
  static io::Task<std::int16_t> stable_error(std::shared_ptr<GroupPartition> partition) {
    const auto found =
        co_await partition->look<CommittedOffsets>([](GroupMachine& machine, Output&) {
          wire::OffsetFetchRequest::OffsetFetchRequestGroup request;
          request.group_id = "g";
          auto& topic = request.topics.emplace().emplace_back();
          topic.name = "t";
          topic.partition_indexes = {0};
          return machine.fetch(request, true);
        });
    co_return found ? found->topics.at(0).partitions.at(0).error_code : -1;
  }
};

TEST_F(GroupPartitionLoadTest, CompressedBatches) {
  std::vector<Slice> batches;
  for (const auto codec :
       {wire::Codec::gzip, wire::Codec::snappy, wire::Codec::lz4, wire::Codec::zstd}) {
    wire::RecordBatchBuilder builder({.codec = codec});
    for (int i = 0; i < 20; ++i)
      add(builder, std::string(wire::codec_name(codec)) + std::to_string(i), i);
    batches.push_back(*builder.build());
  }
  load(batches, [](Serving& serving) -> io::Task<> {
    for (const std::string codec : {"gzip", "snappy", "lz4", "zstd"}) {
      for (int i = 0; i < 20; ++i)
        EXPECT_EQ(co_await fetch(serving.partition, codec + std::to_string(i)), i) << codec;
    }
  });
}

TEST_F(GroupPartitionLoadTest, AnUnknownCodecEndsTheLoading) {
  wire::RecordBatchBuilder builder({});
  add(builder, "g", 1);
  Slice batch = Slice::copy_of(*builder.build());
  wire::set_attributes(batch.mutable_data(), 7);
  wire::update_crc(batch.mutable_view());
  load({batch}, [](Serving&) -> io::Task<> { co_return; }, ErrorCode::not_coordinator);
  EXPECT_THAT(world_.report(), HasSubstr("the batch at offset 0: its codec is unknown"));
}

TEST_F(GroupPartitionLoadTest, ADamagedStreamEndsTheLoading) {
  wire::RecordBatchBuilder builder({});
  add(builder, "g", 1);
  Slice batch = Slice::copy_of(*builder.build());
  wire::set_attributes(batch.mutable_data(), static_cast<std::int16_t>(wire::Codec::zstd));
  wire::update_crc(batch.mutable_view());
  load({batch}, [](Serving&) -> io::Task<> { co_return; }, ErrorCode::not_coordinator);
  EXPECT_THAT(world_.report(), HasSubstr("the batch at offset 0: "));
}

// Fewer records than the header says: what was read is not all that was committed.
TEST_F(GroupPartitionLoadTest, RecordsThatAreMissingEndTheLoading) {
  wire::RecordBatchBuilder builder({});
  add(builder, "g", 1);
  Slice batch = Slice::copy_of(*builder.build());
  store_big<std::int32_t>(batch.mutable_data() + wire::batch_at::kRecordCount, 2);
  wire::update_crc(batch.mutable_view());
  load({batch}, [](Serving&) -> io::Task<> { co_return; }, ErrorCode::not_coordinator);
  EXPECT_THAT(world_.report(), HasSubstr("the batch at offset 0: "));
}

class GroupPartitionTransactionTest : public GroupPartitionLoadTest {
 protected:
  static Slice commit_in_transaction(Offset offset, ProducerId producer = kProducer) {
    wire::RecordBatchBuilder builder(
        {.producer_id = producer, .producer_epoch = 0, .is_transactional = true});
    add(builder, "g", offset);
    return *builder.build();
  }
  static Slice commit_at(Offset offset) {
    wire::RecordBatchBuilder builder({});
    add(builder, "g", offset);
    return *builder.build();
  }
};

TEST_F(GroupPartitionTransactionTest, AnOpenOneIsWaitedFor) {
  load({commit_at(1), commit_in_transaction(10)}, [](Serving& serving) -> io::Task<> {
    EXPECT_EQ(co_await fetch(serving.partition, "g"), 1);
    EXPECT_EQ(co_await stable_error(serving.partition),
              static_cast<std::int16_t>(ErrorCode::unstable_offset_commit));
  });
}

TEST_F(GroupPartitionTransactionTest, ACommittedOneCounts) {
  load({commit_at(1), commit_in_transaction(10), marker(wire::ControlRecordType::commit)},
       [](Serving& serving) -> io::Task<> {
         EXPECT_EQ(co_await fetch(serving.partition, "g"), 10);
         EXPECT_EQ(co_await stable_error(serving.partition), 0);
       });
}

TEST_F(GroupPartitionTransactionTest, AnAbortedOneDoesNot) {
  load({commit_at(1), commit_in_transaction(10), commit_in_transaction(20, kProducer + 1),
        marker(wire::ControlRecordType::abort),
        marker(wire::ControlRecordType::abort, kProducer + 1)},
       [](Serving& serving) -> io::Task<> {
         EXPECT_EQ(co_await fetch(serving.partition, "g"), 1);
         EXPECT_EQ(co_await stable_error(serving.partition), 0);
       });
}

// Other control records are nobody's offsets.
TEST_F(GroupPartitionTransactionTest, OtherControlRecordsArePassedOver) {
  const wire::ControlRecord other{wire::ControlRecordType::leader_change, ByteView()};
  load(
      {commit_at(1), wire::build_control_batch(0, 0, 0, {&other, 1})},
      [](Serving& serving) -> io::Task<> { EXPECT_EQ(co_await fetch(serving.partition, "g"), 1); });
}

}  // namespace
}  // namespace ottla::coordinator
