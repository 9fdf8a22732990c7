#include "verify/checker.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <tuple>

namespace ottla::verify {
namespace {

// Everything known of one key, from all operations.
struct KeyFacts {
  struct Write {
    std::size_t operation = 0;
    Outcome outcome = Outcome::ok;
  };
  std::map<Value, Write> writes;
  std::map<Offset, std::set<Value>> log;  // from acknowledged sends and from every read
  std::set<Value> read;                   // by operations that ended ok
  // derived: positions without gaps, since offsets may have gaps (markers, compaction)
  std::vector<Offset> offsets;
  std::map<Value, std::size_t> first_position;
  std::map<Value, std::size_t> last_position;
};

class Check {
 public:
  Check(const History& history, const Promise& promise) : history_(history), promise_(promise) {}

  std::vector<Finding> run() {
    collect();
    for (auto& [key, facts] : keys_) {
      derive(facts);
      check_log(key, facts);
      check_lost(key, facts);
      check_unseen(key, facts);
    }
    check_order_within_operations();
    check_order_between_operations();
    check_acknowledged_order();
    return std::move(findings_);
  }

 private:
  void report(Anomaly anomaly, Key key, std::string explanation,
              std::vector<std::size_t> operations) {
    findings_.push_back({anomaly, key, std::move(explanation), std::move(operations)});
  }

  void collect() {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      const Operation& operation = history_[i];
      for (const Sent& sent : operation.sends) {
        keys_[sent.key].writes[sent.value] = {i, operation.outcome};
        if (operation.outcome == Outcome::ok && sent.offset)
          keys_[sent.key].log[*sent.offset].insert(sent.value);
      }
      for (const auto& [key, seen] : operation.polls) {
        KeyFacts& facts = keys_[key];
        for (const Seen& one : seen) {
          facts.log[one.offset].insert(one.value);
          if (operation.outcome == Outcome::ok) facts.read.insert(one.value);
        }
      }
    }
  }

  static void derive(KeyFacts& facts) {
    for (const auto& [offset, values] : facts.log) {
      const std::size_t position = facts.offsets.size();
      facts.offsets.push_back(offset);
      for (const Value value : values) {
        facts.first_position.try_emplace(value, position);
        facts.last_position[value] = position;
      }
    }
  }

  void check_log(Key key, const KeyFacts& facts) {
    std::map<Value, std::vector<Offset>> places;
    for (const auto& [offset, values] : facts.log) {
      if (values.size() > 1) {
        report(Anomaly::inconsistent_offsets, key,
               fmt::format("offset {} showed values {} and {}", offset, *values.begin(),
                           *values.rbegin()),
               {});
      }
      for (const Value value : values) places[value].push_back(offset);
    }
    for (const auto& [value, offsets] : places) {
      const auto write = facts.writes.find(value);
      if (write == facts.writes.end()) {
        report(Anomaly::phantom, key,
               fmt::format("value {} at offset {} was written by nobody", value, offsets.front()),
               {});
        continue;
      }
      const auto [operation, outcome] = write->second;
      if (outcome == Outcome::fail) {
        report(Anomaly::failed_but_visible, key,
               fmt::format("value {} is at offset {}, though its send failed for certain", value,
                           offsets.front()),
               {operation});
      }
      if (offsets.size() > 1 && promise_.idempotent) {
        report(outcome == Outcome::info ? Anomaly::unknown_write_repeated : Anomaly::duplicate, key,
               fmt::format("value {} is at offsets {} and {}", value, offsets[0], offsets[1]),
               {operation});
      }
    }
  }

  static bool must_be_there(const KeyFacts& facts, Value value, const KeyFacts::Write& write) {
    return write.outcome == Outcome::ok ||
           (write.outcome == Outcome::info && facts.read.contains(value));
  }

  void check_lost(Key key, const KeyFacts& facts) {
    std::optional<std::size_t> bound;  // up to here somebody has read
    for (const Value value : facts.read) {
      const auto at = facts.first_position.find(value);
      if (at != facts.first_position.end() && (!bound || at->second > *bound)) bound = at->second;
    }
    if (!bound) return;
    for (const auto& [value, position] : facts.last_position) {
      if (position > *bound || facts.read.contains(value)) continue;
      const auto write = facts.writes.find(value);
      if (write == facts.writes.end() || !must_be_there(facts, value, write->second)) continue;
      report(Anomaly::lost_write, key,
             fmt::format("value {} was acknowledged at offset {} and read by nobody, though offset "
                         "{} was read",
                         value, facts.offsets[position], facts.offsets[*bound]),
             {write->second.operation});
    }
  }

  void check_unseen(Key key, const KeyFacts& facts) {
    for (const auto& [value, write] : facts.writes) {
      if (write.outcome != Outcome::ok || facts.read.contains(value)) continue;
      report(Anomaly::unseen, key, fmt::format("value {} was acknowledged and never read", value),
             {write.operation});
    }
  }

  // Signed distance in positions; nullopt if either place is not known.
  std::optional<std::int64_t> distance(Key key, Value from, Value to) const {
    const KeyFacts& facts = keys_.at(key);
    const auto a = facts.first_position.find(from);
    const auto b = facts.first_position.find(to);
    if (a == facts.first_position.end() || b == facts.first_position.end()) return std::nullopt;
    return static_cast<std::int64_t>(b->second) - static_cast<std::int64_t>(a->second);
  }

