// Reads a segment's file to judge it and to rebuild what is derived from it: indexes, epochs,
// producers. Used at an unclean start, for a lost or damaged index, and by `ottla log verify`.
//
// Nothing is cut here: the caller knows which part was acknowledged (journal, recovery point), and
// so what is a torn tail and what is corruption.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/disk.h"
#include "io/task.h"
#include "storage/file_batches.h"
#include "storage/leader_epochs.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

enum class DamageKind : std::uint8_t {
  cut_off,          // the file ends inside a batch
  bad_header,       // length, magic or numbers that no batch has
  bad_crc,          // attributes or records are not what was written
  bad_marker,       // a control batch whose record cannot be read
  offset_order,     // offsets do not rise, or leave the segment's range
  offset_gap,       // offsets are left out where none may be
  epoch_order,      // the leader epoch falls
  epoch_disagrees,  // the epoch is not the one that the epoch cache has for that offset
  index_disagrees   // the index points to something else than the batch that it names
};
std::string_view describe(DamageKind kind);

struct Damage {
  std::uint64_t position = 0;  // of the batch
  Offset offset = 0;           // the first one not known to be good
  DamageKind kind = DamageKind::cut_off;
  std::string to_string() const;
  bool operator==(const Damage&) const = default;
};

// What batches behind one another must satisfy. Pure; one batch at a time. The CRC does not cover
// base offset, length, epoch and magic: a flip there is noticed by these rules. All flips are, if
// offsets are contiguous (no compaction) and the epochs are given; otherwise a base offset or an
// epoch may be wrong unseen, which the sums of a sealed segment and the journal's frames cover.
class BatchRules {
 public:
  struct Expectations {
    Offset base_offset = 0;      // of the segment
    Offset next_offset = 0;      // the first batch begins there or behind it
    bool is_contiguous = false;  // exactly there, and each at the end of the one before
    LeaderEpoch epoch_min = -1;
    const LeaderEpochCache* epochs = nullptr;  // where known
    // Reading ends, with all well, before a batch that begins here or behind it.
    Offset stop_at = std::numeric_limits<Offset>::max();
  };
  explicit BatchRules(Expectations expectations) : expected_(expectations) {}

  // What is wrong with this batch behind those accepted so far; if nothing, it is accepted.
  std::optional<DamageKind> judge(const wire::BatchHeader& batch, bool crc_matches);
  Offset next_offset() const { return expected_.next_offset; }

 private:
  Expectations expected_;
};

struct VerifyResult {
  std::uint64_t valid_end = 0;  // position behind the last good batch
  Offset next_offset = 0;       // offset behind it
  std::uint64_t batch_count = 0;
  std::optional<Damage> damage;  // nullopt if all is good up to the end of the range
};

// Judges the batches in [from, to), up to the first bad one. Errors are the disk's.
io::Task<io::Result<VerifyResult>> verify_range(std::shared_ptr<io::File> file, std::uint64_t from,
                                                std::uint64_t to,
                                                BatchRules::Expectations expectations);

// What rebuild_segment() fills besides the segment; nullptr where it is not wanted.
struct RebuildInto {
  LeaderEpochCache* epochs = nullptr;  // assigned where a batch has a newer epoch
  ProducerState* producers = nullptr;  // applied from producers->end_offset() on
  // Aborted transactions are found by applying their markers; those below producers->end_offset()
  // (all, without producers) are taken from here. Not needed where the producers begin at the
  // segment's base or before it, as with the snapshot that is written when it is begun.
  const TransactionIndex* known_aborted = nullptr;
};

// Builds the segment of the batches in [0, to) anew, up to the first bad one: facts, indexes with
// the closing entry of the time index, epochs and producers. `now` is the time of the producers'
// appends, for expiry. REQUIRES: the segment is new, Segment(base_offset, settings).
io::Task<io::Result<VerifyResult>> rebuild_segment(std::shared_ptr<io::File> file, std::uint64_t to,
                                                   Segment& segment, RebuildInto into,
                                                   BatchRules::Expectations expectations,
                                                   TimestampMs now);

// Goes on with a segment that holds what is before its size_bytes(): judges and appends the batches
// behind that, up to the first bad one, as appending would have. `sums` that reach to a batch
// are given it, unless it is larger than what is read at a time.
io::Task<io::Result<VerifyResult>> extend_segment(std::shared_ptr<io::File> file, std::uint64_t to,
                                                  Segment& segment, SegmentSums* sums,
                                                  BatchRules::Expectations expectations);

// Completes a segment that was opened with its indexes from disk: from the last index entry to the
// end of the file, headers only, for next_offset, max_timestamp and the place of the next index
// entry. CRCs are not looked at. Damage if the batches do not end with the file, or the index is
// not right.
io::Task<io::Result<VerifyResult>> load_segment_tail(std::shared_ptr<io::File> file,
                                                     std::uint64_t file_bytes, Segment& segment);

// Cuts the segment's facts and indexes so that it ends before the batch that holds `end_offset`.
// Says where the file has to be cut; the caller cuts and syncs it. REQUIRES: has_indexes().
io::Task<io::Result<VerifyResult>> truncate_segment(std::shared_ptr<io::File> file,
                                                    Segment& segment, Offset end_offset);

// Applies one batch to the state, whatever it is: data, marker, other control batch. Damage
// bad_marker if a control batch cannot be read; a marker compacted away is none.
Parsed<std::optional<CompletedTransaction>> apply_batch(ProducerState& producers,
                                                        const wire::Batch& batch, TimestampMs now);

}  // namespace ottla::storage
