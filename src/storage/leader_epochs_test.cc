#include "storage/leader_epochs.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ottla::storage {
namespace {

LeaderEpochCache cache_of(const std::vector<EpochEntry>& entries) {
  LeaderEpochCache cache;
  for (const EpochEntry& entry : entries) cache.assign(entry.epoch, entry.start_offset);
  return cache;
}

TEST(LeaderEpochs, EndOffsets) {
  const auto cache = cache_of({{2, 10}, {4, 20}, {7, 30}});
  EXPECT_EQ(cache.end_offset_for(7, 45), (EpochEnd{7, 45}));  // the newest ends with the log
  EXPECT_EQ(cache.end_offset_for(4, 45), (EpochEnd{4, 30}));  // a known one where the next begins
  EXPECT_EQ(cache.end_offset_for(5, 45), (EpochEnd{4, 30}));  // a gap: the one below
  EXPECT_EQ(cache.end_offset_for(6, 45), (EpochEnd{4, 30}));
  EXPECT_EQ(cache.end_offset_for(1, 45), (EpochEnd{1, 10}));  // older than all: where they begin
  EXPECT_EQ(cache.end_offset_for(8, 45), EpochEnd{});         // not heard of
  EXPECT_EQ(cache.end_offset_for(-1, 45), EpochEnd{});
  EXPECT_EQ(LeaderEpochCache().end_offset_for(0, 45), EpochEnd{});
}

TEST(LeaderEpochs, AssignReplacesWhatContradicts) {
  auto cache = cache_of({{2, 10}, {4, 20}, {7, 30}});
  EXPECT_FALSE(cache.assign(7, 40));
  EXPECT_TRUE(cache.assign(7, 25));
  EXPECT_EQ(cache.entries(), (std::vector<EpochEntry>{{2, 10}, {4, 20}, {7, 25}}));
  EXPECT_TRUE(cache.assign(8, 20));
  EXPECT_EQ(cache.entries(), (std::vector<EpochEntry>{{2, 10}, {8, 20}}));
  EXPECT_TRUE(cache.assign(2, 30));
  EXPECT_EQ(cache.entries(), (std::vector<EpochEntry>{{2, 30}}));
}

TEST(LeaderEpochs, TruncateFromEnd) {
  auto cache = cache_of({{2, 10}, {4, 20}, {7, 30}});
  EXPECT_FALSE(cache.truncate_from_end(31));
  EXPECT_TRUE(cache.truncate_from_end(30));
  EXPECT_EQ(cache.newest(), (EpochEntry{4, 20}));
  EXPECT_TRUE(cache.truncate_from_end(0));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(LeaderEpochs, TruncateFromStartKeepsTheHolder) {
  auto cache = cache_of({{2, 10}, {4, 20}, {7, 30}});
  EXPECT_FALSE(cache.truncate_from_start(9));
  EXPECT_FALSE(cache.truncate_from_start(10));
  EXPECT_TRUE(cache.truncate_from_start(25));
  EXPECT_EQ(cache.entries(), (std::vector<EpochEntry>{{4, 25}, {7, 30}}));
  EXPECT_TRUE(cache.truncate_from_start(30));
  EXPECT_EQ(cache.entries(), (std::vector<EpochEntry>{{7, 30}}));
}

TEST(LeaderEpochs, Neighbours) {
  const auto cache = cache_of({{2, 10}, {4, 20}});
  EXPECT_EQ(cache.previous_epoch(2), std::nullopt);
  EXPECT_EQ(cache.previous_epoch(3), 2);
  EXPECT_EQ(cache.previous_epoch(9), 4);
  EXPECT_EQ(cache.next_epoch(1), 2);
  EXPECT_EQ(cache.next_epoch(4), std::nullopt);
  EXPECT_EQ(cache.epoch_of(9), std::nullopt);
  EXPECT_EQ(cache.epoch_of(10), 2);
  EXPECT_EQ(cache.epoch_of(19), 2);
  EXPECT_EQ(cache.epoch_of(1000), 4);
}

TEST(LeaderEpochs, SurvivesItsFile) {
  const auto cache = cache_of({{2, 10}, {4, 20}});
  EXPECT_EQ(LeaderEpochCache::parse(cache.serialize())->entries(), cache.entries());
}

// The model is the log itself: the epoch of each offset.
struct Model {
  std::vector<LeaderEpoch> epoch_of;
  std::size_t log_start = 0;

  EpochEnd end_offset_for(LeaderEpoch requested) const {
    const auto begin = epoch_of.begin() + static_cast<std::ptrdiff_t>(log_start);
    if (begin == epoch_of.end() || requested < 0 || requested > epoch_of.back()) return {};
    EpochEnd end{requested, static_cast<Offset>(log_start)};
    for (auto at = begin; at != epoch_of.end() && *at <= requested; ++at) {
      end = {*at, at - epoch_of.begin() + 1};
    }
    return end;
  }
};

TEST(LeaderEpochs, AgreesWithTheLog) {
  const bool passed = rc::check("epoch cache and log", [] {
    Model model;
    LeaderEpochCache cache;
    LeaderEpoch epoch = 0;
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100));
    for (const int step : steps) {
      if (step < 60) {  // append in the current epoch or a newer one
        if (step % 5 == 0) epoch += 1 + step % 3;
        cache.assign(epoch, static_cast<Offset>(model.epoch_of.size()));
        model.epoch_of.insert(model.epoch_of.end(), static_cast<std::size_t>(1 + step % 4), epoch);
      } else if (step < 80) {  // cut the tail
        const std::size_t span = model.epoch_of.size() - model.log_start;
        const std::size_t end = model.log_start + span * static_cast<std::size_t>(step % 10) / 10;
        model.epoch_of.resize(end);
        cache.truncate_from_end(static_cast<Offset>(end));
      } else {  // delete the oldest
        const std::size_t span = model.epoch_of.size() - model.log_start;
        model.log_start += span * static_cast<std::size_t>(step % 10) / 10;
        if (span > 0) cache.truncate_from_start(static_cast<Offset>(model.log_start));
      }
      if (model.epoch_of.size() == model.log_start) {
        // An empty log: Kafka and we may still know an epoch that begins at its end.
        continue;
      }
      const auto end = static_cast<Offset>(model.epoch_of.size());
      for (LeaderEpoch asked = -1; asked <= model.epoch_of.back() + 1; ++asked) {
        RC_ASSERT(cache.end_offset_for(asked, end) == model.end_offset_for(asked));
      }
      for (std::size_t at = model.log_start; at < model.epoch_of.size(); ++at) {
        RC_ASSERT(cache.epoch_of(static_cast<Offset>(at)) == model.epoch_of[at]);
      }
      RC_ASSERT(LeaderEpochCache::parse(cache.serialize())->entries() == cache.entries());
    }
  });
  EXPECT_TRUE(passed);
}

}  // namespace
}  // namespace ottla::storage
