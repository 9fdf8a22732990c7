// GroupCoordinator: the partitions of `__consumer_offsets` that this shard owns and the node leads.
// Told of them by the shard whenever its image changes; asked by the handlers of the group APIs, on
// the shard that owns the group's partition.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/group_partition.h"

namespace ottla::coordinator {

class GroupCoordinator {
 public:
  GroupCoordinator(io::Env& env, const GroupLimits& limits, GroupPartition::Host host)
      : env_(env), limits_(limits), host_(std::move(host)), tasks_(env.executor) {}

  struct Led {
    PartitionIndex index = 0;
    std::shared_ptr<storage::PartitionLog> log;
    LeaderEpoch leader_epoch = 0;
  };
  // The partitions that are led now: new ones are loaded, others let go.
  void lead(const std::vector<Led>& led);
  void topics_changed(const std::set<std::string>& names);
  // Everybody who waits is sent away; nobody is served any more.
  void stop();
  // Everything that was begun has ended. After stop().
  io::Task<void> join() { return tasks_.join(); }

  // Null if this shard does not lead that partition.
  std::shared_ptr<GroupPartition> find(PartitionIndex index) const;
  std::vector<std::shared_ptr<GroupPartition>> all() const;

 private:
  io::Env& env_;
  const GroupLimits limits_;
  const GroupPartition::Host host_;
  std::map<PartitionIndex, std::shared_ptr<GroupPartition>> partitions_;
  bool is_stopped_ = false;
  io::TaskGroup tasks_;
};

}  // namespace ottla::coordinator
