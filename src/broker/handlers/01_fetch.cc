// Fetch (key 1), v4 to v18, of consumers. v7 sessions (KIP-227), v9 leader epochs, v10 zstd, v11
// racks, v12 flexible and divergence, v13 topic ids. There are no followers yet: a replica's fetch
// is answered UNKNOWN_LEADER_EPOCH, as for a replica outside the assignment.
//
// Records go from the log to the socket untouched: slices of the tail, or ranges of files for
// sendfile.
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/partition_checks.h"
#include "broker/partition_read.h"
#include "broker/refusals.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

constexpr std::int16_t kTopicIdsFrom = 13;
constexpr std::int16_t kReplicaStateFrom = 15;

// One target and what came of it.
struct Fetched {
  FetchTarget target;
  std::optional<TopicIdPartition> id;  // none: refused before any shard was asked
  PartitionRead read;
};

std::vector<FetchTarget> targets_of(const wire::FetchRequest& request) {
  std::vector<FetchTarget> targets;
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) {
      targets.push_back({.topic_id = topic.topic_id,
                         .topic = topic.topic,
                         .partition = partition.partition,
                         .current_leader_epoch = partition.current_leader_epoch,
                         .fetch_offset = partition.fetch_offset,
                         .last_fetched_epoch = partition.last_fetched_epoch,
                         .log_start_offset = partition.log_start_offset,
                         .max_bytes = partition.partition_max_bytes});
    }
  }
  return targets;
}

std::vector<FetchTopicPartition> forgotten_by(const wire::FetchRequest& request) {
  std::vector<FetchTopicPartition> forgotten;
  for (const auto& topic : request.forgotten_topics_data) {
    for (const PartitionIndex partition : topic.partitions) {
      forgotten.push_back({topic.topic_id, topic.topic, partition});
    }
  }
  return forgotten;
}

class Fetch {
 public:
  Fetch(RequestContext context, wire::FetchRequest request)
      : context_(std::move(context)),
        shard_(context_.shard),
        request_(std::move(request)),
        by_id_(context_.request.api_version >= kTopicIdsFrom) {}

  static io::Task<void> run(RequestContext context, wire::FetchRequest request) {
    Fetch fetch(std::move(context), std::move(request));
    co_await fetch.serve();
  }

 private:
  io::Task<void> serve() {
    const std::int64_t now_ms = shard_.env.clock.now().ns / 1'000'000;
    const bool is_follower = replica_id() >= 0;
    auto session = shard_.fetch_sessions.open(
        request_.session_id, request_.session_epoch, by_id_, is_follower, targets_of(request_),
        forgotten_by(request_), shard_.env.random.next(), now_ms);
    if (!session) {
      wire::FetchResponse refusal;
      refusal.error_code = static_cast<std::int16_t>(session.error());
      context_.answer(refusal);
      co_return;
    }
    kind_ = session->kind;
    session_id_ = session->session_id;
    for (FetchTarget& target :
         session->session ? session->session->targets() : targets_of(request_)) {
      resolve(std::move(target), is_follower);
    }
    co_await read_until_enough();
    if (context_.peer->is_gone) co_return context_.reply.send_nothing();
    answer();
  }

  NodeId replica_id() const {
    return context_.request.api_version >= kReplicaStateFrom ? request_.replica_state.replica_id
                                                             : request_.replica_id;
  }

  void resolve(FetchTarget target, bool is_follower) {
    Fetched& fetched = fetched_.emplace_back();
    const auto place =
        locate(*shard_.image(), target.topic, target.topic_id, target.partition, by_id_);
    if (!place) {
      fetched.read.error = place.error();
    } else if (is_follower) {
      fetched.read.error = ErrorCode::unknown_leader_epoch;
    } else if (place->partition->leader != shard_.config.node_id) {
      fetched.read.error = ErrorCode::not_leader_or_follower;
    } else {
      fetched.id = place->id;
    }
    fetched.target = std::move(target);
  }

  // Passes over all partitions until there is enough, or an error, or the time is over.
  io::Task<void> read_until_enough() {
    if (co_await read_all()) co_return;
    const auto wait_ms =
        std::min<std::int64_t>(request_.max_wait_ms, shard_.config.fetch_wait_ms_max);
    const io::Instant deadline = shard_.env.clock.now() + std::chrono::milliseconds(wait_ms);
    auto changed = std::make_shared<io::Event>(shard_.env.executor);
    std::map<unsigned, FetchWatchHandle> watches = co_await watch_all(changed);
    LongPoll poll(changed);
    shard_.add(poll);
    const rpc::WakeWhenGone wake(*context_.peer, *changed);
    // what changed before the watches stood is seen by the first pass
    while (!co_await read_all() && !shard_.is_stopping() && !context_.peer->is_gone &&
           co_await changed->wait_until(shard_.env.clock, deadline)) {
      changed->reset();
    }
    for (auto& [owner, handle] : watches) {
      if (owner == shard_.env.shard) continue;
      shard_.env.shards.post(owner, [watch = std::move(handle.watch)]() mutable { watch.reset(); });
    }
  }

  std::map<unsigned, std::vector<ReadTarget>> targets_by_owner() const {
    std::map<unsigned, std::vector<ReadTarget>> by_owner;
    for (std::size_t i = 0; i < fetched_.size(); ++i) {
      if (!fetched_[i].id) continue;
      by_owner[shard_.owner_of(*fetched_[i].id)].push_back(
          {i, *fetched_[i].id, fetched_[i].target});
    }
    return by_owner;
  }

