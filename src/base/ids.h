// The field's own numbers and identifiers, each under its name in the protocol.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ottla {

using Offset = std::int64_t;       // of a record in a partition
using LeaderEpoch = std::int32_t;  // of a partition; -1 where unknown
using PartitionIndex = std::int32_t;
using NodeId = std::int32_t;         // of a broker or controller; -1 where none
using BrokerEpoch = std::int64_t;    // offset of the record that registered this incarnation
using ProducerId = std::int64_t;     // -1 where none
using ProducerEpoch = std::int16_t;  // -1 where none
using Sequence = std::int32_t;       // of a producer's batch; wraps from 2^31 - 1 to 0
using TimestampMs = std::int64_t;    // milliseconds since 1970-01-01 UTC; -1 where none

// 128 bits; printed as Kafka does, 22 characters of base64url without padding. Zero where none.
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Uuid&) const = default;
  bool is_zero() const { return high == 0 && low == 0; }
  std::string to_string() const;
  static std::optional<Uuid> parse(
      std::string_view text);  // nullopt unless it is 22 such characters
};

struct TopicPartition {
  std::string topic;
  PartitionIndex partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

struct TopicIdPartition {
  Uuid topic_id;
  PartitionIndex partition = 0;
  auto operator<=>(const TopicIdPartition&) const = default;
};

}  // namespace ottla

template <>
struct std::hash<ottla::Uuid> {
  std::size_t operator()(const ottla::Uuid& id) const noexcept { return id.low ^ (id.high * 31); }
};
template <>
struct std::hash<ottla::TopicIdPartition> {
  std::size_t operator()(const ottla::TopicIdPartition& tp) const noexcept {
    return std::hash<ottla::Uuid>()(tp.topic_id) * 31 + static_cast<std::size_t>(tp.partition);
  }
};
