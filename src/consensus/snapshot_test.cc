#include "consensus/snapshot.h"

#include <gtest/gtest.h>

#include "wire/record_batch.h"

namespace ottla::consensus {
namespace {

constexpr LeaderEpoch kEpoch = 5;
constexpr TimestampMs kLastTimestamp = 111;
constexpr TimestampMs kNow = 222;

const VoterSet kVoters{.kraft_version = 1,
                       .voters = {{1, {1, 2}, {{"CONTROLLER", "localhost", 9093}}},
                                  {2, {3, 4}, {{"A", "a", 1}, {"B", "b", 65535}}}}};

Bytes value_of(std::size_t size, std::uint8_t fill) { return Bytes(size, fill); }

Bytes build(const std::vector<Bytes>& records, const std::optional<VoterSet>& voters = kVoters) {
  SnapshotBuilder builder(kEpoch, kLastTimestamp, kNow, voters);
  builder.add(records);
  return std::move(builder).finish();
}

TEST(SnapshotName, IsEndOffsetAndEpochPadded) {
  EXPECT_EQ(file_name({0, 0}), "00000000000000000000-0000000000.checkpoint");
  EXPECT_EQ(file_name({1234, 56}), "00000000000000001234-0000000056.checkpoint");
  EXPECT_EQ(parse_snapshot_name("00000000000000001234-0000000056.checkpoint"),
            (SnapshotId{1234, 56}));
}

TEST(SnapshotName, OtherNamesAreNoSnapshots) {
  for (const std::string_view name :
       {"1234-56.checkpoint", "00000000000000001234-0000000056.checkpoint.part",
        "00000000000000001234-0000000056.checkpoint.deleted", "bootstrap.checkpoint",
        "0000000000000000-234-0000000056.checkpoint", "00000000000000001234_0000000056.checkpoint",
        "99999999999999999999-0000000056.checkpoint",  // beyond an offset
        "0000000000000000123x-0000000056.checkpoint"}) {
    EXPECT_FALSE(parse_snapshot_name(name)) << name;
  }
}

TEST(SnapshotName, OrdersByOffsetThenEpoch) {
  EXPECT_LT((SnapshotId{9, 9}), (SnapshotId{10, 1}));
  EXPECT_LT((SnapshotId{10, 1}), (SnapshotId{10, 2}));
}

TEST(Snapshot, ComesBackAsItWasWritten) {
  const std::vector<Bytes> records{value_of(3, 1), value_of(0, 0), value_of(100'000, 2)};
  const auto content = parse_snapshot(Slice::copy_of(build(records)));
  ASSERT_TRUE(content.has_value()) << content.error();
  EXPECT_EQ(content->last_contained_log_timestamp, kLastTimestamp);
  EXPECT_EQ(content->voters, kVoters);
  ASSERT_EQ(content->records.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(content->records[i], Slice::copy_of(records[i])) << i;
  }
}

TEST(Snapshot, OffsetsCountFromZeroThroughAllBatches) {
  // three data batches: the bound is crossed twice
  const std::vector<Bytes> records(5, value_of(kSnapshotBatchBytes / 2, 7));
  const Bytes file = build(records);
  wire::BatchCursor batches(file);
  Offset expected = 0;
  int control = 0;
  int data = 0;
  for (wire::Batch batch; batches.next(batch);) {
    EXPECT_EQ(batch.header.base_offset, expected);
    EXPECT_EQ(batch.header.leader_epoch, kEpoch);
    EXPECT_TRUE(wire::crc_matches(batch.bytes));
    EXPECT_LE(batch.bytes.size(), kSnapshotBatchBytes + 1024);
    expected = batch.header.next_offset();
    ++(batch.header.is_control() ? control : data);
  }
  EXPECT_FALSE(batches.error());
  EXPECT_EQ(control, 2);
  EXPECT_GE(data, 3);
  EXPECT_EQ(expected, 3 + 5 + 1);
}

TEST(Snapshot, OfAQuorumWithoutVotersInTheLogHasNoneEither) {
  const auto content = parse_snapshot(Slice::copy_of(build({value_of(1, 1)}, std::nullopt)));
  ASSERT_TRUE(content.has_value()) << content.error();
  EXPECT_EQ(content->voters, std::nullopt);
}

// Where a batch ends and a whole prefix of batches is left, only the footer tells.
TEST(Snapshot, EveryCutIsNoticed) {
  const Bytes file = build({value_of(3, 1), value_of(40, 2)});
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse_snapshot(Slice::copy_of(ByteView(file).first(size))).has_value()) << size;
  }
}

// The CRC covers a batch from its attributes on; magic and length are checked by the cursor. Base
// offset and leader epoch are covered by nothing, and nothing depends on them here.
TEST(Snapshot, EveryFlippedBitThatMattersIsNoticed) {
  const Bytes file = build({value_of(3, 1)});
  std::size_t batch_start = 0;
  wire::BatchCursor batches(file);
  for (wire::Batch batch; batches.next(batch);) {
    for (std::size_t at = wire::batch_at::kMagic; at < batch.bytes.size(); ++at) {
      Bytes damaged = file;
      damaged[batch_start + at] ^= 0x10;
      EXPECT_FALSE(parse_snapshot(Slice::copy_of(damaged)).has_value()) << batch_start + at;
    }
    batch_start += batch.bytes.size();
  }
}

TEST(Snapshot, NothingMayFollowTheFooter) {
  Bytes file = build({value_of(3, 1)});
  const Bytes more = build({});
  file.insert(file.end(), more.begin(), more.end());
  EXPECT_FALSE(parse_snapshot(Slice::copy_of(file)).has_value());
}

}  // namespace
}  // namespace ottla::consensus
