#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "storage/index_cache.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"

namespace ottla::storage {
namespace {

constexpr Offset kBase = 1000;

TEST(OffsetIndex, LooksUpTheEntryBelow) {
  OffsetIndex index(kBase);
  EXPECT_EQ(index.lookup(5000), (OffsetPosition{kBase, 0}));
  index.append(1010, 4100);
  index.append(1020, 9000);
  EXPECT_EQ(index.lookup(1009), (OffsetPosition{kBase, 0}));
  EXPECT_EQ(index.lookup(1010), (OffsetPosition{1010, 4100}));
  EXPECT_EQ(index.lookup(1019), (OffsetPosition{1010, 4100}));
  EXPECT_EQ(index.lookup(9999), (OffsetPosition{1020, 9000}));
  EXPECT_EQ(index.at_or_behind(4101), (OffsetPosition{1020, 9000}));
  EXPECT_EQ(index.at_or_behind(9001), std::nullopt);
}

TEST(OffsetIndex, FileIsBigEndianPairs) {
  OffsetIndex index(kBase);
  index.append(1010, 0x01020304);
  EXPECT_EQ(index.serialize(), (Bytes{0, 0, 0, 10, 1, 2, 3, 4}));
}

TEST(OffsetIndex, DropsZeroTail) {
  OffsetIndex index(kBase);
  index.append(1010, 4100);
  Bytes file = index.serialize();
  file.resize(80);
  EXPECT_EQ(OffsetIndex::parse(kBase, file, 5000).value(), index);
  EXPECT_EQ(OffsetIndex::parse(kBase, Bytes(80), 5000)->size(), 0u);
}

TEST(OffsetIndex, RefusesWhatIsNotOne) {
  OffsetIndex index(kBase);
  index.append(1010, 4100);
  index.append(1020, 9000);
  const Bytes good = index.serialize();
  EXPECT_TRUE(OffsetIndex::parse(kBase, good, 9001));
  EXPECT_FALSE(OffsetIndex::parse(kBase, good, 9000)) << "points behind the log";
  EXPECT_FALSE(OffsetIndex::parse(kBase, ByteView(good).first(15), 9001)) << "half an entry";
  Bytes falling = good;
  std::swap_ranges(falling.begin(), falling.begin() + 8, falling.begin() + 8);
  EXPECT_FALSE(OffsetIndex::parse(kBase, falling, 9001));
  Bytes negative = good;
  negative[0] = 0xff;
  EXPECT_FALSE(OffsetIndex::parse(kBase, negative, 9001));
  Bytes hole = good;
  std::fill(hole.begin(), hole.begin() + 8, 0);
  EXPECT_FALSE(OffsetIndex::parse(kBase, hole, 9001)) << "zeros in the middle";
}

TEST(OffsetIndex, AgreesWithALinearScan) {
  const bool passed = rc::check("offset index", [] {
    OffsetIndex index(kBase);
    std::vector<OffsetPosition> model;
    Offset offset = kBase;
    std::uint32_t position = 1;
    for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 50))) {
      index.append(offset, position);
      model.push_back({offset, position});
      offset += step;
      position += static_cast<std::uint32_t>(step) * 61;
    }
    const auto check = [&] {
      for (Offset target = kBase - 1; target <= offset + 1; ++target) {
        OffsetPosition expected{kBase, 0};
        for (const auto& entry : model) {
          if (entry.offset <= target) expected = entry;
        }
        RC_ASSERT(index.lookup(target) == expected);
      }
      RC_ASSERT(OffsetIndex::parse(kBase, index.serialize(), position + 1).value() == index);
    };
    check();
    const Offset cut = *rc::gen::inRange(kBase, offset + 1);
    index.truncate_to(cut);
    std::erase_if(model, [&](const auto& entry) { return entry.offset >= cut; });
    check();
  });
  EXPECT_TRUE(passed);
}

