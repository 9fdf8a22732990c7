// Batches that other programs wrote (tests/vectors/record_batch/README.md): ours must read them as
// they were meant.
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "wire/control_record.h"
#include "wire/record.h"
#include "wire/record_testing.h"

namespace ottla::wire {
namespace {

using testing::PlainRecord;

std::vector<Batch> read_batches(ByteView bytes) {
  std::vector<Batch> batches;
  BatchCursor cursor(bytes);
  for (Batch batch; cursor.next(batch);) {
    EXPECT_TRUE(crc_matches(batch.bytes));
    batches.push_back(batch);
  }
  EXPECT_FALSE(cursor.error());
  return batches;
}

// The twenty records that every producer was given (make_vectors.py, rows()).
std::vector<PlainRecord> given_records(bool has_null_header) {
  std::vector<PlainRecord> records;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    PlainRecord record;
    record.offset = i;
    record.timestamp = 1'700'000'000'000 + i * 7;
    if (i % 5 != 4) record.key = "key-" + number;
    if (i % 7 != 6) {
      record.value = "value " + number + " ";
      for (int k = 0; k < i; ++k) *record.value += "abc";
      if (i == 3) record.value = "";
    }
    if (i % 3 == 0) record.headers.emplace_back("h", "header " + number);
    if (i % 6 == 0 && has_null_header) record.headers.emplace_back("null", std::nullopt);
    if (i % 6 == 0) record.headers.emplace_back("", "");
    records.push_back(record);
  }
  return records;
}

struct Producer {
  std::string name;
  bool has_null_header = true;
};

class ProducerVectors : public ::testing::TestWithParam<Producer> {};

TEST_P(ProducerVectors, AreReadAsMeant) {
  for (const Codec codec : testing::kAllCodecs) {
    const std::string name = GetParam().name + "-" + std::string(codec_name(codec));
    SCOPED_TRACE(name);
    const Bytes bytes = testing::read_vector(name);
    std::vector<PlainRecord> seen;
    for (const Batch& batch : read_batches(bytes)) {
      EXPECT_EQ(batch.header.codec(), codec);
      for (PlainRecord& record : testing::read_records(batch)) seen.push_back(std::move(record));
    }
    EXPECT_EQ(seen, given_records(GetParam().has_null_header));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ProducerVectors,
                         ::testing::Values(Producer{"java"}, Producer{"librdkafka"},
                                           Producer{"aiokafka"}, Producer{"kafka-python", false}),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::erase(name, '-');
                           return name;
                         });

// Our builder makes the same bytes as theirs from the same records, where no codec has a choice.
TEST(ProducerVectors, UncompressedBatchesAreByteEqualToOurs) {
  for (const Producer& producer : {Producer{"java"}, Producer{"librdkafka"}, Producer{"aiokafka"},
                                   Producer{"kafka-python", false}}) {
    SCOPED_TRACE(producer.name);
    const Bytes bytes = testing::read_vector(producer.name + "-none");
    const std::vector<PlainRecord> records = given_records(producer.has_null_header);
    Bytes ours;
    for (const Batch& theirs : read_batches(bytes)) {
      const BatchHeader& header = theirs.header;
      RecordBatchBuilder builder({.base_offset = header.base_offset,
                                  .leader_epoch = header.leader_epoch,
                                  .producer_id = header.producer_id,
                                  .producer_epoch = header.producer_epoch,
                                  .base_sequence = header.base_sequence});
      for (Offset at = header.base_offset; at <= header.last_offset(); ++at) {
        testing::append_plain(builder, records[static_cast<std::size_t>(at)]);
      }
      const Slice batch = builder.build().value();
      ours.insert(ours.end(), batch.view().begin(), batch.view().end());
    }
    EXPECT_EQ(ours, bytes);
  }
}

TEST(ControlVectors, TransactionsHaveMarkers) {
  const Bytes bytes = testing::read_vector("java-transactions");
  const std::vector<Batch> batches = read_batches(bytes);
  ASSERT_EQ(batches.size(), 4u);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const BatchHeader& header = batches[i].header;
    EXPECT_TRUE(header.is_transactional());
    EXPECT_EQ(header.is_control(), i % 2 == 1);
    EXPECT_EQ(header.base_offset, static_cast<Offset>(i));
  }
  const ControlRecordType types[] = {ControlRecordType::commit, ControlRecordType::abort};
  for (std::size_t i = 1; i < batches.size(); i += 2) {
    const Batch& batch = batches[i];
    RecordCursor cursor(batch.records(), batch.header.record_count);
    Record record;
    ASSERT_TRUE(cursor.next(record));
    const TransactionMarker marker = parse_transaction_marker(record).value();
    EXPECT_EQ(marker.type, types[i / 2]);
    EXPECT_EQ(marker.coordinator_epoch, 0);
    EXPECT_EQ(first_control_key(batch), (ControlKey{0, types[i / 2]}));

    const Slice ours = build_end_txn_batch(batch.header.base_offset, batch.header.leader_epoch,
                                           batch.header.producer_id, batch.header.producer_epoch,
                                           marker, batch.header.base_timestamp);
    EXPECT_TRUE(std::ranges::equal(ours.view(), batch.bytes));
  }
}

std::vector<ControlRecordType> control_types(ByteView bytes) {
  std::vector<ControlRecordType> types;
  for (const Batch& batch : read_batches(bytes)) {
    if (!batch.header.is_control()) continue;
    RecordCursor cursor(batch.records(), batch.header.record_count);
    for (Record record; cursor.next(record);) {
      types.push_back(parse_control_key(record.key).value().type);
    }
    EXPECT_FALSE(cursor.error());
  }
  return types;
}

TEST(ControlVectors, KraftLogAndSnapshotsAreKnown) {
  using enum ControlRecordType;
  EXPECT_EQ(control_types(testing::read_vector("kafka-metadata-log")),
            (std::vector{leader_change}));
  EXPECT_EQ(control_types(testing::read_vector("kafka-bootstrap-checkpoint")),
            (std::vector{snapshot_header, snapshot_footer}));
  EXPECT_EQ(control_types(testing::read_vector("kafka-voters-checkpoint")),
            (std::vector{snapshot_header, kraft_version, kraft_voters, snapshot_footer}));
}

TEST(ControlVectors, OurControlBatchesAreByteEqualToKafkas) {
  const Bytes bytes = testing::read_vector("kafka-voters-checkpoint");
  for (const Batch& theirs : read_batches(bytes)) {
    std::vector<ControlRecord> records;
    RecordCursor cursor(theirs.records(), theirs.header.record_count);
    for (Record record; cursor.next(record);) {
      records.push_back({parse_control_key(record.key).value().type, record.value.value()});
    }
    const Slice ours = build_control_batch(theirs.header.base_offset, theirs.header.leader_epoch,
                                           theirs.header.base_timestamp, records);
    EXPECT_TRUE(std::ranges::equal(ours.view(), theirs.bytes));
  }
}

}  // namespace
}  // namespace ottla::wire
