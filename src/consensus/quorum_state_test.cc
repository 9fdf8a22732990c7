#include "consensus/quorum_state.h"

#include <gtest/gtest.h>

namespace ottla::consensus {
namespace {

// As a Kafka 4.3.1 voter wrote it (interop notes, D.2).
constexpr std::string_view kKafkaState =
    R"({"leaderId":12,"leaderEpoch":8,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})";

TEST(QuorumState, IsWrittenAsKafkaWritesIt) {
  EXPECT_EQ(serialize({.leader_id = 12, .leader_epoch = 8}), kKafkaState);
}

TEST(QuorumState, ReadsWhatKafkaWrote) {
  const auto state = parse_quorum_state(kKafkaState);
  ASSERT_TRUE(state.has_value()) << state.error();
  EXPECT_EQ(*state, (QuorumState{.leader_id = 12, .leader_epoch = 8}));
}

TEST(QuorumState, KeepsAVote) {
  const QuorumState state{
      .leader_id = -1, .leader_epoch = 3, .voted_id = 7, .voted_directory_id = {0x11, 0x22}};
  EXPECT_EQ(parse_quorum_state(serialize(state)), state);
}

TEST(QuorumState, ReadsTheOlderVersionWithItsVoters) {
  const auto state = parse_quorum_state(
      R"({"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,)"
      R"("currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0})");
  ASSERT_TRUE(state.has_value()) << state.error();
  EXPECT_EQ(state->leader_epoch, 2);
  EXPECT_EQ(state->voters, (std::vector<NodeId>{1, 2}));
}

TEST(QuorumState, RefusesWhatItCannotTrust) {
  for (const std::string_view text : {
           "",
           "[]",
           "{}",
           R"({"leaderId":1,"leaderEpoch":8})",
           R"({"leaderId":1,"leaderEpoch":-1,"data_version":1})",
           R"({"leaderId":1,"leaderEpoch":4294967297,"data_version":1})",  // would wrap to epoch 1
           R"({"leaderId":1,"leaderEpoch":1.5,"data_version":1})",
           R"({"leaderId":1,"leaderEpoch":1,"data_version":2})",
           R"({"leaderId":1,"leaderEpoch":1,"votedDirectoryId":"x","data_version":1})",
           R"({"leaderId":1,"leaderEpoch":1,"currentVoters":[3],"data_version":0})",
           R"({"leaderId":12,"leaderEpoch":8,"votedId":-1,"votedDire)",
       }) {
    EXPECT_FALSE(parse_quorum_state(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace ottla::consensus
