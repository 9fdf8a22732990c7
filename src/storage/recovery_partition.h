// One partition at the start: its directory as it is, and what the journals say of it, made into a
// LoadedPartition. Judges every byte that was not known to be on disk before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/env.h"
#include "storage/recovery_journals.h"
#include "storage/store_loaded_partition.h"

namespace ottla::storage {

struct PartitionToLoad {
  TopicIdPartition id;
  TopicPartition name;
  std::string directory;   // path
  bool was_clean = false;  // the folder has the clean marker: what stands there is complete
  // The last run was Kafka's: a segment may be torn though another follows it.
  bool is_kafkas = false;
  Offset recovery_point = 0;    // of the checkpoint
  Offset log_start_offset = 0;  // likewise
};

struct PartitionLoad {
  LoadedPartition partition;
  std::uint64_t scanned_bytes = 0;
  std::uint64_t cut_bytes = 0;  // behind the last good batch; padding does not count
};

// Errors: the disk's; kind invalid when the segments disagree with the journal.
io::Task<io::Result<PartitionLoad>> load_partition(io::Env& env, PartitionToLoad what,
                                                   PartitionHistory history);

}  // namespace ottla::storage
