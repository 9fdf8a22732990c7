// Random requests, time and crashes against one group; what must hold for all of them is checked
// after each step. A failure names its seed.
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "coordinator/classic_group.h"
#include "coordinator/classic_group_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;
using wire::ErrorCode;

constexpr int kSeeds = 300;
constexpr int kSteps = 1'000;
constexpr int kClients = 6;

class RandomGroup {
 public:
  explicit RandomGroup(std::uint64_t seed) : random_(seed), clients_(kClients) {
    limits_.initial_rebalance_delay_ms = one_of({0, 3'000});
    limits_.members_max = one_of({2, 4, 1'000});
    limits_.new_member_join_timeout_ms = one_of({20'000, 300'000});
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Client& client = clients_[i];
      client.name = std::string(1, static_cast<char>('a' + i));
      if (i % 3 == 0) client.instance_id = "I" + client.name;
      client.version = one_of({0, 3, 4, 9});
    }
  }

  void step() {
    Client& client = clients_[below(clients_.size())];
    if (below(4) != 0) return client.is_waiting ? pass(one_of({50, 1'000})) : go_on(client);
    switch (below(8)) {
      case 0:
        return join(client);
      case 1:
        return sync(client);
      case 2:
        return heartbeat(client);
      case 3:
        return leave(client);
      case 4:
        return commit(client);
      case 5:
        return pass(one_of({1, 500, 3'000, 7'000}));
      case 6:
        return below(5) == 0 ? pass(one_of({30'000, 61'000})) : heartbeat(client);
      default:
        return below(8) == 0 ? crash() : commit(client);
    }
  }

  // Nobody asks any more: everything is answered, and everybody expires.
  void fall_silent() {
    for (int i = 0; i < 1'000 && group_.deadline(); ++i) pass(10'000);
    EXPECT_TRUE(waiting_.empty());
    EXPECT_EQ(group_.state(), ClassicGroupState::empty);
    EXPECT_EQ(group_.size(), 0u);
    EXPECT_EQ(group_.deadline(), std::nullopt);
  }

  int stable_generations() const { return static_cast<int>(assigned_.size()); }

 private:
  struct Client {
    std::string name;
    std::optional<std::string> instance_id;
    int version = 0;
    std::string member_id;
    std::int32_t generation = -1;
    bool leads = false;
    bool is_waiting = false;
    bool has_joined = false;
    bool has_synced = false;
    std::vector<std::string> members;  // that it was told as leader
  };
  struct Request {
    Client* client = nullptr;
    std::int32_t generation = -1;  // of a SyncGroup
    std::string member_key;        // likewise
  };

  std::size_t below(std::size_t end) { return random_() % end; }
  int one_of(std::vector<int> choices) { return choices[below(choices.size())]; }
  Now now() const { return Scenario::now_at(now_ms_); }
  Token token(Client& client, std::int32_t generation = -1, std::string member_key = "") {
    waiting_[++last_token_] = {&client, generation, std::move(member_key)};
    return last_token_;
  }
  // As a client does.
  void go_on(Client& client) {
    if (!client.has_joined) return join(client);
    if (!client.has_synced) return sync(client);
    heartbeat(client);
  }
  // A member goes by its instance, if it has one, whatever its id.
  std::string key_of(const std::string& member_id) const {
    const auto found = instances_.find(member_id);
    return found == instances_.end() ? member_id : found->second;
  }
  std::string any_member_id() {
    return below(5) == 0 || ids_.empty() ? "nobody" : ids_[below(ids_.size())];
  }

  void join(Client& client) {
    ClassicGroup::JoinContext context;
    context.token = token(client);
    context.client = {.client_id = client.name, .client_host = "/127.0.0.1"};
    context.requires_known_member_id = client.version >= 4;
    context.can_skip_assignment = client.version >= 9;
    context.fresh_member_suffix = std::to_string(last_token_);
    wire::JoinGroupRequest request;
    request.group_instance_id = client.instance_id;
    request.member_id = below(8) == 0 ? "" : below(20) == 0 ? any_member_id() : client.member_id;
    request.protocol_type = "consumer";
    request.session_timeout_ms = one_of({6'000, 10'000, 45'000});
    request.rebalance_timeout_ms = one_of({0, 5'000, 60'000});
    std::vector<std::string> names = {"range", "sticky", "own"};
    if (below(6) == 0) std::swap(names[0], names[1]);
    if (below(6) == 0) names.pop_back();
    for (const std::string& name : names) {
      auto& protocol = request.protocols.emplace_back();
      protocol.name = name;
      protocol.metadata = bytes_of(below(40) == 0 ? "changed" : "same");
    }
    if (client.instance_id) {
      instances_[*client.instance_id + "-" + context.fresh_member_suffix] = *client.instance_id;
    }
    client.is_waiting = true;
    Output output;
    group_.join(context, request, limits_, now(), output);
    take(output);
  }

  void sync(Client& client) {
    wire::SyncGroupRequest request;
    request.member_id = below(20) == 0 ? any_member_id() : client.member_id;
    request.group_instance_id = client.instance_id;
    request.generation_id = below(20) == 0 ? client.generation - 1 : client.generation;
    const Token asked = token(client, request.generation_id, key_of(request.member_id));
    client.is_waiting = true;
    if (client.leads) {
      for (const std::string& member : client.members) {
        if (below(10) == 0) continue;
        auto& assignment = request.assignments.emplace_back();
        assignment.member_id = member;
        assignment.assignment = bytes_of(member + " by " + std::to_string(asked));
      }
    }
    const ClassicGroupState before = group_.state();
    Output output;
    group_.sync(asked, request, now(), output);
    if (before != group_.state()) {
      ASSERT_EQ(group_.state(), ClassicGroupState::stable);
      ASSERT_EQ(group_.leader(), request.member_id);
      ASSERT_EQ(request.generation_id, group_.generation());
      ASSERT_FALSE(assigned_.contains(request.generation_id));
      auto& assigned = assigned_[request.generation_id];
      for (const auto& each : request.assignments) {
        assigned[key_of(each.member_id)] = each.assignment;
      }
    }
    take(output);
  }

  void heartbeat(Client& client) {
    wire::HeartbeatRequest request;
    request.member_id = client.member_id;
    request.group_instance_id = client.instance_id;
    request.generation_id = client.generation;
    Output output;
    group_.heartbeat(token(client), request, now(), output);
    take(output);
  }

  void leave(Client& client) {
    wire::LeaveGroupRequest request;
    const bool is_batch = client.version >= 3;
    if (is_batch) {
      auto& member = request.members.emplace_back();
      member.member_id = below(3) == 0 ? any_member_id() : client.member_id;
      member.group_instance_id = client.instance_id;
      if (below(3) == 0) request.members.push_back({.member_id = any_member_id()});
    } else {
      request.member_id = client.member_id;
    }
    Output output;
    group_.leave(token(client), request, is_batch, now(), output);
    take(output);
  }

  void commit(Client& client) {
    const std::string member_id = below(4) == 0 ? any_member_id() : client.member_id;
    const auto generation = client.generation - static_cast<std::int32_t>(below(2));
    if (group_.check_commit(member_id, std::nullopt, generation, false, now()) != ErrorCode::none) {
      return;
    }
    if (generation < 0) {
      EXPECT_EQ(group_.state(), ClassicGroupState::empty);
      return;
    }
    EXPECT_EQ(generation, group_.generation());
    EXPECT_NE(group_.state(), ClassicGroupState::completing_rebalance);
    const auto members = group_.describe().members;
    EXPECT_TRUE(std::ranges::any_of(
        members, [&](const auto& member) { return member.member_id == member_id; }));
  }

  void pass(TimestampMs ms) {
    const TimestampMs end = now_ms_ + ms;
    while (group_.deadline() && *group_.deadline() <= end) {
      now_ms_ = std::max(now_ms_, *group_.deadline());
      Output output;
      group_.tick(now(), limits_, output);
      take(output);
      if (group_.deadline()) ASSERT_GT(*group_.deadline(), now_ms_);
    }
    now_ms_ = end;
  }

  // Another coordinator goes on with what is recorded; who waited hears nothing.
  void crash() {
    if (!recorded_) return;
    waiting_.clear();
    for (Client& client : clients_) client.is_waiting = false;
    group_ = ClassicGroup::restore("g", *recorded_, now());
    generation_ = group_.generation();
    std::erase_if(leaders_, [&](const auto& each) { return each.first > generation_; });
  }

  void take(const Output& output) {
    EXPECT_GE(group_.generation(), generation_);
    generation_ = group_.generation();
    for (const GroupRecord& record : output.records) {
      recorded_ = std::get<ClassicGroupRecord>(record).value;
      check_record();
    }
    std::int32_t joined = 0;
    for (const Reply& reply : output.replies) {
      const auto asked = waiting_.find(reply.token);
      ASSERT_NE(asked, waiting_.end()) << "answered twice, or never asked: " << reply.token;
      const Request request = asked->second;
      waiting_.erase(asked);
      request.client->is_waiting = false;
      if (const auto* join = std::get_if<wire::JoinGroupResponse>(&reply.body)) {
        joined += join->error_code == 0;
        take(*join, *request.client);
      } else if (const auto* sync = std::get_if<wire::SyncGroupResponse>(&reply.body)) {
        take(*sync, request);
      } else if (const auto* beat = std::get_if<wire::HeartbeatResponse>(&reply.body)) {
        if (beat->error_code != 0) request.client->has_joined = false;
        if (beat->error_code == static_cast<std::int16_t>(ErrorCode::unknown_member_id)) {
          request.client->member_id.clear();
        }
      }
    }
    EXPECT_LE(joined, limits_.members_max);
  }

  void check_record() const {
    const ClassicGroup loaded = ClassicGroup::restore("g", recorded_.value(), now());
    EXPECT_EQ(loaded.describe(), group_.describe());
    EXPECT_EQ(loaded.generation(), group_.generation());
    EXPECT_EQ(loaded.leader(), group_.leader());
    EXPECT_EQ(loaded.protocol_name(), group_.protocol_name());
    EXPECT_EQ(loaded.protocol_type(), group_.protocol_type());
    EXPECT_EQ(loaded.empty_since_wall_ms(), group_.empty_since_wall_ms());
  }

  void take(const wire::JoinGroupResponse& reply, Client& client) {
    client.has_joined = reply.error_code == 0;
    client.has_synced = false;
    switch (static_cast<ErrorCode>(reply.error_code)) {
      case ErrorCode::none:
        break;
      case ErrorCode::member_id_required:
        client.member_id = reply.member_id;
        return;
      case ErrorCode::unknown_member_id:
      case ErrorCode::fenced_instance_id:
        client.member_id.clear();
        return;
      default:
        return;
    }
    ids_.push_back(reply.member_id);
    client.member_id = reply.member_id;
    client.generation = reply.generation_id;
    client.leads = reply.leader == reply.member_id;
    client.members.clear();
    for (const auto& member : reply.members) client.members.push_back(member.member_id);
    EXPECT_EQ(reply.generation_id, group_.generation());
    if (!client.leads) {
      EXPECT_TRUE(reply.members.empty());
      return;
    }
    EXPECT_FALSE(reply.skip_assignment && group_.state() != ClassicGroupState::stable);
    leaders_[reply.generation_id].insert(key_of(reply.member_id));
    EXPECT_EQ(leaders_[reply.generation_id].size(), 1u) << "generation " << reply.generation_id;
  }

  // G1: what the leader of this generation gave this member, whenever it asks.
  void take(const wire::SyncGroupResponse& reply, const Request& request) {
    request.client->has_joined = request.client->has_synced = reply.error_code == 0;
    if (reply.error_code != 0) return;
    const auto generation = assigned_.find(request.generation);
    ASSERT_NE(generation, assigned_.end()) << "generation " << request.generation;
    const auto given = generation->second.find(request.member_key);
    EXPECT_EQ(reply.assignment, given == generation->second.end() ? Bytes() : given->second)
        << request.member_key << " in generation " << request.generation;
  }

  std::mt19937_64 random_;
  ClassicGroupLimits limits_;
  std::vector<Client> clients_;
  ClassicGroup group_{"g", Scenario::now_at(0)};
  TimestampMs now_ms_ = 0;

  Token last_token_ = 0;
  std::map<Token, Request> waiting_;
  std::optional<wire::GroupMetadataValue> recorded_;
  std::int32_t generation_ = 0;
  std::vector<std::string> ids_;                  // that were ever members
  std::map<std::string, std::string> instances_;  // of member ids
  std::map<std::int32_t, std::set<std::string>> leaders_;
  std::map<std::int32_t, std::map<std::string, Bytes>> assigned_;
};

TEST(ClassicGroupProperty, HoldsUnderRandomRequestsTimeAndCrashes) {
  int stable_generations = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomGroup group(seed);
    for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i) group.step();
    group.fall_silent();
    stable_generations += group.stable_generations();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(stable_generations, 10 * kSeeds) << "the requests are too random to get anywhere";
}

}  // namespace
}  // namespace ottla::coordinator
