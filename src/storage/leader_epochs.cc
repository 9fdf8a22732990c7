#include "storage/leader_epochs.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace ottla::storage {
namespace {

// The first entry whose epoch is above `epoch`.
auto first_above(const std::vector<EpochEntry>& entries, LeaderEpoch epoch) {
  return std::ranges::upper_bound(entries, epoch, {}, &EpochEntry::epoch);
}

}  // namespace

Parsed<LeaderEpochCache> LeaderEpochCache::parse(std::string_view checkpoint_text) {
  auto entries = parse_epoch_checkpoint(checkpoint_text);
  if (!entries) return std::unexpected(std::move(entries.error()));
  LeaderEpochCache cache;
  cache.entries_ = std::move(*entries);
  return cache;
}

std::string LeaderEpochCache::serialize() const { return serialize_epoch_checkpoint(entries_); }

bool LeaderEpochCache::assign(LeaderEpoch epoch, Offset start_offset) {
  OTTLA_CHECK(epoch >= 0 && start_offset >= 0);
  if (!entries_.empty() && entries_.back().epoch == epoch &&
      entries_.back().start_offset <= start_offset) {
    return false;
  }
  while (!entries_.empty() &&
         (entries_.back().epoch >= epoch || entries_.back().start_offset >= start_offset)) {
    entries_.pop_back();
  }
  entries_.push_back({epoch, start_offset});
  return true;
}

EpochEnd LeaderEpochCache::end_offset_for(LeaderEpoch requested, Offset log_end_offset) const {
  if (requested < 0 || entries_.empty()) return {};
  if (requested == entries_.back().epoch) return {requested, log_end_offset};
  const auto above = first_above(entries_, requested);
  if (above == entries_.end()) return {};
  if (above == entries_.begin()) return {requested, above->start_offset};
  return {std::prev(above)->epoch, above->start_offset};
}

std::optional<EpochEntry> LeaderEpochCache::newest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back();
}

std::optional<EpochEntry> LeaderEpochCache::oldest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front();
}

std::optional<LeaderEpoch> LeaderEpochCache::previous_epoch(LeaderEpoch of) const {
  const auto at = std::ranges::lower_bound(entries_, of, {}, &EpochEntry::epoch);
  if (at == entries_.begin()) return std::nullopt;
  return std::prev(at)->epoch;
}

std::optional<LeaderEpoch> LeaderEpochCache::next_epoch(LeaderEpoch of) const {
  const auto above = first_above(entries_, of);
  if (above == entries_.end()) return std::nullopt;
  return above->epoch;
}

std::optional<LeaderEpoch> LeaderEpochCache::epoch_of(Offset offset) const {
  const auto above = std::ranges::upper_bound(entries_, offset, {}, &EpochEntry::start_offset);
  if (above == entries_.begin()) return std::nullopt;
  return std::prev(above)->epoch;
}

bool LeaderEpochCache::truncate_from_end(Offset end_offset) {
  const auto gone = std::ranges::lower_bound(entries_, end_offset, {}, &EpochEntry::start_offset);
  if (gone == entries_.end()) return false;
  entries_.erase(gone, entries_.end());
  return true;
}

bool LeaderEpochCache::truncate_from_start(Offset start_offset) {
  const auto above =
      std::ranges::upper_bound(entries_, start_offset, {}, &EpochEntry::start_offset);
  if (above == entries_.begin()) return false;
  const auto holder = std::prev(above);
  if (holder == entries_.begin() && holder->start_offset == start_offset) return false;
  holder->start_offset = start_offset;
  entries_.erase(entries_.begin(), holder);
  return true;
}

}  // namespace ottla::storage
