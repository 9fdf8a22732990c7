#include "storage/segment_recovery.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include "base/check.h"
#include "wire/control_record.h"

namespace ottla::storage {
namespace {

DamageKind kind_of(wire::BatchError error) {
  return error == wire::BatchError::truncated ? DamageKind::cut_off : DamageKind::bad_header;
}

// What a scan of a range does with each good batch. Returns damage that only it can see.
template <class Take>
io::Task<io::Result<VerifyResult>> scan(std::shared_ptr<io::File> file, std::uint64_t from,
                                        std::uint64_t to, BatchRules::Expectations expectations,
                                        Take take) {
  FileBatches batches(std::move(file), from, to);
  BatchRules rules(expectations);
  VerifyResult result{
      .valid_end = from, .next_offset = rules.next_offset(), .batch_count = 0, .damage = {}};
  const auto damage = [&](DamageKind kind) {
    result.damage = Damage{result.valid_end, result.next_offset, kind};
    return result;
  };
  while (true) {
    auto batch = co_await batches.next();
    if (!batch) {
      if (!batch.error().is_damage()) co_return std::unexpected(std::move(batch.error().io));
      co_return damage(kind_of(*batch.error().batch));
    }
    if (!*batch || (*batch)->header.base_offset >= expectations.stop_at) co_return result;
    if (auto fault = rules.judge((*batch)->header, (*batch)->crc_matches)) {
      co_return damage(*fault);
    }
    if (std::optional<DamageKind> fault = take(**batch)) co_return damage(*fault);
    result.valid_end = (*batch)->end_position();
    result.next_offset = rules.next_offset();
    ++result.batch_count;
  }
}

// From the last index entry before `end` to `end`, headers only; `take` sees each batch.
template <class Take>
io::Task<io::Result<VerifyResult>> walk_tail(std::shared_ptr<io::File> file,
                                             const OffsetIndex& index, std::uint64_t end,
                                             Take take) {
  const OffsetPosition entry = index.last().value_or(OffsetPosition{index.base_offset(), 0});
  FileBatches batches(std::move(file), entry.position, std::max<std::uint64_t>(end, entry.position),
                      kHopPieceBytes);
  VerifyResult result{.valid_end = entry.position,
                      .next_offset = index.base_offset(),
                      .batch_count = 0,
                      .damage = {}};
  const auto damage = [&](DamageKind kind) {
    result.damage = Damage{result.valid_end, result.next_offset, kind};
    return result;
  };
  if (entry.position > end) co_return damage(DamageKind::index_disagrees);
  while (true) {
    auto batch = co_await batches.next_header();
    const bool is_first = result.batch_count == 0 && entry.position > 0;
    if (!batch) {
      if (!batch.error().is_damage()) co_return std::unexpected(std::move(batch.error().io));
      co_return damage(is_first ? DamageKind::index_disagrees : kind_of(*batch.error().batch));
    }
    if (!*batch) co_return result;
    const wire::BatchHeader& header = (*batch)->header;
    if (is_first && header.last_offset() != entry.offset) {
      co_return damage(DamageKind::index_disagrees);
    }
    if (header.base_offset < result.next_offset) co_return damage(DamageKind::offset_order);
    take(**batch);
    result.valid_end = (*batch)->end_position();
    result.next_offset = header.next_offset();
    ++result.batch_count;
  }
}

// The largest timestamp among indexed batches; the walk over the tail adds the rest.
TimestampOffset indexed_max(const TimeIndex& times) {
  return times.size() == 0 ? TimestampOffset{} : times.last();
}

void raise_to(TimestampOffset& max, const wire::BatchHeader& batch) {
  if (batch.max_timestamp > max.timestamp) max = {batch.max_timestamp, batch.last_offset()};
}

}  // namespace

std::string_view describe(DamageKind kind) {
  switch (kind) {
    case DamageKind::cut_off:
      return "the file ends inside a batch";
    case DamageKind::bad_header:
      return "the batch header is damaged";
    case DamageKind::bad_crc:
      return "the CRC-32C does not fit";
    case DamageKind::bad_marker:
      return "the control record cannot be read";
    case DamageKind::offset_order:
      return "the offsets do not rise, or leave the segment's range";
    case DamageKind::offset_gap:
      return "offsets are missing";
    case DamageKind::epoch_order:
      return "the leader epoch falls";
    case DamageKind::epoch_disagrees:
      return "the leader epoch is not that of the epoch checkpoint";
    case DamageKind::index_disagrees:
      return "the index points to something else than the batch that it names";
  }
  return "unknown damage";
}

std::string Damage::to_string() const {
  return fmt::format("offset {}, position {}: {}", offset, position, describe(kind));
}

std::optional<DamageKind> BatchRules::judge(const wire::BatchHeader& batch, bool crc_matches) {
  constexpr Offset kRelativeMax = std::numeric_limits<std::int32_t>::max();
  if (!crc_matches) return DamageKind::bad_crc;
  if (batch.base_offset < expected_.next_offset || batch.base_offset < expected_.base_offset ||
      batch.last_offset() - expected_.base_offset > kRelativeMax) {
    return DamageKind::offset_order;
  }
  if (expected_.is_contiguous && batch.base_offset != expected_.next_offset) {
    return DamageKind::offset_gap;
  }
  if (batch.leader_epoch < expected_.epoch_min) return DamageKind::epoch_order;
  if (expected_.epochs) {
    const auto epoch = expected_.epochs->epoch_of(batch.base_offset);
    if (epoch && *epoch != batch.leader_epoch) return DamageKind::epoch_disagrees;
  }
  expected_.next_offset = batch.next_offset();
  expected_.epoch_min = batch.leader_epoch;
  return std::nullopt;
}

io::Task<io::Result<VerifyResult>> verify_range(std::shared_ptr<io::File> file, std::uint64_t from,
                                                std::uint64_t to,
                                                BatchRules::Expectations expectations) {
  co_return co_await scan(std::move(file), from, to, expectations,
                          [](const FileBatch&) { return std::optional<DamageKind>(); });
}

Parsed<std::optional<CompletedTransaction>> apply_batch(ProducerState& producers,
                                                        const wire::Batch& batch, TimestampMs now) {
  const wire::BatchHeader& header = batch.header;
  if (!header.is_control() || !header.has_producer() || header.record_count == 0) {
    producers.apply(header, now);
    return std::nullopt;
  }
  if (header.is_compressed() || batch.bytes.size() < wire::kBatchHeaderBytes) {
    return format_error("a control batch is compressed or too large");
  }
  wire::RecordCursor cursor(batch.records(), header.record_count);
  wire::Record record;
  if (!cursor.next(record)) return format_error("a control batch has no whole record");
  const auto key = wire::parse_control_key(record.key);
  if (!key) return format_error("a control record has no key that can be read");
  if (key->type != wire::ControlRecordType::abort && key->type != wire::ControlRecordType::commit) {
    producers.apply(header, now);
    return std::nullopt;
  }
  const auto marker = wire::parse_transaction_marker(record);
  if (!marker) return format_error("a transaction marker cannot be read");
  return producers.apply_marker(header,
                                {.producer_id = header.producer_id,
                                 .producer_epoch = header.producer_epoch,
                                 .coordinator_epoch = marker->coordinator_epoch,
                                 .is_commit = marker->type == wire::ControlRecordType::commit},
                                now);
}

io::Task<io::Result<VerifyResult>> rebuild_segment(std::shared_ptr<io::File> file, std::uint64_t to,
                                                   Segment& segment, RebuildInto into,
                                                   BatchRules::Expectations expectations,
                                                   TimestampMs now) {
  OTTLA_CHECK(segment.is_empty() && segment.has_indexes());
  const Offset applied =
      into.producers ? into.producers->end_offset() : std::numeric_limits<Offset>::max();
  std::vector<AbortedTransaction> known;
  if (into.known_aborted) known = into.known_aborted->entries();
  auto next_known = known.begin();
  auto take = [&](const FileBatch& batch) -> std::optional<DamageKind> {
    const wire::BatchHeader& header = batch.header;
    std::optional<CompletedTransaction> completed;
    if (into.producers && header.base_offset >= applied) {
      auto result = apply_batch(*into.producers, {header, batch.bytes}, now);
      if (!result) return DamageKind::bad_marker;
      completed = *result;
    }
    segment.append(header);
    for (; next_known != known.end() && next_known->last_offset < segment.next_offset() &&
           next_known->last_offset < applied;
         ++next_known) {
      segment.append_aborted(*next_known);
    }
    if (completed && completed->is_aborted) segment.append_aborted(completed->to_aborted());
    if (into.epochs && header.leader_epoch >= 0) {
      const auto newest = into.epochs->newest();
      if (!newest || header.leader_epoch > newest->epoch) {
        into.epochs->assign(header.leader_epoch, header.base_offset);
      }
    }
    return std::nullopt;
  };
  auto result = co_await scan(std::move(file), 0, to, expectations, std::move(take));
  if (result) segment.finish_time_index();
  co_return result;
}

io::Task<io::Result<VerifyResult>> extend_segment(std::shared_ptr<io::File> file, std::uint64_t to,
                                                  Segment& segment, SegmentSums* sums,
                                                  BatchRules::Expectations expectations) {
  OTTLA_CHECK(segment.has_indexes());
  const auto last = segment.indexes().offsets.last();
  const std::uint64_t from = segment.size_bytes();
  auto take = [&](const FileBatch& batch) -> std::optional<DamageKind> {
    if (last && batch.position == last->position && batch.header.last_offset() != last->offset) {
      return DamageKind::index_disagrees;
    }
    segment.append(batch.header);
    if (sums && sums->log_bytes() == batch.position) sums->add(batch.bytes);
    return std::nullopt;
  };
  co_return co_await scan(std::move(file), from, to, expectations, std::move(take));
}

io::Task<io::Result<VerifyResult>> load_segment_tail(std::shared_ptr<io::File> file,
                                                     std::uint64_t file_bytes, Segment& segment) {
  SegmentFacts facts{.base_offset = segment.base_offset(),
                     .next_offset = segment.base_offset(),
                     .size_bytes = 0,
                     .max_timestamp = indexed_max(segment.indexes().times),
                     .first_timestamp = -1};
  auto take = [&](const FileBatch& batch) {
    raise_to(facts.max_timestamp, batch.header);
    if (batch.position == 0) facts.first_timestamp = batch.header.max_timestamp;
  };
  auto result = co_await walk_tail(file, segment.indexes().offsets, file_bytes, take);
  if (!result || result->damage) co_return result;
  if (facts.max_timestamp.offset >= result->next_offset) {
    result->damage = Damage{0, segment.base_offset(), DamageKind::index_disagrees};
    co_return result;
  }
  if (segment.indexes().offsets.size() > 0) {
    FileBatches first(std::move(file), 0, file_bytes, kHopPieceBytes);
    auto batch = co_await first.next_header();
    if (!batch && !batch.error().is_damage()) {
      co_return std::unexpected(std::move(batch.error().io));
    }
    if (!batch) {
      result->damage = Damage{0, segment.base_offset(), kind_of(*batch.error().batch)};
      co_return result;
    }
    take(**batch);
  }
  facts.size_bytes = file_bytes;
  facts.next_offset = result->next_offset;
  auto indexes = segment.detach_indexes();
  segment = Segment(facts, segment.settings());
  segment.attach_indexes(std::move(indexes));
  co_return result;
}

io::Task<io::Result<VerifyResult>> truncate_segment(std::shared_ptr<io::File> file,
                                                    Segment& segment, Offset end_offset) {
  VerifyResult result{.valid_end = segment.size_bytes(),
                      .next_offset = segment.next_offset(),
                      .batch_count = 0,
                      .damage = {}};
  if (end_offset >= segment.next_offset()) co_return result;
  end_offset = std::max(end_offset, segment.base_offset());
  // From the entry before, by headers: the batch that holds end_offset goes as a whole.
  SegmentIndexes cut = segment.indexes();
  cut.offsets.truncate_to(end_offset);
  TimestampOffset max{};
  bool is_found = false;
  std::uint64_t position = 0;
  Offset new_end = end_offset;
  {
    const OffsetPosition entry =
        cut.offsets.last().value_or(OffsetPosition{segment.base_offset(), 0});
    FileBatches batches(file, entry.position, segment.size_bytes(), kHopPieceBytes);
    cut.times.truncate_to(end_offset);
    max = indexed_max(cut.times);
    while (true) {
      auto batch = co_await batches.next_header();
      if (!batch) {
        if (!batch.error().is_damage()) co_return std::unexpected(std::move(batch.error().io));
        result.damage = Damage{batches.position(), end_offset, kind_of(*batch.error().batch)};
        co_return result;
      }
      if (!*batch) break;
      const wire::BatchHeader& header = (*batch)->header;
      if (header.last_offset() >= end_offset) {
        is_found = true;
        position = (*batch)->position;
        new_end = std::min(end_offset, header.base_offset);
        break;
      }
      raise_to(max, header);
    }
  }
  if (!is_found) {
    result.damage = Damage{segment.size_bytes(), end_offset, DamageKind::index_disagrees};
    co_return result;
  }
  segment.truncate_to(std::max(new_end, segment.base_offset()), position, max);
  result.valid_end = position;
  result.next_offset = segment.next_offset();
  co_return result;
}

}  // namespace ottla::storage
