// A small language for scenarios of one group. A scenario is a text of steps with what comes of
// each, indented, below it; run() does the steps and gives the text that it should have been.
//
//   limits delay=MS max=N new=MS                   before a join; all optional
//   join TOKEN [m=MEMBER] [i=INSTANCE] [p=NAME:METADATA,...] [v=VERSION] [type=T] [session=MS]
//        [rebalance=MS] [client=ID]                client id: TOKEN, and p=range:x, unless given
//   sync TOKEN m=MEMBER g=GENERATION [i=] [type=] [protocol=] [a=MEMBER:ASSIGNMENT,...]
//   beat TOKEN m=MEMBER g=GENERATION [i=]
//   leave TOKEN m=MEMBER                           as before v3
//   leave TOKEN members=MEMBER[/INSTANCE],...
//   commit g=GENERATION [m=] [i=] [txn=1]
//   describe | check_delete | deadline | remove | refuse_waiting | topic NAME
//   restore                                        what a coordinator makes of the last record
//   +MS                                            time passes, with a tick whenever one is due
//
// The n-th id that is given out ends in "-n". A new state is told as "= State generation".
#pragma once

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/classic_group.h"

namespace ottla::coordinator::testing {

inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}
inline std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }
inline std::string name_of(std::int16_t code) {
  return std::string(wire::error_name(static_cast<wire::ErrorCode>(code)));
}
inline std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

// What a step gave, a line each.
inline std::string told(const wire::JoinGroupResponse& reply) {
  std::string line = "join " + name_of(reply.error_code) + " member=" + reply.member_id;
  if (reply.error_code != 0) return line;
  line += " gen=" + std::to_string(reply.generation_id) + " " +
          reply.protocol_type.value_or("null") + "/" + reply.protocol_name.value_or("null") +
          " leader=" + reply.leader;
  if (reply.skip_assignment) line += " skip";
  for (const auto& member : reply.members) {
    line += " " + member.member_id;
    if (member.group_instance_id) line += "/" + *member.group_instance_id;
    line += ":" + text_of(member.metadata);
  }
  return line;
}
inline std::string told(const wire::SyncGroupResponse& reply) {
  std::string line = "sync " + name_of(reply.error_code);
  if (reply.error_code != 0) return line;
  return line + " " + reply.protocol_type.value_or("null") + "/" +
         reply.protocol_name.value_or("null") + " assignment=" + text_of(reply.assignment);
}
inline std::string told(const wire::HeartbeatResponse& reply) {
  return "beat " + name_of(reply.error_code);
}
inline std::string told(const wire::LeaveGroupResponse& reply) {
  std::string line = "leave " + name_of(reply.error_code);
  for (const auto& member : reply.members) {
    line += " " + member.member_id;
    if (member.group_instance_id) line += "/" + *member.group_instance_id;
    line += ":" + name_of(member.error_code);
  }
  return line;
}
inline std::string told(const auto&) { return "not a reply of a group"; }

inline std::string told(const ClassicGroupRecord& record) {
  if (!record.value) return "record tombstone";
  const auto& value = *record.value;
  std::string line = "record gen=" + std::to_string(value.generation) + " " + value.protocol_type +
                     "/" + value.protocol.value_or("null") +
                     " leader=" + value.leader.value_or("null") +
                     " since=" + std::to_string(value.current_state_timestamp);
  for (const auto& member : value.members) {
    line += " " + member.member_id;
    if (member.group_instance_id) line += "/" + *member.group_instance_id;
    line += ":" + text_of(member.subscription) + "=" + text_of(member.assignment);
  }
  return line;
}

class Scenario {
 public:
  ClassicGroupLimits limits;
  ClassicGroup group{"g", now_at(0)};

  static Now now_at(TimestampMs ms) { return {.monotonic_ms = ms, .wall_ms = 1'000'000 + ms}; }

  std::string run(const std::string& text) {
    trace_ = "\n";
    for (const std::string& line : split(text, '\n')) {
      if (line.empty() || line.starts_with(' ')) continue;
      trace_ += line + "\n";
      step(line);
    }
    return trace_;
  }

