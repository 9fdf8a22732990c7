// Reading partitions for Fetch: one pass over a list of targets on the shard that owns them, and
// the watch that tells when another pass is worth it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/gather.h"
#include "broker/fetch_session.h"
#include "broker/shard.h"
#include "storage/transaction_index.h"
#include "wire/errors.h"

namespace ottla::broker {

enum class Isolation : std::int8_t { read_uncommitted = 0, read_committed = 1 };

struct ReadTarget {
  std::size_t place = 0;  // in the answer
  TopicIdPartition id;
  FetchTarget fetch;
};

struct DivergingEpoch {
  LeaderEpoch epoch = -1;
  Offset end_offset = -1;
};

struct PartitionRead {
  std::size_t place = 0;
  wire::ErrorCode error = wire::ErrorCode::none;
  Offset high_watermark = -1;
  Offset last_stable_offset = -1;
  Offset log_start_offset = -1;
  std::optional<DivergingEpoch> diverging;
  std::vector<storage::AbortedTransaction> aborted;  // only under read_committed
  Gather records;
};

// What is left of the request's max.bytes. The first partition that has data gives a batch even if
// that is larger.
struct ReadBudget {
  std::size_t bytes = 0;
  bool gave_any = false;
};

struct ReadPass {
  std::vector<PartitionRead> reads;
  ReadBudget budget;
};

// Reads the targets, which `owner` owns, in their order.
io::Task<ReadPass> read_partitions(Shard& owner, std::vector<ReadTarget> targets,
                                   Isolation isolation, ReadBudget budget);

// Wakes a long poll: set once when any of the watched partitions has moved.
class FetchWatch;

// Watches the partitions that `owner` owns, for a request at home on `home`; `changed` is set
// there, by a message if that is another shard. Lives until the task below has ended.
struct FetchWatchHandle {
  std::shared_ptr<FetchWatch> watch;  // only to be touched on the owner
};
FetchWatchHandle watch_partitions(Shard& owner, const std::vector<TopicIdPartition>& partitions,
                                  io::Env& home, std::shared_ptr<io::Event> changed);

}  // namespace ottla::broker
