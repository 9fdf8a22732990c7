// The two files that hold a partition's producer state at an offset, both named by it: Kafka's
// `<offset>.snapshot` with each producer's last batch, and our `<offset>.snapshot.ottla` with the
// four before it, so that the window of five survives a clean restart. Pure.
// Grammar: docs/formats/producer_snapshot.md.
//
// Written at each roll and at a clean stop, after the log is synced up to that offset; the side
// file second. A snapshot that does not parse is deleted and an older one taken: the log is the
// truth. A side file that does not parse, or belongs to another snapshot (Kafka ran here meanwhile
// and wrote its own), is ignored: older duplicates are then not recognised, as with Kafka.
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/format_error.h"
#include "storage/producer_state.h"

namespace ottla::storage {

inline constexpr std::size_t kSnapshotHeaderBytes = 10;
inline constexpr std::size_t kSnapshotEntryBytes = 46;
// Largest file worth reading: Kafka has no bound on producers, so ours is wider than kProducersMax.
inline constexpr std::size_t kSnapshotFileBytesMax = kSnapshotEntryBytes * 4'000'000;

// One line of Kafka's file, in its order of fields.
struct ProducerSnapshotEntry {
  ProducerId producer_id = -1;
  ProducerEpoch epoch = -1;
  Sequence last_sequence = -1;
  Offset last_offset = -1;  // -1 together with the sequence: no batch since the last marker
  std::int32_t offset_delta = 0;
  TimestampMs timestamp = -1;
  std::int32_t coordinator_epoch = -1;
  Offset open_transaction = -1;
  bool operator==(const ProducerSnapshotEntry&) const = default;
};

Bytes serialize_producer_snapshot(const std::vector<ProducerSnapshotEntry>& entries);

// Refused: another version, a wrong CRC, a count that is not that of the bytes, a producer twice,
// numbers that no state has.
Parsed<std::vector<ProducerSnapshotEntry>> parse_producer_snapshot(ByteView file);

// Both files of `state` at state.end_offset(). Producers in rising order. `side` is empty if no
// producer has an older batch or a time of its own to keep.
struct ProducerSnapshotFiles {
  Bytes snapshot;
  Bytes side;
};
ProducerSnapshotFiles snapshot_of(const ProducerState& state);

// The state at `offset`, which is the files' name. `side` may be empty: there is none. Time of the
// last append is that of the side file, or else the batch's timestamp, never later than `now`.
// `side_was_used` says whether the side file fitted.
struct RestoredProducers {
  ProducerState state;
  bool side_was_used = false;
};
Parsed<RestoredProducers> restore_producers(Offset offset, ByteView snapshot, ByteView side,
                                            TimestampMs now);

}  // namespace ottla::storage