TEST(TimeIndex, TakesOnlyLargerTimestamps) {
  TimeIndex index(kBase);
  EXPECT_EQ(index.last(), (TimestampOffset{-1, kBase}));
  index.maybe_append(50, 1005);
  index.maybe_append(50, 1010);
  index.maybe_append(40, 1012);
  index.maybe_append(60, 1020);
  EXPECT_EQ(index.size(), 2u);
  EXPECT_EQ(index.lookup(49), (TimestampOffset{-1, kBase}));
  EXPECT_EQ(index.lookup(50), (TimestampOffset{50, 1005}));
  EXPECT_EQ(index.lookup(59), (TimestampOffset{50, 1005}));
  EXPECT_EQ(index.lookup(1000), (TimestampOffset{60, 1020}));
}

TEST(TimeIndex, FileIsBigEndian) {
  TimeIndex index(kBase);
  index.maybe_append(0x0102030405060708, 1005);
  EXPECT_EQ(index.serialize(), (Bytes{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5}));
}

TEST(TimeIndex, DropsZeroTailAndKeepsALoneZero) {
  TimeIndex index(kBase);
  index.maybe_append(50, 1005);
  Bytes file = index.serialize();
  file.resize(120);
  EXPECT_EQ(TimeIndex::parse(kBase, file, std::nullopt).value(), index);
  EXPECT_EQ(TimeIndex::parse(kBase, Bytes(12), std::nullopt)->size(), 1u);
}

TEST(TimeIndex, RefusesWhatIsNotOne) {
  TimeIndex index(kBase);
  index.maybe_append(50, 1005);
  index.maybe_append(60, 1005);
  index.maybe_append(70, 1020);
  const Bytes good = index.serialize();
  EXPECT_TRUE(TimeIndex::parse(kBase, good, 1021));
  EXPECT_FALSE(TimeIndex::parse(kBase, good, 1020)) << "points behind the log";
  EXPECT_FALSE(TimeIndex::parse(kBase, ByteView(good).first(30), std::nullopt));
  Bytes falling = good;
  falling[12 + 7] = 50;  // the same timestamp again
  EXPECT_FALSE(TimeIndex::parse(kBase, falling, std::nullopt));
  Bytes earlier = good;
  earlier[24 + 11] = 4;  // an offset below the one before
  EXPECT_FALSE(TimeIndex::parse(kBase, earlier, std::nullopt));
}

TEST(TimeIndex, AgreesWithALinearScan) {
  const bool passed = rc::check("time index", [] {
    TimeIndex index(kBase);
    std::vector<TimestampOffset> model;
    Offset offset = kBase;
    TimestampMs largest = -1;
    for (const int time : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 200))) {
      index.maybe_append(std::max<TimestampMs>(largest, time), offset);
      if (time > largest) {
        largest = time;
        model.push_back({largest, offset});
      }
      offset += 1 + time % 3;
    }
    const auto check = [&] {
      for (TimestampMs target = -1; target <= 201; ++target) {
        TimestampOffset expected{-1, kBase};
        for (const auto& entry : model) {
          if (entry.timestamp <= target) expected = entry;
        }
        RC_ASSERT(index.lookup(target) == expected);
      }
      RC_ASSERT(TimeIndex::parse(kBase, index.serialize(), offset).value() == index);
    };
    check();
    const Offset cut = *rc::gen::inRange(kBase, offset + 1);
    index.truncate_to(cut);
    std::erase_if(model, [&](const auto& entry) { return entry.offset >= cut; });
    check();
  });
  EXPECT_TRUE(passed);
}

TEST(TransactionIndex, FileHasKafkasEntry) {
  TransactionIndex index(kBase);
  index.append({7, 900, 1003, 950});
  const Bytes file = index.serialize();
  ASSERT_EQ(file.size(), 34u);
  EXPECT_EQ(load_big<std::int16_t>(file.data()), 0);
  EXPECT_EQ(load_big<std::int64_t>(file.data() + 2), 7);
  EXPECT_EQ(load_big<std::int64_t>(file.data() + 10), 900);
  EXPECT_EQ(load_big<std::int64_t>(file.data() + 18), 1003);
  EXPECT_EQ(load_big<std::int64_t>(file.data() + 26), 950);
  EXPECT_EQ(TransactionIndex::parse(kBase, file).value(), index);
}

