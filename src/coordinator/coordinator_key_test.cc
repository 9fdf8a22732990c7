#include "coordinator/coordinator_key.h"

#include <gtest/gtest.h>
#include <limits>

namespace ottla::coordinator {
namespace {

// The hashes are what Java's String.hashCode says (jshell, OpenJDK 17).
TEST(CoordinatorKey, HashesAsJavaDoes) {
  EXPECT_EQ(java_string_hash(""), 0);
  EXPECT_EQ(java_string_hash("a"), 97);
  EXPECT_EQ(java_string_hash("hello"), 99162322);
  EXPECT_EQ(java_string_hash("console-consumer-12345"), 158455506);
  EXPECT_EQ(java_string_hash("gr\xc3\xbc\xc3\x9f"), 3186062);  // two bytes of UTF-8 each
  EXPECT_EQ(java_string_hash("\xe2\x82\xac"), 8364);           // three
  EXPECT_EQ(java_string_hash("\xf0\x9f\x98\x80"), 1772899);    // four: a surrogate pair
  EXPECT_EQ(java_string_hash("polygenelubricants"), std::numeric_limits<std::int32_t>::min());
}

TEST(CoordinatorKey, WhatIsNoUtf8IsReplaced) {
  EXPECT_EQ(java_string_hash("\xff"), 0xfffd);
  EXPECT_EQ(java_string_hash("\xc3"), 0xfffd);                                    // cut
  EXPECT_EQ(java_string_hash("\xed\xa0\x80"), java_string_hash("\xff\xff\xff"));  // a surrogate
  EXPECT_EQ(java_string_hash("\xc0\xaf"), java_string_hash("\xff\xff"));          // overlong
}

TEST(CoordinatorKey, ThePartitionIsNeverNegative) {
  EXPECT_EQ(coordinator_partition("polygenelubricants", 50), 0);
  EXPECT_EQ(coordinator_partition("console-consumer-12345", 50), 158455506 % 50);
  EXPECT_EQ(coordinator_partition("hello", 1), 0);
}

}  // namespace
}  // namespace ottla::coordinator
