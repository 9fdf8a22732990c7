// ProducerState: what a partition knows about the producers that wrote to it: idempotence (KIP-98,
// KIP-360), open transactions, the last stable offset (KIP-98), fences of TV2 (KIP-890, KIP-1228).
// Pure: time is an argument. Belongs to the partition's shard.
//
// How an append goes:
//   1. check() / check_marker() decides, without changing anything: append, a duplicate, or
//   refused.
//   2. apply() / apply_marker() once offsets are assigned and the batch has its place in the log,
//   in
//      the order of offsets, *before* the next batch is checked; not only once it is durable. A
//      duplicate may therefore name a batch that is not durable yet: its answer waits like that
//      of the original.
//   3. Every batch goes through apply, also those without a producer: end_offset() follows the log.
// Recovery and followers only apply. What was applied is never taken back one by one: after the log
// is cut, clear(), restore a snapshot at or below the cut, and apply the rest again.
//
// A producer is remembered until it is idle for producer.id.expiration.ms (never with an open
// transaction), or until more than kProducersMax are there: then those idle longest go first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "storage/transaction_index.h"
#include "wire/errors.h"
#include "wire/record_batch.h"

namespace ottla::storage {

// Batches of a producer that can be recognised as duplicates; the clients' limit of requests in
// flight is the same.
inline constexpr std::size_t kBatchesRemembered = 5;

// Producers of one partition. One takes about 200 bytes. At the bound, a sixteenth goes at once:
// those without an open transaction that wrote least recently. If all have one open, a new
// producer is refused with POLICY_VIOLATION.
inline constexpr std::size_t kProducersMax = 100'000;
inline constexpr std::size_t kProducersEvictedShare = 16;

// Verifications that wait for their append (KIP-890 part 1). The oldest is forgotten first, which
// costs its producer a retry.
inline constexpr std::size_t kVerificationsMax = 10'000;

enum class AppendOrigin : std::uint8_t {
  client,       // all rules
  coordinator,  // group commits and markers: epochs, but no sequences
  replication   // no rules: the leader has applied them
};

struct ProducerCheck {
  enum class Outcome : std::uint8_t { append, duplicate, refused };
  Outcome outcome = Outcome::append;
  // of a duplicate: where the original is
  Offset first_offset = -1;
  Offset last_offset = -1;
  TimestampMs timestamp = -1;
  // of a refusal
  wire::ErrorCode error = wire::ErrorCode::none;
  std::string_view reason;

  bool operator==(const ProducerCheck&) const = default;
};

// The end of a transaction as its control batch says it.
struct EndMarker {
  ProducerId producer_id = -1;
  ProducerEpoch producer_epoch = -1;
  std::int32_t coordinator_epoch = -1;
  bool is_commit = false;
  // Of WriteTxnMarkers v2; 2 demands an epoch above the producer's. Not on disk: 0 where unknown.
  std::int16_t transaction_version = 0;
};

// What apply_marker() ended.
struct CompletedTransaction {
  ProducerId producer_id = -1;
  Offset first_offset = 0;
  Offset last_offset = 0;  // of the marker
  bool is_aborted = false;
  Offset last_stable_offset = 0;  // when nothing else holds it back but other open transactions

  // For the transaction index of the segment that holds the marker. REQUIRES: is_aborted.
  AbortedTransaction to_aborted() const {
    return {producer_id, first_offset, last_offset, last_stable_offset};
  }
  bool operator==(const CompletedTransaction&) const = default;
};

struct AppendedBatch {
  Sequence last_sequence = -1;
  std::int32_t offset_delta = 0;  // last offset - first offset
  Offset last_offset = -1;
  TimestampMs timestamp = -1;

  Offset first_offset() const { return last_offset - offset_delta; }
  Sequence first_sequence() const;  // goes back over the wrap; -1 where last_sequence is
  bool operator==(const AppendedBatch&) const = default;
};

// One producer.
class ProducerEntry {
 public:
  ProducerEpoch epoch = -1;
  std::int32_t coordinator_epoch = -1;
  TimestampMs last_timestamp = -1;  // of its last batch or marker, as written there
  TimestampMs last_append_ms = -1;  // our clock when that was applied: what expiry looks at
  Offset open_transaction = -1;     // its first offset; -1 where none

  // Oldest first; at most kBatchesRemembered.
  std::size_t batch_count() const { return count_; }
  const AppendedBatch& batch(std::size_t at) const { return batches_[at]; }
  const AppendedBatch& newest() const { return batches_[count_ - 1u]; }  // REQUIRES: batch_count()
  Sequence last_sequence() const { return count_ == 0 ? -1 : newest().last_sequence; }
  bool has_open_transaction() const { return open_transaction >= 0; }

  void add(const AppendedBatch& batch);  // the oldest goes if there is no room
  void set_epoch(ProducerEpoch to);      // forgets the batches if it is another epoch
  bool operator==(const ProducerEntry&) const = default;

