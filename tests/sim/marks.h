// What a campaign must come across, or it says nothing about it: counted by the clients and by the
// run, printed at the end, and a long campaign in which one of them is zero fails.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ottla::sim_campaign {

enum class Mark : std::uint8_t {
  unanswered_sent,      // records with acks=0
  unanswered_read,      // ... of which the last reader or a consumer saw so many
  leader_acks,          // batches acknowledged with acks=1
  epoch_raised,         // a producer went on under its id, with requests of the old epoch under way
  old_epoch_sent,       // ... and one of those was sent again, and answered
  session_went_on,      // a fetch session on a new connection
  session_refused,      // ... that was gone, or had gone on without us
  crash_in_creation,    // while a CreateTopics waited for its answer
  crash_in_deletion,    // while a DeleteTopics did
  many_in_one_request,  // produce requests to fifty partitions and more
};
inline constexpr std::array<std::string_view, 10> kMarkNames = {
    "unanswered records sent",    "unanswered records read",
    "acknowledged by the leader", "epochs raised",
    "batches of an old epoch",    "sessions that went on",
    "sessions refused",           "crashes in a creation",
    "crashes in a deletion",      "wide requests"};
using MarkCounts = std::array<std::uint64_t, kMarkNames.size()>;

}  // namespace ottla::sim_campaign
