// Files that a real Kafka 4.3.1 wrote (tests/vectors/kafka_log/README.md): ours parse them, write
// them again byte for byte, and build them anew from the `.log` files alone.
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "storage/checkpoint_file.h"
#include "storage/leader_epochs.h"
#include "storage/log_directory.h"
#include "storage/producer_snapshot.h"
#include "storage/segment.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"
#include "storage/segment_search.h"
#include "storage/storage_test_support.h"

namespace ottla::storage {
namespace {

using testing::file_of;
using testing::run;

namespace fs = std::filesystem;

const fs::path kRoot = OTTLA_KAFKA_LOG_VECTORS;
constexpr std::size_t kSegmentBatchMax = 1 << 20;
constexpr std::int64_t kDayMs = 24 * 3600 * 1000;

// How each partition came about, see README.md.
struct Partition {
  std::string name;
  SegmentSettings settings;
  Offset first_stop = 0;  // the broker was stopped and started again there
};
const std::vector<Partition> kPartitions = {
    {"plain-0", {.index_interval_bytes = 512}, 96},
    {"txn-0", {.index_interval_bytes = 400}, 47},
    {"txn1-0", {.index_interval_bytes = 300}, 25},
};

Bytes read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return Bytes(std::istreambuf_iterator<char>(in), {});
}
std::string read_text(const fs::path& path) {
  const Bytes bytes = read_file(path);
  return std::string(bytes.begin(), bytes.end());
}
fs::path path_of(const Partition& partition, Offset base, SegmentFile file) {
  return kRoot / partition.name / segment_file_name(base, file);
}
Bytes read_if_there(const fs::path& path) { return fs::exists(path) ? read_file(path) : Bytes(); }

std::vector<Offset> bases_of(const Partition& partition, SegmentFile file) {
  std::vector<Offset> bases;
  for (const auto& entry : fs::directory_iterator(kRoot / partition.name)) {
    const auto name = parse_segment_file_name(entry.path().filename().string());
    if (name && name->file == file) bases.push_back(name->offset);
  }
  std::ranges::sort(bases);
  return bases;
}

// When the broker started for the second time: Kafka dropped what had expired by then, and the
// clients' timestamps are from 2023.
constexpr TimestampMs kSecondStart = 1'795'261'733'000;

// All segments of a partition, built from their `.log` files alone.
struct Rebuilt {
  std::map<Offset, Segment> segments;
  LeaderEpochCache epochs;
  std::map<Offset, Bytes> snapshots;  // by offset: where the real one has one
};

Rebuilt rebuild(const Partition& partition) {
  Rebuilt built;
  ProducerState producers;
  const auto snapshot_here = [&] {
    if (fs::exists(path_of(partition, producers.end_offset(), SegmentFile::snapshot))) {
      built.snapshots[producers.end_offset()] = snapshot_of(producers).snapshot;
    }
  };
  Offset next = 0;
  for (const Offset base : bases_of(partition, SegmentFile::log)) {
    const Bytes log = read_file(path_of(partition, base, SegmentFile::log));
    snapshot_here();
    // One batch at a time, to stop where Kafka took snapshots in the middle of a segment.
    std::uint64_t to = 0;
    wire::BatchCursor cursor{ByteView(log)};
    for (wire::Batch batch; cursor.next(batch);) {
      to = cursor.position();
      if (batch.header.base_offset == partition.first_stop) {
        snapshot_here();
        const Bytes snapshot =
            read_file(path_of(partition, partition.first_stop, SegmentFile::snapshot));
        producers = restore_producers(partition.first_stop, snapshot, {}, kSecondStart)->state;
        producers.expire(kSecondStart, kDayMs);
      }
      EXPECT_TRUE(apply_batch(producers, batch, batch.header.max_timestamp));
    }
    EXPECT_EQ(to, log.size());
    auto [segment, is_new] = built.segments.emplace(base, Segment(base, partition.settings));
    ProducerState from_base;
    if (base > 0) {
      const Bytes snapshot = read_file(path_of(partition, base, SegmentFile::snapshot));
      from_base = restore_producers(base, snapshot, {}, kSecondStart)->state;
    }
    const auto result = run(rebuild_segment(
        file_of(log), log.size(), segment->second,
        {.epochs = &built.epochs, .producers = &from_base, .known_aborted = nullptr},
        {.base_offset = base, .next_offset = next, .is_contiguous = true}, 0));
    EXPECT_TRUE(result && !result->damage) << partition.name << base;
    next = segment->second.next_offset();
  }
  snapshot_here();
  return built;
}

TEST(KafkaFiles, IndexesAreReadAndWrittenAgain) {
  for (const Partition& partition : kPartitions) {
    for (const Offset base : bases_of(partition, SegmentFile::log)) {
      SCOPED_TRACE(partition.name + "/" + std::to_string(base));
      const auto log_bytes = fs::file_size(path_of(partition, base, SegmentFile::log));
      const Bytes offsets = read_file(path_of(partition, base, SegmentFile::offset_index));
      const Bytes times = read_file(path_of(partition, base, SegmentFile::time_index));
      const Bytes aborted = read_if_there(path_of(partition, base, SegmentFile::transaction_index));
      EXPECT_EQ(OffsetIndex::parse(base, offsets, log_bytes)->serialize(), offsets);
      EXPECT_EQ(TimeIndex::parse(base, times, std::nullopt)->serialize(), times);
      EXPECT_EQ(TransactionIndex::parse(base, aborted)->serialize(), aborted);
    }
  }
}

TEST(KafkaFiles, SnapshotsAreReadAndWrittenAgain) {
  int count = 0;
  for (const Partition& partition : kPartitions) {
    for (const Offset offset : bases_of(partition, SegmentFile::snapshot)) {
      SCOPED_TRACE(partition.name + "/" + std::to_string(offset));
      const Bytes file = read_file(path_of(partition, offset, SegmentFile::snapshot));
      EXPECT_EQ(serialize_producer_snapshot(parse_producer_snapshot(file).value()), file);
      const auto restored = restore_producers(offset, file, {}, kSecondStart);
      ASSERT_TRUE(restored);
      EXPECT_EQ(snapshot_of(restored->state).snapshot, file);
      ++count;
    }
  }
  EXPECT_EQ(count, 12);
}

TEST(KafkaFiles, TextFilesAreReadAndWrittenAgain) {
  for (const Partition& partition : kPartitions) {
    const std::string epochs = read_text(kRoot / partition.name / kLeaderEpochFile);
    EXPECT_EQ(LeaderEpochCache::parse(epochs)->serialize(), epochs);
    const std::string metadata = read_text(kRoot / partition.name / kPartitionMetadataFile);
    EXPECT_EQ(serialize_partition_metadata(parse_partition_metadata(metadata).value()), metadata);
  }
  for (const std::string_view name : {kRecoveryPointFile, kHighWatermarkFile, kLogStartFile}) {
    const std::string text = read_text(kRoot / name);
    EXPECT_EQ(serialize_offset_checkpoint(parse_offset_checkpoint(text).value()), text) << name;
  }
  EXPECT_TRUE(parse_offset_checkpoint(read_text(kRoot / kCleanerOffsetFile))->empty());
  const std::string meta = read_text(kRoot / kMetaPropertiesFile);
  const auto properties = parse_meta_properties(meta);
  ASSERT_TRUE(properties) << properties.error().message;
  const std::string date = meta.substr(3, meta.find('\n', 3) - 3);
  EXPECT_EQ(serialize_meta_properties(*properties, date), meta);
  EXPECT_EQ(properties->node_id, 1);
  const std::string clean = read_text(kRoot / kCleanShutdownFile);
  EXPECT_EQ(serialize_clean_shutdown(parse_clean_shutdown(clean).value()), clean);
}

TEST(KafkaFiles, LogsAreGoodAndContiguous) {
  for (const Partition& partition : kPartitions) {
    const auto epochs =
        LeaderEpochCache::parse(read_text(kRoot / partition.name / kLeaderEpochFile)).value();
    Offset next = 0;
    LeaderEpoch epoch = -1;
    for (const Offset base : bases_of(partition, SegmentFile::log)) {
      const Bytes log = read_file(path_of(partition, base, SegmentFile::log));
      EXPECT_EQ(base, next);
      const auto result = run(verify_range(file_of(log), 0, log.size(),
                                           {.base_offset = base,
                                            .next_offset = next,
                                            .is_contiguous = true,
                                            .epoch_min = epoch,
                                            .epochs = &epochs}));
      ASSERT_TRUE(result);
      EXPECT_FALSE(result->damage) << result->damage->to_string();
      next = result->next_offset;
    }
  }
}

TEST(KafkaFiles, IndexesAreBuiltAnew) {
  for (const Partition& partition : kPartitions) {
    const Rebuilt built = rebuild(partition);
    for (const auto& [base, segment] : built.segments) {
      SCOPED_TRACE(partition.name + "/" + std::to_string(base));
      const SegmentIndexes& indexes = segment.indexes();
      EXPECT_EQ(indexes.aborted.serialize(),
                read_if_there(path_of(partition, base, SegmentFile::transaction_index)));
      // Where the broker was started again in the middle of a segment, Kafka counts the bytes for
      // its next index entry from there.
      const bool was_reopened =
          base < partition.first_stop && partition.first_stop < segment.next_offset();
      if (was_reopened) continue;
      EXPECT_EQ(indexes.offsets.serialize(),
                read_file(path_of(partition, base, SegmentFile::offset_index)));
      EXPECT_EQ(indexes.times.serialize(),
                read_file(path_of(partition, base, SegmentFile::time_index)));
    }
  }
}

TEST(KafkaFiles, EpochsAreBuiltAnew) {
  for (const Partition& partition : kPartitions) {
    EXPECT_EQ(rebuild(partition).epochs.serialize(),
              read_text(kRoot / partition.name / kLeaderEpochFile));
  }
}

TEST(KafkaFiles, SnapshotsAreBuiltAnew) {
  for (const Partition& partition : kPartitions) {
    const Rebuilt built = rebuild(partition);
    for (const Offset offset : bases_of(partition, SegmentFile::snapshot)) {
      SCOPED_TRACE(partition.name + "/" + std::to_string(offset));
      ASSERT_TRUE(built.snapshots.contains(offset));
      EXPECT_EQ(built.snapshots.at(offset),
                read_file(path_of(partition, offset, SegmentFile::snapshot)));
    }
  }
}

// Kafka's indexes lead to every batch, also in the segment that it opened twice.
TEST(KafkaFiles, EveryOffsetIsFound) {
  for (const Partition& partition : kPartitions) {
    for (const Offset base : bases_of(partition, SegmentFile::log)) {
      const Bytes log = read_file(path_of(partition, base, SegmentFile::log));
      const auto index = OffsetIndex::parse(
          base, read_file(path_of(partition, base, SegmentFile::offset_index)), log.size());
      wire::BatchCursor cursor{ByteView(log)};
      for (wire::Batch batch; cursor.next(batch);) {
        const std::uint64_t position = cursor.position() - batch.bytes.size();
        for (Offset target = batch.header.base_offset; target <= batch.header.last_offset();
             ++target) {
          const auto found = run(find_offset(file_of(log), *index, target, log.size()));
          ASSERT_TRUE(found && *found) << partition.name << " " << target;
          EXPECT_EQ((*found)->position, position);
        }
      }
    }
  }
}

nlohmann::json answers() { return nlohmann::json::parse(read_text(kRoot / "answers.json")); }

// What Kafka answered to ListOffsets by timestamp.
TEST(KafkaFiles, TimestampsAreFoundAsKafkaDid) {
  const Partition& partition = kPartitions[0];
  for (const auto& [key, answer] : answers().items()) {
    constexpr std::string_view kPrefix = "plain at ";
    if (!key.starts_with(kPrefix)) continue;
    const TimestampMs target = std::stoll(key.substr(kPrefix.size()));
    std::optional<TimestampFound> found;
    for (const Offset base : bases_of(partition, SegmentFile::log)) {
      const Bytes log = read_file(path_of(partition, base, SegmentFile::log));
      SegmentIndexes indexes(base);
      indexes.offsets =
          OffsetIndex::parse(base, read_file(path_of(partition, base, SegmentFile::offset_index)),
                             log.size())
              .value();
      indexes.times =
          TimeIndex::parse(base, read_file(path_of(partition, base, SegmentFile::time_index)),
                           std::nullopt)
              .value();
      found = run(find_timestamp(file_of(log), indexes, target, 0, log.size(), kSegmentBatchMax))
                  .value();
      if (found) break;
    }
    EXPECT_EQ(found ? found->offset : -1, answer[1].get<Offset>()) << key;
    EXPECT_EQ(found ? found->timestamp : -1, answer[0].get<TimestampMs>()) << key;
  }
}

// What a read_committed consumer got, from the data below the last stable offset and the aborted
// transactions of the index.
TEST(KafkaFiles, CommittedRecordsAreThoseThatKafkaServed) {
  const auto expected = answers();
  for (const std::string topic : {"txn", "txn1"}) {
    const auto& partition =
        *std::ranges::find(kPartitions, topic + "-0", [](const auto& item) { return item.name; });
    const Rebuilt built = rebuild(partition);
    ProducerState producers;
    std::vector<AbortedTransaction> aborted;
    std::vector<Offset> offsets;
    std::vector<wire::BatchHeader> data;
    for (const auto& [base, segment] : built.segments) {
      const Bytes log = read_file(path_of(partition, base, SegmentFile::log));
      wire::BatchCursor cursor{ByteView(log)};
      for (wire::Batch batch; cursor.next(batch);) {
        ASSERT_TRUE(apply_batch(producers, batch, 0));
        if (!batch.header.is_control()) data.push_back(batch.header);
      }
    }
    const Offset end = producers.end_offset();
    producers.on_high_watermark(end);
    const Offset stable = producers.last_stable_offset(end);
    EXPECT_EQ(end, expected[topic + " read_uncommitted latest"].get<Offset>());
    EXPECT_EQ(stable, expected[topic + " read_committed latest"].get<Offset>());
    for (const auto& [base, segment] : built.segments) {
      if (segment.indexes().aborted.collect(0, stable, aborted)) break;
    }
    for (const wire::BatchHeader& batch : data) {
      if (batch.base_offset >= stable) break;
      const bool is_aborted =
          batch.is_transactional() && std::ranges::any_of(aborted, [&](const auto& transaction) {
            return transaction.producer_id == batch.producer_id &&
                   transaction.first_offset <= batch.base_offset &&
                   batch.base_offset < transaction.last_offset;
          });
      if (is_aborted) continue;
      for (Offset offset = batch.base_offset; offset <= batch.last_offset(); ++offset) {
        offsets.push_back(offset);
      }
    }
    EXPECT_EQ(offsets, expected[topic + " read_committed offsets"].get<std::vector<Offset>>());
  }
}

}  // namespace
}  // namespace ottla::storage