 private:
  using Arguments = std::map<std::string, std::string>;

  void step(const std::string& line) {
    const auto words = split(line, ' ');
    if (line.starts_with('+')) return pass(std::stoll(line.substr(1)));
    Arguments given;
    for (const std::string& word : words) {
      if (const auto equals = word.find('='); equals != std::string::npos) {
        given[word.substr(0, equals)] = word.substr(equals + 1);
      } else if (&word != &words.front()) {
        given["token"] = word;
      }
    }
    Output output;
    request(words[0], given, output);
    tell(output);
  }

  void request(const std::string& verb, const Arguments& given, Output& output) {
    if (verb == "limits") return set_limits(given);
    if (verb == "join") return join(given, output);
    if (verb == "sync") return sync(given, output);
    if (verb == "beat") return beat(given, output);
    if (verb == "leave") return leave(given, output);
    if (verb == "commit") return commit(given);
    if (verb == "describe") return describe();
    if (verb == "remove") return group.remove(output);
    if (verb == "refuse_waiting") {
      return group.refuse_waiting(wire::ErrorCode::not_coordinator, output);
    }
    if (verb == "restore") {
      group = ClassicGroup::restore("g", last_record_.value(), now_at(now_ms_));
      return;
    }
    if (verb == "check_delete") return say(std::string(wire::error_name(group.check_delete())));
    if (verb == "deadline") {
      return say(group.deadline() ? std::to_string(*group.deadline()) : "nothing is due");
    }
    if (verb == "topic") {
      return say(group.is_subscribed_to(given.at("token")) ? "subscribed" : "not subscribed");
    }
    ADD_FAILURE() << "no such step: " << verb;
  }

  static std::string get(const Arguments& given, const std::string& name,
                         const std::string& otherwise = "") {
    const auto found = given.find(name);
    return found == given.end() ? otherwise : found->second;
  }
  static std::optional<std::string> maybe(const Arguments& given, const std::string& name) {
    const auto found = given.find(name);
    return found == given.end() ? std::nullopt : std::optional(found->second);
  }
  Token token(const Arguments& given) {
    tokens_.push_back(given.at("token"));
    return tokens_.size() - 1;
  }

  void set_limits(const Arguments& given) {
    const auto set = [&](const char* name, std::int32_t& limit) {
      if (given.contains(name)) limit = std::stoi(given.at(name));
    };
    set("delay", limits.initial_rebalance_delay_ms);
    set("max", limits.members_max);
    set("new", limits.new_member_join_timeout_ms);
  }

  void join(const Arguments& given, Output& output) {
    const int version = std::stoi(get(given, "v", "3"));
    ClassicGroup::JoinContext context;
    context.token = token(given);
    context.client = {.client_id = get(given, "client", given.at("token")),
                      .client_host = "/127.0.0.1"};
    context.requires_known_member_id = version >= 4;
    context.can_skip_assignment = version >= 9;
    wire::JoinGroupRequest request;
    request.group_id = "g";
    request.member_id = get(given, "m");
    request.group_instance_id = maybe(given, "i");
    request.protocol_type = get(given, "type", "consumer");
    request.session_timeout_ms = std::stoi(get(given, "session", "10000"));
    request.rebalance_timeout_ms = std::stoi(get(given, "rebalance", "60000"));
    for (const std::string& protocol : split(get(given, "p", "range:x"), ',')) {
      const auto colon = protocol.find(':');
      auto& each = request.protocols.emplace_back();
      each.name = protocol.substr(0, colon);
      each.metadata = bytes_of(protocol.substr(colon + 1));
    }
    if (request.member_id.empty()) context.fresh_member_suffix = std::to_string(++ids_);
    group.join(context, request, limits, now_at(now_ms_), output);
  }

