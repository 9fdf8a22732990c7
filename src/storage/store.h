// Store: all partitions of one shard in one log dir, and the journal that they share. Made by
// open_store() from what recovery found. All calls on its shard.
//
// Durability: an append goes into the journal's pending group; one flush runs at a time, and what
// came meanwhile goes with the next. Segments follow in the background; a journal file is used
// again only once the segments hold, synced, all that is in it.
//
// The first write or sync that fails fences the store: the flush's waiters and all later calls
// answer `fenced`, nothing is retried, and on_fenced() tells the broker, which stops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "io/env.h"
#include "io/error.h"
#include "io/task.h"
#include "storage/partition_log.h"

namespace ottla::storage {

// Bounds of one store. The defaults are those of a shard on an ordinary machine.
struct StoreLimits {
  // Un-drained bytes are read again at the start after a crash, so they are few.
  std::uint64_t journal_file_bytes = 16ull << 20;
  std::uint64_t journal_first_file_bytes = 1ull << 20;  // so that an empty folder starts at once
  std::uint32_t journal_files = 6;                      // half of them old: the segments are synced
  // Of a piece of the journal's staging memory, so the largest flush, and of a slab of the tail's.
  // With what stands before it, a huge page.
  std::size_t chunk_bytes = (2ull << 20) - 4096;
  std::size_t batch_bytes_max = 8ull << 20;    // a larger append is too_large
  std::size_t tail_bytes = 32ull << 20;        // memory of the tail, beyond what must be kept
  std::size_t pending_bytes = 8ull << 20;      // waiting for their flush; then no_room
  std::size_t drain_bytes = 1ull << 20;        // of a partition, unwritten: its segment is written
  std::int64_t drain_after_ms = 1000;          // what lies longer is written as well
  std::size_t open_files = 512;                // descriptors of segments kept open
  std::size_t index_cache_bytes = 8ull << 20;  // indexes of segments that are being read
  std::int64_t checkpoint_interval_ms = 1000;  // nothing is written if nothing has changed
  // Of sealed segments, by the background scrub of all shards together; 0: there is none.
  std::uint64_t scrub_bytes_per_second = 4ull << 20;
  std::int64_t scrub_interval_ms = 7ll * 24 * 3600 * 1000;  // each segment is read at most so often
  std::int64_t retention_check_interval_ms = 300'000;
  // Compaction. The map of keys is made for a pass and given back after it.
  bool compacts = true;
  std::int64_t compaction_backoff_ms = 15'000;  // between looks for something to do
  std::uint64_t compaction_map_bytes = 128ull << 20;
  std::uint64_t compaction_bytes_per_second = std::numeric_limits<std::uint64_t>::max();
};

// A partition as recovery found it; see recovery.h. Plain data, so that it may travel to the shard.
struct LoadedPartition;

struct NewPartition {
  TopicIdPartition id;
  TopicPartition name;
  LogConfig config;
};

struct StoreStatistics {
  std::uint64_t appended_batches = 0;
  std::uint64_t appended_bytes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t journal_bytes = 0;  // written, padding included
  std::uint64_t segment_bytes = 0;  // written
  std::uint64_t segment_syncs = 0;
  std::size_t tail_bytes = 0;       // in memory now
  std::size_t undrained_bytes = 0;  // in the journal, not synced in segments
  std::size_t partitions = 0;
  std::uint64_t scrubbed_segments = 0;
  std::uint64_t scrubbed_bytes = 0;
  std::uint64_t removed_segments = 0;  // below log starts
  std::uint64_t compactions = 0;       // of a log
  std::uint64_t compacted_bytes = 0;   // read by them
  std::uint64_t scrub_damages = 0;  // ranges of offsets, index files, segments that can't be read
};

class Store {
 public:
  virtual ~Store() = default;

  // The partition, or null if it is not here (not opened, not created, removed).
  virtual std::shared_ptr<PartitionLog> find(const TopicIdPartition& id) = 0;
  virtual std::vector<std::shared_ptr<PartitionLog>> partitions() = 0;  // by topic id

  // Takes over what recovery found for a partition that the image assigns to this node.
  virtual std::shared_ptr<PartitionLog> open(LoadedPartition loaded, const LogConfig& config) = 0;

  // Makes new, empty partitions; durable when it returns (one flush for all). `exists` if a folder
  // of that name is there with another topic id: set that aside first. Those that
  // this store has already are returned as they are.
  virtual io::Task<io::Result<std::vector<std::shared_ptr<PartitionLog>>>> create(
      std::vector<NewPartition> wanted) = 0;

  // Removes partitions and their records: durable when it returns; the files go in the background.
  virtual io::Task<io::Result<>> remove(std::vector<TopicIdPartition> ids) = 0;

  // After an append answered no_room. Returns when there is room, or the store is fenced.
  virtual io::Task<> wait_for_room() = 0;

  virtual bool is_fenced() const = 0;
  virtual const io::Error& fence_reason() const = 0;  // REQUIRES: is_fenced()
  virtual void on_fenced(std::function<void(const io::Error&)> callback) = 0;

  // Writes and syncs all that is durable into segments, so that the journal holds nothing that they
  // lack.
  virtual io::Task<io::Result<>> drain() = 0;

  // Ends background work without draining, and waits for the writes under way: their memory goes
  // with the store. Called on a store that is fenced, or that nobody will close clean.
  virtual io::Task<> stop() = 0;

  virtual StoreStatistics statistics() const = 0;
};

}  // namespace ottla::storage
