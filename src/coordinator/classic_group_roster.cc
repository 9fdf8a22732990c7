#include "coordinator/classic_group_roster.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ottla::coordinator {

MemberProtocols protocols_of(const wire::JoinGroupRequest& request) {
  MemberProtocols protocols;
  std::set<std::string_view> names;
  for (const auto& protocol : request.protocols) {
    if (names.insert(protocol.name).second) {
      protocols.push_back({.name = protocol.name, .metadata = protocol.metadata});
    }
  }
  return protocols;
}

std::int32_t rebalance_timeout_or_session(std::int32_t rebalance_timeout_ms,
                                          std::int32_t session_timeout_ms) {
  return rebalance_timeout_ms < 0 ? session_timeout_ms : rebalance_timeout_ms;
}

const Bytes& ClassicMember::metadata(std::string_view protocol) const {
  static const Bytes kNone;
  const auto found = std::ranges::find(protocols, protocol, &MemberProtocol::name);
  return found == protocols.end() ? kNone : found->metadata;
}

ClassicMember* ClassicRoster::find(const std::string& id) {
  const auto found = positions_.find(id);
  return found == positions_.end() ? nullptr : &members_.at(found->second);
}

const ClassicMember* ClassicRoster::find(const std::string& id) const {
  const auto found = positions_.find(id);
  return found == positions_.end() ? nullptr : &members_.at(found->second);
}

ClassicMember* ClassicRoster::find_instance(const std::string& instance_id) {
  const auto found = static_positions_.find(instance_id);
  return found == static_positions_.end() ? nullptr : &members_.at(found->second);
}

ClassicMember& ClassicRoster::add(ClassicMember member) {
  OTTLA_CHECK(!member.join && !positions_.contains(member.id));
  member.position = next_position_++;
  if (members_.empty()) leader_position_ = member.position;
  positions_.emplace(member.id, member.position);
  if (member.instance_id) {
    const bool is_free = static_positions_.emplace(*member.instance_id, member.position).second;
    OTTLA_CHECK(is_free);
  }
  count_protocols(member, +1);
  return members_.emplace(member.position, std::move(member)).first->second;
}

void ClassicRoster::erase(ClassicMember& member) {
  OTTLA_CHECK(!member.join && !member.sync);
  count_protocols(member, -1);
  positions_.erase(member.id);
  if (member.instance_id) static_positions_.erase(*member.instance_id);
  const std::uint64_t position = member.position;
  members_.erase(position);
  if (leader_position_ == position && !members_.empty()) {
    leader_position_ = members_.begin()->first;
  }
}

void ClassicRoster::clear() {
  while (!members_.empty()) erase(members_.begin()->second);
}

void ClassicRoster::rename(ClassicMember& member, std::string id) {
  positions_.erase(member.id);
  member.id = std::move(id);
  const bool is_free = positions_.emplace(member.id, member.position).second;
  OTTLA_CHECK(is_free);
}

void ClassicRoster::set_protocols(ClassicMember& member, MemberProtocols protocols) {
  count_protocols(member, -1);
  member.protocols = std::move(protocols);
  count_protocols(member, +1);
}

const ClassicMember* ClassicRoster::leader() const {
  return members_.empty() ? nullptr : &members_.at(leader_position_);
}

void ClassicRoster::set_leader(const ClassicMember& member) { leader_position_ = member.position; }

const ClassicMember* ClassicRoster::first_joining() const {
  for (const ClassicMember& member : all()) {
    if (member.join) return &member;
  }
  return nullptr;
}

std::optional<Token> ClassicRoster::await_join(ClassicMember& member, Token token) {
  const std::optional<Token> replaced = take_join(member);
  member.join = token;
  ++joining_;
  return replaced;
}

std::optional<Token> ClassicRoster::take_join(ClassicMember& member) {
  if (member.join) --joining_;
  return std::exchange(member.join, std::nullopt);
}

void ClassicRoster::count_protocols(const ClassicMember& member, int change) {
  for (const MemberProtocol& protocol : member.protocols) {
    std::size_t& count = protocol_counts_[protocol.name];
    count += static_cast<std::size_t>(change);
    if (count == 0) protocol_counts_.erase(protocol.name);
  }
}

bool ClassicRoster::is_common(const std::string& protocol) const {
  const auto found = protocol_counts_.find(protocol);
  return found != protocol_counts_.end() && found->second == members_.size();
}

bool ClassicRoster::supports_any(const MemberProtocols& protocols) const {
  if (members_.empty()) return !protocols.empty();
  return std::ranges::any_of(protocols, [&](const auto& each) { return is_common(each.name); });
}

std::string ClassicRoster::elect_protocol() const {
  std::map<std::string_view, std::size_t> votes;
  for (const ClassicMember& member : all()) {
    const auto choice = std::ranges::find_if(
        member.protocols, [&](const auto& protocol) { return is_common(protocol.name); });
    if (choice != member.protocols.end()) ++votes[choice->name];
  }
  const auto winner =
      std::ranges::max_element(votes, {}, [](const auto& candidate) { return candidate.second; });
  return winner == votes.end() ? std::string() : std::string(winner->first);
}

std::int32_t ClassicRoster::rebalance_timeout_ms_max() const {
  std::int32_t longest = 0;
  for (const ClassicMember& member : all()) {
    longest = std::max(longest, member.rebalance_timeout_ms);
  }
  return longest;
}

}  // namespace ottla::coordinator
