#include "io/sim/world.h"

#include <algorithm>
#include <fmt/format.h>

namespace ottla::io::sim {

namespace {

constexpr TimestampMs kWallStartMs = 1'767'225'600'000;  // 2026-01-01

// x * (10^6 + ppm) / 10^6
std::int64_t stretched(std::int64_t ns, std::int64_t ppm) {
  return ns + ns / 1'000'000 * ppm + ns % 1'000'000 * ppm / 1'000'000;
}

}  // namespace

Node::Node(World& world, std::uint32_t index, std::string name)
    : world_(world),
      index_(index),
      name_(std::move(name)),
      disk_(std::make_unique<SimDisk>(world, index, name_)),
      clock_prng_(world.prng("clock/" + name_)) {
  const auto max_ppm = static_cast<std::uint64_t>(world.swarm().clock.drift_ppm_max);
  boot_ns_ = static_cast<std::int64_t>(clock_prng_.below(1ull << 50));
  drift_ppm_ = static_cast<std::int64_t>(clock_prng_.below(2 * max_ppm + 1)) -
               static_cast<std::int64_t>(max_ppm);
}

Node::~Node() { end_process(CrashKind::process_kill, false); }

void Node::start(unsigned shards, Process::ShardMain shard_main) {
  OTTLA_CHECK(!process_);
  world_.note({index_, 0}, What::start, shards, ++starts_, name_);
  if (!up_) boot_ns_ = static_cast<std::int64_t>(clock_prng_.below(1ull << 50));
  up_ = true;
  paused_ = false;
  process_ = std::make_unique<Process>(*this, shards, std::move(shard_main));
}

void Node::stop() {
  world_.note({index_, 0}, What::stop, 0, 0, name_);
  if (process_) process_->stop();
}

void Node::crash(CrashKind kind) {
  if (!process_ && kind == CrashKind::process_kill) return;
  const bool on_stack =
      world_.running_ && process_ && &world_.running_->process() == process_.get();
  if (on_stack)
    world_.crashes_due_.emplace_back(this, kind);
  else
    end_process(kind, false);
}

void Node::end_process(CrashKind kind, bool by_itself) {
  if (process_) {
    exit_code_ = by_itself ? process_->exit_code() : 0;
    process_->begin_death();
    if (!by_itself)
      world_.note({index_, 0}, What::crash, static_cast<std::uint64_t>(kind), 0, name_);
    disk_->process_died();
    world_.network().process_died(*process_, kind == CrashKind::power_loss);
    process_->destroy();
    for (auto& shard : process_->shards()) world_.forget_runnable(*shard);
    process_.reset();
  }
  if (kind == CrashKind::power_loss) {
    up_ = false;
    disk_->power_lost();
  }
}

void Node::pause() {
  paused_ = true;
  if (!process_) return;
  for (auto& shard : process_->shards()) world_.forget_runnable(*shard);
}

void Node::resume() {
  if (!paused_) return;
  paused_ = false;
  if (!process_) return;
  for (auto& shard : process_->shards())
    if (shard->is_runnable()) world_.made_runnable(*shard);
}

bool Node::has_logged(std::string_view part) const {
  return std::ranges::any_of(log_, [&](auto& line) { return line.text.contains(part); });
}

void Node::write(LogLevel level, std::string_view line) {
  Shard* shard = world_.running_;
  world_.note({index_, shard ? shard->index() : 0}, What::log, static_cast<std::uint64_t>(level), 0,
              line);
  if (log_.size() < kLogLinesMax) log_.push_back({world_.now(), level, std::string(line)});
  if (level == LogLevel::error && world_.options().fail_on_error_log)
    world_.fail(fmt::format("{} logged an error: {}", name_, line));
}

Instant Node::monotonic(Instant world_time) const {
  return {boot_ns_ + stretched(world_time.ns, drift_ppm_)};
}

Instant Node::virtual_time(Instant monotonic_time) const {
  const std::int64_t elapsed = monotonic_time.ns - boot_ns_;
  if (elapsed <= 0) return {0};
  if (elapsed > INT64_MAX / 2) return Instant::never();
  // The inverse of stretched(), rounded up: a timer may not fire early.
  const std::int64_t rate = 1'000'000 + drift_ppm_;
  std::int64_t guess = elapsed / rate * 1'000'000 + elapsed % rate * 1'000'000 / rate;
  while (stretched(guess, drift_ppm_) < elapsed) ++guess;
  return {guess};
}

TimestampMs Node::wall_ms() {
  const ClockOptions& options = world_.swarm().clock;
  if (clock_prng_.chance(options.wall_step)) {
    const auto most = static_cast<std::uint64_t>(options.wall_step_max.count());
    wall_offset_ns_ += static_cast<std::int64_t>(clock_prng_.below(2 * most + 1)) -
                       static_cast<std::int64_t>(most);
  }
  return kWallStartMs + (stretched(world_.now().ns, drift_ppm_) + wall_offset_ns_) / 1'000'000;
}

Shard* Node::shard(unsigned index) {
  return process_ && index < process_->count() ? process_->shards()[index].get() : nullptr;
}

class World::Action : public Happening {
 public:
  explicit Action(std::function<void()> action) : action_(std::move(action)) {}
  void happen() override { action_(); }

