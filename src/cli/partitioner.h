// Which partition a record goes to: that of Kafka's Java client, so that a key has one home whoever
// writes. Pure.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace ottla::cli {

// MurmurHash2 of 32 bits, with the seed and the byte order of Kafka's Java client.
std::uint32_t murmur2(ByteView bytes);

// REQUIRES: partition_count > 0.
PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count);

}  // namespace ottla::cli
