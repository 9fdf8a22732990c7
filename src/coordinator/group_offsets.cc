#include "coordinator/group_offsets.h"

namespace ottla::coordinator {

void GroupOffsets::apply(const OffsetRecord& record, std::uint64_t order) {
  if (record.value) {
    CommittedOffset& known = by_topic_[record.topic][record.partition];
    if (known.order > order) return;
    known.value = *record.value;
    known.order = order;
    return;
  }
  const auto topic = by_topic_.find(record.topic);
  if (topic == by_topic_.end()) return;
  topic->second.erase(record.partition);
  if (topic->second.empty()) by_topic_.erase(topic);
}

const wire::OffsetCommitValue* GroupOffsets::find(std::string_view topic,
                                                  PartitionIndex partition) const {
  const auto by_partition = by_topic_.find(topic);
  if (by_partition == by_topic_.end()) return nullptr;
  const auto found = by_partition->second.find(partition);
  return found == by_partition->second.end() ? nullptr : &found->second.value;
}

std::vector<OffsetRecord> GroupOffsets::tombstones(
    const std::string& group,
    const std::function<bool(const std::string& topic, PartitionIndex partition,
                             const wire::OffsetCommitValue& value)>& is_expired) const {
  std::vector<OffsetRecord> records;
  for (const auto& [topic, by_partition] : by_topic_) {
    for (const auto& [partition, committed] : by_partition) {
      if (is_expired(topic, partition, committed.value))
        records.push_back({group, topic, partition, std::nullopt});
    }
  }
  return records;
}

}  // namespace ottla::coordinator
