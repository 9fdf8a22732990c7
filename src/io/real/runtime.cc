#include "io/real/runtime.h"

#include <atomic>
#include <csignal>
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <vector>

#include "io/real/disk.h"
#include "io/real/idle_trim.h"
#include "io/real/lanes.h"
#include "io/real/loop.h"
#include "io/real/network.h"
#include "io/real/random.h"
#include "io/real/ring.h"
#include "io/real/signals.h"
#include "io/real/spdlog_logger.h"

namespace ottla::io::real {
namespace {

constexpr int kMappedBytesMin = 512 << 10;  // one allocation that goes back as soon as it is freed
constexpr int kFreeBytesKept = 128 << 20;

class Posted final : public MailboxItem {
 public:
  Posted(Loop& loop, Executor::Callback callback) : loop_(loop), callback_(std::move(callback)) {}
  void deliver(bool dropped) override {
    if (!dropped) loop_.post(std::move(callback_));
    delete this;
  }

 private:
  Loop& loop_;
  Executor::Callback callback_;
};

}  // namespace

struct Runtime::Shard final : Shards {
  Shard(World& owner, unsigned number, Lanes& lanes, ListeningPorts& ports, bool direct_io);

  unsigned count() const override;
  void post(unsigned shard, Executor::Callback callback) override;
  Executor* executor(unsigned shard) override;
  Task<void> run_main(std::function<Task<int>(Env&)> main);
  void run(const std::function<Task<int>(Env&)>& main);

  World& world;
  Loop loop;
  std::unique_ptr<Ring> ring;
  DiskContext disk_context;
  SystemRandom random;
  RealDisk disk;
  RealNetwork network;
  Event stop;
  Env env;
  int result = 0;
};

struct Runtime::World {
  RuntimeOptions options;
  std::unique_ptr<Logger> own_logger;
  Logger* logger = nullptr;
  ListeningPorts ports;
  std::vector<std::unique_ptr<Shard>> shards;
  std::unique_ptr<Lanes> lanes;  // ends before the loops that its workers report to
  std::atomic<unsigned> running{0};

  void to_all(const std::function<void(Shard&)>& function) {
    for (const auto& shard : shards) {
      Shard* target = shard.get();
      target->loop.bring(*new Posted(target->loop, [target, function] { function(*target); }));
    }
  }
};

Runtime::Shard::Shard(World& owner, unsigned number, Lanes& lanes, ListeningPorts& ports,
                      bool direct_io)
    : world(owner),
      ring(owner.options.disk_backend == DiskBackend::threads ? nullptr : Ring::make(loop)),
      disk_context{.loop = loop, .lanes = lanes, .ring = ring.get(), .direct_io = direct_io},
      disk(disk_context),
      network(loop, lanes, ports),
      stop(loop),
      env{number, loop, loop.clock(), random, disk, network, *this, *owner.logger, stop} {}

unsigned Runtime::Shard::count() const { return static_cast<unsigned>(world.shards.size()); }

// Through the mailbox even from the same shard: an Env's Shards may be used by other shards (see
// call_on).
void Runtime::Shard::post(unsigned shard, Executor::Callback callback) {
  Loop& target = world.shards[shard]->loop;
  target.bring(*new Posted(target, std::move(callback)));
}

Executor* Runtime::Shard::executor(unsigned shard) { return &world.shards[shard]->loop; }

Task<void> Runtime::Shard::run_main(std::function<Task<int>(Env&)> main) {
  result = co_await main(env);
  if (world.running.fetch_sub(1) == 1) world.to_all([](Shard& shard) { shard.loop.end(); });
}

void Runtime::Shard::run(const std::function<Task<int>(Env&)>& main) {
  if (env.shard > 0)
    ::pthread_setname_np(::pthread_self(), fmt::format("shard-{}", env.shard).c_str());
  if (ring) {
    ring->start();
    loop.set_hook(ring.get());
  }
  loop.clock().refresh();
  loop.spawn(run_main(main));
  loop.run();
}

unsigned cores_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

Runtime::Runtime(RuntimeOptions options) : world_(std::make_unique<World>()) {
  // Freed memory stays with the process until it is idle (IdleTrim): each page that comes anew from
  // the system costs a fault.
  ::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
  ::mallopt(M_TRIM_THRESHOLD, kFreeBytesKept);
  World& world = *world_;
  world.options = options;
  if (options.logger == nullptr) world.own_logger = make_stderr_logger();
  world.logger = options.logger != nullptr ? options.logger : world.own_logger.get();
  world.lanes = std::make_unique<Lanes>();
  const unsigned count = options.shards != 0 ? options.shards : cores_allowed();
  for (unsigned number = 0; number < count; ++number) {
    world.shards.push_back(
        std::make_unique<Shard>(world, number, *world.lanes, world.ports, options.direct_io));
  }
}

Runtime::~Runtime() = default;

unsigned Runtime::shards() const { return static_cast<unsigned>(world_->shards.size()); }

bool Runtime::uses_io_uring() const { return world_->shards.front()->ring != nullptr; }

int Runtime::run(std::function<Task<int>(Env&)> shard_main) {
  World& world = *world_;
  if (world.options.disk_backend == DiskBackend::io_uring && !uses_io_uring()) {
    world.logger->error(
        "the system does not allow io_uring (see /proc/sys/kernel/io_uring_disabled, or the "
        "container's seccomp profile): choose the disk backend auto or threads");
    return 1;
  }
  struct sigaction ignore{};
  struct sigaction old_pipe{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &old_pipe);
  std::unique_ptr<StopSignals> signals;
  if (world.options.handle_signals) {
    signals = std::make_unique<StopSignals>(
        world.shards[0]->loop, [&world] { world.to_all([](Shard& shard) { shard.stop.set(); }); });
  }
  IdleTrim idle_trim(world.shards[0]->loop, world.lanes->general);
  world.shards[0]->loop.clock().refresh();
  idle_trim.start();
  world.running.store(shards());
  std::vector<std::thread> threads;
  for (unsigned number = 1; number < shards(); ++number) {
    threads.emplace_back([&world, number, &shard_main] { world.shards[number]->run(shard_main); });
  }
  world.shards[0]->run(shard_main);
  for (std::thread& thread : threads) thread.join();
  signals.reset();
  ::sigaction(SIGPIPE, &old_pipe, nullptr);
  for (const auto& shard : world.shards) {
    if (shard->result != 0) return shard->result;
  }
  return 0;
}

}  // namespace ottla::io::real
