#include "consensus/quorum_state.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace ottla::consensus {
namespace {

std::optional<std::int32_t> number_in(const nlohmann::json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_number_integer()) return std::nullopt;
  const auto value = at->get<std::int64_t>();
  if (!std::in_range<std::int32_t>(value)) return std::nullopt;
  return static_cast<std::int32_t>(value);
}

}  // namespace

std::string serialize(const QuorumState& state) {
  return fmt::format(
      R"({{"leaderId":{},"leaderEpoch":{},"votedId":{},"votedDirectoryId":"{}","data_version":1}})",
      state.leader_id, state.leader_epoch, state.voted_id, state.voted_directory_id.to_string());
}

std::expected<QuorumState, std::string> parse_quorum_state(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto number = [&](const char* name) { return number_in(json, name); };
  if (!json.is_object()) return std::unexpected("quorum-state is no JSON object");
  const auto leader = number("leaderId");
  const auto epoch = number("leaderEpoch");
  const auto version = number("data_version");
  if (!leader || !epoch || *epoch < 0 || !version) {
    return std::unexpected("quorum-state lacks leaderId, leaderEpoch or data_version");
  }
  if (*version != 0 && *version != 1) {
    return std::unexpected(
        fmt::format("quorum-state has data version {}, which is not known", *version));
  }
  QuorumState state{
      .leader_id = *leader, .leader_epoch = *epoch, .voted_id = number("votedId").value_or(-1)};
  if (const auto at = json.find("votedDirectoryId"); at != json.end() && at->is_string()) {
    const auto id = Uuid::parse(at->get<std::string>());
    if (!id) return std::unexpected("quorum-state has a votedDirectoryId that is no id");
    state.voted_directory_id = *id;
  }
  if (const auto at = json.find("currentVoters"); at != json.end() && at->is_array()) {
    for (const auto& voter : *at) {
      const auto id = voter.is_object() ? number_in(voter, "voterId") : std::nullopt;
      if (!id) return std::unexpected("quorum-state has a voter without an id");
      state.voters.push_back(*id);
    }
  }
  return state;
}

}  // namespace ottla::consensus
