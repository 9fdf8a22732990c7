#include "storage/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/segment_search.h"
#include "storage/storage_test_support.h"

namespace ottla::storage {
namespace {

using testing::append_to;
using testing::BatchSpec;
using testing::file_of;
using testing::header_of;
using testing::make_batch;
using testing::run;

constexpr Offset kBase = 100;
constexpr std::size_t kBatchMax = 1 << 20;

TEST(SegmentName, HasTwentyDigits) {
  EXPECT_EQ(segment_file_name(42, SegmentFile::log), "00000000000000000042.log");
  EXPECT_EQ(segment_file_name(INT64_MAX, SegmentFile::sums), "09223372036854775807.sums.ottla");
  EXPECT_EQ(segment_file_name(1, SegmentFile::time_index, SegmentFileState::deleted),
            "00000000000000000001.timeindex.deleted");
}

TEST(SegmentName, IsReadBack) {
  using enum SegmentFile;
  for (const auto file :
       {log, offset_index, time_index, transaction_index, snapshot, snapshot_side, sums}) {
    for (const auto state : {SegmentFileState::live, SegmentFileState::deleted,
                             SegmentFileState::cleaned, SegmentFileState::swap}) {
      const SegmentFileName name{77, file, state};
      EXPECT_EQ(parse_segment_file_name(segment_file_name(77, file, state)), name);
    }
  }
  for (const char* name : {"foo.log", "0000000000000000042.log", "000000000000000000042.log",
                           "00000000000000000042", "00000000000000000042.", "partition.metadata",
                           "99999999999999999999.log", "0000000000000000004x.log",
                           "00000000000000000042.log.ottla", "00000000000000000042.deleted"}) {
    EXPECT_EQ(parse_segment_file_name(name), std::nullopt) << name;
  }
}

TEST(SegmentName, KnowsWhatStopsKafka) {
  EXPECT_TRUE(would_stop_kafka("foo.log"));
  EXPECT_TRUE(would_stop_kafka("x.timeindex"));
  EXPECT_FALSE(would_stop_kafka("00000000000000000042.log"));
  EXPECT_FALSE(would_stop_kafka("foo.log.ottla"));
  EXPECT_FALSE(would_stop_kafka("leader-epoch-checkpoint"));
}

// A segment and its file, batch by batch.
struct Built {
  Segment segment{kBase, {.index_interval_bytes = 200}};
  Bytes log;

