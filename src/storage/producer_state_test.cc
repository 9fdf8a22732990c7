#include "storage/producer_state.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck.h>
#include <set>

namespace ottla::storage {
namespace {

using wire::ErrorCode;
using Outcome = ProducerCheck::Outcome;

constexpr Sequence kSequenceMax = std::numeric_limits<Sequence>::max();

struct Data {
  ProducerId producer = 1;
  ProducerEpoch epoch = 0;
  Sequence sequence = 0;
  int count = 1;
  bool is_transactional = false;
  TimestampMs timestamp = 100;
};

wire::BatchHeader header_of(const Data& data, Offset base_offset) {
  wire::BatchHeader header;
  header.base_offset = base_offset;
  header.producer_id = data.producer;
  header.producer_epoch = data.epoch;
  header.base_sequence = data.sequence;
  header.record_count = data.count;
  header.last_offset_delta = data.count - 1;
  header.max_timestamp = data.timestamp;
  if (data.is_transactional) header.attributes |= wire::kTransactionalBit;
  return header;
}

wire::BatchHeader marker_header(const EndMarker& marker, Offset offset) {
  wire::BatchHeader header = header_of({.producer = marker.producer_id,
                                        .epoch = marker.producer_epoch,
                                        .sequence = -1,
                                        .is_transactional = true},
                                       offset);
  header.attributes |= wire::kControlBit;
  return header;
}

// A log of one partition: state and the end of the log.
struct Log {
  ProducerState state;
  TimestampMs now = 1000;

  ProducerCheck check(const Data& data, AppendOrigin origin = AppendOrigin::client,
                      std::optional<VerificationGuard> guard = std::nullopt) const {
    return state.check(header_of(data, 0), origin, guard);
  }
  // Appends if it may; true if it was appended.
  bool append(const Data& data, AppendOrigin origin = AppendOrigin::client) {
    if (check(data, origin).outcome != Outcome::append) return false;
    state.apply(header_of(data, state.end_offset()), now);
    return true;
  }
  std::optional<CompletedTransaction> end(const EndMarker& marker) {
    return state.apply_marker(marker_header(marker, state.end_offset()), marker, now);
  }
  ErrorCode error_of(const Data& data, AppendOrigin origin = AppendOrigin::client) const {
    return check(data, origin).error;
  }
};

EndMarker commit(ProducerId producer, ProducerEpoch epoch, std::int16_t version = 0) {
  return {producer, epoch, 0, true, version};
}
EndMarker abort_of(ProducerId producer, ProducerEpoch epoch, std::int16_t version = 0) {
  return {producer, epoch, 0, false, version};
}

TEST(Idempotence, SequencesFollowEachOther) {
  Log log;
  EXPECT_TRUE(log.append({.sequence = 0, .count = 3}));
  EXPECT_EQ(log.error_of({.sequence = 2}), ErrorCode::out_of_order_sequence_number);
  EXPECT_EQ(log.error_of({.sequence = 4}), ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.sequence = 3}));
}

TEST(Idempotence, UnknownProducerMayBeginAnywhere) {
  Log log;
  EXPECT_TRUE(log.append({.sequence = 77}));
  EXPECT_TRUE(log.append({.sequence = 78}));
}

TEST(Idempotence, DuplicateOfTheLastFiveIsAnsweredWithItsPlace) {
  Log log;
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(log.append({.sequence = 2 * i, .count = 2, .timestamp = 100 + i}));
  }
  const auto again = log.check({.sequence = 2, .count = 2});
  EXPECT_EQ(again.outcome, Outcome::duplicate);
  EXPECT_EQ(again.first_offset, 2);
  EXPECT_EQ(again.last_offset, 3);
  EXPECT_EQ(again.timestamp, 101);
  EXPECT_EQ(log.error_of({.sequence = 0, .count = 2}), ErrorCode::out_of_order_sequence_number)
      << "the sixth last is forgotten";
  EXPECT_EQ(log.error_of({.sequence = 2, .count = 1}), ErrorCode::out_of_order_sequence_number)
      << "not exactly the same batch";
  EXPECT_EQ(log.error_of({.sequence = 3, .count = 1}), ErrorCode::out_of_order_sequence_number);
}

