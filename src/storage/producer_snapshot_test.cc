#include "storage/producer_snapshot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"

namespace ottla::storage {
namespace {

wire::BatchHeader batch(ProducerId producer, Sequence sequence, Offset offset,
                        bool in_transaction) {
  wire::BatchHeader header;
  header.base_offset = offset;
  header.producer_id = producer;
  header.base_sequence = sequence;
  header.producer_epoch = 2;
  header.record_count = 2;
  header.last_offset_delta = 1;
  header.max_timestamp = 500 + offset;
  if (in_transaction) header.attributes |= wire::kTransactionalBit;
  return header;
}

constexpr TimestampMs kNow = 10'000;

ProducerState sample() {
  ProducerState state;
  Offset offset = 0;
  for (int i = 0; i < 7; ++i, offset += 2) state.apply(batch(4, 2 * i, offset, false), kNow);
  for (int i = 0; i < 2; ++i, offset += 2) state.apply(batch(1, 2 * i, offset, true), kNow + 1);
  state.apply(batch(9, 0, offset, true), kNow + 2);
  auto marker = batch(9, -1, offset + 2, true);
  marker.last_offset_delta = 0;
  marker.producer_epoch = 3;
  marker.attributes |= wire::kControlBit;
  state.apply_marker(marker, {9, 3, 11, true, 2}, kNow + 3);
  return state;
}

TEST(ProducerSnapshot, RestoresAllWithBothFiles) {
  const ProducerState state = sample();
  const auto files = snapshot_of(state);
  const auto restored = restore_producers(state.end_offset(), files.snapshot, files.side, kNow + 9);
  ASSERT_TRUE(restored);
  EXPECT_TRUE(restored->side_was_used);
  EXPECT_EQ(restored->state.producers(), state.producers());
  EXPECT_EQ(restored->state.end_offset(), state.end_offset());
  EXPECT_EQ(restored->state.first_open_transaction(), state.first_open_transaction());
  EXPECT_EQ(restored->state.find(4)->batch_count(), kBatchesRemembered);
}

TEST(ProducerSnapshot, WithoutSideFileOnlyTheLastBatchIsKnown) {
  const ProducerState state = sample();
  const auto files = snapshot_of(state);
  const auto restored = restore_producers(state.end_offset(), files.snapshot, {}, kNow);
  ASSERT_TRUE(restored);
  EXPECT_FALSE(restored->side_was_used);
  EXPECT_EQ(restored->state.find(4)->batch_count(), 1u);
  EXPECT_EQ(restored->state.find(4)->last_append_ms, state.find(4)->last_timestamp);
  EXPECT_EQ(restored->state.find(9)->batch_count(), 0u);
  EXPECT_EQ(restored->state.find(9)->coordinator_epoch, 11);
}

TEST(ProducerSnapshot, SideFileOfAnotherSnapshotIsNotUsed) {
  const ProducerState state = sample();
  const auto older = snapshot_of(state);
  const Offset end = state.end_offset();
  EXPECT_FALSE(restore_producers(end + 1, older.snapshot, older.side, kNow)->side_was_used);
  // Kafka ran here and wrote its own snapshot of that name.
  ProducerState other;
  for (Offset offset = 0; offset < end; ++offset) {
    wire::BatchHeader one = batch(4, static_cast<Sequence>(offset), offset, false);
    one.last_offset_delta = 0;
    other.apply(one, kNow);
  }
  ASSERT_EQ(other.end_offset(), end);
  const auto restored = restore_producers(end, snapshot_of(other).snapshot, older.side, kNow);
  ASSERT_TRUE(restored);
  EXPECT_FALSE(restored->side_was_used);
}

TEST(ProducerSnapshot, EveryFlippedBitIsNoticed) {
  const ProducerState state = sample();
  const auto files = snapshot_of(state);
  for (std::size_t bit = 0; bit < files.snapshot.size() * 8; ++bit) {
    Bytes bad = files.snapshot;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(parse_producer_snapshot(bad)) << bit;
  }
  for (std::size_t bit = 0; bit < files.side.size() * 8; ++bit) {
    Bytes bad = files.side;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    const auto restored = restore_producers(state.end_offset(), files.snapshot, bad, kNow);
    ASSERT_TRUE(restored);
    EXPECT_FALSE(restored->side_was_used) << bit;
  }
}

TEST(ProducerSnapshot, EveryCutIsRefused) {
  const ProducerState state = sample();
  const auto files = snapshot_of(state);
  for (std::size_t size = 0; size < files.snapshot.size(); ++size) {
    EXPECT_FALSE(parse_producer_snapshot(ByteView(files.snapshot).first(size))) << size;
  }
  for (std::size_t size = 0; size < files.side.size(); ++size) {
    const auto restored = restore_producers(state.end_offset(), files.snapshot,
                                            ByteView(files.side).first(size), kNow);
    EXPECT_FALSE(restored->side_was_used) << size;
  }
}

Bytes with_crc(Bytes file) {
  store_big(file.data() + 2, crc32c(ByteView(file).subspan(6)));
  return file;
}

TEST(ProducerSnapshot, RightSumOverNonsenseIsRefused) {
  const ProducerSnapshotEntry good{.producer_id = 1,
                                   .epoch = 0,
                                   .last_sequence = 3,
                                   .last_offset = 9,
                                   .offset_delta = 2,
                                   .timestamp = 5,
                                   .coordinator_epoch = -1,
                                   .open_transaction = 4};
  const auto is_taken = [](std::vector<ProducerSnapshotEntry> entries) {
    return parse_producer_snapshot(serialize_producer_snapshot(entries)).has_value();
  };
  EXPECT_TRUE(is_taken({good}));
  EXPECT_FALSE(is_taken({good, good})) << "twice";
  const auto changed = [&](auto change) {
    ProducerSnapshotEntry entry = good;
    change(entry);
    return std::vector{entry};
  };
  EXPECT_FALSE(is_taken(changed([](auto& entry) { entry.producer_id = -1; })));
  EXPECT_FALSE(is_taken(changed([](auto& entry) { entry.last_offset = -2; })));
  EXPECT_FALSE(is_taken(changed([](auto& entry) { entry.offset_delta = 10; })));
  EXPECT_FALSE(is_taken(changed([](auto& entry) { entry.offset_delta = -1; })));
  EXPECT_FALSE(is_taken(changed([](auto& entry) { entry.open_transaction = -2; })));
  // A count beyond the bytes, up to what would take all memory.
  for (const std::int32_t count : {2, 0, -1, 1 << 30}) {
    Bytes file = serialize_producer_snapshot({good});
    store_big(file.data() + 6, count);
    EXPECT_FALSE(parse_producer_snapshot(with_crc(file))) << count;
  }
  Bytes version = serialize_producer_snapshot({good});
  version[1] = 2;
  EXPECT_FALSE(parse_producer_snapshot(version));
}

TEST(ProducerSnapshot, MustLieBelowItsName) {
  const ProducerState state = sample();
  const auto files = snapshot_of(state);
  EXPECT_FALSE(restore_producers(16, files.snapshot, {}, kNow));
}

TEST(ProducerSnapshot, EmptyStateIsTenBytes) {
  const auto files = snapshot_of(ProducerState());
  EXPECT_EQ(files.snapshot.size(), 10u);
  EXPECT_TRUE(files.side.empty());
  EXPECT_EQ(restore_producers(0, files.snapshot, {}, kNow)->state.producer_count(), 0u);
}

std::string hex(const Bytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

TEST(ProducerSnapshot, ExampleOfTheDocs) {
  ProducerState state;
  for (int i = 0; i < 2; ++i) {
    wire::BatchHeader header = batch(5, i * 3, i * 3, false);
    header.producer_epoch = 0;
    header.last_offset_delta = 2;
    header.max_timestamp = 1'700'000'000'000 + i;
    state.apply(header, 1'700'000'000'100 + i);
  }
  const auto files = snapshot_of(state);
  EXPECT_EQ(hex(files.snapshot),
            "0001f5c550b800000001"
            "00000000000000050000"
            "00000005000000000000000500000002"
            "0000018bcfe56801ffffffffffffffffffffffff");
  EXPECT_EQ(hex(files.side),
            "4f5450570001d989f839"
            "0000000000000006f5c550b800000001"
            "00000000000000050000018bcfe568650000018bcfe56801"
            "01"
            "000000020000000200000000000000020000018bcfe56800");
}

}  // namespace
}  // namespace ottla::storage