  void sync(const Arguments& given, Output& output) {
    wire::SyncGroupRequest request;
    request.member_id = get(given, "m");
    request.generation_id = std::stoi(given.at("g"));
    request.group_instance_id = maybe(given, "i");
    request.protocol_type = maybe(given, "type");
    request.protocol_name = maybe(given, "protocol");
    for (const std::string& assignment : split(get(given, "a"), ',')) {
      const auto colon = assignment.find(':');
      auto& each = request.assignments.emplace_back();
      each.member_id = assignment.substr(0, colon);
      each.assignment = bytes_of(assignment.substr(colon + 1));
    }
    group.sync(token(given), request, now_at(now_ms_), output);
  }

  void beat(const Arguments& given, Output& output) {
    wire::HeartbeatRequest request;
    request.member_id = get(given, "m");
    request.generation_id = std::stoi(given.at("g"));
    request.group_instance_id = maybe(given, "i");
    group.heartbeat(token(given), request, now_at(now_ms_), output);
  }

  void leave(const Arguments& given, Output& output) {
    wire::LeaveGroupRequest request;
    request.member_id = get(given, "m");
    for (const std::string& member : split(get(given, "members"), ',')) {
      auto& each = request.members.emplace_back();
      const auto slash = member.find('/');
      each.member_id = member.substr(0, slash);
      if (slash != std::string::npos) each.group_instance_id = member.substr(slash + 1);
    }
    group.leave(token(given), request, given.contains("members"), now_at(now_ms_), output);
  }

  void commit(const Arguments& given) {
    const auto error =
        group.check_commit(get(given, "m"), maybe(given, "i"), std::stoi(given.at("g")),
                           given.contains("txn"), now_at(now_ms_));
    say("commit " + std::string(wire::error_name(error)));
  }

  void describe() {
    const auto described = group.describe();
    say(described.group_state + " " + described.protocol_type + "/" + described.protocol_data);
    for (const auto& member : described.members) {
      say(member.member_id + "/" + member.group_instance_id.value_or("null") + " " +
          member.client_id + member.client_host + " " + text_of(member.member_metadata) + "=" +
          text_of(member.member_assignment));
    }
  }

  void pass(TimestampMs ms) {
    const TimestampMs end = now_ms_ + ms;
    while (group.deadline() && *group.deadline() <= end) {
      now_ms_ = std::max(now_ms_, *group.deadline());
      Output output;
      group.tick(now_at(now_ms_), limits, output);
      if (!output.records.empty() || !output.replies.empty() || state() != state_) {
        say("@" + std::to_string(now_ms_));
      }
      tell(output);
      if (group.deadline()) ASSERT_GT(*group.deadline(), now_ms_);
    }
    now_ms_ = end;
  }

  void say(const std::string& line) { trace_ += "  " + line + "\n"; }
  std::string state() const {
    return std::string(group.state_name()) + " " + std::to_string(group.generation());
  }
  void tell(const Output& output) {
    for (const GroupRecord& record : output.records) {
      const auto& classic = std::get<ClassicGroupRecord>(record);
      EXPECT_EQ(classic.group, "g");
      if (classic.value) last_record_ = classic.value;
      say(told(classic));
    }
    for (const Reply& reply : output.replies) {
      say(tokens_[reply.token] + " <- " +
          std::visit([](const auto& body) { return told(body); }, reply.body));
    }
    if (state() != state_) say("= " + state());
    state_ = state();
  }

  TimestampMs now_ms_ = 0;
  std::vector<std::string> tokens_;
  int ids_ = 0;
  std::optional<wire::GroupMetadataValue> last_record_;
  std::string state_ = "Empty 0";
  std::string trace_;
};

// a leads, b follows; neither has sent SyncGroup.
inline const std::string kCompletingPair = R"(
limits delay=0
join a
join b
join a m=a-1
)";
inline const std::string kStablePair = kCompletingPair + R"(
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
sync b m=b-2 g=2
)";

// Does the steps of both, and expects what is written of the second.
inline void expect_trace(const std::string& before, const std::string& text) {
  Scenario scenario;
  scenario.run(before);
  EXPECT_EQ(scenario.run(text), text);
}

}  // namespace ottla::coordinator::testing
