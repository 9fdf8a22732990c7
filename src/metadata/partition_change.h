// What becomes of a partition when replicas leave its ISR or may lead again: the new ISR, the
// replicas that are still eligible to lead (ELR), the last known leader, and who leads. Pure.
//
// After Kafka's PartitionChangeBuilder (KIP-966). With eligible leader replicas an ISR may become
// empty: who left it while it was smaller than min.insync.replicas has everything that was
// acknowledged, and is eligible until the ISR is large enough again or it comes back without its
// data.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "metadata/image.h"
#include "wire/messages/partition_change_record.h"

namespace ottla::metadata {

struct PartitionChange {
  std::vector<NodeId> isr;                // that is wanted
  std::vector<NodeId> without_data = {};  // came back after an unclean end
  std::function<bool(NodeId)> may_lead;
  bool has_elr = true;  // eligible.leader.replicas.version is 1
  std::size_t min_isr = 1;
  bool unclean_election = false;  // unclean.leader.election.enable
};

// Nothing if nothing changes.
std::optional<wire::PartitionChangeRecord> change_partition(const TopicImage& topic,
                                                            std::size_t index,
                                                            const PartitionChange& change);

}  // namespace ottla::metadata
