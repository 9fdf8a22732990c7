#include "broker/fetch_session.h"

#include <limits>

namespace ottla::broker {
namespace {

constexpr std::int32_t kEpochInitial = 0;
constexpr std::int32_t kEpochFinal = -1;
constexpr std::int32_t kEpochMax = std::numeric_limits<std::int32_t>::max();

FetchTopicPartition key_of(const FetchTarget& target) {
  return {target.topic_id, target.topic, target.partition};
}

}  // namespace

std::vector<FetchTarget> FetchSession::targets() const {
  std::vector<FetchTarget> all;
  all.reserve(partitions_.size());
  for (const Entry& entry : partitions_) all.push_back(entry.target);
  return all;
}

bool FetchSession::must_mention(const FetchTopicPartition& which, const FetchState& now,
                                bool has_records, bool has_error) {
  const auto found = by_name_.find(which);
  if (found == by_name_.end()) return true;
  Entry& entry = *found->second;
  const bool changed = entry.told != now;
  entry.told = has_error ? FetchState{} : now;
  if (has_records) partitions_.splice(partitions_.end(), partitions_, found->second);
  return has_records || has_error || changed;
}

void FetchSession::update(const std::vector<FetchTarget>& changed,
                          const std::vector<FetchTopicPartition>& forgotten) {
  for (const FetchTarget& target : changed) {
    const auto [at, is_new] = by_name_.try_emplace(key_of(target), partitions_.end());
    if (is_new) {
      at->second = partitions_.insert(partitions_.end(), Entry{.target = target, .told = {}});
    } else {
      at->second->target = target;
    }
  }
  for (const FetchTopicPartition& which : forgotten) {
    const auto found = by_name_.find(which);
    if (found == by_name_.end()) continue;
    partitions_.erase(found->second);
    by_name_.erase(found);
  }
}

std::expected<FetchContext, wire::ErrorCode> FetchSessions::open(
    std::int32_t id, std::int32_t epoch, bool uses_topic_ids, bool is_follower,
    const std::vector<FetchTarget>& targets, const std::vector<FetchTopicPartition>& forgotten,
    std::uint64_t random, std::int64_t now_ms) {
  if (epoch == kEpochInitial || epoch == kEpochFinal) {
    sessions_.erase(id);  // the client starts anew, or ends it
    if (epoch == kEpochFinal || targets.empty() || !make_room(is_follower, now_ms))
      return FetchContext{};
    const std::int32_t fresh = new_id(random);
    FetchSession& session = sessions_[fresh];
    session.uses_topic_ids_ = uses_topic_ids;
    session.is_follower_ = is_follower;
    session.created_ms_ = session.last_used_ms_ = now_ms;
    session.update(targets, {});
    return FetchContext{FetchContext::Kind::full, fresh, &session};
  }
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return std::unexpected(wire::ErrorCode::fetch_session_id_not_found);
  FetchSession& session = found->second;
  if (session.uses_topic_ids_ != uses_topic_ids) {
    return std::unexpected(wire::ErrorCode::fetch_session_topic_id_error);
  }
  if (session.next_epoch_ != epoch)
    return std::unexpected(wire::ErrorCode::invalid_fetch_session_epoch);
  session.next_epoch_ = epoch == kEpochMax ? 1 : epoch + 1;
  session.last_used_ms_ = now_ms;
  session.update(targets, forgotten);
  if (session.size() == 0) {  // nothing left to fetch: the session ends
    sessions_.erase(found);
    return FetchContext{};
  }
  return FetchContext{FetchContext::Kind::incremental, id, &session};
}

FetchSession* FetchSessions::find(std::int32_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

// Replaces the session unused for longest, if it is idle, or if a follower asks and it is a
// consumer's.
bool FetchSessions::make_room(bool is_follower, std::int64_t now_ms) {
  if (sessions_.size() < sessions_max_) return true;
  auto victim = sessions_.end();
  for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
    const FetchSession& session = at->second;
    const bool idle = now_ms - session.last_used_ms_ > kEvictionMs;
    const bool yields = is_follower && !session.is_follower_;
    if (!idle && !yields) continue;
    if (victim == sessions_.end() || session.last_used_ms_ < victim->second.last_used_ms_)
      victim = at;
  }
  if (victim == sessions_.end()) return false;
  sessions_.erase(victim);
  return true;
}

std::int32_t FetchSessions::new_id(std::uint64_t random) const {
  // positive, unused, and equal to the shard modulo the number of shards
  while (true) {
    const auto base = static_cast<std::uint32_t>(random & 0x7fffffff) / shards_;
    const std::uint64_t candidate = std::uint64_t{base} * shards_ + shard_;
    const auto id = static_cast<std::int32_t>(candidate & 0x7fffffff);
    if (id != 0 && candidate <= 0x7fffffff && !sessions_.contains(id)) return id;
    random = random * 6364136223846793005ull + 1442695040888963407ull;
  }
}

}  // namespace ottla::broker
