// What the journals of former runs say, put together by partition. Knows nothing of segments.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "io/env.h"
#include "storage/format_error.h"
#include "storage/journal_format.h"

namespace ottla::storage {

// `journals.ottla`: which journals must be there. Written before the first entry of a run, and
// gone after a clean stop.
inline constexpr std::string_view kJournalListFile = "journals.ottla";

struct JournalList {
  std::string cluster_id;
  Uuid directory_id;
  struct Run {
    std::uint64_t run = 0;
    std::uint32_t shards = 0;
    bool operator==(const Run&) const = default;
  };
  std::vector<Run> runs;  // whose entries segments may lack; the last one is the present one
  bool operator==(const JournalList&) const = default;
};
std::string serialize_journal_list(const JournalList& list);
Parsed<JournalList> parse_journal_list(std::string_view text);

struct JournaledBatch {
  Slice bytes;  // empty if the journal's copy is damaged
  Offset base_offset = 0;
  Offset next_offset = 0;
};

// All that the journals say of one partition, later entries applied to earlier ones.
struct PartitionHistory {
  std::vector<JournaledBatch> batches;  // contiguous or with gaps, rising
  std::optional<Offset> truncated_to;   // the lowest such; segments may hold more than they should
  Offset log_start = 0;
  std::optional<std::string> created_as;  // the topic's name, if the partition was made
  struct Block {
    std::uint64_t position = 0;
    Slice bytes;
  };
  std::map<Offset, Block> blocks;  // by segment: what its last synced partial block held
  bool was_removed = false;        // and not made again
  std::uint64_t entries = 0;
};

struct JournalsFound {
  std::map<TopicIdPartition, PartitionHistory> partitions;
  std::vector<std::string> files;  // all names, whether of use or not
  std::optional<JournalList> list;
  std::uint64_t last_run = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  bool was_torn = false;  // a group that was being written is cut short
};

// Reads the journals in `directory` that the list names; others were left behind when they were no
// longer needed. Errors, kind invalid: one that has to be there is missing, one
// is damaged below what was durable, one belongs to another folder.
io::Task<io::Result<JournalsFound>> read_journals(io::Env& env, std::string directory,
                                                  std::optional<std::string> cluster_id);

}  // namespace ottla::storage
