#include "wire/control_record.h"

#include <gtest/gtest.h>

#include "wire/record_testing.h"

namespace ottla::wire {
namespace {

TEST(ControlKey, ReadersTakeHigherVersionsLongerKeysAndUnknownTypes) {
  const Bytes longer = {0, 9, 0x12, 0x34, 0xff, 0xff};
  const ControlKey key = parse_control_key(longer).value();
  EXPECT_EQ(key.version, 9);
  EXPECT_EQ(static_cast<std::int16_t>(key.type), 0x1234);
}

TEST(ControlKey, RefusesWhatIsNoKey) {
  EXPECT_EQ(parse_control_key(std::nullopt).error(), BatchError::bad_record);
  EXPECT_EQ(parse_control_key(Bytes{0, 0, 0}).error(), BatchError::bad_record);
  EXPECT_EQ(parse_control_key(Bytes{0x80, 0, 0, 0}).error(), BatchError::bad_record);
}

TEST(TransactionMarker, ReadersTakeHigherVersionsOfItsValue) {
  const ControlKeyBytes key = encode_control_key(ControlRecordType::commit, 3);
  const Bytes value = {0, 5, 0, 0, 1, 2, 99, 99};
  Record record;
  record.key = key;
  record.value = value;
  EXPECT_EQ(parse_transaction_marker(record).value(),
            (TransactionMarker{ControlRecordType::commit, 258}));
  record.value = ByteView(value).first(5);
  EXPECT_FALSE(parse_transaction_marker(record));
  record.value.reset();
  EXPECT_FALSE(parse_transaction_marker(record));
  record.value = value;
  const ControlKeyBytes other = encode_control_key(ControlRecordType::leader_change);
  record.key = other;
  EXPECT_FALSE(parse_transaction_marker(record));
}

TEST(EndTxnBatch, IsReadAsItWasBuilt) {
  for (const auto type : {ControlRecordType::abort, ControlRecordType::commit}) {
    const Slice bytes = build_end_txn_batch(70, 5, 1234, 6, {type, 8}, 1'000);
    const Batch batch = parse_batch(bytes).value();
    EXPECT_TRUE(crc_matches(bytes));
    EXPECT_TRUE(batch.header.is_control());
    EXPECT_TRUE(batch.header.is_transactional());
    EXPECT_EQ(batch.header.producer_id, 1234);
    EXPECT_EQ(batch.header.producer_epoch, 6);
    EXPECT_EQ(batch.header.base_sequence, -1);
    EXPECT_EQ(batch.header.base_offset, 70);
    EXPECT_EQ(first_control_key(batch), (ControlKey{0, type}));
    RecordCursor cursor(batch.records(), 1);
    Record record;
    ASSERT_TRUE(cursor.next(record));
    EXPECT_EQ(parse_transaction_marker(record).value(), (TransactionMarker{type, 8}));
  }
}

TEST(FirstControlKey, IsNothingForOtherBatches) {
  RecordBatchBuilder data;
  data.append({.key = Bytes{0, 0, 0, 1}});
  const Slice data_batch = data.build().value();
  EXPECT_EQ(first_control_key(parse_batch(data_batch).value()), std::nullopt);

  const Slice empty = RecordBatchBuilder({.is_control = true}).build().value();
  EXPECT_EQ(first_control_key(parse_batch(empty).value()), std::nullopt);

  RecordBatchBuilder keyless({.is_control = true});
  keyless.append({.value = as_bytes("v")});
  const Slice keyless_batch = keyless.build().value();
  EXPECT_EQ(first_control_key(parse_batch(keyless_batch).value()), std::nullopt);
}

}  // namespace
}  // namespace ottla::wire
