// Recovery: from a log dir as a crash, a clean stop, or a real Kafka left it, to partitions that
// can be opened. Runs on shard 0, for all shards; the number of shards may differ from that of the
// last run. Then the folder stays in this hand until it is closed clean: LogFolder.
//
// The way of a start:
//   1. recover_log_dir(): takes `.lock`, checks meta.properties, reads and removes the clean
//   marker,
//      finishes interrupted swaps and deletions, loads the partitions, replays the journals of the
//      last run onto them and syncs, makes the journals of this run.
//   2. On each shard k: co_await folder->open_store(env of k).
//   3. The metadata partition: store.open(folder->take(id)); the broker reads the image from it.
//   4. For each partition that the image assigns to this node: folder->take(id) on shard 0, then
//      store.open() on its shard.
//   5. folder->set_aside_others(store 0): what is left is renamed to `-stray`, never deleted.
//   6. store.create() where take() had nothing; not earlier, since what was left may have the name.
// The way of a stop: folder->close_clean(stores, broker epoch), on shard 0.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "io/env.h"
#include "io/error.h"
#include "io/task.h"
#include "storage/store.h"
#include "storage/store_loaded_partition.h"

namespace ottla::storage {

struct RecoverySettings {
  std::string path;  // the log dir; made if it is not there
  // What must be in meta.properties if it is there; it is not written here but by format (see
  // consensus/format.h). nullopt: anything will do (tools).
  std::optional<std::string> cluster_id;
  std::optional<NodeId> node_id;
  unsigned shards = 1;
  StoreLimits limits;
};

// What the start found, for the log and for the registration.
struct RecoveryReport {
  bool was_clean = false;
  std::optional<BrokerEpoch> previous_broker_epoch;  // of the clean marker
  bool was_lossy = false;  // something was cut: possibly torn, possibly acknowledged (6.4)
  std::uint64_t replayed_entries = 0;
  std::uint64_t replayed_bytes = 0;
  std::uint64_t scanned_bytes = 0;  // of segments
  std::uint64_t cut_bytes = 0;
  std::vector<std::string> damages;  // ranges that answer CORRUPT_MESSAGE, for people
};

class LogFolder;

// Errors: in_use (another process has the lock), invalid with a message that names cause and remedy
// (other node, other cluster, a journal is missing, a segment disagrees with the journal ...).
io::Task<io::Result<std::unique_ptr<LogFolder>>> recover_log_dir(io::Env& env,
                                                                 RecoverySettings settings);

class LogFolder {
 public:
  virtual ~LogFolder() = default;
  virtual const RecoveryReport& report() const = 0;
  virtual std::string cluster_id() const = 0;  // of meta.properties; empty where there is none
  virtual Uuid directory_id() const = 0;

  // Called on shard `there.shard`, once for each. The store must go before `there` does.
  virtual io::Task<io::Result<std::shared_ptr<Store>>> open_store(io::Env& there) = 0;

  // The partitions found, by topic id; and one of them, which is then no longer here.
  virtual std::vector<TopicIdPartition> found() const = 0;
  virtual std::optional<LoadedPartition> take(const TopicIdPartition& id) = 0;
  // `store` is that of shard 0; what the journal has of them is written into their segments first.
  virtual io::Task<io::Result<>> set_aside_others(std::shared_ptr<Store> store) = 0;

  // Drains what the journals of former runs held and removes those, then writes the checkpoints of
  // all stores (by shard) now and then until Env::stop: spawn it on shard 0 once all partitions are
  // open.
  virtual io::Task<> keep_checkpoints(std::vector<std::shared_ptr<Store>> stores) = 0;

  // Drains all journals into the segments, cuts, syncs, writes snapshots at the log ends and
  // checkpoints, removes the journals, and writes the clean marker last. No appends may be under
  // way, and none are taken afterwards. Releases the lock.
  virtual io::Task<io::Result<>> close_clean(std::vector<std::shared_ptr<Store>> stores,
                                             BrokerEpoch broker_epoch) = 0;
};

}  // namespace ottla::storage
