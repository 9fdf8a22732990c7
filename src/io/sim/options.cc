#include "io/sim/options.h"

#include <fmt/format.h>

#include "io/sim/prng.h"

namespace ottla::io::sim {

SwarmOptions SwarmOptions::draw(std::uint64_t seed) {
  Prng prng = Prng::stream(seed, "swarm");
  // Half of the seeds are without a given fault.
  auto sometimes = [&](double most) {
    return prng.chance(0.5) ? 0.0 : static_cast<double>(1 + prng.below(1000)) / 1000.0 * most;
  };
  SwarmOptions swarm;
  swarm.schedule.shuffle = prng.chance(0.2) ? 0 : static_cast<double>(prng.below(1001)) / 1000.0;

  NetworkOptions& network = swarm.network;
  network.delay = std::chrono::microseconds(prng.between(20, prng.chance(0.3) ? 20'000 : 500));
  network.delay_tail = sometimes(0.3);
  network.chunk = sometimes(0.5);
  network.short_read = sometimes(0.5);
  network.reset = sometimes(0.01);
  network.half_open = sometimes(0.5);
  network.refuse = sometimes(0.1);
  network.lose_connect = sometimes(0.05);
  network.bytes_per_second = prng.chance(0.2) ? prng.between(100'000, 100'000'000) : 0;
  network.buffer_bytes = std::size_t{1} << prng.between(12, 20);
  network.give_up_after = std::chrono::milliseconds(prng.between(1'000, 60'000));
  network.connect_timeout = std::chrono::milliseconds(prng.between(1'000, 20'000));

  DiskOptions& disk = swarm.disk;
  disk.delay = std::chrono::microseconds(prng.between(5, prng.chance(0.2) ? 20'000 : 200));
  disk.delay_tail = sometimes(0.3);
  disk.stall = sometimes(0.002);
  disk.stall_max = std::chrono::milliseconds(prng.between(10, 5'000));
  disk.direct_supported = prng.chance(0.7);
  disk.keep_nothing = static_cast<unsigned>(prng.below(100));
  disk.keep_everything = static_cast<unsigned>(prng.below(30));
  disk.keep_prefix = static_cast<unsigned>(prng.below(100));
  disk.keep_subset = static_cast<unsigned>(1 + prng.below(100));
  disk.zero_sector = sometimes(0.5);
  disk.garbage_sector = sometimes(0.2);
  disk.size_without_data = sometimes(0.8);
  disk.names_in_order = prng.chance(0.3);

  swarm.clock.drift_ppm_max = prng.chance(0.5) ? 0 : static_cast<std::int64_t>(prng.below(500));
  swarm.clock.wall_step = sometimes(0.01);
  swarm.clock.wall_step_max = std::chrono::milliseconds(prng.below(100'000));
  return swarm;
}

SwarmOptions SwarmOptions::without_faults() const {
  SwarmOptions calm = *this;
  calm.network.reset = calm.network.half_open = calm.network.refuse = calm.network.lose_connect = 0;
  calm.disk.stall = calm.disk.read_error = calm.disk.write_error = calm.disk.sync_error = 0;
  calm.disk.rot_on_read = 0;
  calm.clock.wall_step = 0;
  return calm;
}

std::string SwarmOptions::to_string() const {
  return fmt::format(
      "shuffle {} | network: delay {} us, tail {}, chunk {}, short {}, reset {}, half-open {}, "
      "refuse {}, "
      "lost connect {}, {} B/s, buffer {}, gives up {} ms | disk: delay {} us, tail {}, stall {} "
      "up to {} ms, "
      "errors read {} write {} sync {} rot {}, size {}, direct {}, keeps {}:{}:{}:{}, zero {}, "
      "garbage {}, "
      "size without data {}, names in order {} | clock: drift {} ppm, wall step {} up to {} ms",
      schedule.shuffle, network.delay / 1us, network.delay_tail, network.chunk, network.short_read,
      network.reset, network.half_open, network.refuse, network.lose_connect,
      network.bytes_per_second, network.buffer_bytes, network.give_up_after / 1ms, disk.delay / 1us,
      disk.delay_tail, disk.stall, disk.stall_max / 1ms, disk.read_error, disk.write_error,
      disk.sync_error, disk.rot_on_read, disk.size_bytes, disk.direct_supported, disk.keep_nothing,
      disk.keep_everything, disk.keep_prefix, disk.keep_subset, disk.zero_sector,
      disk.garbage_sector, disk.size_without_data, disk.names_in_order, clock.drift_ppm_max,
      clock.wall_step, clock.wall_step_max / 1ms);
}

}  // namespace ottla::io::sim
