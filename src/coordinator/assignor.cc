#include "coordinator/assignor.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace ottla::coordinator {
namespace {

// Moves between members with unlike subscriptions, at most, for each partition.
constexpr std::size_t kMovesPerPartitionMax = 4;

Assignment nothing_for(const AssignmentInput& input) {
  Assignment assignment;
  for (const AssignmentMember& member : input.members) assignment[member.id];
  return assignment;
}

std::map<Uuid, std::vector<const AssignmentMember*>> subscribers_of(
    const AssignmentInput& input, const std::vector<const AssignmentMember*>& order) {
  std::map<Uuid, std::vector<const AssignmentMember*>> subscribers;
  for (const AssignmentMember* member : order) {
    for (const Uuid& topic : member->topics) {
      if (input.partitions.contains(topic)) subscribers[topic].push_back(member);
    }
  }
  return subscribers;
}

// Static members first, by instance: a new member id does not move anything.
std::vector<const AssignmentMember*> in_order(const AssignmentInput& input) {
  std::vector<const AssignmentMember*> order;
  for (const AssignmentMember& member : input.members) order.push_back(&member);
  std::ranges::sort(order, {}, [](const AssignmentMember* member) {
    return std::tuple(!member->instance_id.has_value(), member->instance_id.value_or(""),
                      member->id);
  });
  return order;
}

// The state of a uniform assignment under way.
class Balance {
 public:
  explicit Balance(const AssignmentInput& input)
      : input_(input), order_(in_order(input)), subscribers_(subscribers_of(input, order_)) {}

  Assignment run() {
    keep_what_fits();
    give_out_the_rest();
    even_out();
    Assignment assignment = nothing_for(input_);
    for (const auto& [partition, member] : owners_) assignment[member->id].push_back(partition);
    return assignment;
  }

 private:
  bool all_subscribe_alike() const {
    return std::ranges::all_of(
        order_, [&](const auto* member) { return member->topics == order_.front()->topics; });
  }

  std::size_t& load(const AssignmentMember* member) { return loads_[member->id]; }

  void take(const AssignmentMember* member, const TopicIdPartition& partition) {
    owners_[partition] = member;
    ++load(member);
  }

  void keep_what_fits() {
    std::size_t total = 0;
    for (const auto& [topic, members] : subscribers_)
      total += static_cast<std::size_t>(input_.partitions.at(topic));
    // With equal subscriptions what is over the fair share can be told at once.
    const bool is_alike = !order_.empty() && all_subscribe_alike();
    const std::size_t share = is_alike ? total / order_.size() : total;
    std::size_t larger_shares = is_alike ? total % order_.size() : 0;
    for (const AssignmentMember* member : order_) {
      for (const TopicIdPartition& partition : member->current) {
        const auto count = input_.partitions.find(partition.topic_id);
        if (count == input_.partitions.end() || partition.partition < 0 ||
            partition.partition >= count->second || owners_.contains(partition) ||
            !std::ranges::binary_search(member->topics, partition.topic_id))
          continue;
        if (load(member) == share) {
          if (larger_shares == 0) break;
          --larger_shares;
          take(member, partition);
          break;
        }
        take(member, partition);
      }
    }
  }

  // Those that few may have come first.
  void give_out_the_rest() {
    std::vector<std::pair<std::size_t, Uuid>> topics;
    for (const auto& [topic, members] : subscribers_) topics.emplace_back(members.size(), topic);
    std::ranges::sort(topics);
    for (const auto& [count, topic] : topics) {
      // The least loaded first; among equals in the members' order.
      std::set<std::pair<std::size_t, std::size_t>> by_load;
      const auto& members = subscribers_.at(topic);
      for (std::size_t i = 0; i < members.size(); ++i) by_load.insert({load(members[i]), i});
      for (PartitionIndex index = 0; index < input_.partitions.at(topic); ++index) {
        const TopicIdPartition partition{topic, index};
        if (owners_.contains(partition)) continue;
        const auto [least, position] = *by_load.begin();
        by_load.erase(by_load.begin());
        take(members[position], partition);
        by_load.insert({least + 1, position});
      }
    }
  }

  // Until no single move makes two members more alike.
  void even_out() {
    std::size_t moves_left = owners_.size() * kMovesPerPartitionMax;
    for (bool has_moved = true; has_moved && moves_left > 0;) {
      has_moved = false;
      for (auto& [partition, owner] : owners_) {
        const auto& members = subscribers_.at(partition.topic_id);
        const auto least = std::ranges::min_element(
            members, {}, [&](const AssignmentMember* member) { return load(member); });
        if (load(owner) < load(*least) + 2 || moves_left == 0) continue;
        --load(owner);
        ++load(*least);
        owner = *least;
        --moves_left;
        has_moved = true;
      }
    }
  }

  const AssignmentInput& input_;
  const std::vector<const AssignmentMember*> order_;
  const std::map<Uuid, std::vector<const AssignmentMember*>> subscribers_;
  std::map<TopicIdPartition, const AssignmentMember*> owners_;
  std::map<std::string, std::size_t> loads_;
};

}  // namespace

Assignment assign_range(const AssignmentInput& input) {
  Assignment assignment = nothing_for(input);
  for (const auto& [topic, members] : subscribers_of(input, in_order(input))) {
    const auto count = static_cast<std::size_t>(input.partitions.at(topic));
    const std::size_t share = count / members.size();
    const std::size_t larger_shares = count % members.size();
    std::size_t next = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::size_t end = next + share + (i < larger_shares ? 1 : 0);
      for (; next < end; ++next)
        assignment[members[i]->id].push_back({topic, static_cast<PartitionIndex>(next)});
    }
  }
  return assignment;
}

Assignment assign_uniform(const AssignmentInput& input) { return Balance(input).run(); }

bool is_assignor(std::string_view name) {
  return std::ranges::find(kAssignorNames, name) != std::end(kAssignorNames);
}

Assignment assign(std::string_view name, const AssignmentInput& input) {
  OTTLA_CHECK(is_assignor(name));
  return name == "range" ? assign_range(input) : assign_uniform(input);
}

}  // namespace ottla::coordinator
