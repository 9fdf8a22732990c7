// What the generated messages are made of: version ranges, the facts about a message and about a
// field, tagged fields of unknown meaning, and Records. A generated header (wire/messages/*.h)
// includes this and nothing else.
//
// Each struct has one `walk(io, m)`, which names its fields in wire order, plain ones first, tagged
// ones after, with the facts about each. Encoder, decoder, printer, JSON and random filler are
// visitors (`io`) of that walk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/gather.h"
#include "base/ids.h"

namespace ottla::wire {

inline constexpr std::int16_t kVersionMax = 32767;

// An inclusive range of versions; empty by default.
struct Versions {
  std::int16_t first = 0;
  std::int16_t last = -1;

  constexpr bool contains(std::int16_t version) const {
    return version >= first && version <= last;
  }
  constexpr bool empty() const { return first > last; }
  friend constexpr bool operator==(const Versions&, const Versions&) = default;
};

enum class MessageKind : std::uint8_t {
  kRequest,
  kResponse,
  kHeader,
  kData,
  kMetadata,
  kCoordinatorKey,
  kCoordinatorValue,
};

struct MessageInfo {
  std::string_view name;
  MessageKind kind = MessageKind::kData;
  std::int16_t key = -1;  // of the API or record type; -1 where there is none
  Versions versions;      // empty for an API that Kafka no longer has
  Versions flexible;      // compact lengths and tagged fields (KIP-482)

  constexpr bool is_flexible(std::int16_t version) const { return flexible.contains(version); }
};

// What a walk says about a field besides its value and its default.
struct FieldInfo {
  const char* name = "";  // Kafka's: "ThrottleTimeMs"
  Versions versions = {0, kVersionMax};
  Versions nullable = {};
  std::int32_t tag = -1;        // -1: not tagged
  bool ignorable = false;       // may be dropped silently where the version lacks it
  bool secret = false;          // is never printed
  bool never_flexible = false;  // the client id: its length is never compact
};

// A tagged field that this version of the schema does not know. Kept, so that it survives a round
// trip.
struct UnknownTag {
  std::uint32_t tag = 0;
  Bytes data;
  friend bool operator==(const UnknownTag&, const UnknownTag&) = default;
};
using UnknownTags = std::vector<UnknownTag>;  // by ascending tag

// The bytes of record batches, or null. Decoding makes it a part of the frame that it came in (and
// so keeps that frame alive); encoding hands on its parts, memory or ranges of files, without
// touching them.
class Records {
 public:
  Records() = default;  // null
  explicit Records(Gather bytes) : bytes_(std::move(bytes)), is_null_(false) {}
  explicit Records(Slice bytes) : bytes_(std::move(bytes)), is_null_(false) {}
  static Records none() { return Records(Gather()); }  // empty, but not null

  bool is_null() const { return is_null_; }
  bool empty() const { return bytes_.empty(); }  // true for null as well
  std::uint64_t size_bytes() const { return bytes_.size_bytes(); }
  const Gather& bytes() const { return bytes_; }
  Gather take() && { return std::move(bytes_); }
  // All bytes in one piece, without copying if they are one part already. REQUIRES:
  // bytes().in_memory().
  Slice flatten() const { return bytes_.empty() ? Slice() : bytes_.flatten(); }

  // Same bytes; ranges of files never compare equal.
  friend bool operator==(const Records& left, const Records& right);

 private:
  Gather bytes_;
  bool is_null_ = true;
};

// Defaults that a walk names: the zero, false, empty value or default-built struct; and null.
struct EmptyDefault {};
struct NullDefault {};
inline constexpr EmptyDefault kEmpty;
inline constexpr NullDefault kNull;

}  // namespace ottla::wire
