#include "storage/segment_sums.h"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/crc32c.h"

namespace ottla::storage {
namespace {

const SumsOwner kOwner{{{0x1111, 0x2222}, 3}, 700};

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  return bytes;
}

SegmentSums sums_of(ByteView log) {
  SegmentSums sums(kOwner);
  sums.add(log);
  sums.set_indexes(as_bytes("offsets"), as_bytes("times"), {});
  return sums;
}

TEST(SegmentSums, SurvivesItsFile) {
  for (const std::size_t size : {0u, 1u, kSumBlockBytes, kSumBlockBytes + 1, 3 * kSumBlockBytes}) {
    const auto sums = sums_of(pattern(size));
    const auto parsed = SegmentSums::parse(sums.serialize(), kOwner);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, sums);
    EXPECT_EQ(parsed->log_bytes(), size);
    EXPECT_EQ(parsed->offset_index(), FileSum::of(as_bytes("offsets")));
    EXPECT_NE(parsed->time_index(), FileSum::of(as_bytes("timed")));
    EXPECT_EQ(parsed->transaction_index(), FileSum{});
  }
}

TEST(SegmentSums, PiecesDoNotMatter) {
  const bool passed = rc::check("pieces", [] {
    const Bytes log = pattern(3 * kSumBlockBytes + 777);
    SegmentSums sums(kOwner);
    std::size_t at = 0;
    while (at < log.size()) {
      const std::size_t count =
          std::min<std::size_t>(*rc::gen::inRange(1, 100'000), log.size() - at);
      sums.add(ByteView(log).subspan(at, count));
      at += count;
    }
    SegmentSums whole(kOwner);
    whole.add(log);
    RC_ASSERT(sums == whole);
  });
  EXPECT_TRUE(passed);
}

TEST(SegmentSums, AreKnownAsTheyWere) {
  const Bytes log = pattern(3 * kSumBlockBytes + 777);
  for (const std::size_t step : {1000u, kSumBlockBytes / 2, kSumBlockBytes, 90'000u}) {
    SegmentSums sums(kOwner);
    std::vector<std::pair<SegmentSums, std::uint32_t>> were;
    for (std::size_t at = 0; at <= log.size(); at += step) {
      were.emplace_back(sums, sums.last_block());
      sums.add(ByteView(log).subspan(at, std::min<std::size_t>(step, log.size() - at)));
    }
    for (const auto& [before, last_block] : were) {
      EXPECT_EQ(sums.first(before.log_bytes(), last_block), before);
    }
  }
}

TEST(SegmentSums, DamageIsNamedInBlocks) {
  const Bytes log = pattern(5 * kSumBlockBytes + 100);
  const auto sums = sums_of(log);
  EXPECT_TRUE(sums.damaged(0, log).empty());
  Bytes bad = log;
  bad[kSumBlockBytes + 5] ^= 1;
  bad[2 * kSumBlockBytes] ^= 0x80;
  bad[log.size() - 1] ^= 2;
  EXPECT_EQ(sums.damaged(0, bad), (std::vector<ByteRange>{{kSumBlockBytes, 3 * kSumBlockBytes},
                                                          {5 * kSumBlockBytes, log.size()}}));
  EXPECT_EQ(
      sums.damaged(2 * kSumBlockBytes, ByteView(bad).subspan(2 * kSumBlockBytes, kSumBlockBytes)),
      (std::vector<ByteRange>{{2 * kSumBlockBytes, 3 * kSumBlockBytes}}));
}

TEST(SegmentSums, EveryFlippedBitOfTheFileIsNoticed) {
  const Bytes good = sums_of(pattern(kSumBlockBytes + 1)).serialize();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(SegmentSums::parse(bad, kOwner)) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(SegmentSums::parse(ByteView(good).first(size), kOwner)) << size;
  }
}

TEST(SegmentSums, BelongsToOneSegment) {
  const Bytes file = sums_of(pattern(10)).serialize();
  for (const SumsOwner& other :
       {SumsOwner{{{0x1111, 0x2223}, 3}, 700}, SumsOwner{{{0x1111, 0x2222}, 4}, 700},
        SumsOwner{{{0x1111, 0x2222}, 3}, 701}}) {
    EXPECT_FALSE(SegmentSums::parse(file, other));
  }
}

TEST(SegmentSums, HugeSizesTakeNoMemory) {
  Bytes file = sums_of(pattern(10)).serialize();
  for (const std::uint64_t size :
       {std::uint64_t{1} << 50, ~std::uint64_t{0}, std::uint64_t{70'000}}) {
    store_big(file.data() + 38, size);
    store_big(file.data() + 6, crc32c(ByteView(file).subspan(10)));
    EXPECT_FALSE(SegmentSums::parse(file, kOwner)) << size;
  }
}

TEST(SegmentSums, ExampleOfTheDocs) {
  SegmentSums sums({{{0x0102030405060708, 0x090a0b0c0d0e0f10}, 3}, 700});
  sums.add(as_bytes("123456789"));
  std::string text;
  for (const std::uint8_t byte : sums.serialize()) text += fmt::format("{:02x}", byte);
  EXPECT_EQ(text,
            "4f5453550001ae37defb"
            "0102030405060708090a0b0c0d0e0f1000000003"
            "00000000000002bc000000000000000900010000"
            "000000000000000000000000"
            "000000000000000000000000"
            "000000000000000000000000"
            "e3069283");
}

}  // namespace
}  // namespace ottla::storage
