// LeaderEpochCache: which leader epoch wrote which offsets of one partition (KIP-101, KIP-279).
// Pure. Kept in `leader-epoch-checkpoint`, which is written before the first append of an epoch and
// after each truncation; rebuilt from the batches when that file is lost.
//
// Invariants: epochs strictly rise, start offsets strictly rise; both >= 0. Belongs to the
// partition's shard.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "storage/checkpoint_file.h"
#include "storage/format_error.h"

namespace ottla::storage {

// Where an epoch ends: the epoch that the answer is about, which may be an older one than asked
// for, and the first offset behind it. {-1, -1} where nothing is known.
struct EpochEnd {
  LeaderEpoch epoch = -1;
  Offset end_offset = -1;
  bool is_known() const { return epoch >= 0; }
  bool operator==(const EpochEnd&) const = default;
};

class LeaderEpochCache {
 public:
  LeaderEpochCache() = default;
  static Parsed<LeaderEpochCache> parse(std::string_view checkpoint_text);
  std::string serialize() const;

  // Notes that `epoch` begins at `start_offset`. Entries that contradict it (same or larger epoch,
  // same or larger offset) go. False, and nothing changed, when the newest entry is of that epoch
  // and starts there or before. REQUIRES: both >= 0.
  bool assign(LeaderEpoch epoch, Offset start_offset);

  // Answer to OffsetForLeaderEpoch and to LastFetchedEpoch of a follower's Fetch (KIP-595):
  //   the newest epoch             -> log_end_offset
  //   unknown or larger            -> {-1, -1}
  //   smaller than every known one -> {requested, start of the first known epoch}
  //   else                         -> the largest known epoch <= requested, start of the next one
  EpochEnd end_offset_for(LeaderEpoch requested, Offset log_end_offset) const;

  std::optional<EpochEntry> newest() const;
  std::optional<EpochEntry> oldest() const;
  std::optional<LeaderEpoch> previous_epoch(LeaderEpoch of) const;  // largest known one below
  std::optional<LeaderEpoch> next_epoch(LeaderEpoch of) const;      // smallest known one above
  // Who wrote `offset`; nullopt before the first entry.
  std::optional<LeaderEpoch> epoch_of(Offset offset) const;

  // Forgets what begins at or above `end_offset`, when the log is cut there. True if it changed.
  bool truncate_from_end(Offset end_offset);
  // Forgets what ends at or below `start_offset`, when the log now begins there; the epoch that
  // holds it begins there from now on. True if it changed.
  bool truncate_from_start(Offset start_offset);
  void clear() { entries_.clear(); }

  const std::vector<EpochEntry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<EpochEntry> entries_;
};

}  // namespace ottla::storage
