#include "disk_excuse.h"

#include <gtest/gtest.h>
#include <vector>

namespace ottla::sim_campaign {
namespace {

using io::sim::LogLine;

std::vector<LogLine> lines_of(std::initializer_list<const char*> texts) {
  std::vector<LogLine> lines;
  for (const char* text : texts) lines.push_back({{}, LogLevel::error, text});
  return lines;
}

TEST(DiskExcuse, AStartThatFeltItMayEndLongAfterTheFault) {
  DiskExcuse excuse;
  EXPECT_FALSE(excuse.is_valid());
  excuse.fault_begins();
  EXPECT_TRUE(excuse.is_valid());
  excuse.fault_ends(2, true);
  excuse.is_well(2);
  EXPECT_TRUE(excuse.is_valid());
  excuse.is_well(3);
  EXPECT_FALSE(excuse.is_valid());
}

TEST(DiskExcuse, AFaultThatNobodyFeltExcusesNothing) {
  DiskExcuse excuse;
  excuse.fault_begins();
  excuse.fault_ends(2, false);
  excuse.is_well(2);
  EXPECT_FALSE(excuse.is_valid());
}

TEST(DiskExcuse, AFaultThatNobodyFeltDoesNotEndTheExcuseOfOneBefore) {
  DiskExcuse excuse;
  excuse.fault_begins();
  excuse.fault_ends(2, true);
  excuse.fault_begins();
  excuse.fault_ends(2, false);
  excuse.is_well(2);
  EXPECT_TRUE(excuse.is_valid());
}

TEST(DiskExcuse, AStartInTheFaultFeelsItToo) {
  DiskExcuse excuse;
  excuse.fault_begins();
  excuse.fault_ends(3, true);  // began in start 2
  excuse.is_well(3);
  EXPECT_TRUE(excuse.is_valid());
}

constexpr const char* kNone2 = "journal of shard 2: no space for another file (x); producers wait";
constexpr const char* kNone3 = "journal of shard 3: no space for another file (x); producers wait";
constexpr const char* kAgain3 = "journal of shard 3: there is space again";

TEST(WaitsForSpace, EachJournalWaitsForItself) {
  EXPECT_FALSE(waits_for_space(lines_of({}), 0));
  EXPECT_TRUE(waits_for_space(lines_of({kNone2, kNone3, kAgain3, "other"}), 3));
  EXPECT_FALSE(waits_for_space(lines_of({kNone3, kAgain3, "other"}), 2));
  EXPECT_TRUE(waits_for_space(lines_of({kNone3, kAgain3}), 0));
  EXPECT_TRUE(waits_for_space(lines_of({kNone2}), 1));
}

TEST(WaitsForSpace, CheckpointsOfBeforeDoNotCount) {
  const auto lines = lines_of({"data: no space for checkpoints (x); free some space", "other"});
  EXPECT_TRUE(waits_for_space(lines, 0));
  EXPECT_FALSE(waits_for_space(lines, 1));
}

TEST(NamesDiskFailure, OnlyWhatTheDiskDid) {
  EXPECT_TRUE(names_disk_failure(lines_of({"a", "writing x: no space left; free some"})));
  EXPECT_TRUE(names_disk_failure(lines_of({"sync x: input/output error (simulated); y"})));
  EXPECT_FALSE(names_disk_failure(lines_of({"the node stops: the folder is gone"})));
  EXPECT_FALSE(names_disk_failure({}));
}

}  // namespace
}  // namespace ottla::sim_campaign
