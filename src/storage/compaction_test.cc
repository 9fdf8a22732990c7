// The rules of compaction: each by itself, and all of them against a model at random.
#include "storage/compaction.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

#include "wire/compression.h"
#include "wire/control_record.h"
#include "wire/record.h"

namespace ottla::storage {
namespace {

constexpr TimestampMs kNow = 1'000'000;
constexpr std::int64_t kDeleteRetention = 5000;
constexpr Offset kFar = 1'000'000;

struct Entry {
  std::optional<std::string> key;
  std::optional<std::string> value;
  bool operator==(const Entry&) const = default;
};
Entry put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }
Entry tombstone(std::string key) { return {std::move(key), std::nullopt}; }

// A log under construction, and what is known about it.
struct Log {
  std::vector<Slice> batches;
  std::vector<AbortedTransaction> aborted;
  std::map<ProducerId, LastOfProducer> producers;
  Offset end = 0;

  Offset add(const std::vector<Entry>& entries, wire::BatchOptions options = {}) {
    options.base_offset = end;
    wire::RecordBatchBuilder builder(options);
    for (const Entry& entry : entries) {
      const auto bytes = [](const std::optional<std::string>& text) {
        return text ? std::optional(as_bytes(*text)) : std::nullopt;
      };
      builder.append({.timestamp = 1000, .key = bytes(entry.key), .value = bytes(entry.value)});
    }
    batches.push_back(*builder.build());
    end += static_cast<Offset>(entries.size());
    return end - static_cast<Offset>(entries.size());
  }
  Offset add_transactional(ProducerId producer, const std::vector<Entry>& entries) {
    return add(entries, {.producer_id = producer,
                         .producer_epoch = 0,
                         .base_sequence = 0,
                         .is_transactional = true});
  }
  void end_transaction(ProducerId producer, Offset first, bool commits) {
    batches.push_back(wire::build_end_txn_batch(
        end, 0, producer, 0,
        {commits ? wire::ControlRecordType::commit : wire::ControlRecordType::abort, 1}, 1000));
    if (!commits) aborted.push_back({producer, first, end, end + 1});
    ++end;
  }
};

struct Kept {
  Offset offset;
  Entry entry;
  bool operator==(const Kept&) const = default;
};

// One pass over all of it; what is left of the log.
Log compact(const Log& log, Offset first_dirty = 0, TimestampMs now = kNow,
            std::size_t map_bytes = 1 << 20, Offset pass_end = kFar) {
  KeyMap map(map_bytes);
  KeyCollector collector(map, first_dirty, log.aborted);
  for (const Slice& bytes : log.batches) {
    const auto added = collector.add(*wire::parse_batch(bytes));
    EXPECT_TRUE(added.has_value());
    if (!added || !*added) break;
  }
  BatchCompactor compactor(map,
                           {.now = now,
                            .delete_retention_ms = kDeleteRetention,
                            .end = pass_end,
                            .producers = log.producers},
                           log.aborted);
  Log left{.batches = {}, .aborted = {}, .producers = log.producers, .end = log.end};
  for (const AbortedTransaction& one : log.aborted) {  // markers behind the pass keep their entry
    if (std::ranges::none_of(log.batches, [&](const Slice& bytes) {
          return wire::load_batch_header(bytes.data()).base_offset == one.last_offset;
        }))
      left.aborted.push_back(one);
  }
  for (const Slice& bytes : log.batches) {
    const wire::Batch batch = *wire::parse_batch(bytes);
    const auto compacted = compactor.next(batch);
    EXPECT_TRUE(compacted.has_value());
    if (compacted->aborted) left.aborted.push_back(*compacted->aborted);
    if (!compacted->is_kept) continue;
    const Slice& result = compacted->rewritten ? *compacted->rewritten : bytes;
    EXPECT_TRUE(wire::crc_matches(result));
    const wire::BatchHeader after = wire::load_batch_header(result.data());
    EXPECT_EQ(after.base_offset, batch.header.base_offset);
    EXPECT_EQ(after.last_offset(), batch.header.last_offset());
    EXPECT_EQ(after.last_sequence(), batch.header.last_sequence());
    EXPECT_EQ(after.producer_id, batch.header.producer_id);
    EXPECT_EQ(after.codec(), after.record_count == 0 ? wire::Codec::none : batch.header.codec());
    left.batches.push_back(result);
  }
  return left;
}

std::vector<Kept> records_of(const Log& log) {
  std::vector<Kept> all;
  for (const Slice& bytes : log.batches) {
    const wire::Batch batch = *wire::parse_batch(bytes);
    if (batch.header.is_control() || batch.header.record_count == 0) continue;
    Slice memory;
    ByteView records = batch.records();
    if (batch.header.is_compressed()) {
      memory = *wire::decompress(*batch.header.codec(), records, 1 << 20);
      records = memory.view();
    }
    wire::RecordCursor cursor(records, batch.header.record_count);
    for (wire::Record record; cursor.next(record);) {
      EXPECT_EQ(wire::record_timestamp(batch.header, record), 1000);
      const auto text = [](const std::optional<ByteView>& bytes_of) {
        return bytes_of ? std::optional(std::string(as_text(*bytes_of))) : std::nullopt;
      };
      all.push_back(
          {wire::record_offset(batch.header, record), {text(record.key), text(record.value)}});
    }
    EXPECT_FALSE(cursor.error());
  }
  return all;
}

TEST(Compaction, KeepsTheLastOfEachKeyWhereItStood) {
  Log log;
  log.add({put("a", "1"), put("b", "1"), put("a", "2")});
  log.add({put("c", "1")});
  log.add({put("c", "2"), put("a", "3")});
  EXPECT_EQ(records_of(compact(log)),
            (std::vector<Kept>{{1, put("b", "1")}, {4, put("c", "2")}, {5, put("a", "3")}}));
}

TEST(Compaction, RecordsWithoutAKeyGo) {
  Log log;
  log.add({{std::nullopt, "x"}, put("a", "1")});
  EXPECT_EQ(records_of(compact(log)), (std::vector<Kept>{{1, put("a", "1")}}));
}

TEST(Compaction, AnUntouchedBatchKeepsItsBytes) {
  Log log;
  log.add({put("a", "1"), put("b", "1")}, {.codec = wire::Codec::gzip});
  const Log left = compact(log);
  ASSERT_EQ(left.batches.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(left.batches[0].view(), log.batches[0].view()));
}

TEST(Compaction, WhatIsAboveTheMapsEndStays) {
  Log log;
  log.add({put("a", "1"), put("b", "1"), put("c", "1"), put("a", "2")});
  log.add({put("a", "3")});
  // Room for two keys: the pass ends behind the second.
  EXPECT_EQ(records_of(compact(log, 0, kNow, 2 * KeyMap::kEntryBytes + 2)).size(), 5U);
  Log dirty_end;
  dirty_end.add({put("a", "1")});
  dirty_end.add({put("a", "2"), put("b", "1"), put("a", "3")});
  EXPECT_EQ(records_of(compact(dirty_end, 0, kNow, KeyMap::kEntryBytes + 1)),
            (std::vector<Kept>{{1, put("a", "2")}, {2, put("b", "1")}, {3, put("a", "3")}}));
}

TEST(Compaction, TheCleanPartIsJudgedByTheDirtyOne) {
  Log log;
  log.add({put("a", "1"), put("b", "1")});
  log.add({put("a", "2")});
  EXPECT_EQ(records_of(compact(log, 2)),
            (std::vector<Kept>{{1, put("b", "1")}, {2, put("a", "2")}}));
}

TEST(Compaction, ATombstoneGetsAHorizonAndGoesBehindIt) {
  Log log;
  log.add({put("a", "1")});
  log.add({tombstone("a"), put("b", "1")});
  const Log once = compact(log);
  EXPECT_EQ(records_of(once), (std::vector<Kept>{{1, tombstone("a")}, {2, put("b", "1")}}));
  const wire::BatchHeader header = wire::load_batch_header(once.batches.at(0).data());
  EXPECT_EQ(header.delete_horizon(), kNow + kDeleteRetention);
  EXPECT_EQ(header.max_timestamp, 1000);
  const Log before = compact(once, 0, kNow + kDeleteRetention - 1);
  EXPECT_TRUE(std::ranges::equal(before.batches.at(0).view(), once.batches[0].view()));
  const Log behind = compact(once, 0, kNow + kDeleteRetention);
  EXPECT_EQ(records_of(behind), (std::vector<Kept>{{2, put("b", "1")}}));
  EXPECT_EQ(wire::load_batch_header(behind.batches.at(0).data()).delete_horizon(),
            kNow + kDeleteRetention);
}

TEST(Compaction, TheLastBatchOfAProducerStaysEmpty) {
  Log log;
  log.add({put("a", "1"), put("b", "1")},
          {.producer_id = 7, .producer_epoch = 2, .base_sequence = 40});
  log.add({put("a", "2"), put("b", "2")});
  log.producers[7] = {.last_data_offset = 1, .epoch = 2};
  const Log left = compact(log);
  ASSERT_EQ(left.batches.size(), 2U);
  const wire::BatchHeader header = wire::load_batch_header(left.batches[0].data());
  EXPECT_EQ(header.record_count, 0);
  EXPECT_EQ(header.base_timestamp, -1);
  EXPECT_EQ(header.max_timestamp, 1000);
  EXPECT_EQ(header.last_sequence(), 41);
  EXPECT_EQ(compact(left).batches.size(), 2U) << "as long as it is remembered";
  Log forgotten = left;
  forgotten.producers.clear();
  EXPECT_EQ(compact(forgotten).batches.size(), 1U);
}

TEST(Compaction, TheLastBatchOfThePassStaysForItsOffset) {
  Log log;
  log.add({put("b", "1")});
  log.add({put("a", "1")}, {.codec = wire::Codec::lz4});
  log.aborted.push_back({5, 0, 100, 100});
  Log dropped = log;
  dropped.batches.clear();
  dropped.end = 0;
  dropped.add({put("b", "1")});
  dropped.add({{std::nullopt, "without a key"}});
  const Log left = compact(dropped, 0, kNow, 1 << 20, 2);
  ASSERT_EQ(left.batches.size(), 2U);
  EXPECT_EQ(wire::load_batch_header(left.batches[1].data()).record_count, 0);
}

TEST(Compaction, AbortedRecordsGoAndTheirMarkerAfterThem) {
  Log log;
  log.add({put("a", "1")});
  const Offset first = log.add_transactional(9, {put("a", "2")});
  log.end_transaction(9, first, false);
  const Log once = compact(log);
  EXPECT_EQ(records_of(once), (std::vector<Kept>{{0, put("a", "1")}}));
  ASSERT_EQ(once.batches.size(), 2U) << "the marker stays";
  EXPECT_EQ(once.aborted, log.aborted) << "and so does the index";
  const Log twice = compact(once);  // nothing of it is left: a horizon
  ASSERT_EQ(twice.batches.size(), 2U);
  EXPECT_TRUE(twice.aborted.empty());
  EXPECT_EQ(wire::load_batch_header(twice.batches[1].data()).delete_horizon(),
            kNow + kDeleteRetention);
  EXPECT_EQ(compact(twice, 0, kNow + kDeleteRetention - 1).batches.size(), 2U);
  EXPECT_EQ(compact(twice, 0, kNow + kDeleteRetention).batches.size(), 1U);
}

TEST(Compaction, ACommitMarkerStaysWhileItsDataDoes) {
  Log log;
  const Offset first = log.add_transactional(9, {put("a", "1"), put("b", "1")});
  log.end_transaction(9, first, true);
  log.add({put("a", "2")});
  Log left = compact(compact(log), 0, kNow + 2 * kDeleteRetention);
  EXPECT_EQ(left.batches.size(), 3U) << "b is still of it";
  left.add({put("b", "2")});
  left = compact(compact(left));
  EXPECT_EQ(left.batches.size(), 3U);
  left = compact(left, 0, kNow + kDeleteRetention);
  EXPECT_EQ(records_of(left), (std::vector<Kept>{{3, put("a", "2")}, {4, put("b", "2")}}));
  EXPECT_EQ(left.batches.size(), 2U);
}

// A marker's key is no record's key, whatever its bytes are (Redpanda #16295).
TEST(Compaction, MarkersAreNotComparedWithKeys) {
  Log log;
  const Offset first = log.add_transactional(9, {put("x", "1")});
  log.end_transaction(9, first, true);
  log.add({put(std::string("\0\0\0\1", 4), "1")});
  EXPECT_EQ(compact(log).batches.size(), 3U);
}

TEST(Compaction, WhatIsDueAndHowFarItGoes) {
  const std::vector<CleanableSegment> sealed = {
      {0, 10, 100, 1000, 900}, {10, 20, 100, 2000, 1900}, {20, 30, 100, 3000, 2900}};
  CompactionRules rules;
  Cleanable all = assess(sealed, 0, 30, rules, 10'000);
  EXPECT_EQ(all.end, 30);
  EXPECT_EQ(all.dirty_ratio, 1.0);
  EXPECT_TRUE(all.is_due);
  EXPECT_EQ(assess(sealed, 0, 29, rules, 10'000).end, 20) << "whole segments below the LSO";
  EXPECT_FALSE(assess(sealed, 0, 9, rules, 10'000).is_due);
  EXPECT_FALSE(assess(sealed, 30, 30, rules, 10'000).is_due) << "nothing is dirty";
  EXPECT_FALSE(assess(sealed, 20, 30, rules, 10'000).is_due) << "a third is";
  rules.dirty_ratio_min = 0.3;
  EXPECT_TRUE(assess(sealed, 20, 30, rules, 10'000).is_due);
  rules = {.dirty_ratio_min = 0.9, .lag_max_ms = 8000};
  EXPECT_FALSE(assess(sealed, 20, 30, rules, 10'900).is_due);
  EXPECT_TRUE(assess(sealed, 20, 30, rules, 10'901).is_due);
  rules = {.lag_min_ms = 5000};
  EXPECT_EQ(assess(sealed, 0, 30, rules, 7000).end, 20);
  EXPECT_EQ(assess(sealed, 0, 30, rules, 5999).end, 0);
}

// At random: for each key the last committed value is kept and nothing else of it below the end,
// nothing above is touched, order and offsets stay.
TEST(Compaction, IsWhatAModelSays) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);  // 32 bits
    const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
    Log log;
    std::vector<Kept> committed;  // in order
    std::map<ProducerId, std::pair<Offset, std::vector<Kept>>> open;
    Offset stable_end = 0;
    const unsigned keys = 1 + below(6);
    for (unsigned i = 0, count = 1 + below(30); i < count; ++i) {
      if (below(4) == 0 && !open.empty()) {
        auto at = std::next(open.begin(),
                            static_cast<std::ptrdiff_t>(below(static_cast<unsigned>(open.size()))));
        const bool commits = below(2) == 0;
        log.end_transaction(at->first, at->second.first, commits);
        if (commits)
          committed.insert(committed.end(), at->second.second.begin(), at->second.second.end());
        open.erase(at);
        continue;
      }
      std::vector<Entry> entries;
      for (unsigned n = 0, records = 1 + below(4); n < records; ++n) {
        const std::string key = "k" + std::to_string(below(keys));
        entries.push_back(below(5) == 0 ? tombstone(key) : put(key, std::to_string(seed + i)));
      }
      const ProducerId producer = below(3) == 0 ? static_cast<ProducerId>(1 + below(2)) : -1;
      const Offset base =
          producer >= 0
              ? log.add_transactional(producer, entries)
              : log.add(entries, {.codec = below(3) == 0 ? wire::Codec::lz4 : wire::Codec::none});
      auto& into = producer >= 0
                       ? open.try_emplace(producer, base, std::vector<Kept>()).first->second.second
                       : committed;
      for (std::size_t n = 0; n < entries.size(); ++n)
        into.push_back({base + static_cast<Offset>(n), entries[n]});
    }
    stable_end = log.end;
    for (const auto& [producer, transaction] : open)
      stable_end = std::min(stable_end, transaction.first);
    // Only what lies wholly below the stable end is given to the pass.
    Log given = log;
    std::erase_if(given.batches, [&](const Slice& bytes) {
      return wire::load_batch_header(bytes.data()).next_offset() > stable_end;
    });
    std::erase_if(given.aborted,
                  [&](const AbortedTransaction& one) { return one.first_offset >= stable_end; });
    std::erase_if(committed, [&](const Kept& kept) { return kept.offset >= stable_end; });
    std::ranges::sort(committed, {}, &Kept::offset);
    std::map<std::string, Offset> latest;
    for (const Kept& kept : committed) latest[*kept.entry.key] = kept.offset;
    std::vector<Kept> expected;
    for (const Kept& kept : committed)
      if (latest[*kept.entry.key] == kept.offset) expected.push_back(kept);
    const Log once = compact(given);
    ASSERT_EQ(records_of(once), expected) << "seed " << seed;
    // Again, with nothing new: nothing changes before the horizon, tombstones go behind it.
    ASSERT_EQ(records_of(compact(once, given.end)), expected) << "seed " << seed;
    std::erase_if(expected, [](const Kept& kept) { return !kept.entry.value; });
    ASSERT_EQ(records_of(compact(once, given.end, kNow + kDeleteRetention)), expected)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace ottla::storage
