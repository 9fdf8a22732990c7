// The scripted wire clients of a campaign: idempotent producers with up to five requests in flight,
// consumers by assignment, an administrator who makes and deletes topics, and the last reader. Each
// is a task of a client's node and speaks only the wire protocol; what it does and sees goes into
// one history.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "io/sim/world.h"
#include "marks.h"
#include "verify/history.h"

namespace ottla::sim_campaign {

using TopicPartitionId = std::pair<Uuid, PartitionIndex>;

// What all clients of one run share. They run in one thread, so it needs no lock.
struct Record {
  explicit Record(io::sim::World& the_world) : world(the_world) {}

  io::sim::World& world;
  verify::History history;
  std::map<TopicPartitionId, verify::Key> keys;
  std::set<Uuid> deleted;               // topics that somebody tried to delete: not judged
  std::set<ProducerId> producer_ids;    // each may be given once
  std::vector<std::string> violations;  // promises that the history can't show
  std::set<verify::Value> unanswered;   // sent with acks=0
  MarkCounts marks{};
  verify::Value next_value = 1;
  verify::Process next_process = 1;
  bool finishing = false;                  // no new work; what is under way comes to its end
  std::size_t in_flight = 0;               // produce requests
  std::size_t acknowledged = 0;            // records
  std::size_t working = 0;                 // producers that have not ended
  std::size_t creating = 0, deleting = 0;  // topics, under way

  verify::Key key_of(const Uuid& topic, PartitionIndex partition);
  void violated(std::string what);
  void reached(Mark mark, std::uint64_t times = 1) {
    marks[static_cast<std::size_t>(mark)] += times;
  }
  std::int64_t now_ns() const { return world.now().ns; }
};

struct ProducerPlan {
  std::string topic;
  PartitionIndex partition = 0;
  std::int16_t acks = -1;
  std::size_t in_flight_max = 5;
  std::int32_t records_max = 20;  // of a batch
  std::size_t value_bytes_max = 400;
  io::Duration pause = {};     // typical, between batches
  io::Duration timeout = {};   // of one request
  io::Duration patience = {};  // then a batch's outcome is unknown and a new producer begins
  std::uint64_t seed = 0;
};

struct ConsumerPlan {
  std::string topic;
  std::vector<PartitionIndex> partitions;
  bool uses_session = false;
  bool keeps_session = false;  // tries to go on with it on its next connection
  std::int32_t partition_bytes_max = 1 << 16;
  io::Duration timeout = {};
  std::uint64_t seed = 0;
};

struct AdminPlan {
  std::int32_t partitions = 1;  // of kMainTopic
  bool churns = false;          // makes and deletes kChurnTopic again and again
  std::uint64_t seed = 0;
};

inline constexpr const char* kBroker = "broker";
inline constexpr std::uint16_t kPort = 9092;
inline constexpr const char* kMainTopic = "main";
inline constexpr const char* kChurnTopic = "churn";

io::Task<void> produce(io::Env& env, Record& record, ProducerPlan plan);
io::Task<void> consume(io::Env& env, Record& record, ConsumerPlan plan);
io::Task<void> administer(io::Env& env, Record& record, AdminPlan plan);
// Reads every partition of every topic that nobody tried to delete from 0 to its high watermark.
io::Task<void> read_everything(io::Env& env, Record& record);

}  // namespace ottla::sim_campaign
