#include "io/sim/process.h"

#include <algorithm>

#include "io/sim/world.h"

namespace ottla::io::sim {

Shard::Shard(Process& process, unsigned index)
    : process_(process),
      world_(process.node().world()),
      index_(index),
      place_{process.node().index(), index},
      random_(world_.prng("random/" + process.node().name() + "/" + std::to_string(index) + "/" +
                          std::to_string(process.node().starts()))),
      disk_(process.node().disk().attach(*this)),
      network_(world_.network().attach(*this)),
      stop_(*this) {
  env_.emplace(
      Env{index, *this, *this, random_, *disk_, *network_, process, process.node(), stop_});
}

Shard::~Shard() = default;

void Shard::added() {
  if (++items_ == 1) world_.made_runnable(*this);
}

void Shard::post(std::coroutine_handle<> handle) {
  if (process_.is_dying()) return;
  ready_.push_back({world_.next_sequence(), handle, nullptr});
  added();
}

void Shard::post(Callback callback) {
  if (process_.is_dying()) return;
  ready_.push_back({world_.next_sequence(), nullptr, std::move(callback)});
  added();
}

void Shard::post_from(unsigned sender, Callback callback) {
  if (process_.is_dying()) return;
  if (channels_.size() <= sender) channels_.resize(sender + 1);
  channels_[sender].push_back({world_.next_sequence(), nullptr, std::move(callback)});
  added();
}

Instant Shard::now() const { return process_.node().monotonic(world_.now()); }
TimestampMs Shard::wall_ms() const { return process_.node().wall_ms(); }

void Shard::arm(Timer& timer) {
  timer.order = ++timer_order_;
  const Instant at = std::max(process_.node().virtual_time(timer.deadline), world_.now());
  if (at == Instant::never()) return never_.push_back(timer);
  if (timers_.size() >= sweep_at_) sweep_timers();
  timers_[at.ns].push_back(timer);
  if (at <= world_.now()) world_.made_runnable(*this);
}

void Shard::sweep_timers() {
  std::erase_if(timers_, [](auto& entry) { return entry.second.empty(); });
  sweep_at_ = std::max(kSweepMin, 2 * timers_.size());
}

Instant Shard::next_timer() {
  while (!timers_.empty() && timers_.begin()->second.empty()) timers_.erase(timers_.begin());
  return timers_.empty() ? Instant::never() : Instant{timers_.begin()->first};
}

bool Shard::is_runnable() { return items_ > 0 || next_timer() <= world_.now(); }

void Shard::run_one(Prng& schedule, double shuffle) {
  // Candidates: the front of each channel, the first few of ready_, the first timer if it is due.
  std::size_t open_channels = 0;
  for (auto& channel : channels_) open_channels += !channel.empty();
  const std::size_t window = std::min(ready_.size(), kWindow);
  const std::size_t timers = next_timer() <= world_.now();
  const std::size_t choices = open_channels + window + timers;
  std::size_t choice = 0;
  if (choices > 1 && schedule.chance(shuffle)) {
    choice = schedule.below(choices);
  } else if (choices > 1) {
    std::uint64_t oldest = UINT64_MAX;  // timers come last
    choice = choices - 1;
    if (window > 0) {
      oldest = ready_.front().sequence;
      choice = 0;
    }
    std::size_t at = window;
    for (auto& channel : channels_) {
      if (channel.empty()) continue;
      if (channel.front().sequence < oldest) {
        oldest = channel.front().sequence;
        choice = at;
      }
      ++at;
    }
  }
  world_.note(place_, choice == choices - 1 && timers ? What::fire : What::run, choice, choices);
  if (choice < window) {
    if (choice > 0) std::swap(ready_[choice], ready_.front());
    Item item = std::move(ready_.front());
    ready_.pop_front();
    return run(std::move(item));
  }
  choice -= window;
  for (auto& channel : channels_) {
    if (channel.empty()) continue;
    if (choice-- > 0) continue;
    Item item = std::move(channel.front());
    channel.pop_front();
    return run(std::move(item));
  }
  fire_first();
}

void Shard::run(Item item) {
  --items_;
  if (item.handle)
    item.handle.resume();
  else
    item.callback();
}

void Shard::fire_first() {
  auto first = timers_.begin();
  Timer& timer = first->second.pop_front();
  if (first->second.empty()) timers_.erase(first);
  timer.fire();
}

void Shard::drop_items() {
  while (items_ > 0) {
    std::deque<Item> ready = std::move(ready_);
    auto channels = std::move(channels_);
    ready_.clear();
    channels_.clear();
    items_ = 0;
    while (!ready.empty()) ready.pop_back();
  }
}

std::uint64_t Shard::next_root_sequence() { return world_.next_sequence(); }

Process::Process(Node& node, unsigned shards, ShardMain main)
    : node_(node), main_(std::move(main)), running_mains_(shards), exit_codes_(shards, 0) {
  OTTLA_CHECK(shards > 0);
  for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(*this, i));
  for (auto& shard : shards_) {
    static_cast<Executor&>(*shard).post([this, &at = *shard] { at.spawn(run_main(*this, at)); });
  }
}

Process::~Process() { OTTLA_CHECK(dying_); }

Task<void> Process::run_main(Process& process, Shard& shard) {
  const int code = co_await process.main_(shard.env());
  process.node_.world().note(shard.place(), What::exit, static_cast<std::uint64_t>(code));
  process.exit_codes_[shard.index()] = code;
  --process.running_mains_;
}

void Process::post(unsigned shard, Executor::Callback callback) {
  OTTLA_CHECK(shard < shards_.size());
  Shard* sender = node_.world().running();
  const bool inside = sender && &sender->process() == this;
  shards_[shard]->post_from(inside ? sender->index() : count(), std::move(callback));
}

Executor* Process::executor(unsigned shard) { return shards_.at(shard).get(); }

int Process::exit_code() const {
  const auto bad = std::ranges::find_if(exit_codes_, [](int code) { return code != 0; });
  return bad == exit_codes_.end() ? 0 : *bad;
}

void Process::stop() {
  for (auto& shard : shards_)
    shard->post_from(count(), [&event = shard->env().stop] { event.set(); });
}

void Process::destroy() {
  OTTLA_CHECK(dying_);
  for (auto& shard : shards_) shard->drop_items();
  for (;;) {
    Shard* youngest = nullptr;
    for (auto& shard : shards_) {
      if (shard->tasks().empty()) continue;
      if (!youngest || shard->tasks().back().sequence > youngest->tasks().back().sequence)
        youngest = shard.get();
    }
    if (!youngest) break;
    auto& root = youngest->tasks().back();
    root.unlink();
    root.frame.destroy();
  }
}

}  // namespace ottla::io::sim
