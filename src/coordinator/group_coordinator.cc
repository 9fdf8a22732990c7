#include "coordinator/group_coordinator.h"

#include <algorithm>

namespace ottla::coordinator {

void GroupCoordinator::lead(const std::vector<Led>& led) {
  if (is_stopped_) return;
  for (auto at = partitions_.begin(); at != partitions_.end();) {
    const auto still = std::ranges::find(led, at->first, &Led::index);
    if (still != led.end() && still->leader_epoch == at->second->leader_epoch() &&
        still->log.get() == &at->second->log()) {
      ++at;
      continue;
    }
    at->second->stop();
    at = partitions_.erase(at);
  }
  for (const Led& one : led) {
    if (partitions_.contains(one.index)) continue;
    auto partition =
        std::make_shared<GroupPartition>(env_, one.log, one.leader_epoch, limits_, host_);
    tasks_.spawn(partition->run());
    partitions_.emplace(one.index, std::move(partition));
  }
}

void GroupCoordinator::topics_changed(const std::set<std::string>& names) {
  for (const auto& [index, partition] : partitions_) partition->topics_changed(names);
}

void GroupCoordinator::stop() {
  is_stopped_ = true;
  for (const auto& [index, partition] : partitions_) partition->stop();
  partitions_.clear();
}

std::shared_ptr<GroupPartition> GroupCoordinator::find(PartitionIndex index) const {
  const auto found = partitions_.find(index);
  return found == partitions_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<GroupPartition>> GroupCoordinator::all() const {
  std::vector<std::shared_ptr<GroupPartition>> all;
  for (const auto& [index, partition] : partitions_) all.push_back(partition);
  return all;
}

}  // namespace ottla::coordinator