  void add(BatchSpec spec) {
    spec.base_offset = std::max(spec.base_offset, segment.next_offset());
    const Bytes batch = make_batch(spec);
    segment.append(header_of(batch));
    append_to(log, batch);
  }
  std::vector<wire::Batch> batches() const {
    std::vector<wire::Batch> all;
    wire::BatchCursor cursor{ByteView(log)};
    for (wire::Batch batch; cursor.next(batch);) all.push_back(batch);
    return all;
  }
};

TEST(Segment, EntryComesAfterTheInterval) {
  Built built;
  const std::size_t size = make_batch({.value_bytes = 20}).size();
  ASSERT_GT(size * 3, 200u);
  ASSERT_LT(size * 2, 200u);
  for (int i = 0; i < 8; ++i) built.add({.timestamp = 1000 + 10 * i});
  const OffsetIndex& offsets = built.segment.indexes().offsets;
  ASSERT_EQ(offsets.size(), 2u);
  EXPECT_EQ(offsets.entry(0), (OffsetPosition{kBase + 3, static_cast<std::uint32_t>(3 * size)}));
  EXPECT_EQ(offsets.entry(1), (OffsetPosition{kBase + 6, static_cast<std::uint32_t>(6 * size)}));
  const TimeIndex& times = built.segment.indexes().times;
  EXPECT_EQ(times.entry(0), (TimestampOffset{1030, kBase + 3}));
  EXPECT_EQ(times.size(), 2u);
  built.segment.finish_time_index();
  built.segment.finish_time_index();
  EXPECT_EQ(times.size(), 3u);
  EXPECT_EQ(times.last(), (TimestampOffset{1070, kBase + 7}));
  EXPECT_EQ(built.segment.first_timestamp(), 1000);
}

TEST(Segment, IntervalItselfIsNotEnough) {
  const auto size = static_cast<std::uint32_t>(make_batch({}).size());
  Built built{.segment = Segment(kBase, {.index_interval_bytes = 2 * size}), .log = {}};
  for (int i = 0; i < 3; ++i) built.add({});
  EXPECT_EQ(built.segment.indexes().offsets.size(), 0u);
  built.add({});
  EXPECT_EQ(built.segment.indexes().offsets.size(), 1u);
}

TEST(Segment, RoomIsLimitedByFormatAndConfiguration) {
  Built built;
  EXPECT_TRUE(built.segment.has_room_for(5000, kBase, 1000)) << "an empty one takes any batch";
  EXPECT_FALSE(built.segment.has_room_for(kSegmentBytesMax + 1, kBase, 1000));
  EXPECT_FALSE(built.segment.has_room_for(100, kBase + (Offset{1} << 31), 1000));
  EXPECT_TRUE(built.segment.has_room_for(100, kBase + (Offset{1} << 31) - 1, 1000));
  built.add({});
  const std::uint64_t left = 1000 - built.segment.size_bytes();
  EXPECT_TRUE(built.segment.has_room_for(left, kBase + 1, 1000));
  EXPECT_FALSE(built.segment.has_room_for(left + 1, kBase + 1, 1000));
}

TEST(Segment, FullIndexLeavesNoRoom) {
  Built built{.segment = Segment(kBase, {.index_interval_bytes = 1, .index_bytes_max = 36}),
              .log = {}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(built.segment.has_room_for(100, kBase + i, kSegmentBytesMax)) << i;
    built.add({.timestamp = 1000 + i});
  }
  EXPECT_FALSE(built.segment.has_room_for(100, kBase + 3, kSegmentBytesMax))
      << "the time index keeps a place for its last entry";
}

rc::Gen<std::vector<BatchSpec>> some_batches() {
  return rc::gen::map(
      rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>()),
      [](const std::vector<std::uint32_t>& randoms) {
        std::vector<BatchSpec> specs;
        Offset offset = kBase;
        for (const std::uint32_t random : randoms) {
          if (random % 7 == 0) offset += random % 5;  // gaps, as compaction leaves them
          BatchSpec spec{.base_offset = offset,
                         .record_count = 1 + static_cast<int>(random % 4),
                         .timestamp = 1000 + static_cast<TimestampMs>((random >> 8) % 200),
                         .value_bytes = (random >> 16) % 150,
                         .codec = random % 11 == 0 ? wire::Codec::lz4 : wire::Codec::none};
          if (random % 13 == 0) spec.value_bytes = 6000;  // longer than a piece of the search
          offset += spec.record_count;
          specs.push_back(spec);
        }
        return specs;
      });
}

TEST(Segment, RebuildingGivesTheSame) {
  const bool passed = rc::check("rebuild", [] {
    Built built;
    for (const BatchSpec& spec : *some_batches()) built.add(spec);
    built.segment.finish_time_index();
    Segment rebuilt(kBase, built.segment.settings());
    const auto result = run(rebuild_segment(file_of(built.log), built.log.size(), rebuilt, {},
                                            {.base_offset = kBase, .next_offset = kBase}, 0));
    RC_ASSERT(result.has_value());
    RC_ASSERT(!result->damage);
    RC_ASSERT(rebuilt.facts() == built.segment.facts());
    RC_ASSERT(rebuilt.indexes() == built.segment.indexes());
  });
  EXPECT_TRUE(passed);
}

TEST(Segment, OpeningWithIndexesGivesTheSame) {
  const bool passed = rc::check("open with indexes", [] {
    Built built;
    const auto specs = *some_batches();
    for (const BatchSpec& spec : specs) built.add(spec);
    built.segment.finish_time_index();
    Segment opened(SegmentFacts{.base_offset = kBase,
                                .next_offset = kBase,
                                .size_bytes = 0,
                                .max_timestamp = {},
                                .first_timestamp = -1},
                   built.segment.settings());
    opened.attach_indexes(std::make_unique<SegmentIndexes>(built.segment.indexes()));
    const auto result = run(load_segment_tail(file_of(built.log), built.log.size(), opened));
    RC_ASSERT(result.has_value());
    RC_ASSERT(!result->damage);
    RC_ASSERT(opened.facts() == built.segment.facts());
    // The next entry comes at the same place as without the interruption.
    for (int i = 0; i < 5; ++i) {
      const Bytes more = make_batch({.base_offset = opened.next_offset(), .timestamp = 5000 + i});
      opened.append(header_of(more));
      built.segment.append(header_of(more));
    }
    RC_ASSERT(opened.indexes() == built.segment.indexes());
  });
  EXPECT_TRUE(passed);
}

TEST(Segment, OffsetsAreFoundAsByALinearScan) {
  const bool passed = rc::check("find_offset", [] {
    Built built;
    for (const BatchSpec& spec : *some_batches()) built.add(spec);
    const auto batches = built.batches();
    const auto file = file_of(built.log);
    for (Offset target = kBase; target <= built.segment.next_offset(); ++target) {
      const auto found =
          run(find_offset(file, built.segment.indexes().offsets, target, built.log.size()));
      RC_ASSERT(found.has_value());
      const auto expected = std::ranges::find_if(
          batches, [&](const auto& batch) { return batch.header.last_offset() >= target; });
      RC_ASSERT(found->has_value() == (expected != batches.end()));
      if (*found) RC_ASSERT((*found)->header == expected->header);
    }
    RC_ASSERT(file->largest_read <= kHopPieceBytes);
  });
  EXPECT_TRUE(passed);
}

std::optional<TimestampFound> linear_search(const std::vector<wire::Batch>& batches,
                                            TimestampMs target, Offset start) {
  for (const wire::Batch& batch : batches) {
    const auto found = find_timestamp_in(batch, target, start);
    if (found && *found) return *found;
  }
  return std::nullopt;
}

TEST(Segment, TimestampsAreFoundAsByALinearScan) {
  const bool passed = rc::check("find_timestamp", [] {
    Built built;
    for (const BatchSpec& spec : *some_batches()) built.add(spec);
    built.segment.finish_time_index();
    const auto batches = built.batches();
    const auto file = file_of(built.log);
    for (const Offset start : {kBase, (kBase + built.segment.next_offset()) / 2}) {
      for (TimestampMs target = 990; target < 1210; target += 3) {
        const auto found = run(find_timestamp(file, built.segment.indexes(), target, start,
                                              built.log.size(), kBatchMax));
        RC_ASSERT(found.has_value());
        RC_ASSERT(*found == linear_search(batches, target, start));
      }
    }
  });
  EXPECT_TRUE(passed);
}

TEST(Segment, TruncatingIsAsIfTheRestWasNeverThere) {
  const bool passed = rc::check("truncate", [] {
    Built built;
    const auto specs = *some_batches();
    for (const BatchSpec& spec : specs) built.add(spec);
    built.segment.finish_time_index();
    const Offset cut = *rc::gen::inRange(kBase, built.segment.next_offset() + 2);
    const auto result = run(truncate_segment(file_of(built.log), built.segment, cut));
    RC_ASSERT(result.has_value());
    RC_ASSERT(!result->damage);
    Built shorter;
    for (const BatchSpec& spec : specs) {
      if (spec.base_offset + spec.record_count <= cut) shorter.add(spec);
    }
    RC_ASSERT(result->valid_end == shorter.log.size());
    RC_ASSERT(built.segment.size_bytes() == shorter.log.size());
    RC_ASSERT(built.segment.next_offset() >= shorter.segment.next_offset());
    RC_ASSERT(built.segment.max_timestamp() == shorter.segment.max_timestamp());
    RC_ASSERT(built.segment.offset_of_max_timestamp() == shorter.segment.offset_of_max_timestamp());
    RC_ASSERT(built.segment.indexes().offsets == shorter.segment.indexes().offsets);
    shorter.segment.finish_time_index();
    built.segment.finish_time_index();
    RC_ASSERT(built.segment.indexes().times == shorter.segment.indexes().times);
  });
  EXPECT_TRUE(passed);
}

// Damage to an index is noticed where it would lead astray: the answer is right, or it is damage.
TEST(Segment, FlippedBitInTheOffsetIndexNeverMisleads) {
  Built built;
  for (int i = 0; i < 30; ++i) built.add({.record_count = 1 + i % 3, .timestamp = 1000 + i});
  const auto batches = built.batches();
  const auto file = file_of(built.log);
  const Bytes good = built.segment.indexes().offsets.serialize();
  int refused = 0;
  int noticed = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    const auto index = OffsetIndex::parse(kBase, bad, built.log.size());
    if (!index) {
      ++refused;
      continue;
    }
    // The last entry is proved when the segment is opened, the others when they are used.
    Segment opened(built.segment.facts(), built.segment.settings());
    auto indexes = std::make_unique<SegmentIndexes>(built.segment.indexes());
    indexes->offsets = *index;
    opened.attach_indexes(std::move(indexes));
    int damage = run(load_segment_tail(file, built.log.size(), opened))->damage.has_value();
    for (Offset target = kBase; target < built.segment.next_offset(); ++target) {
      const auto found = run(find_offset(file, *index, target, built.log.size()));
      if (!found) {
        ASSERT_TRUE(found.error().index) << bit;
        ++damage;
        continue;
      }
      const auto expected = std::ranges::find_if(
          batches, [&](const auto& batch) { return batch.header.last_offset() >= target; });
      ASSERT_TRUE(*found) << bit;
      ASSERT_EQ((*found)->header, expected->header) << bit;
    }
    EXPECT_GT(damage, 0) << bit;
    noticed += damage > 0;
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(noticed, 0);
  EXPECT_EQ(static_cast<std::size_t>(refused + noticed), good.size() * 8);
}

TEST(Segment, FlippedBitInTheTimeIndexNeverMisleads) {
  Built built;
  for (int i = 0; i < 30; ++i) {
    built.add({.record_count = 1 + i % 3, .timestamp = 1000 + 10 * i - (i % 4) * 25});
  }
  built.segment.finish_time_index();
  const auto batches = built.batches();
  const auto file = file_of(built.log);
  const Bytes good = built.segment.indexes().times.serialize();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    auto times = TimeIndex::parse(kBase, bad, built.segment.next_offset());
    if (!times) continue;
    SegmentIndexes indexes = built.segment.indexes();
    indexes.times = std::move(*times);
    int damage = 0;
    for (TimestampMs target = 900; target < 1400; ++target) {
      const auto found =
          run(find_timestamp(file, indexes, target, kBase, built.log.size(), kBatchMax));
      if (!found) {
        ASSERT_TRUE(found.error().index) << bit;
        ++damage;
        continue;
      }
      ASSERT_EQ(*found, linear_search(batches, target, kBase)) << bit << " " << target;
    }
    // An entry that was moved to a time that nobody asks for does no harm here.
    const bool is_far = load_big<TimestampMs>(bad.data() + bit / 96 * 12) >= 1400;
    EXPECT_TRUE(damage > 0 || is_far) << bit;
  }
}

}  // namespace
}  // namespace ottla::storage
