// The committed offsets of one group. Pure; changed by applying records only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "coordinator/group_output.h"

namespace ottla::coordinator {

struct CommittedOffset {
  wire::OffsetCommitValue value;
  std::uint64_t order = 0;  // of the record that said so, among all of its partition
};

class GroupOffsets {
 public:
  using ByPartition = std::map<PartitionIndex, CommittedOffset>;

  // `order` rises with the place in the log where the record stands. One that is older than what is
  // known changes nothing: a transaction's commit takes effect with its marker, maybe behind a
  // newer commit.
  void apply(const OffsetRecord& record, std::uint64_t order);

  // Null if nothing was committed.
  const wire::OffsetCommitValue* find(std::string_view topic, PartitionIndex partition) const;
  const std::map<std::string, ByPartition, std::less<>>& by_topic() const { return by_topic_; }
  bool empty() const { return by_topic_.empty(); }

  // Tombstones for those for which `is_expired` holds, in order.
  std::vector<OffsetRecord> tombstones(
      const std::string& group,
      const std::function<bool(const std::string& topic, PartitionIndex partition,
                               const wire::OffsetCommitValue& value)>& is_expired) const;

 private:
  std::map<std::string, ByPartition, std::less<>> by_topic_;
};

}  // namespace ottla::coordinator
