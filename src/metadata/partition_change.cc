#include "metadata/partition_change.h"

#include <algorithm>

namespace ottla::metadata {
namespace {

using Replicas = std::vector<NodeId>;

constexpr NodeId kNoLeader = -1;
constexpr std::int8_t kRecovering = 1;

bool contains(const Replicas& ids, NodeId id) { return std::ranges::find(ids, id) != ids.end(); }

// Of all that are in one of them, by id, those that are in none of the others.
Replicas all_but(std::initializer_list<const Replicas*> of,
                 std::initializer_list<const Replicas*> but) {
  Replicas result;
  for (const Replicas* ids : of) result.insert(result.end(), ids->begin(), ids->end());
  std::ranges::sort(result);
  const auto twice = std::ranges::unique(result);
  result.erase(twice.begin(), twice.end());
  std::erase_if(result, [&](NodeId id) {
    return std::ranges::any_of(but, [id](const Replicas* ids) { return contains(*ids, id); });
  });
  return result;
}

struct Elected {
  NodeId leader = kNoLeader;
  bool is_unclean = false;
};

}  // namespace

std::optional<wire::PartitionChangeRecord> change_partition(const TopicImage& topic,
                                                            std::size_t index,
                                                            const PartitionChange& change) {
  const PartitionImage& now = topic.partitions[index];
  Replicas isr = change.isr;
  if (isr.empty() && !change.has_elr) isr = now.isr;  // only its last member has everything

  Replicas elr;
  if (change.has_elr && isr.size() < std::min(change.min_isr, now.replicas.size()))
    elr = all_but({&now.elr, &now.isr}, {&isr, &change.without_data});

  const auto is_complete = [&](NodeId id) {
    return (contains(isr, id) || contains(elr, id)) && change.may_lead(id);
  };
  const auto elect = [&]() -> Elected {
    if (is_complete(now.leader)) return {now.leader};
    if (const auto next = std::ranges::find_if(now.replicas, is_complete);
        next != now.replicas.end()) {
      return {*next};
    }
    // Nobody has everything for sure; nobody can have more than who led last.
    const bool is_lost = change.has_elr && isr.empty() && elr.empty();
    if (is_lost && now.last_known_elr.size() == 1 && change.may_lead(now.last_known_elr.front())) {
      return {now.last_known_elr.front(), true};
    }
    if (change.unclean_election) {
      const auto any = std::ranges::find_if(now.replicas, change.may_lead);
      if (any != now.replicas.end()) return {*any, true};
    }
    return {};
  };
  const Elected elected = elect();

  wire::PartitionChangeRecord record;
  record.topic_id = topic.id;
  record.partition_id = static_cast<std::int32_t>(index);
  bool is_change = false;
  if (elected.leader != now.leader) {
    is_change = true;
    record.leader = elected.leader;
    if (elected.is_unclean) {
      isr = {elected.leader};
      elr.clear();
      if (now.leader_recovery_state != kRecovering) record.leader_recovery_state = kRecovering;
    } else if (contains(elr, elected.leader)) {
      isr = {elected.leader};
      std::erase(elr, elected.leader);
    }
  }
  if (isr != now.isr) {
    is_change = true;
    record.isr = isr;
  }
  if (elr != now.elr) {
    is_change = true;
    record.eligible_leader_replicas = elr;
  }
  Replicas last_known = now.last_known_elr;  // who led last, while nobody leads
  if (elected.leader != kNoLeader) {
    last_known.clear();
  } else if (change.has_elr && isr.empty() && now.leader != kNoLeader) {
    last_known = {now.leader};
  }
  if (last_known != now.last_known_elr) {
    is_change = true;
    record.last_known_elr = last_known;
  }
  if (!is_change) return std::nullopt;
  return record;
}

}  // namespace ottla::metadata
