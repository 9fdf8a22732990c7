// TransactionIndex: the aborted transactions that end in one segment, Kafka's `.txnindex` file.
// Pure; 34 bytes an entry: int16 0, int64 producer id, int64 first offset, int64 last offset (the
// marker's), int64 last stable offset when the marker was written. In the order of markers. The
// file exists only where there is an entry. Grammar: docs/formats/segment.md.
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"

namespace ottla::storage {

inline constexpr std::size_t kAbortedTransactionBytes = 34;

struct AbortedTransaction {
  ProducerId producer_id = -1;
  Offset first_offset = 0;
  Offset last_offset = 0;         // of the abort marker
  Offset last_stable_offset = 0;  // once it is applied
  bool operator==(const AbortedTransaction&) const = default;
};

class TransactionIndex {
 public:
  explicit TransactionIndex(Offset base_offset) : base_offset_(base_offset) {}

  // Refused: a length that is no multiple of 34, another version, negative numbers, first > last,
  // a marker below the base offset, markers that do not rise.
  static Parsed<TransactionIndex> parse(Offset base_offset, ByteView file);
  Bytes serialize() const;

  // REQUIRES: last_offset above that of the last entry and >= the base offset.
  void append(const AbortedTransaction& transaction);

  // Adds to `found` those that overlap [fetch_offset, upper_bound). True if no later segment can
  // hold another one; else the caller goes on with the next segment's index. The caller sorts by
  // first_offset at the end: clients consume the list as a queue.
  bool collect(Offset fetch_offset, Offset upper_bound,
               std::vector<AbortedTransaction>& found) const;

  // Drops those whose marker is at or above `end_offset`.
  void truncate_to(Offset end_offset);

  Offset base_offset() const { return base_offset_; }
  bool empty() const { return entries_.empty(); }
  const std::vector<AbortedTransaction>& entries() const { return entries_; }
  std::size_t memory_bytes() const;
  bool operator==(const TransactionIndex&) const = default;

 private:
  Offset base_offset_;
  std::vector<AbortedTransaction> entries_;
};

}  // namespace ottla::storage