TEST(Idempotence, SequenceWraps) {
  Log log;
  EXPECT_TRUE(log.append({.sequence = kSequenceMax - 1, .count = 2}));
  EXPECT_EQ(log.error_of({.sequence = 1}), ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.sequence = 0}));
  Log across;
  EXPECT_TRUE(across.append({.sequence = kSequenceMax - 1, .count = 4}));
  EXPECT_EQ(across.state.find(1)->last_sequence(), 1);
  EXPECT_EQ(across.check({.sequence = kSequenceMax - 1, .count = 4}).outcome, Outcome::duplicate);
  EXPECT_TRUE(across.append({.sequence = 2}));
}

TEST(Idempotence, NewEpochBeginsAtZero) {
  Log log;
  log.append({.sequence = 5});
  EXPECT_EQ(log.error_of({.epoch = 1, .sequence = 6}), ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.epoch = 1, .sequence = 0}));
  EXPECT_EQ(log.error_of({.epoch = 0, .sequence = 6}), ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(log.error_of({.epoch = 0, .sequence = 5}), ErrorCode::invalid_producer_epoch)
      << "a duplicate of an older epoch is fenced";
}

TEST(Idempotence, CoordinatorsHaveEpochsButNoSequences) {
  Log log;
  log.append({.epoch = 3, .sequence = 5});
  EXPECT_EQ(log.error_of({.epoch = 3, .sequence = -1}, AppendOrigin::coordinator), ErrorCode::none);
  EXPECT_EQ(log.error_of({.epoch = 2, .sequence = -1}, AppendOrigin::coordinator),
            ErrorCode::invalid_producer_epoch);
}

TEST(Idempotence, ReplicationIsNeverRefused) {
  Log log;
  log.append({.epoch = 3, .sequence = 5});
  EXPECT_TRUE(log.append({.epoch = 1, .sequence = 9}, AppendOrigin::replication));
  EXPECT_EQ(log.state.find(1)->epoch, 1);
}

TEST(Idempotence, ChecksChangeNothing) {
  Log log;
  log.append({.sequence = 0});
  const ProducerEntry before = *log.state.find(1);
  log.check({.epoch = 5, .sequence = 0});
  log.check({.producer = 2});
  log.state.check_marker(abort_of(1, 9, 2));
  EXPECT_EQ(*log.state.find(1), before);
  EXPECT_EQ(log.state.producer_count(), 1u);
}

TEST(Transactions, OpenOneHoldsBackTheLastStableOffset) {
  Log log;
  log.append({.producer = 9});
  log.append({.is_transactional = true});
  log.append({.producer = 9, .sequence = 1});
  EXPECT_EQ(log.state.last_stable_offset(3), 1);
  EXPECT_EQ(log.state.last_stable_offset(0), 0);
  const auto completed = log.end(commit(1, 0));
  EXPECT_EQ(completed, (CompletedTransaction{1, 1, 3, false, 4}));
  EXPECT_EQ(log.state.last_stable_offset(3), 1) << "the marker is not below the high watermark";
  log.state.on_high_watermark(3);
  EXPECT_EQ(log.state.first_unstable_offset(), 1);
  log.state.on_high_watermark(4);
  EXPECT_EQ(log.state.first_unstable_offset(), std::nullopt);
  EXPECT_EQ(log.state.last_stable_offset(4), 4);
}

TEST(Transactions, AbortKnowsWhatIsStillOpen) {
  Log log;
  log.append({.producer = 1, .is_transactional = true});
  log.append({.producer = 2, .is_transactional = true});
  const auto completed = log.end(abort_of(2, 0));
  ASSERT_TRUE(completed);
  EXPECT_EQ(completed->to_aborted(), (AbortedTransaction{2, 1, 2, 0}));
  const auto other = log.end(abort_of(1, 0));
  EXPECT_EQ(other->to_aborted(), (AbortedTransaction{1, 0, 3, 4}));
}

TEST(Transactions, DataOutsideOfTheOpenOneIsRefused) {
  Log log;
  log.append({.is_transactional = true});
  EXPECT_EQ(log.error_of({.sequence = 1}), ErrorCode::invalid_txn_state);
  EXPECT_EQ(log.error_of({.sequence = -1}, AppendOrigin::coordinator),
            ErrorCode::invalid_txn_state);
}

TEST(Transactions, SameEpochMarkerKeepsTheWindow) {
  Log log;
  log.append({.sequence = 0, .is_transactional = true});
  log.end(commit(1, 0));
  EXPECT_EQ(log.check({.sequence = 0, .is_transactional = true}).outcome, Outcome::duplicate);
  EXPECT_EQ(log.error_of({.sequence = 0, .count = 2, .is_transactional = true}),
            ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.sequence = 1, .is_transactional = true}));
}

