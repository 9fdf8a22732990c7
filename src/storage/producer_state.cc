#include "storage/producer_state.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/planted_bug.h"

namespace ottla::storage {
namespace {

using wire::ErrorCode;

ProducerCheck refused(ErrorCode error, std::string_view reason) {
  ProducerCheck check;
  check.outcome = ProducerCheck::Outcome::refused;
  check.error = error;
  check.reason = reason;
  return check;
}

// The batch that was appended with exactly these sequences in this epoch.
const AppendedBatch* find_duplicate(const ProducerEntry& entry, const wire::BatchHeader& batch) {
  if (entry.epoch != batch.producer_epoch) return nullptr;
  for (std::size_t i = 0; i < entry.batch_count(); ++i) {
    const AppendedBatch& known = entry.batch(i);
    if (known.last_sequence >= 0 && known.last_sequence == batch.last_sequence() &&
        known.first_sequence() == batch.base_sequence) {
      return &known;
    }
  }
  return nullptr;
}

}  // namespace

Sequence AppendedBatch::first_sequence() const {
  if (last_sequence < 0) return -1;
  return static_cast<Sequence>(
      (static_cast<std::uint32_t>(last_sequence) - static_cast<std::uint32_t>(offset_delta)) &
      0x7fffffffu);
}

void ProducerEntry::add(const AppendedBatch& batch) {
  if (count_ == kBatchesRemembered) {
    std::shift_left(batches_.begin(), batches_.end(), 1);
    --count_;
  }
  batches_[count_++] = batch;
}

void ProducerEntry::set_epoch(ProducerEpoch to) {
  if (to == epoch) return;
  epoch = to;
  // Unused places are as new, so that equal entries compare equal.
  batches_.fill({});
  count_ = 0;
}

ProducerCheck ProducerState::check(const wire::BatchHeader& batch, AppendOrigin origin,
                                   std::optional<VerificationGuard> guard) const {
  if (!batch.has_producer() || origin == AppendOrigin::replication) return {};
  const ProducerEntry* entry = find(batch.producer_id);
  const bool is_client = origin == AppendOrigin::client;
  if (is_client && entry && !is_planted(PlantedBug::duplicate_window_lost)) {
    if (const AppendedBatch* original = find_duplicate(*entry, batch)) {
      ProducerCheck check;
      check.outcome = ProducerCheck::Outcome::duplicate;
      check.first_offset = is_planted(PlantedBug::duplicate_answered_elsewhere)
                               ? end_offset_
                               : original->first_offset();
      check.last_offset = original->last_offset;
      check.timestamp = original->timestamp;
      return check;
    }
  }
  if (is_client && !entry && is_full_of_open_transactions()) {
    return refused(ErrorCode::policy_violation,
                   "too many producers have open transactions in this partition");
  }
  if (batch.is_transactional() && guard &&
      !has_open_transaction(batch.producer_id, batch.producer_epoch)) {
    const auto begun = verifications_.find(batch.producer_id);
    if (begun == verifications_.end() || begun->second.guard != *guard) {
      return refused(ErrorCode::invalid_txn_state,
                     "the transaction was not verified, or has ended since it was");
    }
  }
  if (entry && batch.producer_epoch < entry->epoch && !is_planted(PlantedBug::old_epoch_accepted)) {
    return refused(ErrorCode::invalid_producer_epoch, "a newer epoch of this producer has written");
  }
  if (is_client && !is_sequence_right(batch, entry)) {
    return refused(ErrorCode::out_of_order_sequence_number,
                   "the sequence is not the one behind the producer's last batch");
  }
  if (entry && entry->has_open_transaction() && !batch.is_transactional()) {
    return refused(ErrorCode::invalid_txn_state,
                   "the producer has an open transaction, and this batch is not in it");
  }
  return {};
}

bool ProducerState::is_sequence_right(const wire::BatchHeader& batch,
                                      const ProducerEntry* entry) const {
  if (is_planted(PlantedBug::any_sequence_accepted)) return true;
  const Sequence first = batch.base_sequence;
  const auto begun = verifications_.find(batch.producer_id);
  if (begun != verifications_.end()) {
    const bool has_batches = entry && entry->batch_count() > 0;
    if (begun->second.starts_at_zero && first != 0 && !has_batches) return false;
    if (first > begun->second.lowest_sequence) return false;
  }
  if (!entry || entry->epoch < 0) return true;
  if (batch.producer_epoch != entry->epoch) return first == 0;
  const Sequence last = entry->last_sequence();
  return first == (last < 0 ? 0 : wire::next_sequence(last));
}

ProducerCheck ProducerState::check_marker(const EndMarker& marker) const {
  const ProducerEntry* entry = find(marker.producer_id);
  if (!entry) return {};
  const bool must_be_newer = marker.transaction_version >= 2;
  const bool is_same = marker.producer_epoch == entry->epoch;
  const bool is_retry = must_be_newer && is_same && !entry->has_open_transaction();
  if (marker.producer_epoch < entry->epoch || (must_be_newer && is_same && !is_retry)) {
    return refused(ErrorCode::invalid_producer_epoch,
                   "the marker is of an epoch that this producer has left");
  }
  if (marker.coordinator_epoch < entry->coordinator_epoch) {
    return refused(ErrorCode::transaction_coordinator_fenced,
                   "a newer coordinator has written a marker for this producer");
  }
  return {};
}

std::optional<VerificationGuard> ProducerState::begin_verification(ProducerId producer,
                                                                   ProducerEpoch epoch,
                                                                   Sequence sequence,
                                                                   bool starts_at_zero) {
  if (has_open_transaction(producer, epoch)) return std::nullopt;
  const auto known = verifications_.find(producer);
  if (known != verifications_.end()) {
    Verification& verification = known->second;
    if (epoch > verification.epoch) {
      verification.epoch = epoch;
      verification.lowest_sequence = sequence;
    } else if (epoch == verification.epoch) {
      verification.lowest_sequence = std::min(verification.lowest_sequence, sequence);
    }
    return verification.guard;
  }
  if (verifications_.size() >= kVerificationsMax) {
    verifications_.erase(std::ranges::min_element(
        verifications_, {}, [](const auto& item) { return item.second.guard; }));
  }
  verifications_.emplace(producer, Verification{++last_guard_, epoch, sequence, starts_at_zero});
  return last_guard_;
}

void ProducerState::take_place(const wire::BatchHeader& batch) {
  OTTLA_CHECK(batch.base_offset >= end_offset_);
  end_offset_ = batch.next_offset();
}

void ProducerState::apply(const wire::BatchHeader& batch, TimestampMs now) {
  take_place(batch);
  if (!batch.has_producer() || batch.is_control()) return;
  ProducerEntry& entry = entry_of(batch.producer_id);
  entry.set_epoch(batch.producer_epoch);
  entry.add({.last_sequence = batch.last_sequence(),
             .offset_delta = batch.last_offset_delta,
             .last_offset = batch.last_offset(),
             .timestamp = batch.max_timestamp});
  entry.last_timestamp = batch.max_timestamp;
  entry.last_append_ms = now;
  if (batch.is_transactional() && !entry.has_open_transaction()) {
    entry.open_transaction = batch.base_offset;
    open_.emplace(batch.base_offset, batch.producer_id);
  }
  verifications_.erase(batch.producer_id);
}

std::optional<CompletedTransaction> ProducerState::apply_marker(const wire::BatchHeader& batch,
                                                                const EndMarker& marker,
                                                                TimestampMs now) {
  take_place(batch);
  ProducerEntry& entry = entry_of(marker.producer_id);
  std::optional<CompletedTransaction> completed;
  if (entry.has_open_transaction()) {
    open_.erase(entry.open_transaction);
    completed_.emplace(entry.open_transaction, batch.base_offset);
    completed = CompletedTransaction{
        .producer_id = marker.producer_id,
        .first_offset = entry.open_transaction,
        .last_offset = batch.base_offset,
        .is_aborted = !marker.is_commit,
        .last_stable_offset = open_.empty() ? batch.base_offset + 1 : open_.begin()->first};
    entry.open_transaction = -1;
  }
  entry.set_epoch(marker.producer_epoch);
  entry.coordinator_epoch = marker.coordinator_epoch;
  entry.last_timestamp = batch.max_timestamp;
  entry.last_append_ms = now;
  verifications_.erase(marker.producer_id);
  return completed;
}

void ProducerState::on_high_watermark(Offset high_watermark) {
  std::erase_if(completed_, [&](const auto& item) { return item.second < high_watermark; });
}

void ProducerState::on_log_start(Offset log_start_offset) {
  on_high_watermark(log_start_offset);
  end_offset_ = std::max(end_offset_, log_start_offset);
}

std::size_t ProducerState::expire(TimestampMs now, TimestampMs expiration_ms) {
  return std::erase_if(producers_, [&](const auto& item) {
    const ProducerEntry& entry = item.second;
    return !entry.has_open_transaction() && now - entry.last_append_ms >= expiration_ms;
  });
}

void ProducerState::clear(Offset end_offset) {
  producers_.clear();
  open_.clear();
  completed_.clear();
  verifications_.clear();
  end_offset_ = end_offset;
}

void ProducerState::restore(ProducerId producer, const ProducerEntry& entry) {
  const bool is_new = producers_.emplace(producer, entry).second;
  OTTLA_CHECK(is_new);
  if (entry.has_open_transaction()) open_.emplace(entry.open_transaction, producer);
}

std::optional<Offset> ProducerState::first_open_transaction() const {
  if (open_.empty()) return std::nullopt;
  return open_.begin()->first;
}

std::optional<Offset> ProducerState::first_unstable_offset() const {
  if (completed_.empty()) return first_open_transaction();
  const Offset completed = completed_.begin()->first;
  return open_.empty() ? completed : std::min(completed, open_.begin()->first);
}

Offset ProducerState::last_stable_offset(Offset high_watermark) const {
  const auto unstable = first_unstable_offset();
  return unstable ? std::min(*unstable, high_watermark) : high_watermark;
}

const ProducerEntry* ProducerState::find(ProducerId producer) const {
  const auto found = producers_.find(producer);
  return found == producers_.end() ? nullptr : &found->second;
}

bool ProducerState::has_open_transaction(ProducerId producer, ProducerEpoch epoch) const {
  const ProducerEntry* entry = find(producer);
  return entry && entry->has_open_transaction() && entry->epoch == epoch;
}

bool ProducerState::is_full_of_open_transactions() const {
  return producers_.size() >= producers_max_ && open_.size() >= producers_.size();
}

ProducerEntry& ProducerState::entry_of(ProducerId producer) {
  const auto found = producers_.find(producer);
  if (found != producers_.end()) return found->second;
  if (producers_.size() >= producers_max_) evict();
  return producers_[producer];
}

void ProducerState::evict() {
  std::vector<std::pair<TimestampMs, ProducerId>> idle;
  for (const auto& [producer, entry] : producers_) {
    if (!entry.has_open_transaction()) idle.emplace_back(entry.last_append_ms, producer);
  }
  const std::size_t count =
      std::min(idle.size(), std::max<std::size_t>(1, producers_max_ / kProducersEvictedShare));
  std::ranges::partial_sort(idle, idle.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < count; ++i) producers_.erase(idle[i].second);
}

}  // namespace ottla::storage
