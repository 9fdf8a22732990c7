// Which partition of an internal topic a group (or a transactional id) belongs to: the leader of
// that partition is its coordinator. As in Kafka, since other kinds of brokers and tools compute it
// too (reference interop.md C.1).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"

namespace ottla::coordinator {

inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

// Java's String.hashCode of the text: over UTF-16 units, modulo 2^32. Bytes that are no UTF-8 count
// as U+FFFD each.
std::int32_t java_string_hash(std::string_view utf8);

// REQUIRES: partitions > 0.
PartitionIndex coordinator_partition(std::string_view key, std::int32_t partitions);

}  // namespace ottla::coordinator
