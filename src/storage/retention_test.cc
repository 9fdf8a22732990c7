#include "storage/retention.h"

#include <gtest/gtest.h>
#include <vector>

namespace ottla::storage {
namespace {

// Ten offsets and a hundred bytes each; largest timestamps 1000, 2000, ...
std::vector<SegmentAge> segments(std::size_t count) {
  std::vector<SegmentAge> all;
  for (std::size_t i = 1; i <= count; ++i)
    all.push_back({static_cast<Offset>(i * 10), 100, static_cast<TimestampMs>(i * 1000)});
  return all;
}

TEST(Retention, WithoutRulesAllStays) {
  EXPECT_EQ(count_expired(segments(5), {}, 50, 1'000'000'000), 0U);
  EXPECT_EQ(count_expired({}, {.retention_ms = 0, .retention_bytes = 0}, 50, 1'000'000'000), 0U);
}

TEST(Retention, ByTimeThoseGoWhoseLargestTimestampIsLongerAgo) {
  EXPECT_EQ(count_expired(segments(5), {.retention_ms = 1000}, 50, 3000), 1U);
  EXPECT_EQ(count_expired(segments(5), {.retention_ms = 1000}, 50, 3001), 2U);
  EXPECT_EQ(count_expired(segments(5), {.retention_ms = 0}, 50, 6000), 5U) << "the active one too";
}

TEST(Retention, ATimestampInTheFutureKeepsItsSegmentAndAllBehindIt) {
  auto all = segments(4);
  all[1].largest_timestamp = 1'000'000;
  EXPECT_EQ(count_expired(all, {.retention_ms = 10}, 40, 50'000), 1U);
}

TEST(Retention, BySizeTheRestIsNeverSmallerThanAskedFor) {
  EXPECT_EQ(count_expired(segments(5), {.retention_bytes = 300}, 50, 0), 2U);
  EXPECT_EQ(count_expired(segments(5), {.retention_bytes = 301}, 50, 0), 1U);
  EXPECT_EQ(count_expired(segments(5), {.retention_bytes = 500}, 50, 0), 0U);
  EXPECT_EQ(count_expired(segments(5), {.retention_bytes = 0}, 50, 0), 5U);
}

TEST(Retention, BothRulesOneBehindTheOther) {
  EXPECT_EQ(count_expired(segments(5), {.retention_ms = 1000, .retention_bytes = 400}, 50, 4500),
            3U);
}

TEST(Retention, NothingAboveTheHighWatermarkGoes) {
  const RetentionRules all_of_it{.retention_ms = 0, .retention_bytes = 0};
  EXPECT_EQ(count_expired(segments(5), all_of_it, 29, 1'000'000), 2U);
  EXPECT_EQ(count_expired(segments(5), all_of_it, 30, 1'000'000), 3U);
}

TEST(Retention, AnEmptyActiveSegmentStays) {
  auto all = segments(2);
  all.push_back({20, 0, -1});
  EXPECT_EQ(count_expired(all, {.retention_ms = 0, .retention_bytes = 0}, 20, 1'000'000), 2U);
}

}  // namespace
}  // namespace ottla::storage