  // True if the answer may go now.
  io::Task<bool> read_all() {
    const auto max_bytes = std::clamp(request_.max_bytes, 0, shard_.config.fetch_max_bytes);
    ReadBudget budget{.bytes = static_cast<std::size_t>(max_bytes)};
    const auto isolation =
        request_.isolation_level == 1 ? Isolation::read_committed : Isolation::read_uncommitted;
    for (auto& [owner, targets] : targets_by_owner()) {
      ReadPass pass;
      if (owner == shard_.env.shard) {
        pass = co_await read_partitions(shard_, std::move(targets), isolation, budget);
      } else {
        Shard* there = &shard_.sibling(owner);
        pass = co_await io::call_on<ReadPass>(
            shard_.env, owner, [there, mine = std::move(targets), isolation, budget]() mutable {
              return read_partitions(*there, std::move(mine), isolation, budget);
            });
      }
      budget = pass.budget;
      for (PartitionRead& read : pass.reads) fetched_[read.place].read = std::move(read);
    }
    std::uint64_t bytes = 0;
    bool is_urgent = fetched_.empty() || request_.max_wait_ms <= 0;
    for (const Fetched& fetched : fetched_) {
      bytes += fetched.read.records.size_bytes();
      is_urgent |= fetched.read.error != ErrorCode::none || fetched.read.diverging.has_value();
    }
    co_return is_urgent || bytes >= static_cast<std::uint64_t>(std::max(request_.min_bytes, 0));
  }

  io::Task<std::map<unsigned, FetchWatchHandle>> watch_all(std::shared_ptr<io::Event> changed) {
    std::map<unsigned, FetchWatchHandle> watches;
    for (auto& [owner, targets] : targets_by_owner()) {
      std::vector<TopicIdPartition> ids;
      for (const ReadTarget& target : targets) ids.push_back(target.id);
      if (owner == shard_.env.shard) {
        watches.emplace(owner, watch_partitions(shard_, ids, shard_.env, changed));
        continue;
      }
      Shard* there = &shard_.sibling(owner);
      io::Env* home = &shard_.env;
      watches.emplace(
          owner, co_await io::call_on<FetchWatchHandle>(
                     shard_.env, owner, [there, ids = std::move(ids), home, changed]() mutable {
                       return watch_there(there, std::move(ids), home, std::move(changed));
                     }));
    }
    co_return watches;
  }

  static io::Task<FetchWatchHandle> watch_there(Shard* there, std::vector<TopicIdPartition> ids,
                                                io::Env* home, std::shared_ptr<io::Event> changed) {
    co_return watch_partitions(*there, ids, *home, std::move(changed));
  }

  void answer() {
    wire::FetchResponse response;
    FetchSession* session = session_id_ == 0 ? nullptr : shard_.fetch_sessions.find(session_id_);
    response.session_id = session ? session_id_ : 0;
    for (Fetched& fetched : fetched_) {
      PartitionRead& read = fetched.read;
      const FetchTarget& target = fetched.target;
      const bool has_error = read.error != ErrorCode::none || read.diverging.has_value();
      if (session) {
        const FetchState now{read.high_watermark, read.last_stable_offset, read.log_start_offset};
        const bool mention =
            session->must_mention({target.topic_id, target.topic, target.partition}, now,
                                  !read.records.empty(), has_error);
        if (kind_ == FetchContext::Kind::incremental && !mention) continue;
      }
      if (response.responses.empty() || response.responses.back().topic != target.topic ||
          response.responses.back().topic_id != target.topic_id) {
        auto& topic = response.responses.emplace_back();
        topic.topic = target.topic;
        topic.topic_id = target.topic_id;
      }
      auto& data = response.responses.back().partitions.emplace_back();
      data.partition_index = target.partition;
      data.error_code = static_cast<std::int16_t>(read.error);
      if (has_error) note(read.error, target);
      const bool is_known =
          read.error ==
          ErrorCode::none;  // with an error Kafka says nothing of where the log stands
      data.high_watermark = is_known ? read.high_watermark : -1;
      data.last_stable_offset = is_known ? read.last_stable_offset : -1;
      data.log_start_offset = is_known ? read.log_start_offset : -1;
      data.aborted_transactions = std::nullopt;
      if (request_.isolation_level == 1 && read.error == ErrorCode::none) {
        auto& aborted = data.aborted_transactions.emplace();
        for (const auto& transaction : read.aborted) {
          auto& entry = aborted.emplace_back();
          entry.producer_id = transaction.producer_id;
          entry.first_offset = transaction.first_offset;
        }
      }
      if (read.diverging) {
        data.diverging_epoch.epoch = read.diverging->epoch;
        data.diverging_epoch.end_offset = read.diverging->end_offset;
      }
      data.records = wire::Records(std::move(read.records));
    }
    refusals_.write(context_);
    context_.answer(response);
  }

  void note(ErrorCode error, const FetchTarget& target) {
    const std::string topic = target.topic.empty() ? target.topic_id.to_string() : target.topic;
    refusals_.add(error, fmt::format("{}-{}", topic, target.partition),
                  fmt::format("offset {}", target.fetch_offset));
  }

  RequestContext context_;
  Shard& shard_;
  wire::FetchRequest request_;
  const bool by_id_;
  FetchContext::Kind kind_ = FetchContext::Kind::sessionless;
  std::int32_t session_id_ = 0;
  std::vector<Fetched> fetched_;
  Refusals refusals_;
};

}  // namespace

void handle_fetch(RequestContext context) { serve_in_task(std::move(context), Fetch::run); }

}  // namespace ottla::broker
