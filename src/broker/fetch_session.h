// Incremental fetch sessions (KIP-227), pure. A consumer names its partitions once; afterwards
// requests carry only what changed, and answers only the partitions that have something to say.
#pragma once

#include <cstdint>
#include <expected>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "wire/errors.h"

namespace ottla::broker {

// One partition as its fetcher asks for it. A topic is named by id from Fetch v13 on, by name
// before.
struct FetchTarget {
  Uuid topic_id;
  std::string topic;
  PartitionIndex partition = 0;
  LeaderEpoch current_leader_epoch = -1;
  Offset fetch_offset = 0;
  LeaderEpoch last_fetched_epoch = -1;
  Offset log_start_offset = -1;  // the follower's own; -1 from a consumer
  std::int32_t max_bytes = 0;
};

struct FetchTopicPartition {
  Uuid topic_id;
  std::string topic;
  PartitionIndex partition = 0;
  auto operator<=>(const FetchTopicPartition&) const = default;
};

// What the fetcher was last told of a partition; an answer that only repeats it is left out.
struct FetchState {
  Offset high_watermark = -1;
  Offset last_stable_offset = -1;
  Offset log_start_offset = -1;
  bool operator==(const FetchState&) const = default;
};

class FetchSession {
 public:
  // In the order in which to read: those that last gave data come last, so that none starves.
  std::vector<FetchTarget> targets() const;
  std::size_t size() const { return partitions_.size(); }

  // Whether an incremental answer must mention the partition; remembers what it says. With an error
  // the next answer mentions it again.
  bool must_mention(const FetchTopicPartition& which, const FetchState& now, bool has_records,
                    bool has_error);

 private:
  friend class FetchSessions;
  struct Entry {
    FetchTarget target;
    FetchState told;
  };
  void update(const std::vector<FetchTarget>& changed,
              const std::vector<FetchTopicPartition>& forgotten);

  std::list<Entry> partitions_;
  std::map<FetchTopicPartition, std::list<Entry>::iterator> by_name_;
  std::int32_t next_epoch_ = 1;
  bool uses_topic_ids_ = false;
  bool is_follower_ = false;
  std::int64_t last_used_ms_ = 0;
  std::int64_t created_ms_ = 0;
};

// How a request is to be served.
struct FetchContext {
  enum class Kind { sessionless, full, incremental };
  Kind kind = Kind::sessionless;
  std::int32_t session_id = 0;  // to be answered
  FetchSession* session =
      nullptr;  // valid until the next call of FetchSessions; none if sessionless
};

// The sessions of one shard. A session belongs to the shard that made it: its id tells which, and a
// shard that does not know an id says so, after which every client starts again.
class FetchSessions {
 public:
  static constexpr std::int64_t kEvictionMs =
      120'000;  // an idle session may be replaced after this

  FetchSessions(std::size_t sessions_max, std::uint32_t shard, std::uint32_t shards)
      : sessions_max_(sessions_max), shard_(shard), shards_(shards) {}

  // `id` and `epoch` as in the request. `now_ms` is monotonic.
  std::expected<FetchContext, wire::ErrorCode> open(
      std::int32_t id, std::int32_t epoch, bool uses_topic_ids, bool is_follower,
      const std::vector<FetchTarget>& targets, const std::vector<FetchTopicPartition>& forgotten,
      std::uint64_t random, std::int64_t now_ms);

  // The session of an answer that is about to be sent; null if it was closed meanwhile.
  FetchSession* find(std::int32_t id);

  std::size_t size() const { return sessions_.size(); }

 private:
  bool make_room(bool is_follower, std::int64_t now_ms);
  std::int32_t new_id(std::uint64_t random) const;

  std::size_t sessions_max_;
  std::uint32_t shard_;
  std::uint32_t shards_;
  std::map<std::int32_t, FetchSession> sessions_;
};

}  // namespace ottla::broker
