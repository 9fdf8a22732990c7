#include "storage/transaction_index.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.h"

namespace ottla::storage {
namespace {

constexpr std::int16_t kVersion = 0;

}  // namespace

Parsed<TransactionIndex> TransactionIndex::parse(Offset base_offset, ByteView file) {
  if (file.size() % kAbortedTransactionBytes != 0) {
    return format_error(fmt::format("{} bytes are not whole entries", file.size()));
  }
  TransactionIndex index(base_offset);
  index.entries_.reserve(file.size() / kAbortedTransactionBytes);
  for (std::size_t from = 0; from < file.size(); from += kAbortedTransactionBytes) {
    const std::uint8_t* at = file.data() + from;
    const std::size_t number = from / kAbortedTransactionBytes;
    if (load_big<std::int16_t>(at) != kVersion) {
      return format_error(fmt::format("entry {} has an unknown version", number));
    }
    const AbortedTransaction entry{load_big<ProducerId>(at + 2), load_big<Offset>(at + 10),
                                   load_big<Offset>(at + 18), load_big<Offset>(at + 26)};
    // The marker is behind the data, and what is stable then is at most what is behind the marker.
    const bool sane = entry.producer_id >= 0 && entry.first_offset >= 0 &&
                      entry.first_offset < entry.last_offset && entry.last_offset >= base_offset &&
                      entry.last_stable_offset >= 0 &&
                      entry.last_stable_offset <= entry.last_offset + 1;
    if (!sane) return format_error(fmt::format("entry {} is no transaction", number));
    if (!index.entries_.empty() && entry.last_offset <= index.entries_.back().last_offset) {
      return format_error(fmt::format("entry {} does not rise", number));
    }
    index.entries_.push_back(entry);
  }
  return index;
}

Bytes TransactionIndex::serialize() const {
  Bytes file(entries_.size() * kAbortedTransactionBytes);
  std::uint8_t* at = file.data();
  for (const AbortedTransaction& entry : entries_) {
    store_big(at, kVersion);
    store_big(at + 2, entry.producer_id);
    store_big(at + 10, entry.first_offset);
    store_big(at + 18, entry.last_offset);
    store_big(at + 26, entry.last_stable_offset);
    at += kAbortedTransactionBytes;
  }
  return file;
}

void TransactionIndex::append(const AbortedTransaction& transaction) {
  OTTLA_CHECK(transaction.last_offset >= base_offset_);
  OTTLA_CHECK(entries_.empty() || transaction.last_offset > entries_.back().last_offset);
  entries_.push_back(transaction);
}

bool TransactionIndex::collect(Offset fetch_offset, Offset upper_bound,
                               std::vector<AbortedTransaction>& found) const {
  for (const AbortedTransaction& entry : entries_) {
    if (entry.last_offset >= fetch_offset && entry.first_offset < upper_bound) {
      found.push_back(entry);
    }
    if (entry.last_stable_offset >= upper_bound) return true;
  }
  return false;
}

void TransactionIndex::truncate_to(Offset end_offset) {
  const auto gone =
      std::ranges::lower_bound(entries_, end_offset, {}, &AbortedTransaction::last_offset);
  entries_.erase(gone, entries_.end());
}

std::size_t TransactionIndex::memory_bytes() const {
  return sizeof *this + entries_.capacity() * sizeof(AbortedTransaction);
}

}  // namespace ottla::storage
