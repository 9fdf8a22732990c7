// World: a whole cluster with its clients in one thread, decided by one seed. Time is virtual and
// advances only when nothing is runnable.
//
//   World world({.seed = 7});
//   Node& broker = world.add_node("b1");
//   broker.start(2, [&](Env& env) -> Task<int> { return run_broker(env, config); });
//   Node& client = world.add_node("c1");
//   client.start(1, [&](Env& env) -> Task<int> { return run_workload(env, history); });
//   ASSERT_TRUE(world.run_until([&] { return !client.is_running(); }, 60s)) << world.report();
//
// A test speaks to the world between steps, or from a task of a node other than the one that it
// stops or crashes (a node's own task may crash it too: that takes effect at the task's next
// suspension).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/sim/calendar.h"
#include "io/sim/disk.h"
#include "io/sim/network.h"
#include "io/sim/options.h"
#include "io/sim/process.h"

namespace ottla::io::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  SwarmOptions swarm = {};
  std::FILE* trace_text = nullptr;  // where to print each event
  // A node that does so much without any time passing is in a busy loop: the run fails.
  std::uint64_t events_per_instant_max = 1'000'000;
  bool fail_on_error_log = false;  // a line of level error fails the run
};

enum class CrashKind {
  process_kill,  // kill -9: what was written stays in the page cache
  power_loss     // the disk keeps what was synced and any part of the rest; peers hear nothing
};

struct LogLine {
  Instant at;  // virtual time
  LogLevel level = LogLevel::info;
  std::string text;
};

// A machine: a name on the network, a disk, and at most one running process.
class Node final : public Logger {
 public:
  Node(World& world, std::uint32_t index, std::string name);
  ~Node() override;

  const std::string& name() const { return name_; }
  std::uint32_t index() const { return index_; }
  World& world() { return world_; }
  SimDisk& disk() { return *disk_; }

  // Starts a process: `shard_main` runs once on each shard, and is kept as long as the process.
  // REQUIRES: not running.
  void start(unsigned shards, Process::ShardMain shard_main);
  // Sets Env::stop on every shard.
  void stop();
  void crash(CrashKind kind);  // nothing if it is not running
  bool is_running() const { return process_ != nullptr; }
  // Of the last process that ended by itself: the first shard's that was not 0.
  int exit_code() const { return exit_code_; }
  std::uint64_t starts() const { return starts_; }

  // A paused process does nothing; time and its peers go on (SIGSTOP, a stalled VM).
  void pause();
  void resume();
  bool is_paused() const { return paused_; }

  void step_wall_clock(Duration by) { wall_offset_ns_ += by.count(); }

  const std::vector<LogLine>& log() const { return log_; }
  bool has_logged(std::string_view part) const;

  void write(LogLevel level, std::string_view line) override;
  bool enabled(LogLevel level) const override { return level >= log_level_; }
  void set_log_level(LogLevel level) { log_level_ = level; }

  // For the simulator's own use.
  Instant monotonic(Instant world_time) const;    // this machine's clock at a virtual time
  Instant virtual_time(Instant monotonic) const;  // the virtual time at which it will show that
  TimestampMs wall_ms();
  Process* process() { return process_.get(); }
  Shard* shard(unsigned index);
  bool is_up() const { return up_; }
  std::uint16_t next_port() { return next_port_ = next_port_ >= 60999 ? 32768 : next_port_ + 1; }

 private:
  friend class World;
  static constexpr std::size_t kLogLinesMax = 100'000;
  void end_process(CrashKind kind, bool by_itself);

  World& world_;
  const std::uint32_t index_;
  const std::string name_;
  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<Process> process_;
  std::uint64_t starts_ = 0;
  int exit_code_ = 0;
  bool up_ = true;  // false between a power loss and the next start
  bool paused_ = false;
  Prng clock_prng_;
  std::int64_t boot_ns_ = 0;  // what the monotonic clock showed at virtual time 0
  std::int64_t drift_ppm_ = 0;
  std::int64_t wall_offset_ns_ = 0;
  std::uint16_t next_port_ = 32767;
  LogLevel log_level_ = LogLevel::info;
  std::vector<LogLine> log_;
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Node& add_node(std::string name);
  Node* find_node(std::string_view name);
  Node& node(std::uint32_t index) { return *nodes_[index]; }
  const std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }
  Fabric& network() { return *fabric_; }

  // Virtual time, from 0. What a node's clock shows is another matter.
  Instant now() const { return now_; }

  // One item of one shard, or the next point of time. False if nothing will ever happen again, or
  // the run has failed.
  bool step();
  // Until `done()`, asked after each step; gives its last answer. Gives up after `limit` of virtual
  // time.
  bool run_until(const std::function<bool()>& done, Duration limit = 1h);
  void run_until(Instant at);
  void run_for(Duration how_long) { run_until(now_ + how_long); }

  // From now on nothing fails by chance, no link is blocked, nobody is paused; disks keep their
  // size and on_fault. What is broken stays so: dead nodes, half-open connections, rotten bits.
  void end_faults();

  // Calls `action` at a virtual time: faults by plan.
  void at(Instant when, std::function<void()> action);

  // A stream of random numbers of its own, for the test's workload and faults.
  Prng prng(std::string_view name) const { return Prng::stream(options_.seed, name); }

  const WorldOptions& options() const { return options_; }
  const SwarmOptions& swarm() const { return options_.swarm; }
  // Changes apply from now on.
  SwarmOptions& mutable_swarm() { return options_.swarm; }

  std::uint64_t trace_hash() const { return trace_.hash(); }
  std::uint64_t steps() const { return steps_; }
  // Why the run has failed, or empty: a busy loop, an error logged where none may be.
  const std::string& failure() const { return failure_; }
  void fail(std::string why);
  // Seed, swarm, time, hash, failure, and each node's last lines: what a failing test prints.
  std::string report() const;

  // For the simulator's own use.
  void plan(Happening& what, Instant at);
  void plan_in(Happening& what, Duration in) { plan(what, now_ + in); }
  void made_runnable(Shard& shard);
  void note(Place place, What what, std::uint64_t a = 0, std::uint64_t b = 0,
            std::string_view object = {}, ByteView bytes = {}) {
    trace_.note(now_, place, what, a, b, object, bytes);
  }
  Shard* running() { return running_; }
  std::uint64_t next_sequence() { return ++sequence_; }

 private:
  friend class Node;
  class Action;
  void forget_runnable(Shard& shard);
  void settle();  // ends processes that are to end after a step
  bool advance(Instant limit);
  Instant next_time();
  bool step_until(Instant limit);

  WorldOptions options_;
  Trace trace_;
  Instant now_{0};
  Calendar calendar_;
  Prng schedule_;
  std::unique_ptr<Fabric> fabric_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Action>> actions_;
  std::vector<Shard*> runnable_;
  Shard* running_ = nullptr;
  std::vector<std::pair<Node*, CrashKind>> crashes_due_;
  bool ended_due_ = false;
  std::uint64_t steps_ = 0;
  std::uint64_t steps_at_instant_ = 0;
  std::uint64_t sequence_ = 0;
  std::string failure_;
};

}  // namespace ottla::io::sim
