#include "cli/partitioner.h"

#include <gtest/gtest.h>
#include <string_view>

namespace ottla::cli {
namespace {

struct Known {
  std::string_view key;
  std::int32_t hash;
};

// Computed by Apache Kafka's Java client (org.apache.kafka.common.utils.Utils.murmur2).
constexpr Known kFromJava[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
};

TEST(Partitioner, HashesAsJavaDoes) {
  for (const Known& known : kFromJava)
    EXPECT_EQ(static_cast<std::int32_t>(murmur2(as_bytes(known.key))), known.hash) << known.key;
}

TEST(Partitioner, AKeyHasOnePartition) {
  EXPECT_EQ(partition_of_key(as_bytes("abc"), 10), 7);
  // -973932308 with its sign bit cleared is 1173551340
  EXPECT_EQ(partition_of_key(as_bytes("21"), 100), 40);
  EXPECT_EQ(partition_of_key(as_bytes(""), 1), 0);
}

}  // namespace
}  // namespace ottla::cli
