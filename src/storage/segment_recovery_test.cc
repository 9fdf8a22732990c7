#include "storage/segment_recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "storage/segment_sums.h"
#include "storage/storage_test_support.h"
#include "wire/control_record.h"

namespace ottla::storage {
namespace {

using testing::append_to;
using testing::file_of;
using testing::header_of;
using testing::make_batch;
using testing::run;

constexpr Offset kBase = 50;

Bytes end_marker(Offset offset, ProducerId producer, ProducerEpoch epoch, bool is_commit) {
  const Slice batch = wire::build_end_txn_batch(
      offset, 3, producer, epoch,
      {is_commit ? wire::ControlRecordType::commit : wire::ControlRecordType::abort, 7}, 2000);
  return Bytes(batch.view().begin(), batch.view().end());
}

// Plain, idempotent, compressed and transactional batches of two epochs, with markers.
struct Sample {
  Bytes log;
  Offset next = kBase;
  LeaderEpochCache epochs;
  std::vector<std::uint64_t> starts;

  void add(const Bytes& batch) {
    starts.push_back(log.size());
    const auto header = header_of(batch);
    if (!epochs.newest() || epochs.newest()->epoch < header.leader_epoch) {
      epochs.assign(header.leader_epoch, header.base_offset);
    }
    append_to(log, batch);
    next = header.next_offset();
  }
  Sample() {
    add(make_batch({.base_offset = next, .record_count = 3, .leader_epoch = 2}));
    add(make_batch({.base_offset = next,
                    .record_count = 2,
                    .leader_epoch = 2,
                    .producer_id = 5,
                    .producer_epoch = 0,
                    .base_sequence = 0}));
    add(make_batch(
        {.base_offset = next, .record_count = 4, .leader_epoch = 2, .codec = wire::Codec::zstd}));
    add(make_batch({.base_offset = next,
                    .record_count = 2,
                    .leader_epoch = 3,
                    .producer_id = 6,
                    .producer_epoch = 1,
                    .base_sequence = 0,
                    .is_transactional = true}));
    add(end_marker(next, 6, 1, false));
    add(make_batch({.base_offset = next, .leader_epoch = 3}));
  }
  BatchRules::Expectations expectations() const {
    return {.base_offset = kBase,
            .next_offset = kBase,
            .is_contiguous = true,
            .epoch_min = -1,
            .epochs = &epochs};
  }
};

TEST(Verify, GoodLogIsGood) {
  const Sample sample;
  const auto result =
      run(verify_range(file_of(sample.log), 0, sample.log.size(), sample.expectations()));
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->damage);
  EXPECT_EQ(result->valid_end, sample.log.size());
  EXPECT_EQ(result->next_offset, sample.next);
  EXPECT_EQ(result->batch_count, 6u);
}

// Every bit of every batch, and by which check it is noticed.
TEST(Verify, EveryFlippedBitIsNoticed) {
  const Sample sample;
  std::map<std::string, std::set<DamageKind>> noticed_by;
  const auto field_of = [&](std::size_t at) -> std::string {
    const auto start = std::prev(std::ranges::upper_bound(sample.starts, at));
    const std::size_t within = at - *start;
    using namespace wire::batch_at;
    if (within < kBatchLength) return "base offset";
    if (within < kLeaderEpoch) return "length";
    if (within < kMagic) return "leader epoch";
    if (within < kCrc) return "magic";
    if (within < kAttributes) return "crc";
    if (within < kRecords) return "header under the crc";
    return "records";
  };
  for (std::size_t bit = 0; bit < sample.log.size() * 8; ++bit) {
    Bytes bad = sample.log;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    const auto result =
        run(verify_range(file_of(std::move(bad)), 0, sample.log.size(), sample.expectations()));
    ASSERT_TRUE(result);
    ASSERT_TRUE(result->damage) << "bit " << bit << " of " << field_of(bit / 8);
    // Named at the batch that was hit, or behind it where a length is wrong; never before.
    const auto start = std::prev(std::ranges::upper_bound(sample.starts, bit / 8));
    EXPECT_EQ(result->damage->position, *start) << bit;
    noticed_by[field_of(bit / 8)].insert(result->damage->kind);
  }
  using enum DamageKind;
  using Kinds = std::set<DamageKind>;
  EXPECT_EQ(noticed_by["base offset"], (Kinds{bad_header, offset_order, offset_gap}));
  EXPECT_EQ(noticed_by["length"], (Kinds{cut_off, bad_header, bad_crc}));
  EXPECT_EQ(noticed_by["leader epoch"], (Kinds{epoch_order, epoch_disagrees}));
  EXPECT_EQ(noticed_by["magic"], (Kinds{bad_header}));
  EXPECT_EQ(noticed_by["crc"], (Kinds{bad_crc}));
  EXPECT_EQ(noticed_by["header under the crc"], (Kinds{bad_header, bad_crc}));
  EXPECT_EQ(noticed_by["records"], (Kinds{bad_crc}));
}

TEST(Verify, EveryFlippedBitOfASealedSegmentIsNoticedBySums) {
  const Sample sample;
  SegmentSums sums({{{1, 2}, 0}, kBase});
  sums.add(sample.log);
  for (std::size_t bit = 0; bit < sample.log.size() * 8; ++bit) {
    Bytes bad = sample.log;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    ASSERT_EQ(sums.damaged(0, bad).size(), 1u) << bit;
  }
}

TEST(Verify, EveryCutIsNamedAtItsBatch) {
  const Sample sample;
  for (std::size_t size = 0; size < sample.log.size(); ++size) {
    Bytes cut(sample.log.begin(), sample.log.begin() + static_cast<std::ptrdiff_t>(size));
    const auto result = run(verify_range(file_of(cut), 0, size, sample.expectations()));
    ASSERT_TRUE(result);
    const bool is_border =
        size == 0 || std::ranges::find(sample.starts, size) != sample.starts.end();
    EXPECT_EQ(result->damage.has_value(), !is_border) << size;
    if (is_border) continue;
    const auto start = std::prev(std::ranges::upper_bound(sample.starts, size));
    EXPECT_EQ(result->damage->kind, DamageKind::cut_off) << size;
    EXPECT_EQ(result->valid_end, *start) << size;
  }
}

TEST(Verify, ZerosAreNoBatches) {
  Sample sample;
  const std::size_t size = sample.log.size();
  sample.log.resize(size + 4096);
  const auto result =
      run(verify_range(file_of(sample.log), 0, sample.log.size(), sample.expectations()));
  ASSERT_TRUE(result->damage);
  EXPECT_EQ(result->damage->kind, DamageKind::bad_header);
  EXPECT_EQ(result->valid_end, size);
}

TEST(Verify, GapsAreGoodAfterCompactionOnly) {
  Sample sample;
  sample.add(make_batch({.base_offset = sample.next + 5, .leader_epoch = 3}));
  auto expectations = sample.expectations();
  EXPECT_EQ(
      run(verify_range(file_of(sample.log), 0, sample.log.size(), expectations))->damage->kind,
      DamageKind::offset_gap);
  expectations.is_contiguous = false;
  EXPECT_FALSE(run(verify_range(file_of(sample.log), 0, sample.log.size(), expectations))->damage);
}

TEST(Verify, FailingDiskIsNoDamage) {
  const Sample sample;
  const auto file = file_of(sample.log);
  file->fails = true;
  EXPECT_FALSE(run(verify_range(file, 0, sample.log.size(), sample.expectations())));
}

TEST(Scan, MemoryIsBoundedWhateverTheBatchIs) {
  Bytes log = make_batch({.value_bytes = 3 * kScanPieceBytes});
  append_to(log, make_batch({.base_offset = 1}));
  const auto file = file_of(log);
  FileBatches batches(file, 0, log.size());
  const auto large = run(batches.next());
  ASSERT_TRUE(large && *large);
  EXPECT_TRUE((*large)->crc_matches);
  EXPECT_TRUE((*large)->bytes.empty()) << "not held";
  const auto small = run(batches.next());
  ASSERT_TRUE(small && *small);
  EXPECT_EQ((*small)->header.base_offset, 1);
  EXPECT_FALSE((*small)->bytes.empty());
  EXPECT_FALSE(*run(batches.next()));
  EXPECT_LE(file->largest_read, kScanPieceBytes);
}

TEST(Scan, LargeBatchIsSummedToo) {
  Bytes log = make_batch({.value_bytes = 3 * kScanPieceBytes});
  for (const std::size_t at : {std::size_t{61}, kScanPieceBytes, log.size() - 1}) {
    Bytes bad = log;
    bad[at] ^= 1;
    FileBatches batches(file_of(bad), 0, bad.size());
    EXPECT_FALSE((*run(batches.next()))->crc_matches) << at;
  }
}

TEST(Scan, FileShorterThanSaidIsTruncated) {
  const Bytes log = make_batch({});
  FileBatches batches(file_of(log), 0, log.size() + 100);
  EXPECT_TRUE(run(batches.next()));
  const auto behind = run(batches.next());
  ASSERT_FALSE(behind);
  EXPECT_EQ(behind.error().batch, wire::BatchError::truncated);
  EXPECT_FALSE(run(batches.next())) << "the error stays";
}

TEST(Rebuild, FindsTransactionsAndEpochs) {
  const Sample sample;
  Segment segment(kBase, {});
  LeaderEpochCache epochs;
  ProducerState producers;
  producers.clear(kBase);
  const auto result =
      run(rebuild_segment(file_of(sample.log), sample.log.size(), segment,
                          {.epochs = &epochs, .producers = &producers, .known_aborted = nullptr},
                          sample.expectations(), 99));
  ASSERT_TRUE(result && !result->damage);
  EXPECT_EQ(epochs.entries(), sample.epochs.entries());
  EXPECT_EQ(producers.end_offset(), sample.next);
  EXPECT_EQ(producers.find(6)->coordinator_epoch, 7);
  EXPECT_EQ(producers.find(5)->last_append_ms, 99);
  EXPECT_EQ(segment.indexes().aborted.entries(),
            (std::vector<AbortedTransaction>{{6, kBase + 9, kBase + 11, kBase + 12}}));

  // With producers from behind the marker, it is taken from what is known.
  Segment again(kBase, {});
  ProducerState later;
  later.clear(kBase + 12);
  const auto partial = run(rebuild_segment(
      file_of(sample.log), sample.log.size(), again,
      {.epochs = nullptr, .producers = &later, .known_aborted = &segment.indexes().aborted},
      sample.expectations(), 99));
  ASSERT_TRUE(partial && !partial->damage);
  EXPECT_EQ(again.indexes(), segment.indexes());
}

TEST(Rebuild, StopsAtDamageAndKeepsWhatIsBefore) {
  Sample sample;
  sample.log[sample.starts[3] + 70] ^= 4;
  Segment segment(kBase, {});
  const auto result = run(rebuild_segment(file_of(sample.log), sample.log.size(), segment, {},
                                          sample.expectations(), 0));
  ASSERT_TRUE(result && result->damage);
  EXPECT_EQ(result->damage->kind, DamageKind::bad_crc);
  EXPECT_EQ(result->damage->offset, kBase + 9);
  EXPECT_EQ(segment.size_bytes(), sample.starts[3]);
  EXPECT_EQ(segment.next_offset(), kBase + 9);
}

TEST(ApplyBatch, ControlBatchesOfOtherKindsEndNothing) {
  ProducerState producers;
  const Bytes value = {0, 0};
  const std::vector<wire::ControlRecord> records = {
      {wire::ControlRecordType::leader_change, value}};
  const Slice change = wire::build_control_batch(0, 1, 5, records);
  const auto result = apply_batch(producers, *wire::parse_batch(change.view()), 0);
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, std::nullopt);
  EXPECT_EQ(producers.end_offset(), 1);
}

TEST(ApplyBatch, UnreadableMarkerIsRefusedAndChangesNothing) {
  ProducerState producers;
  Bytes marker = end_marker(0, 6, 1, true);
  marker.resize(marker.size() - 3);
  auto header = header_of(end_marker(0, 6, 1, true));
  EXPECT_FALSE(apply_batch(producers, {header, marker}, 0));
  EXPECT_EQ(producers.end_offset(), 0);
  EXPECT_EQ(producers.producer_count(), 0u);
}

}  // namespace
}  // namespace ottla::storage