TEST(Transactions, NextEpochMarkerBeginsAnew) {
  Log log;
  log.append({.sequence = 0, .is_transactional = true});
  EXPECT_EQ(log.state.check_marker(commit(1, 1, 2)).outcome, Outcome::append);
  log.end(commit(1, 1, 2));
  EXPECT_EQ(log.state.find(1)->batch_count(), 0u);
  EXPECT_EQ(log.error_of({.epoch = 0, .sequence = 1, .is_transactional = true}),
            ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(log.error_of({.epoch = 1, .sequence = 1, .is_transactional = true}),
            ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.epoch = 1, .sequence = 0, .is_transactional = true}));
}

TEST(Transactions, MarkerFences) {
  Log log;
  log.append({.epoch = 4, .is_transactional = true});
  EXPECT_EQ(log.state.check_marker(commit(1, 3)).error, ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(log.state.check_marker(commit(1, 4)).error, ErrorCode::none);
  EXPECT_EQ(log.state.check_marker(commit(1, 4, 2)).error, ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(log.state.check_marker(commit(1, 5, 2)).error, ErrorCode::none);
  log.end({1, 5, 7, true, 2});
  EXPECT_EQ(log.state.check_marker({1, 5, 7, true, 2}).error, ErrorCode::none) << "a retry";
  EXPECT_EQ(log.state.check_marker({1, 6, 6, true, 2}).error,
            ErrorCode::transaction_coordinator_fenced);
  EXPECT_EQ(log.end({1, 5, 7, true, 2}), std::nullopt) << "harmless where nothing is open";
  log.append({.epoch = 5, .is_transactional = true});
  EXPECT_EQ(log.state.check_marker({1, 5, 7, true, 2}).error, ErrorCode::invalid_producer_epoch)
      << "a late marker must not end the next transaction";
}

TEST(Transactions, LogStartKeepsProducers) {
  Log log;
  log.append({.sequence = 0, .is_transactional = true});
  log.end(commit(1, 0));
  log.state.on_log_start(2);
  EXPECT_EQ(log.state.first_unstable_offset(), std::nullopt);
  EXPECT_EQ(log.check({.sequence = 0, .is_transactional = true}).outcome, Outcome::duplicate);
  log.state.on_log_start(50);
  EXPECT_EQ(log.state.end_offset(), 50);
}

TEST(Verification, GuardBindsTheFirstAppend) {
  Log log;
  const Data first{.is_transactional = true};
  EXPECT_EQ(log.check(first, AppendOrigin::client, 1).error, ErrorCode::invalid_txn_state);
  const auto guard = log.state.begin_verification(1, 0, 0, false);
  ASSERT_TRUE(guard);
  EXPECT_EQ(log.state.begin_verification(1, 0, 0, false), guard) << "the same until it is used";
  EXPECT_EQ(log.check(first, AppendOrigin::client, *guard + 1).error, ErrorCode::invalid_txn_state);
  EXPECT_EQ(log.check(first, AppendOrigin::client, guard).outcome, Outcome::append);
  log.end(abort_of(1, 0));
  EXPECT_EQ(log.check(first, AppendOrigin::client, guard).error, ErrorCode::invalid_txn_state)
      << "a marker came in between";
  const auto second = log.state.begin_verification(1, 0, 0, false);
  EXPECT_NE(second, guard);
  EXPECT_TRUE(log.append(first));
  EXPECT_EQ(log.state.begin_verification(1, 0, 1, false), std::nullopt) << "it is open";
}

TEST(Verification, LaterSequencesWait) {
  Log log;
  log.state.begin_verification(1, 0, 3, false);
  log.state.begin_verification(1, 0, 0, false);
  EXPECT_EQ(log.error_of({.sequence = 3, .is_transactional = true}),
            ErrorCode::out_of_order_sequence_number);
  EXPECT_TRUE(log.append({.sequence = 0, .count = 3, .is_transactional = true}));
  EXPECT_TRUE(log.append({.sequence = 3, .is_transactional = true}));
}

TEST(Verification, SecondProtocolStartsAtZero) {
  Log log;
  log.state.begin_verification(1, 0, 5, true);
  EXPECT_EQ(log.error_of({.sequence = 5, .is_transactional = true}),
            ErrorCode::out_of_order_sequence_number);
  EXPECT_EQ(log.error_of({.sequence = 0, .is_transactional = true}), ErrorCode::none);
}

TEST(Verification, IsBounded) {
  ProducerState state;
  const auto oldest = state.begin_verification(0, 0, 0, false);
  for (std::size_t i = 1; i <= kVerificationsMax; ++i) {
    state.begin_verification(static_cast<ProducerId>(i), 0, 0, false);
  }
  EXPECT_NE(state.begin_verification(0, 0, 0, false), oldest) << "the oldest was forgotten";
}

TEST(Bounds, IdleProducersExpireButNotWithATransaction) {
  Log log;
  log.append({.producer = 1, .is_transactional = true});
  log.append({.producer = 2, .timestamp = 5});
  log.now = 1500;
  log.append({.producer = 3});
  EXPECT_EQ(log.state.expire(1999, 1000), 0u);
  EXPECT_EQ(log.state.expire(2000, 1000), 1u);
  EXPECT_EQ(log.state.find(2), nullptr);
  EXPECT_NE(log.state.find(1), nullptr);
  EXPECT_NE(log.state.find(3), nullptr);
}

TEST(Bounds, LeastRecentlyUsedProducersGo) {
  Log log{ProducerState(32)};
  for (int i = 0; i < 32; ++i) {
    log.now = 1000 + i;
    log.append({.producer = i, .is_transactional = i == 0});
  }
  log.append({.producer = 100});
  EXPECT_EQ(log.state.producer_count(), 31u);
  EXPECT_NE(log.state.find(0), nullptr) << "its transaction is open";
  EXPECT_EQ(log.state.find(1), nullptr);
  EXPECT_EQ(log.state.find(2), nullptr);
  EXPECT_NE(log.state.find(3), nullptr);
}

TEST(Bounds, NewProducerIsRefusedWhenAllAreOpen) {
  Log log{ProducerState(4)};
  for (int i = 0; i < 4; ++i) log.append({.producer = i, .is_transactional = true});
  EXPECT_EQ(log.error_of({.producer = 9}), ErrorCode::policy_violation);
  EXPECT_EQ(log.error_of({.producer = 3, .sequence = 1, .is_transactional = true}),
            ErrorCode::none);
  EXPECT_TRUE(log.append({.producer = 9}, AppendOrigin::replication)) << "the leader took it";
}

TEST(Bounds, OneProducerIsSmall) { EXPECT_LE(sizeof(ProducerEntry), 160u); }

// The naive model: the whole history, searched from the beginning for each question.
struct Model {
  struct Event {
    bool is_marker;
    bool is_commit;
    Data data;
    Offset first;
    Offset last;
  };
  std::vector<Event> events;
  Offset end = 0;

  std::vector<Event> of(ProducerId producer) const {
    std::vector<Event> found;
    std::ranges::copy_if(events, std::back_inserter(found),
                         [&](const Event& event) { return event.data.producer == producer; });
    return found;
  }
  static Sequence last_of(const Data& data) {
    return wire::sequence_plus(data.sequence, data.count - 1);
  }
  static Offset open_of(const std::vector<Event>& mine) {
    Offset open = -1;
    for (const Event& event : mine) {
      if (event.is_marker) open = -1;
      if (!event.is_marker && event.data.is_transactional && open < 0) open = event.first;
    }
    return open;
  }
  // Data since the epoch changed.
  static std::vector<Event> window(const std::vector<Event>& mine) {
    std::vector<Event> data;
    for (auto at = mine.rbegin(); at != mine.rend(); ++at) {
      if (at->data.epoch != mine.back().data.epoch) break;
      if (!at->is_marker) data.insert(data.begin(), *at);
    }
    return data;
  }
  ProducerCheck check(const Data& data) const {
    ProducerCheck answer;
    const auto refuse = [&](ErrorCode error) {
      answer.outcome = Outcome::refused;
      answer.error = error;
      return answer;
    };
    const auto mine = of(data.producer);
    if (mine.empty()) return answer;
    const auto batches = window(mine);
    const ProducerEpoch epoch = mine.back().data.epoch;
    const std::size_t from = batches.size() > 5 ? batches.size() - 5 : 0;
    for (std::size_t i = from; i < batches.size() && epoch == data.epoch; ++i) {
      if (batches[i].data.sequence == data.sequence && last_of(batches[i].data) == last_of(data)) {
        answer.outcome = Outcome::duplicate;
        answer.first_offset = batches[i].first;
        answer.last_offset = batches[i].last;
        answer.timestamp = batches[i].data.timestamp;
        return answer;
      }
    }
    if (data.epoch < epoch) return refuse(ErrorCode::invalid_producer_epoch);
    Sequence expected = 0;
    if (data.epoch == epoch && !batches.empty()) {
      expected = wire::next_sequence(last_of(batches.back().data));
    }
    if (data.sequence != expected) return refuse(ErrorCode::out_of_order_sequence_number);
    if (open_of(mine) >= 0 && !data.is_transactional) return refuse(ErrorCode::invalid_txn_state);
    return answer;
  }
  std::optional<Offset> first_unstable(Offset high_watermark) const {
    std::optional<Offset> first;
    std::set<ProducerId> producers;
    for (const Event& event : events) producers.insert(event.data.producer);
    for (const ProducerId producer : producers) {
      Offset open = -1;
      for (const Event& event : of(producer)) {
        const bool ends = event.is_marker && event.first < high_watermark;
        if (ends) open = -1;
        // A marker above the high watermark ends nothing yet; what began before it stays unstable.
        if (!event.is_marker && event.data.is_transactional && open < 0) open = event.first;
      }
      if (open >= 0 && (!first || open < *first)) first = open;
    }
    return first;
  }
};

TEST(ProducerState, AgreesWithTheWholeHistory) {
  const bool passed = rc::check("producer state and history", [] {
    ProducerState state;
    Model model;
    Offset high_watermark = 0;
    const auto steps =
        *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>());
    for (const std::uint32_t random : steps) {
      auto draw = [&, shift = 0u](std::uint32_t count) mutable {
        const std::uint32_t value = (random >> shift) % count;
        shift += 4;
        return static_cast<int>(value);
      };
      const ProducerId producer = draw(3);
      const auto mine = model.of(producer);
      const ProducerEpoch epoch = mine.empty() ? ProducerEpoch{0} : mine.back().data.epoch;
      const int kind = draw(16);
      if (kind < 10) {
        Data data{.producer = producer,
                  .epoch = static_cast<ProducerEpoch>(epoch + (kind == 0) - (kind == 1)),
                  .count = 1 + draw(3),
                  .is_transactional = draw(4) != 0,
                  .timestamp = static_cast<TimestampMs>(random % 1000)};
        // Mostly the right sequence, sometimes an older batch again, sometimes nonsense.
        const auto batches = mine.empty() ? std::vector<Model::Event>() : Model::window(mine);
        const int choice = draw(8);
        if (choice < 5) {
          data.sequence = batches.empty() || data.epoch != epoch
                              ? 0
                              : wire::next_sequence(Model::last_of(batches.back().data));
          if (mine.empty() && choice == 0) data.sequence = kSequenceMax - 2;
        } else if (choice < 7 && !batches.empty()) {
          data = batches[static_cast<std::size_t>(draw(8)) % batches.size()].data;
        } else {
          data.sequence = draw(16);
        }
        if (data.epoch < 0) continue;
        auto answer = state.check(header_of(data, 0), AppendOrigin::client);
        answer.reason = {};
        RC_ASSERT(answer == model.check(data));
        if (answer.outcome != Outcome::append) continue;
        state.apply(header_of(data, model.end), 0);
        model.events.push_back({false, false, data, model.end, model.end + data.count - 1});
        model.end += data.count;
      } else if (kind < 14) {
        const bool is_second = kind % 2 == 0;
        const EndMarker marker{producer, static_cast<ProducerEpoch>(epoch + is_second), 0,
                               kind < 12, static_cast<std::int16_t>(is_second ? 2 : 0)};
        RC_ASSERT(state.check_marker(marker).outcome == Outcome::append);
        const Offset open = Model::open_of(mine);
        const auto completed = state.apply_marker(marker_header(marker, model.end), marker, 0);
        RC_ASSERT(completed.has_value() == (open >= 0));
        model.events.push_back(
            {true, marker.is_commit,
             Data{.producer = producer, .epoch = marker.producer_epoch, .is_transactional = true},
             model.end, model.end});
        ++model.end;
        if (completed) {
          const Offset stable = model.first_unstable(model.end).value_or(model.end);
          RC_ASSERT(*completed == (CompletedTransaction{producer, open, model.end - 1,
                                                        !marker.is_commit, stable}));
        }
      } else {
        high_watermark += (model.end - high_watermark) * draw(5) / 4;
        high_watermark = std::min(high_watermark, model.end);
        state.on_high_watermark(high_watermark);
      }
      RC_ASSERT(state.end_offset() == model.end);
      RC_ASSERT(state.first_unstable_offset() == model.first_unstable(high_watermark));
      RC_ASSERT(state.first_open_transaction() == model.first_unstable(model.end));
    }
  });
  EXPECT_TRUE(passed);
}

}  // namespace
}  // namespace ottla::storage
