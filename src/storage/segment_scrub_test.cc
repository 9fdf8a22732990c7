// Whose records a rotten block holds. Loading sums and comparing them: storage_files_test.cc.
#include "storage/segment_scrub.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>

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
const SumsOwner kOwner{{{1, 2}, 3}, kBase};

// A sealed segment of several blocks.
struct Sealed {
  Segment segment{kBase, {.index_interval_bytes = 4096}};
  Bytes log;
  SegmentSums sums{kOwner};
  LeaderEpochCache epochs;

  explicit Sealed(int batches) {
    for (int i = 0; i < batches; ++i) {
      const LeaderEpoch epoch = i < batches / 2 ? 3 : 5;
      const Bytes batch = make_batch({.base_offset = segment.next_offset(),
                                      .record_count = 1 + i % 4,
                                      .timestamp = 1000 + i,
                                      .leader_epoch = epoch,
                                      .value_bytes = i % 40 == 7 ? 6000u : 300u});
      epochs.assign(epoch, segment.next_offset());
      segment.append(header_of(batch));
      append_to(log, batch);
    }
    sums.add(log);
  }
  const OffsetIndex& index() const { return segment.indexes().offsets; }
  std::vector<DamagedOffsets> find(const Bytes& rotten, bool has_index = true) const {
    const auto file = file_of(rotten);
    auto ranges = run(scrub_log(file, sums, 0, log.size()));
    auto found = run(find_damaged_records(
        file,
        {.facts = segment.facts(), .index = has_index ? &index() : nullptr, .epochs = &epochs},
        std::move(ranges.value())));
    return found.value();
  }
};

bool covers(const std::vector<DamagedOffsets>& damages, Offset offset) {
  return std::ranges::any_of(damages, [&](const DamagedOffsets& damage) {
    return damage.from <= offset && offset < damage.to;
  });
}

TEST(DamagedRecords, AreThoseOfTheFlippedBatchAndTheOthersAreStillFound) {
  const Sealed sealed(250);
  ASSERT_GT(sealed.log.size(), 3 * kSumBlockBytes);
  wire::BatchCursor cursor{ByteView(sealed.log)};
  std::vector<wire::Batch> batches;
  for (wire::Batch batch; cursor.next(batch);) batches.push_back(batch);
  const bool passed = rc::check("flips", [&] {
    Bytes rotten = sealed.log;
    const auto hit_at = *rc::gen::inRange<std::size_t>(0, batches.size());
    const wire::Batch& hit = batches[hit_at];
    const auto begin = static_cast<std::size_t>(hit.bytes.data() - sealed.log.data());
    // Half of the flips in the header, where they do the most.
    const bool in_header = *rc::gen::arbitrary<bool>();
    const std::size_t at = *rc::gen::inRange<std::size_t>(0, in_header ? 61 : hit.bytes.size());
    rotten[begin + at] ^= static_cast<std::uint8_t>(1u << *rc::gen::inRange(0, 8));

    const auto damages = sealed.find(rotten);
    RC_ASSERT(damages.size() == 1u);
    for (Offset i = hit.header.base_offset; i < hit.header.next_offset(); ++i)
      RC_ASSERT(covers(damages, i));
    RC_ASSERT(damages[0].from == hit.header.base_offset);
    const auto entry =
        sealed.index().at_or_behind(static_cast<std::uint32_t>(begin + hit.bytes.size()));
    const Offset end = entry ? entry->offset + 1 : sealed.segment.next_offset();
    RC_ASSERT(damages[0].to <= end);

    const auto file = file_of(rotten);
    for (std::size_t i = hit_at - std::min<std::size_t>(hit_at, 20);
         i < std::min(hit_at + 20, batches.size()); ++i) {
      const wire::Batch& batch = batches[i];
      const Offset base = batch.header.base_offset;
      for (const Offset target : {base, batch.header.last_offset()}) {
        if (covers(damages, target)) continue;
        auto found = run(find_behind_damage(file, sealed.index(), target, rotten.size()));
        if (!found || !*found)
          found = run(find_offset(file, sealed.index(), target, rotten.size()));
        RC_ASSERT(found.has_value());
        RC_ASSERT(found->has_value());
        RC_ASSERT((*found)->header == batch.header);
      }
    }
  });
  EXPECT_TRUE(passed);
}

TEST(DamagedRecords, WithoutAnIndexReachToTheEndWhereALengthIsGarbled) {
  const Sealed sealed(300);
  Bytes rotten = sealed.log;
  const auto entry = sealed.index().entry(sealed.index().size() / 2);
  rotten[entry.position + 9] ^= 1;
  const auto damages = sealed.find(rotten, false);
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_EQ(damages[0].to, sealed.segment.next_offset());
  EXPECT_LT(sealed.find(rotten)[0].to, sealed.segment.next_offset());
  rotten = sealed.log;
  rotten[entry.position + 80] ^= 1;
  EXPECT_EQ(sealed.find(rotten, false)[0].to, entry.offset + 1) << "of records alone, it does not";
}

TEST(DamagedRecords, OfManyPlacesAreAllNamed) {
  const Sealed sealed(600);
  Bytes rotten = sealed.log;
  std::vector<Offset> hit;
  for (std::size_t i = 1; i < sealed.index().size(); i += 9) {
    rotten[sealed.index().entry(i).position + 100] ^= 4;
    hit.push_back(sealed.index().entry(i).offset);
  }
  const auto damages = sealed.find(rotten);
  EXPECT_EQ(damages.size(), hit.size());
  for (const Offset offset : hit) EXPECT_TRUE(covers(damages, offset)) << offset;
}

// The end of the file is missing: all behind is damaged, from the batch on that is cut.
TEST(DamagedRecords, OfAShorterFileReachToTheEnd) {
  const Sealed sealed(300);
  const auto entry = sealed.index().entry(sealed.index().size() / 2);
  Bytes rotten = sealed.log;
  rotten.resize(entry.position + 5);
  const auto damages = sealed.find(rotten);
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_LE(damages[0].from, entry.offset);
  EXPECT_EQ(damages[0].to, sealed.segment.next_offset());
}

TEST(DamagedRecords, AreNamedEvenIfEveryBatchHolds) {
  const Sealed sealed(300);
  const auto found = run(find_damaged_records(
      file_of(sealed.log), {.facts = sealed.segment.facts(), .index = &sealed.index()},
      {{kSumBlockBytes, 2 * kSumBlockBytes}}));
  ASSERT_EQ(found->size(), 1u);
  const auto inside = sealed.index().at_or_behind(kSumBlockBytes);
  EXPECT_TRUE(covers(*found, inside->offset));
  EXPECT_LT((*found)[0].to - (*found)[0].from, sealed.segment.next_offset() - kBase);
}

TEST(DamagedRecords, AreThereNoneWithoutSumsIfEveryBatchHolds) {
  const Sealed sealed(300);
  const auto found = run(find_damaged_records(
      file_of(sealed.log), {.facts = sealed.segment.facts(), .are_summed = false},
      {{0, sealed.log.size()}}));
  EXPECT_TRUE(found->empty());
}

}  // namespace
}  // namespace ottla::storage
