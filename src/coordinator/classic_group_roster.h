// The members of one classic group: who they are, in which order they came, who leads, which
// protocols all of them speak, and which of them wait for an answer. Bookkeeping only: what the
// answers are and when they are due is ClassicGroup's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "coordinator/group_output.h"
#include "wire/messages/join_group_request.h"

namespace ottla::coordinator {

struct ClientIdentity {
  std::string client_id;
  std::string client_host;  // "/127.0.0.1", as Kafka has it
};

// One of the ways of assignment that a member offers, with what it says to the leader in it.
struct MemberProtocol {
  std::string name;
  Bytes metadata;
  bool operator==(const MemberProtocol&) const = default;
};
using MemberProtocols = std::vector<MemberProtocol>;

// In the member's order of preference. Of several with one name the first counts.
MemberProtocols protocols_of(const wire::JoinGroupRequest& request);

// JoinGroup v0 and the records of its time have no rebalance timeout (-1).
std::int32_t rebalance_timeout_or_session(std::int32_t rebalance_timeout_ms,
                                          std::int32_t session_timeout_ms);

struct ClassicMember {
  std::string id;
  std::optional<std::string> instance_id;  // of a static member (KIP-345)
  ClientIdentity client;
  std::int32_t rebalance_timeout_ms = 0;
  std::int32_t session_timeout_ms = 0;
  MemberProtocols protocols;
  Bytes assignment;

  // Joins for the first time: a wait that is bounded by itself, since such a member may not know
  // its id yet and cannot send heartbeats.
  bool is_new = false;
  bool owes_sync = false;      // has not sent SyncGroup in this generation
  TimestampMs expires_ms = 0;  // its session, or its first join
  std::optional<Token> join;   // the JoinGroup that waits; changed by ClassicRoster only
  std::optional<Token> sync;   // the SyncGroup that waits
  std::uint64_t position = 0;  // in the order of arrival; ClassicRoster's own

  bool is_static() const { return instance_id.has_value(); }
  bool is_due(TimestampMs now_ms) const {
    return (is_new || !(join || sync)) && expires_ms <= now_ms;
  }
  // What it says in this protocol; empty if it does not speak it.
  const Bytes& metadata(std::string_view protocol) const;
};

// Invariants: (1) ids and instance ids are unique; (2) there is a leader if and only if there are
// members; (3) every member offers a protocol that all members offer, as long as add() and
// set_protocols() were asked only after supports_any().
class ClassicRoster {
 public:
  std::size_t size() const { return members_.size(); }
  bool empty() const { return members_.empty(); }

  // In order of arrival.
  auto all() { return std::views::values(members_); }
  auto all() const { return std::views::values(members_); }

  // Pointers stay valid until the member is erased. nullptr if there is none.
  ClassicMember* find(const std::string& id);
  const ClassicMember* find(const std::string& id) const;
  ClassicMember* find_instance(const std::string& instance_id);

  // The first one leads. REQUIRES: id and instance id are not taken.
  ClassicMember& add(ClassicMember member);
  // The eldest of the others leads if it was the leader. REQUIRES: nothing of it waits.
  void erase(ClassicMember& member);
  void clear();
  // A static member comes back under a new id, and keeps its place and the lead. REQUIRES: not
  // taken.
  void rename(ClassicMember& member, std::string id);
  void set_protocols(ClassicMember& member, MemberProtocols protocols);

  const ClassicMember* leader() const;
  bool is_leader(const ClassicMember& member) const { return leader() == &member; }
  void set_leader(const ClassicMember& member);
  // The eldest of those who wait for the end of the join phase; nullptr if nobody does.
  const ClassicMember* first_joining() const;

  // How many wait for the end of the join phase.
  std::size_t joining() const { return joining_; }
  // Returns the request that the new one replaces.
  std::optional<Token> await_join(ClassicMember& member, Token token);
  std::optional<Token> take_join(ClassicMember& member);

  // Whether one of these is offered by all members; if there are none, whether there is one.
  bool supports_any(const MemberProtocols& protocols) const;
  // The common protocol that most members prefer to the other common ones; of equals the first by
  // name. Empty if nothing is common.
  std::string elect_protocol() const;

  std::int32_t rebalance_timeout_ms_max() const;  // 0 if there are none

 private:
  void count_protocols(const ClassicMember& member, int change);
  bool is_common(const std::string& protocol) const;

  std::map<std::uint64_t, ClassicMember> members_;         // by position
  std::map<std::string, std::uint64_t> positions_;         // by member id
  std::map<std::string, std::uint64_t> static_positions_;  // by instance id
  std::map<std::string, std::size_t> protocol_counts_;     // how many offer it; never 0
  std::uint64_t next_position_ = 0;
  std::uint64_t leader_position_ = 0;
  std::size_t joining_ = 0;
};

}  // namespace ottla::coordinator