 private:
  std::uint8_t count_ = 0;
  std::array<AppendedBatch, kBatchesRemembered> batches_;
};

// Proof that a verification took place; see begin_verification().
using VerificationGuard = std::uint64_t;

class ProducerState {
 public:
  explicit ProducerState(std::size_t producers_max = kProducersMax)
      : producers_max_(producers_max) {}

  // --- deciding

  // A batch of data. The rules in their order (features 3.6; the first that applies):
  //   no producer id, or origin replication    -> append
  //   client: same epoch and exactly the same sequences as a remembered batch -> duplicate
  //   client: the bound of producers is reached by open transactions -> POLICY_VIOLATION
  //   transactional, none open, `guard` given and not the one begun  -> INVALID_TXN_STATE
  //   epoch below the producer's               -> INVALID_PRODUCER_EPOCH
  //   client: sequence not as expected         -> OUT_OF_ORDER_SEQUENCE_NUMBER
  //   not transactional while one is open      -> INVALID_TXN_STATE
  // Expected is: after the last one (2^31 - 1 is followed by 0); 0 in a new epoch; anything for an
  // unknown producer, unless its verification saw a lower one or says that it starts at 0.
  // `guard`: nullopt where the caller demands no verification.
  ProducerCheck check(const wire::BatchHeader& batch, AppendOrigin origin,
                      std::optional<VerificationGuard> guard = std::nullopt) const;

  // A marker from a coordinator:
  //   epoch below the producer's               -> INVALID_PRODUCER_EPOCH
  //   TV2: the same epoch                      -> the same, unless no transaction is open: then it
  //   is
  //                                               a retry (KAFKA-19999), which may be appended
  //                                               again
  //   coordinator epoch below the last one     -> TRANSACTION_COORDINATOR_FENCED
  // One without an open transaction is appended and harmless.
  ProducerCheck check_marker(const EndMarker& marker) const;

  // The append of a transaction's first batch needs a question to its coordinator first. The guard
  // binds the answer to the state in which it was asked: a marker or another first append in
  // between ends it. nullopt when the transaction is already open here in that epoch: nothing to
  // verify. The lowest sequence that asks is remembered until an append succeeds, so that retries
  // cannot overtake each other.
  // `starts_at_zero`: the producer speaks TV2, so that its first batch here has sequence 0.
  std::optional<VerificationGuard> begin_verification(ProducerId producer, ProducerEpoch epoch,
                                                      Sequence sequence, bool starts_at_zero);

  // --- changing

  // A batch of data, or one without a producer, or a control batch that ends no transaction.
  // REQUIRES: base offset >= end_offset().
  void apply(const wire::BatchHeader& batch, TimestampMs now);

  // A control batch that ends a transaction. The result belongs into the transaction index if it is
  // aborted; nullopt if no transaction was open. REQUIRES: as apply().
  std::optional<CompletedTransaction> apply_marker(const wire::BatchHeader& batch,
                                                   const EndMarker& marker, TimestampMs now);

  // Transactions whose marker is below the high watermark no longer hold back the last stable
  // offset.
  void on_high_watermark(Offset high_watermark);

  // Producers stay (their duplicates are still recognised); of transactions, only completed ones
  // below go. end_offset() is not below the log's start.
  void on_log_start(Offset log_start_offset);

  // Forgets producers without an open transaction that are idle for `expiration_ms`. How many.
  std::size_t expire(TimestampMs now, TimestampMs expiration_ms);

  void clear(Offset end_offset);
  // REQUIRES: not there yet; called after clear() and before any apply(), as a snapshot is loaded.
  void restore(ProducerId producer, const ProducerEntry& entry);

  // --- asking

  // First offset of a transaction that is open, or completed by a marker that is not below the high
  // watermark. The last stable offset is the smaller one of it and the high watermark.
  std::optional<Offset> first_unstable_offset() const;
  Offset last_stable_offset(Offset high_watermark) const;
  std::optional<Offset> first_open_transaction() const;

  Offset end_offset() const { return end_offset_; }  // all below it is applied
  const ProducerEntry* find(ProducerId producer) const;
  const std::map<ProducerId, ProducerEntry>& producers() const { return producers_; }
  std::size_t producer_count() const { return producers_.size(); }
  bool has_open_transaction(ProducerId producer, ProducerEpoch epoch) const;

 private:
  struct Verification {
    VerificationGuard guard;
    ProducerEpoch epoch;
    Sequence lowest_sequence;
    bool starts_at_zero;
  };

  ProducerEntry& entry_of(ProducerId producer);
  void evict();
  void take_place(const wire::BatchHeader& batch);
  bool is_full_of_open_transactions() const;
  bool is_sequence_right(const wire::BatchHeader& batch, const ProducerEntry* entry) const;

  std::size_t producers_max_;
  // durable: what a snapshot holds
  std::map<ProducerId, ProducerEntry> producers_;
  Offset end_offset_ = 0;
  // derived from the producers and the log; by first offset
  std::map<Offset, ProducerId> open_;
  std::map<Offset, Offset> completed_;  // to their markers, which are not below the high watermark
  // soft
  std::map<ProducerId, Verification> verifications_;
  VerificationGuard last_guard_ = 0;
};

}  // namespace ottla::storage