 private:
  std::function<void()> action_;
};

World::World(WorldOptions options)
    : options_(options),
      schedule_(Prng::stream(options_.seed, "schedule")),
      fabric_(std::make_unique<Fabric>(*this)) {
  trace_.print_to(options_.trace_text);
}

World::~World() {
  for (auto& node : nodes_) node->end_process(CrashKind::process_kill, false);
}

Node& World::add_node(std::string name) {
  OTTLA_CHECK(!find_node(name));
  nodes_.push_back(
      std::make_unique<Node>(*this, static_cast<std::uint32_t>(nodes_.size()), std::move(name)));
  return *nodes_.back();
}

Node* World::find_node(std::string_view name) {
  for (auto& node : nodes_)
    if (node->name() == name) return node.get();
  return nullptr;
}

void World::plan(Happening& what, Instant at) {
  calendar_.plan(what, std::max(at, now_), static_cast<std::uint32_t>(schedule_.next()));
}

void World::at(Instant when, std::function<void()> action) {
  actions_.push_back(std::make_unique<Action>(std::move(action)));
  plan(*actions_.back(), when);
}

void World::end_faults() {
  options_.swarm = options_.swarm.without_faults();
  fabric_->heal();
  for (auto& node : nodes_) {
    SwarmOptions own;
    own.disk = node->disk().options();
    node->disk().options() = own.without_faults().disk;
    node->resume();
  }
}

void World::made_runnable(Shard& shard) {
  if (shard.runnable_slot != Shard::kNotRunnable || shard.process().node().is_paused()) return;
  shard.runnable_slot = runnable_.size();
  runnable_.push_back(&shard);
}

void World::forget_runnable(Shard& shard) {
  if (shard.runnable_slot == Shard::kNotRunnable) return;
  runnable_[shard.runnable_slot] = runnable_.back();
  runnable_.back()->runnable_slot = shard.runnable_slot;
  runnable_.pop_back();
  shard.runnable_slot = Shard::kNotRunnable;
}

Instant World::next_time() {
  Instant next = calendar_.next();
  for (auto& node : nodes_) {
    if (!node->process_ || node->paused_) continue;
    for (auto& shard : node->process_->shards()) next = std::min(next, shard->next_timer());
  }
  return next;
}

bool World::advance(Instant limit) {
  const Instant next = next_time();
  if (next > limit || next == Instant::never()) {
    if (limit != Instant::never() && limit > now_) now_ = limit;
    return false;
  }
  if (next > now_) {
    now_ = next;
    steps_at_instant_ = 0;
  }
  if (calendar_.next() <= now_) {
    calendar_.pop().happen();
    return true;
  }
  for (auto& node : nodes_) {
    if (!node->process_) continue;
    for (auto& shard : node->process_->shards())
      if (shard->next_timer() <= now_) made_runnable(*shard);
  }
  return true;
}

bool World::step_until(Instant limit) {
  if (!failure_.empty()) return false;
  ++steps_;
  if (++steps_at_instant_ > options_.events_per_instant_max)
    fail(fmt::format("busy loop: {} events without any time passing; last: {}", steps_at_instant_,
                     runnable_.empty() ? "-" : runnable_[0]->process().node().name()));
  if (runnable_.empty()) {
    const bool more = advance(limit);
    settle();
    return more && failure_.empty();
  }
  const std::size_t pick = runnable_.size() == 1 ? 0 : schedule_.below(runnable_.size());
  Shard& shard = *runnable_[pick];
  if (shard.is_runnable()) {
    running_ = &shard;
    shard.run_one(schedule_, options_.swarm.schedule.shuffle);
    running_ = nullptr;
  }
  if (!shard.is_runnable()) forget_runnable(shard);
  if (shard.process().has_ended()) ended_due_ = true;
  settle();
  return failure_.empty();
}

void World::settle() {
  while (!crashes_due_.empty()) {
    auto [node, kind] = crashes_due_.back();
    crashes_due_.pop_back();
    node->end_process(kind, false);
  }
  if (!std::exchange(ended_due_, false)) return;
  for (auto& node : nodes_)
    if (node->process_ && node->process_->has_ended())
      node->end_process(CrashKind::process_kill, true);
}

bool World::step() { return step_until(Instant::never()); }

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (!step_until(end)) return done() && failure_.empty();
  }
  return failure_.empty();
}

void World::run_until(Instant at) {
  while (step_until(at)) {
  }
}

void World::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
}

std::string World::report() const {
  std::string text =
      fmt::format("seed {} at {} ns after {} steps, trace hash {:016x}\n{}\n", options_.seed,
                  now_.ns, steps_, trace_.hash(), options_.swarm.to_string());
  if (!failure_.empty()) text += "failure: " + failure_ + "\n";
  constexpr std::size_t kLastLines = 20;
  for (auto& node : nodes_) {
    text += fmt::format("{}: {}, started {} times, exit code {}\n", node->name(),
                        node->is_running() ? "running" : "not running", node->starts_,
                        node->exit_code_);
    const std::size_t from = node->log_.size() > kLastLines ? node->log_.size() - kLastLines : 0;
    for (std::size_t i = from; i < node->log_.size(); ++i)
      text += fmt::format("  {:>14} {}\n", node->log_[i].at.ns, node->log_[i].text);
  }
  return text;
}

}  // namespace ottla::io::sim
