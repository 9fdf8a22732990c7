#include "storage/checkpoint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::storage {
namespace {

using ::testing::HasSubstr;

TEST(OffsetCheckpoint, IsKafkasText) {
  const std::vector<PartitionOffset> entries = {{{"orders", 3}, 17}, {{"a.b_c-1", 0}, 0}};
  const std::string text = serialize_offset_checkpoint(entries);
  EXPECT_EQ(text, "0\n2\norders 3 17\na.b_c-1 0 0\n");
  EXPECT_EQ(parse_offset_checkpoint(text).value(), entries);
}

TEST(OffsetCheckpoint, EmptyFileHasNoEntries) {
  EXPECT_TRUE(parse_offset_checkpoint("").value().empty());
  EXPECT_TRUE(parse_offset_checkpoint("0\n0\n").value().empty());
}

TEST(OffsetCheckpoint, LastLineMayLackItsEnd) {
  EXPECT_EQ(parse_offset_checkpoint("0\n1\nt 0 5").value().size(), 1u);
}

TEST(OffsetCheckpoint, RefusesWhatIsNotOne) {
  const char* bad[] = {"1\n0\n",
                       "x",
                       "0\n",
                       "0\n-1\n",
                       "0\n2\nt 0 5\n",
                       "0\n0\nt 0 5\n",
                       "0\n1\nt 0\n",
                       "0\n1\nt 0 5 6\n",
                       "0\n1\nt -1 5\n",
                       "0\n1\nt 0 -5\n",
                       "0\n1\nt 0 5x\n",
                       "0\n2\nt 0 5\nt 0 6\n",
                       "0\n1\nt 0 9223372036854775808\n",
                       "0\n999999999999\nt 0 1\n",
                       "0\n1\n\n"};
  for (const char* text : bad) EXPECT_FALSE(parse_offset_checkpoint(text)) << text;
}

TEST(OffsetCheckpoint, EveryCutIsRefusedOrSmallerOnlyInTheLastNumber) {
  const std::string text = "0\n2\norders 3 17\nother 0 123\n";
  for (std::size_t size = 1; size < text.size(); ++size) {
    const auto parsed = parse_offset_checkpoint(std::string_view(text).substr(0, size));
    // Only the digits of the last number can be lost unseen: the file has no checksum. That is why
    // it is replaced as a whole, and why a recovery point may be too low but never too high.
    const bool in_last_number = size >= text.size() - 3;
    EXPECT_EQ(parsed.has_value(), in_last_number) << size;
  }
}

TEST(EpochCheckpoint, IsKafkasText) {
  const std::vector<EpochEntry> entries = {{0, 0}, {2, 47}, {7, 100}};
  const std::string text = serialize_epoch_checkpoint(entries);
  EXPECT_EQ(text, "0\n3\n0 0\n2 47\n7 100\n");
  EXPECT_EQ(parse_epoch_checkpoint(text).value(), entries);
}

TEST(EpochCheckpoint, RefusesWhatDoesNotRise) {
  for (const char* text : {"0\n2\n2 5\n2 6\n", "0\n2\n2 5\n1 6\n", "0\n2\n2 5\n3 5\n",
                           "0\n2\n2 5\n3 4\n", "0\n1\n-1 5\n", "0\n1\n1 -5\n"}) {
    EXPECT_FALSE(parse_epoch_checkpoint(text)) << text;
  }
  EXPECT_THAT(parse_epoch_checkpoint("0\n2\n2 5\n2 6\n").error().message, HasSubstr("line 4"));
}

}  // namespace
}  // namespace ottla::storage
