// Process: one life of a node, from start() to its exit or crash: its shards with what they have to
// do and the timers that they wait for. Private to the simulator; tests see Node (world.h).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/env.h"
#include "io/sim/prng.h"
#include "io/sim/trace.h"

namespace ottla::io::sim {

class Node;
class Process;
class World;

// Executor and Clock of one shard. Its items run one at a time, in an order drawn from the seed: of
// what was posted by post(handle) any of the first kWindow, of what came through Shards::post the
// oldest of each sender.
class Shard final : public Executor, public Clock {
 public:
  Shard(Process& process, unsigned index);
  ~Shard() override;

  void post(std::coroutine_handle<> handle) override;
  void post(Callback callback) override;
  void post_from(unsigned sender, Callback callback);

  Instant now() const override;
  TimestampMs wall_ms() const override;
  void arm(Timer& timer) override;

  Process& process() { return process_; }
  World& world() const { return world_; }
  Place place() const { return place_; }
  unsigned index() const { return index_; }
  Env& env() { return *env_; }

  bool has_items() const { return items_ > 0; }
  std::size_t items() const { return items_; }
  // In virtual time, of the earliest armed timer.
  Instant next_timer();
  bool is_runnable();
  // REQUIRES: is_runnable(). Runs one item or fires one timer.
  void run_one(Prng& schedule, double shuffle);

  // Drops what is posted, without running it.
  void drop_items();

  std::size_t runnable_slot = kNotRunnable;  // kept by the world
  static constexpr std::size_t kNotRunnable = SIZE_MAX;

 protected:
  std::uint64_t next_root_sequence() override;

 private:
  static constexpr std::size_t kWindow = 8;
  static constexpr std::size_t kSweepMin = 256;
  struct Item {
    std::uint64_t sequence = 0;
    std::coroutine_handle<> handle;
    Callback callback;
  };
  void added();
  void run(Item item);
  void fire_first();
  void sweep_timers();

  class NodeRandom final : public Random {
   public:
    explicit NodeRandom(Prng prng) : prng_(prng) {}
    std::uint64_t next() override { return prng_.next(); }

   private:
    Prng prng_;
  };

  Process& process_;
  World& world_;
  const unsigned index_;
  const Place place_;
  std::deque<Item> ready_;
  std::vector<std::deque<Item>> channels_;  // by sender; the last one: from outside the world
  std::size_t items_ = 0;
  // By deadline in virtual time. Lists may have run empty: a timer leaves without telling.
  std::map<std::int64_t, List<Timer>> timers_;
  std::size_t sweep_at_ = kSweepMin;
  List<Timer> never_;
  std::uint64_t timer_order_ = 0;
  NodeRandom random_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Network> network_;
  Event stop_;
  std::optional<Env> env_;
};

class Process final : public Shards {
 public:
  using ShardMain = std::function<Task<int>(Env&)>;

  Process(Node& node, unsigned shards, ShardMain main);
  ~Process() override;  // REQUIRES: begin_death() was called

  unsigned count() const override { return static_cast<unsigned>(shards_.size()); }
  void post(unsigned shard, Executor::Callback callback) override;
  Executor* executor(unsigned shard) override;

  Node& node() { return node_; }
  std::vector<std::unique_ptr<Shard>>& shards() { return shards_; }
  void stop();

  bool is_dying() const { return dying_; }
  bool has_ended() const { return running_mains_ == 0; }
  int exit_code() const;  // the first shard's that is not 0

  // Marks it as dying: from here on nothing is posted any more.
  void begin_death() { dying_ = true; }
  // Destroys all that it had to do, the youngest tasks first. REQUIRES: none of its tasks is on the
  // stack.
  void destroy();

 private:
  static Task<void> run_main(Process& process, Shard& shard);

  Node& node_;
  ShardMain main_;
  std::vector<std::unique_ptr<Shard>> shards_;
  unsigned running_mains_ = 0;
  std::vector<int> exit_codes_;
  bool dying_ = false;
};

}  // namespace ottla::io::sim
