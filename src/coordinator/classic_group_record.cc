// What is kept of a group in its record, and what is told of it.
#include <algorithm>
#include <utility>

#include "coordinator/classic_group.h"
#include "wire/codec.h"
#include "wire/messages/consumer_protocol_subscription.h"
#include "wire/reader.h"

namespace ottla::coordinator {
namespace {

// Nothing if the bytes are not of the consumer protocol. Every version of it begins as version 0.
std::optional<std::vector<std::string>> topics_of(const Bytes& subscription) {
  wire::Reader reader(Slice::copy_of(subscription));
  const auto version = reader.integer<std::int16_t>();
  if (reader.failed() || version < 0) return std::nullopt;
  auto body = wire::decode_next<wire::ConsumerProtocolSubscription>(reader, 0);
  if (!body) return std::nullopt;
  return std::move(body->topics);
}

}  // namespace

ClassicGroup ClassicGroup::restore(std::string id, const wire::GroupMetadataValue& value, Now now) {
  ClassicGroup group(std::move(id), now);
  group.generation_ = std::max(value.generation, 0);
  group.state_since_wall_ms_ = value.current_state_timestamp;
  if (!value.protocol_type.empty()) group.protocol_type_ = value.protocol_type;
  group.protocol_name_ = value.protocol;
  for (const auto& each : value.members) {
    if (group.members_.find(each.member_id)) continue;
    if (each.group_instance_id && group.members_.find_instance(*each.group_instance_id)) continue;
    ClassicMember member;
    member.id = each.member_id;
    member.instance_id = each.group_instance_id;
    member.client = {.client_id = each.client_id, .client_host = each.client_host};
    member.session_timeout_ms = each.session_timeout;
    member.rebalance_timeout_ms =
        rebalance_timeout_or_session(each.rebalance_timeout, each.session_timeout);
    member.protocols = {{.name = value.protocol.value_or(""), .metadata = each.subscription}};
    member.assignment = each.assignment;
    group.renew_session(group.members_.add(std::move(member)), now);
  }
  if (const auto* leader = group.members_.find(value.leader.value_or(""))) {
    group.members_.set_leader(*leader);
  }
  if (!group.members_.empty()) {
    if (!group.protocol_name_) group.protocol_name_ = "";
    group.state_ = ClassicGroupState::stable;
    group.is_size_unchecked_ = true;
    group.deadline_ms_ = now.monotonic_ms;
  }
  group.find_subscribed_topics();
  return group;
}

void ClassicGroup::record(Output& output) const {
  wire::GroupMetadataValue value;
  value.protocol_type = protocol_type_.value_or("");
  value.generation = generation_;
  value.protocol = protocol_name_;
  value.leader = leader();
  value.current_state_timestamp = state_since_wall_ms_;
  for (const ClassicMember& member : members_.all()) {
    auto& each = value.members.emplace_back();
    each.member_id = member.id;
    each.group_instance_id = member.instance_id;
    each.client_id = member.client.client_id;
    each.client_host = member.client.client_host;
    each.rebalance_timeout = member.rebalance_timeout_ms;
    each.session_timeout = member.session_timeout_ms;
    each.subscription = member.metadata(protocol_name_.value_or(""));
    each.assignment = member.assignment;
  }
  output.records.push_back(ClassicGroupRecord{.group = id_, .value = std::move(value)});
}

std::string_view ClassicGroup::state_name() const {
  switch (state_) {
    case ClassicGroupState::empty:
      return "Empty";
    case ClassicGroupState::preparing_rebalance:
      return "PreparingRebalance";
    case ClassicGroupState::completing_rebalance:
      return "CompletingRebalance";
    case ClassicGroupState::stable:
      return "Stable";
    case ClassicGroupState::dead:
      return "Dead";
  }
  return "";
}

std::optional<std::string> ClassicGroup::leader() const {
  if (members_.empty()) return std::nullopt;
  return members_.leader()->id;
}

TimestampMs ClassicGroup::empty_since_wall_ms() const {
  return state_ == ClassicGroupState::empty ? state_since_wall_ms_ : -1;
}

bool ClassicGroup::is_subscribed_to(const std::string& topic) const {
  if (members_.empty()) return false;
  return !subscribed_topics_ || subscribed_topics_->contains(topic);
}

void ClassicGroup::find_subscribed_topics() {
  subscribed_topics_.reset();
  if (protocol_type_ != kConsumerProtocolType || !protocol_name_) return;
  std::set<std::string> topics;
  for (const ClassicMember& member : members_.all()) {
    const auto told = topics_of(member.metadata(*protocol_name_));
    if (!told) return;
    topics.insert(told->begin(), told->end());
  }
  subscribed_topics_ = std::move(topics);
}

wire::DescribeGroupsResponse::DescribedGroup ClassicGroup::describe() const {
  wire::DescribeGroupsResponse::DescribedGroup described;
  described.group_id = id_;
  described.group_state = state_name();
  described.protocol_type = protocol_type_.value_or("");
  const bool is_stable = state_ == ClassicGroupState::stable;
  if (is_stable) described.protocol_data = *protocol_name_;
  for (const ClassicMember& member : members_.all()) {
    auto& each = described.members.emplace_back();
    each.member_id = member.id;
    each.group_instance_id = member.instance_id;
    each.client_id = member.client.client_id;
    each.client_host = member.client.client_host;
    each.member_assignment = member.assignment;
    if (is_stable) each.member_metadata = member.metadata(*protocol_name_);
  }
  return described;
}

}  // namespace ottla::coordinator