TEST(TransactionIndex, RefusesWhatIsNotOne) {
  const auto file_of = [](AbortedTransaction a, AbortedTransaction b) {
    TransactionIndex first(0);
    first.append(a);
    TransactionIndex second(0);
    second.append(b);
    Bytes file = first.serialize();
    const Bytes more = second.serialize();
    file.insert(file.end(), more.begin(), more.end());
    return file;
  };
  const AbortedTransaction good{1, 1000, 1003, 1004};
  EXPECT_TRUE(TransactionIndex::parse(kBase, file_of(good, {1, 1005, 1006, 1007})));
  EXPECT_FALSE(TransactionIndex::parse(kBase, file_of(good, {1, 1000, 1003, 1004}))) << "twice";
  EXPECT_FALSE(TransactionIndex::parse(kBase, file_of(good, {1, 1006, 1005, 1006})));
  EXPECT_FALSE(TransactionIndex::parse(kBase, file_of({1, 10, 999, 1000}, good))) << "below base";
  EXPECT_FALSE(TransactionIndex::parse(kBase, file_of(good, {1, 1005, 1006, 2000})));
  EXPECT_FALSE(TransactionIndex::parse(kBase, file_of(good, {-1, 1005, 1006, 1006})));
  Bytes cut = file_of(good, {1, 1005, 1006, 1007});
  cut.pop_back();
  EXPECT_FALSE(TransactionIndex::parse(kBase, cut));
  Bytes version = file_of(good, {1, 1005, 1006, 1007});
  version[1] = 1;
  EXPECT_FALSE(TransactionIndex::parse(kBase, version));
}

// Transactions of several producers, of which some are aborted: what a reader of [from, to) needs
// is found, and the early end of the search never leaves one out.
TEST(TransactionIndex, CollectsWhatOverlaps) {
  const bool passed = rc::check("aborted transactions", [] {
    TransactionIndex index(0);
    std::vector<AbortedTransaction> model;
    std::map<ProducerId, Offset> open;
    Offset offset = 0;
    for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40))) {
      const ProducerId producer = step % 4;
      const auto found = open.find(producer);
      if (found == open.end()) {
        open.emplace(producer, offset);
      } else if (step >= 12) {
        const Offset first = found->second;
        open.erase(found);
        Offset stable = offset + 1;
        for (const auto& [id, from] : open) stable = std::min(stable, from);
        if (step >= 24) {
          index.append({producer, first, offset, stable});
          model.push_back({producer, first, offset, stable});
        }
      }
      ++offset;
    }
    // A reader goes at most to the last stable offset.
    Offset last_stable = offset;
    for (const auto& [id, from] : open) last_stable = std::min(last_stable, from);
    for (Offset from = 0; from < last_stable; ++from) {
      for (Offset to = from + 1; to <= last_stable; ++to) {
        std::vector<AbortedTransaction> found;
        index.collect(from, to, found);
        std::vector<AbortedTransaction> expected;
        for (const auto& entry : model) {
          if (entry.last_offset >= from && entry.first_offset < to) expected.push_back(entry);
        }
        RC_ASSERT(found == expected);
      }
    }
  });
  EXPECT_TRUE(passed);
}

TEST(IndexCache, KeepsWhatWasUsedLast) {
  const auto make = [](Offset base) {
    auto indexes = std::make_unique<SegmentIndexes>(base);
    for (int i = 1; i <= 100; ++i) {
      indexes->offsets.append(base + i, static_cast<std::uint32_t>(i));
    }
    return indexes;
  };
  const std::size_t one = make(0)->memory_bytes();
  IndexCache cache(2 * one);
  const TopicIdPartition partition{{1, 2}, 0};
  const auto first = cache.insert(partition, make(0));
  cache.insert(partition, make(1000));
  EXPECT_NE(cache.find(partition, 0), nullptr);
  cache.insert(partition, make(2000));
  EXPECT_EQ(cache.find(partition, 1000), nullptr) << "used least recently";
  EXPECT_NE(cache.find(partition, 0), nullptr);
  EXPECT_LE(cache.bytes(), 2 * one);
  cache.erase(partition, 0);
  EXPECT_EQ(cache.find(partition, 0), nullptr);
  EXPECT_EQ(first->offsets.size(), 100u) << "a holder keeps it";
  IndexCache small(one - 1);
  EXPECT_NE(small.insert(partition, make(0)), nullptr);
  EXPECT_EQ(small.bytes(), 0u);
}

}  // namespace
}  // namespace ottla::storage
