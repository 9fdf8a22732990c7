#include "campaign.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <memory>

#include "broker/node.h"
#include "clients.h"
#include "disk_excuse.h"
#include "shouter.h"
#include "sower.h"
#include "verify/checker.h"

namespace ottla::sim_campaign {
namespace {

using namespace std::chrono_literals;
using io::sim::CrashKind;
using io::sim::Prng;

constexpr io::Duration kStopPatience = 120s;  // a clean stop with a slow disk
constexpr io::Duration kCrowdedStopPatience = 600s;
constexpr io::Duration kFencedPatience = 60s;   // from a failed sync to the end of the process
constexpr io::Duration kFinalePatience = 600s;  // healed, everything must come to its end
constexpr int kRestartsMax = 60;                // of a node that can't start while its disk fails

// Many partitions and a journal that they fill.
constexpr double kCrowded = 0.15;
constexpr std::int32_t kCrowdMax = 150;
constexpr int kSowingsMax = 40;  // of a sower that nothing holds up, in a second

broker::NodeConfig make_config(Prng& prng, bool is_crowded, Prng scrub) {
  broker::NodeConfig config;
  config.listeners.push_back(
      {.name = "PLAINTEXT", .bind = {"", kPort}, .advertised = std::nullopt});
  config.log_dir = "data";
  config.auto_create_topics = false;
  storage::StoreLimits& store = config.store;
  store.journal_first_file_bytes = 48u << 10;
  store.journal_file_bytes = (64u << 10) << prng.below(3);
  store.journal_files = 4;
  store.chunk_bytes = 16u << 10;
  store.batch_bytes_max = 32u << 10;
  store.tail_bytes = (16u << 10) << prng.below(4);
  store.pending_bytes = 64u << 10;
  store.drain_bytes = (4u << 10) << prng.below(4);
  store.drain_after_ms = static_cast<std::int64_t>(prng.between(20, 1000));
  store.checkpoint_interval_ms = static_cast<std::int64_t>(prng.between(50, 1000));
  store.open_files = prng.between(4, 64);
  config.heartbeat_interval_ms = static_cast<std::int64_t>(prng.between(100, 3000));
  config.session_timeout_ms = config.heartbeat_interval_ms * prng.between(2, 5);
  store.scrub_bytes_per_second = (256u << 10) << scrub.below(8);
  store.scrub_interval_ms = static_cast<std::int64_t>(scrub.between(100, 20'000));
  if (is_crowded) {
    store.journal_files = static_cast<std::uint32_t>(prng.between(2, 4));
    store.journal_file_bytes = (128u << 10) << prng.below(3);
  }
  config.broker_configs.emplace("log.segment.bytes", fmt::to_string((16 << 10) << prng.below(4)));
  config.broker_configs.emplace("log.index.interval.bytes", fmt::to_string(512 << prng.below(4)));
  // clocks that are stepped apart by hours are not what a refused batch is to show
  config.broker_configs.emplace("log.message.timestamp.after.max.ms", fmt::to_string(INT64_MAX));
  return config;
}

class Run {
 public:
  Run(std::uint64_t seed, std::FILE* trace)
      : trace_(trace),
        world_({.seed = seed, .swarm = io::sim::SwarmOptions::draw(seed), .trace_text = trace}),
        prng_(world_.prng("campaign")),
        broker_(world_.add_node(kBroker)),
        is_crowded_(prng_.chance(kCrowded)),
        config_(make_config(prng_, is_crowded_, world_.prng("scrub"))),
        shards_(1u << prng_.below(3)),
        record_(world_) {
    result_.seed = seed;
    broker_.disk().make_directories("data");
    // Where the journal has no room for the last blocks of so many partitions, the log relies on
    // the disk's care for whole sectors (keep_block in storage/store_log_files.cc).
    if (is_crowded_)
      broker_.disk().options().garbage_sector = broker_.disk().options().zero_sector = 0;
  }

  SeedResult run() {
    const std::clock_t began = std::clock();
    start_broker();
    start_clients();
    suffer();
    finale();
    judge();
    result_.cpu_seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    result_.starts = broker_.starts();
    result_.trace_hash = world_.trace_hash();
    if (trace_) print_trace();
    return std::move(result_);
  }

 private:
  // --- the broker

  void start_broker() {
    is_ready_ = is_stopping_ = false;
    start_line_ = broker_.log().size();
    auto meeting = broker::make_meeting_point(
        config_, {.on_ready = [this](const broker::NodeReady&) { is_ready_ = true; }});
    broker_.start(shards_, [meeting](io::Env& env) { return broker::run_node(env, meeting); });
  }

  Lines log_of_start() const { return Lines(broker_.log()).subspan(start_line_); }

  // Lets time pass; a broker that has ended is judged, and started again a little later.
  void live(io::Duration how_long, const std::function<bool()>& done = nullptr) {
    const io::Instant until = world_.now() + how_long;
    while (world_.now() < until && is_fine()) {
      if (done && done()) return;
      world_.run_until([&] { return !broker_.is_running() || (done && done()); },
                       until - world_.now());
      if (broker_.is_running() || !is_fine()) continue;
      judge_exit();
      world_.run_for(1ms * prng_.below(500));
      start_broker();
    }
  }

  void judge_exit() {
    if (was_crashed_) {
      was_crashed_ = false;
      return;
    }
    const int code = broker_.exit_code();
    if (code == 0 && is_stopping_) return;
    if (disk_excuse_.is_valid() && names_disk_failure(log_of_start()) &&
        ++failed_ends_ <= kRestartsMax)
      return;
    std::string last = "nothing";
    for (const auto& line : broker_.log()) {
      if (line.level >= LogLevel::error) last = line.text;
    }
    found(fmt::format("the broker ended by itself with {}; its last error: {}", code, last));
  }

  // --- clients

  void start_clients() {
    const auto partitions = static_cast<std::int32_t>(
        is_crowded_ ? prng_.between(5, static_cast<std::uint64_t>(kCrowdMax))
                    : prng_.between(1, 4));
    const bool churns = prng_.chance(0.4);
    const auto clients = prng_.between(1, 3);
    std::vector<ProducerPlan> producers;
    for (std::uint64_t i = 0, count = prng_.between(1, 4); i < count; ++i) {
      const bool is_churn = churns && i == 0;
      producers.push_back({.topic = is_churn ? kChurnTopic : kMainTopic,
                           .partition = static_cast<PartitionIndex>(
                               prng_.below(is_churn ? 2 : static_cast<unsigned>(partitions))),
                           .acks = static_cast<std::int16_t>(prng_.chance(0.25) ? 1 : -1),
                           .in_flight_max = prng_.between(1, 5),
                           .records_max = static_cast<std::int32_t>(prng_.between(1, 20)),
                           .value_bytes_max = prng_.between(1, 800),
                           .pause = 1ms * prng_.between(5, 150),
                           .timeout = 1ms * prng_.between(500, 4000),
                           .patience = 1ms * prng_.between(1000, 20'000),
                           .seed = prng_.next()});
    }
    std::vector<SowerPlan> sowers;
    for (std::uint64_t i = 0, count = is_crowded_ ? prng_.between(1, 2) : 0; i < count; ++i) {
      sowers.push_back({.topic = kMainTopic,
                        .partitions = partitions,
                        .partitions_max = prng_.between(1, static_cast<std::uint64_t>(partitions)),
                        .records_max = static_cast<std::int32_t>(prng_.between(1, 4)),
                        .value_bytes_max = prng_.between(100, 2000),
                        .pause = 1ms * prng_.between(1000 / kSowingsMax, 300),
                        .timeout = 1ms * prng_.between(500, 4000),
                        .patience = 1ms * prng_.between(1000, 20'000),
                        .seed = prng_.next()});
    }
    std::vector<ShouterPlan> shouters;
    if (prng_.chance(0.25)) {
      const bool is_churn = churns && prng_.chance(0.5);
      shouters.push_back({.topic = is_churn ? kChurnTopic : kMainTopic,
                          .partition = static_cast<PartitionIndex>(
                              prng_.below(is_churn ? 2 : static_cast<unsigned>(partitions))),
                          .pause = 1ms * prng_.between(5, 300),
                          .seed = prng_.next()});
    }
    record_.working = producers.size() + sowers.size();
    std::vector<PartitionIndex> all;
    for (PartitionIndex i = 0; i < partitions; ++i) all.push_back(i);
    std::vector<ConsumerPlan> consumers;
    for (std::uint64_t i = 0, count = prng_.between(0, 3); i < count; ++i) {
      consumers.push_back({.topic = churns && i == 1 ? kChurnTopic : kMainTopic,
                           .partitions = churns && i == 1 ? std::vector<PartitionIndex>{0, 1} : all,
                           .uses_session = prng_.chance(0.5),
                           .keeps_session = prng_.chance(0.5),
                           .partition_bytes_max = 1 << prng_.between(8, 17),
                           .timeout = 1ms * prng_.between(1000, 5000),
                           .seed = prng_.next()});
    }
    admin_ = {.partitions = partitions, .churns = churns, .seed = prng_.next()};
    for (std::uint64_t i = 0; i < clients; ++i) {
      std::vector<ProducerPlan> my_producers;
      std::vector<ConsumerPlan> my_consumers;
      for (std::size_t k = i; k < producers.size(); k += clients)
        my_producers.push_back(producers[k]);
      for (std::size_t k = i; k < consumers.size(); k += clients)
        my_consumers.push_back(consumers[k]);
      std::vector<SowerPlan> my_sowers;
      for (std::size_t k = i; k < sowers.size(); k += clients) my_sowers.push_back(sowers[k]);
      std::vector<ShouterPlan> my_shouters;
      for (std::size_t k = i; k < shouters.size(); k += clients) my_shouters.push_back(shouters[k]);
      io::sim::Node& node = world_.add_node(fmt::format("c{}", i));
      clients_.push_back(&node);
      node.start(1, [this, i, my_producers, my_sowers, my_shouters, my_consumers](io::Env& env) {
        return run_client(env, *this, i == 0, my_producers, my_sowers, my_shouters, my_consumers);
      });
    }
  }

  static io::Task<int> run_client(io::Env& env, Run& run, bool is_admin,
                                  std::vector<ProducerPlan> producers,
                                  std::vector<SowerPlan> sowers, std::vector<ShouterPlan> shouters,
                                  std::vector<ConsumerPlan> consumers) {
    io::TaskGroup tasks(env.executor);
    if (is_admin) tasks.spawn(administer(env, run.record_, run.admin_));
    for (auto& plan : producers) tasks.spawn(produce(env, run.record_, std::move(plan)));
    for (auto& plan : sowers) tasks.spawn(sow(env, run.record_, std::move(plan)));
    for (auto& plan : shouters) tasks.spawn(shout(env, run.record_, std::move(plan)));
    for (auto& plan : consumers) tasks.spawn(consume(env, run.record_, std::move(plan)));
    co_await tasks.join();
    co_return 0;
  }

  static io::Task<int> run_last_sower(io::Env& env, Run& run) {
    co_await sow_once(env, run.record_,
                      {.topic = kMainTopic,
                       .partitions = run.admin_.partitions,
                       .partitions_max = 50,
                       .timeout = 20s,
                       .seed = run.prng_.next()});
    co_return 0;
  }

  static io::Task<int> run_reader(io::Env& env, Run& run) {
    co_await read_everything(env, run.record_);
    co_return 0;
  }

  // --- faults

  void suffer() {
    std::vector<Fault> kinds;
    for (std::size_t i = 0; i < kFaultCount; ++i) {
      if (prng_.chance(0.4)) kinds.push_back(static_cast<Fault>(i));
    }
    if (kinds.empty()) kinds.push_back(Fault::power_loss);
    const auto count = prng_.between(3, 9);
    for (std::uint64_t i = 0; i < count && is_fine(); ++i) {
      live(1ms * prng_.between(100, 2000));
      live(60s, [this] { return is_ready_ && record_.in_flight > 0; });
      if (!is_ready_ || !broker_.is_running() || !is_fine()) continue;
      const Fault fault = kinds[prng_.below(kinds.size())];
      if (admin_.churns && prng_.chance(0.3)) await_admin();
      if (!is_ready_ || !broker_.is_running() || !is_fine()) continue;
      strike(fault);
    }
  }

  // Until a topic is being made or deleted, and a little further.
  void await_admin() {
    live(5s, [this] { return record_.creating + record_.deleting > 0; });
    live(broker_.disk().options().delay * prng_.below(30));
  }

  void strike(Fault fault) {
    FaultCount& count = result_.faults[static_cast<std::size_t>(fault)];
    const auto before = effect_of(fault, world_, broker_);
    const auto felt = [&] { return effect_of(fault, world_, broker_) > before; };
    const bool breaks_disk =
        fault == Fault::full_disk || fault == Fault::failing_sync || fault == Fault::failing_write;
    const io::sim::DiskOptions disk = broker_.disk().options();
    const bool has_requests = record_.in_flight > 0;
    const auto starts = broker_.starts();
    const std::size_t log_lines = broker_.log().size();
    ++count.planned;
    was_crashed_ = fault == Fault::power_loss || fault == Fault::process_kill;
    is_stopping_ = fault == Fault::clean_stop;
    if (breaks_disk) disk_excuse_.fault_begins();
    if (trace_) fmt::print(trace_, "# {} ms: {}\n", world_.now().ns / 1'000'000, to_string(fault));
    if (was_crashed_ && record_.creating > 0) record_.reached(Mark::crash_in_creation);
    if (was_crashed_ && record_.deleting > 0) record_.reached(Mark::crash_in_deletion);
    begin_fault(fault, world_, broker_, prng_);
    if (is_stopping_) {
      live(stop_patience(), [&] { return broker_.starts() > starts; });
      if (broker_.starts() == starts) found("a clean stop did not end");
      ++count.felt;
      return;
    }
    if (fault == Fault::pause) {
      world_.run_for(1ms * prng_.between(100, 12'000));
    } else if (!was_crashed_ && fault != Fault::reset && fault != Fault::clock_step) {
      const auto how_long = 1ms * prng_.between(200, 4000);
      live(how_long, breaks_disk ? std::function<bool()>(felt) : nullptr);
    }
    if (breaks_disk && felt()) {
      if (prng_.chance(0.3)) live(1ms * prng_.below(1000));  // and again while it starts
    }
    const bool was_felt = felt();
    end_fault(fault, world_, broker_, disk);
    if (breaks_disk) disk_excuse_.fault_ends(broker_.starts(), was_felt);
    if (was_felt || (has_requests && (was_crashed_ || fault == Fault::pause)) ||
        fault == Fault::clock_step)
      ++count.felt;
    if (breaks_disk && was_felt && broker_.starts() == starts) await_end(starts, fault, log_lines);
    if (broker_.is_running() && is_ready_ && !breaks_disk) disk_excuse_.is_well(broker_.starts());
  }

  // After a write or sync that failed nothing may be trusted: the node must go. Where there is
  // merely no space, checkpoints and the journal's next file wait for some.
  bool is_tolerated(Fault fault, std::size_t log_lines) const {
    if (fault != Fault::full_disk) return false;
    return waits_for_space(log_of_start(), log_lines - start_line_);
  }

  void await_end(std::uint64_t starts, Fault fault, std::size_t log_lines) {
    const auto is_settled = [&] {
      return broker_.starts() > starts || is_tolerated(fault, log_lines);
    };
    live(kFencedPatience, is_settled);
    if (!is_settled())
      found(fmt::format("{}: the broker went on as if nothing had happened", to_string(fault)));
  }

  // --- the end

  void finale() {
    world_.end_faults();
    world_.network().heal();
    if (broker_.is_paused()) broker_.resume();
    record_.finishing = true;
    const auto rested = [this] {
      return std::ranges::none_of(clients_, [](auto* client) { return client->is_running(); });
    };
    live(kFinalePatience, rested);
    if (!is_fine()) return;
    if (!rested()) {
      found(
          fmt::format("{} producer(s) did not come to an end in a healed world", record_.working));
      return;
    }
    // Whatever happened, a broker in a healed world takes writes: to each partition.
    if (is_main_topic_there()) {
      io::sim::Node& sower = world_.add_node("sower");
      sower.start(1, [this](io::Env& env) { return run_last_sower(env, *this); });
      live(kFinalePatience, [&] { return !sower.is_running(); });
      if (!is_fine()) return;
      if (sower.is_running()) {
        found("a partition takes no writes in a healed world");
        return;
      }
    }
    disk_excuse_.withdraw();
    if (prng_.chance(0.7) && broker_.is_running()) {
      was_crashed_ = true;
      broker_.crash(CrashKind::power_loss);
    }
    live(kFinalePatience, [this] { return is_ready_ && broker_.is_running(); });
    if (!is_fine()) return;
    io::sim::Node& reader = world_.add_node("reader");
    reader.start(1, [this](io::Env& env) { return run_reader(env, *this); });
    live(kFinalePatience, [&] { return !reader.is_running(); });
    if (!is_fine()) return;
    if (reader.is_running()) found("the last reader did not come to the end");
    is_stopping_ = true;
    broker_.stop();
    if (!world_.run_until([this] { return !broker_.is_running(); }, stop_patience()))
      found("the last clean stop did not end");
    else
      judge_exit();
  }

  io::Duration stop_patience() const { return is_crowded_ ? kCrowdedStopPatience : kStopPatience; }

  // The administrator may have ended before it was made.
  bool is_main_topic_there() const { return record_.acknowledged > 0; }

  // --- judgement

  bool is_fine() const { return result_.findings.empty() && world_.failure().empty(); }
  void found(std::string what) {
    result_.findings.push_back(
        fmt::format("at {} ms: {}", world_.now().ns / 1'000'000, std::move(what)));
  }

  void judge() {
    const bool came_to_the_end = is_fine();
    if (!world_.failure().empty()) result_.findings.push_back("world: " + world_.failure());
    for (auto& violation : record_.violations) result_.findings.push_back(std::move(violation));
    // Nothing rots here, and reads that fail are named in other words.
    for (const auto& line : broker_.log()) {
      if (line.text.find("the scrub found") != std::string::npos)
        result_.findings.push_back("what had not rotted was called so: " + line.text);
    }
    forget_deleted();
    count_unanswered();
    result_.marks = record_.marks;
    result_.operations = record_.history.size();
    result_.acknowledged = record_.acknowledged;
    // without the last reads the history says nothing
    if (came_to_the_end) {
      for (const verify::Finding& finding : verify::check(record_.history)) {
        result_.findings.push_back(fmt::format("{}: key {}: {}", verify::to_string(finding.anomaly),
                                               finding.key, finding.explanation));
      }
    }
    for (const FaultCount& count : result_.faults) {
      if (count.planned > 0 && count.felt == 0) result_.is_valid = false;
    }
    if (result_.acknowledged == 0) result_.is_valid = false;
  }

  void count_unanswered() {
    std::set<verify::Value> seen;
    for (const auto& operation : record_.history) {
      for (const auto& [key, values] : operation.polls) {
        for (const verify::Seen& one : values) {
          if (record_.unanswered.contains(one.value)) seen.insert(one.value);
        }
      }
    }
    record_.reached(Mark::unanswered_read, seen.size());
  }

  void forget_deleted() {
    std::vector<verify::Key> gone;
    for (const auto& [id, key] : record_.keys) {
      if (record_.deleted.contains(id.first)) gone.push_back(key);
    }
    std::ranges::sort(gone);
    const auto is_gone = [&](verify::Key key) { return std::ranges::binary_search(gone, key); };
    for (auto& operation : record_.history) {
      std::erase_if(operation.sends, [&](const auto& sent) { return is_gone(sent.key); });
      std::erase_if(operation.polls, [&](const auto& one) { return is_gone(one.first); });
    }
  }

  void print_trace() {
    for (const auto& operation : record_.history)
      fmt::print(trace_, "history {}\n", verify::to_json_line(operation));
    for (const auto& line : broker_.log())
      fmt::print(trace_, "log {} ms: {}\n", line.at.ns / 1'000'000, line.text);
    for (const auto& [id, key] : record_.keys)
      fmt::print(trace_, "key {} is topic {} partition {}\n", key, id.first.to_string(), id.second);
    fmt::print(trace_, "{} shard(s) | {}\n", shards_, world_.swarm().to_string());
  }

  std::FILE* trace_;
  SeedResult result_;
  AdminPlan admin_;
  io::sim::World world_;
  Prng prng_;
  io::sim::Node& broker_;
  const bool is_crowded_;
  const broker::NodeConfig config_;
  const unsigned shards_;
  Record record_;
  std::vector<io::sim::Node*> clients_;
  bool is_ready_ = false;
  bool is_stopping_ = false;
  bool was_crashed_ = false;
  DiskExcuse disk_excuse_;
  std::size_t start_line_ = 0;  // of the broker's log: the last start's first
  int failed_ends_ = 0;
};

}  // namespace

SeedResult run_seed(std::uint64_t seed, std::FILE* trace) {
  return std::make_unique<Run>(seed, trace)->run();
}

}  // namespace ottla::sim_campaign