  void check_step(Key key, Value from, Value to, std::optional<Anomaly> skip, Anomaly back,
                  std::vector<std::size_t> operations) {
    const auto step = distance(key, from, to);
    if (!step) return;
    if (*step > 1 && skip) {
      report(*skip, key,
             fmt::format("between values {} and {} lie {} known records", from, to, *step - 1),
             operations);
    }
    if (*step < 1) {
      report(back, key,
             fmt::format("value {} came after value {}, which stands {} places behind it", to, from,
                         -*step),
             operations);
    }
  }

  void check_order_within_operations() {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      for (const auto& [key, seen] : history_[i].polls) {
        for (std::size_t k = 1; k < seen.size(); ++k) {
          check_step(key, seen[k - 1].value, seen[k].value, Anomaly::internal_poll_skip,
                     Anomaly::internal_nonmonotonic_poll, {i});
        }
      }
      std::map<Key, Value> last;
      for (const Sent& sent : history_[i].sends) {
        const auto at = last.find(sent.key);
        if (at != last.end()) {
          check_step(sent.key, at->second, sent.value, std::nullopt,
                     Anomaly::internal_nonmonotonic_send, {i});
        }
        last[sent.key] = sent.value;
      }
    }
  }

  void check_order_between_operations() {
    struct Place {
      Value value;
      std::size_t operation;
    };
    std::map<Process, std::map<Key, Place>> reads;
    std::map<Process, std::map<Key, Place>> sends;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      const Operation& operation = history_[i];
      if (operation.kind == Operation::Kind::assign) {
        // what it goes on reading continues, unless it was told to start again
        reads[operation.process].clear();
        continue;
      }
      auto& my_reads = reads[operation.process];
      for (const auto& [key, seen] : operation.polls) {
        if (seen.empty()) continue;
        const auto before = my_reads.find(key);
        if (before != my_reads.end()) {
          check_step(key, before->second.value, seen.front().value, Anomaly::poll_skip,
                     Anomaly::nonmonotonic_poll, {before->second.operation, i});
        }
        if (operation.outcome == Outcome::ok)
          my_reads.insert_or_assign(key, Place{seen.back().value, i});
      }
      if (operation.outcome == Outcome::fail) continue;
      auto& my_sends = sends[operation.process];
      std::set<Key> begun;
      for (const Sent& sent : operation.sends) {
        const auto before = my_sends.find(sent.key);
        if (before != my_sends.end() && begun.insert(sent.key).second) {
          check_step(sent.key, before->second.value, sent.value, std::nullopt,
                     Anomaly::nonmonotonic_send, {before->second.operation, i});
        }
      }
      for (const Sent& sent : operation.sends)
        my_sends.insert_or_assign(sent.key, Place{sent.value, i});
    }
  }

  // Sorted by time: what had been acknowledged when a send began bounds its offset from below.
  void check_acknowledged_order() {
    struct Moment {
      std::int64_t at_ns;
      bool is_begin;
      std::size_t operation;
      const Sent* sent;
    };
    std::vector<Moment> moments;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (history_[i].outcome != Outcome::ok) continue;
      for (const Sent& sent : history_[i].sends) {
        if (!sent.offset) continue;
        moments.push_back({history_[i].invoked_ns, true, i, &sent});
        moments.push_back({history_[i].completed_ns, false, i, &sent});
      }
    }
    // at equal times a begin comes first: it need not know of that acknowledgement
    std::ranges::sort(moments, [](const Moment& a, const Moment& b) {
      return std::tuple(a.at_ns, !a.is_begin, a.operation) <
             std::tuple(b.at_ns, !b.is_begin, b.operation);
    });
    std::map<Key, Offset> highest;
    std::map<const Sent*, Offset> bound;
    for (const Moment& moment : moments) {
      const Key key = moment.sent->key;
      if (moment.is_begin) {
        const auto known = highest.find(key);
        if (known != highest.end()) bound[moment.sent] = known->second;
        continue;
      }
      const auto low = bound.find(moment.sent);
      if (low != bound.end() && *moment.sent->offset <= low->second) {
        report(Anomaly::ack_not_after_earlier, key,
               fmt::format("value {} was acknowledged at offset {}, but offset {} had been "
                           "acknowledged before its send "
                           "began",
                           moment.sent->value, *moment.sent->offset, low->second),
               {moment.operation});
      }
      auto& top = highest.try_emplace(key, *moment.sent->offset).first->second;
      top = std::max(top, *moment.sent->offset);
    }
  }

  const History& history_;
  const Promise& promise_;
  std::map<Key, KeyFacts> keys_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(Anomaly anomaly) {
  switch (anomaly) {
    case Anomaly::inconsistent_offsets:
      return "inconsistent-offsets";
    case Anomaly::lost_write:
      return "lost-write";
    case Anomaly::duplicate:
      return "duplicate";
    case Anomaly::internal_poll_skip:
      return "int-poll-skip";
    case Anomaly::internal_nonmonotonic_poll:
      return "int-nonmonotonic-poll";
    case Anomaly::internal_nonmonotonic_send:
      return "int-nonmonotonic-send";
    case Anomaly::nonmonotonic_send:
      return "nonmonotonic-send";
    case Anomaly::poll_skip:
      return "poll-skip";
    case Anomaly::nonmonotonic_poll:
      return "nonmonotonic-poll";
    case Anomaly::unseen:
      return "unseen";
    case Anomaly::ack_not_after_earlier:
      return "ack-not-after-earlier";
    case Anomaly::failed_but_visible:
      return "failed-but-visible";
    case Anomaly::unknown_write_repeated:
      return "unknown-write-repeated";
    case Anomaly::phantom:
      return "phantom";
  }
  return "unknown";
}

std::vector<Finding> check(const History& history, const Promise& promise) {
  return Check(history, promise).run();
}

}  // namespace ottla::verify
