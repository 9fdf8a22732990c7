#include "faults.h"

namespace ottla::sim_campaign {

using namespace std::chrono_literals;
using io::sim::CrashKind;

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::power_loss:
      return "power loss";
    case Fault::process_kill:
      return "process kill";
    case Fault::clean_stop:
      return "clean stop";
    case Fault::partition:
      return "partition";
    case Fault::reset:
      return "reset";
    case Fault::slow_network:
      return "slow network";
    case Fault::slow_disk:
      return "slow disk";
    case Fault::slow_segments:
      return "slow segments";
    case Fault::full_disk:
      return "full disk";
    case Fault::failing_sync:
      return "failing sync";
    case Fault::failing_write:
      return "failing write";
    case Fault::clock_step:
      return "clock step";
    case Fault::pause:
      return "pause";
  }
  return "?";
}

bool ends_process(Fault fault) {
  return fault == Fault::power_loss || fault == Fault::process_kill || fault == Fault::clean_stop;
}

std::uint64_t effect_of(Fault fault, io::sim::World& world, io::sim::Node& broker) {
  const io::sim::DiskCounters& disk = broker.disk().counters();
  const io::sim::NetworkCounters& network = world.network().counters();
  switch (fault) {
    case Fault::power_loss:
      return disk.unsynced_bytes_lost + disk.names_lost + disk.truncates_lost + disk.cut_in_flight;
    case Fault::process_kill:
      return disk.cut_in_flight + network.resets + network.bytes_lost;
    case Fault::partition:
      return network.held_by_partition + network.gave_up;
    case Fault::reset:
      return network.resets;
    case Fault::slow_network:
      return network.messages;
    case Fault::slow_disk:
    case Fault::slow_segments:
      return disk.stalls;
    case Fault::full_disk:
      return disk.no_space;
    case Fault::failing_sync:
      return disk.sync_errors;
    case Fault::failing_write:
      return disk.write_errors;
    case Fault::clean_stop:
    case Fault::clock_step:
    case Fault::pause:
      break;  // the campaign counts these itself
  }
  return 0;
}

void begin_fault(Fault fault, io::sim::World& world, io::sim::Node& broker, io::sim::Prng& prng) {
  io::sim::DiskOptions& disk = broker.disk().options();
  switch (fault) {
    case Fault::power_loss:
      broker.crash(CrashKind::power_loss);
      break;
    case Fault::process_kill:
      broker.crash(CrashKind::process_kill);
      break;
    case Fault::clean_stop:
      broker.stop();
      break;
    case Fault::partition:
      if (prng.chance(0.5)) {
        world.network().isolate(broker.name());
      } else {
        const std::string client = prng.chance(0.5) ? "c0" : "c1";
        if (prng.chance(0.5))
          world.network().block(broker.name(), client);
        else
          world.network().block(client, broker.name());
      }
      break;
    case Fault::reset:
      world.network().reset_connections(broker.name(), "c0");
      world.network().reset_connections(broker.name(), "c1");
      break;
    case Fault::slow_network:
      for (const char* client : {"c0", "c1"}) {
        world.network().slow_down(client, broker.name(), 1ms * prng.between(1, 300));
        world.network().slow_down(broker.name(), client, 1ms * prng.between(1, 300));
      }
      break;
    case Fault::slow_disk:
      disk.stall = 0.05;
      disk.stall_max = 1ms * prng.between(50, 2000);
      break;
    case Fault::slow_segments:  // and a quick journal, which fills
      disk.stall = 0.5;
      disk.stall_max = 1ms * prng.between(50, 2000);
      disk.stall_path = ".log";
      break;
    case Fault::full_disk:
      disk.size_bytes = broker.disk().used_bytes() + prng.below(64 << 10);
      break;
    case Fault::failing_sync:
      disk.sync_error = 0.2;
      break;
    case Fault::failing_write:
      disk.write_error = 0.1;
      break;
    case Fault::clock_step: {
      const auto by = 1ms * prng.between(1, 3'600'000);
      broker.step_wall_clock(prng.chance(0.5) ? by : -by);
      break;
    }
    case Fault::pause:
      broker.pause();
      break;
  }
}

void end_fault(Fault fault, io::sim::World& world, io::sim::Node& broker,
               const io::sim::DiskOptions& disk_before) {
  io::sim::DiskOptions& disk = broker.disk().options();
  switch (fault) {
    case Fault::partition:
    case Fault::slow_network:
      world.network().heal();
      break;
    case Fault::slow_disk:
    case Fault::slow_segments:
    case Fault::full_disk:
    case Fault::failing_sync:
    case Fault::failing_write:
      disk = disk_before;
      break;
    case Fault::pause:
      broker.resume();
      break;
    case Fault::power_loss:
    case Fault::process_kill:
    case Fault::clean_stop:
    case Fault::reset:
    case Fault::clock_step:
      break;
  }
}

}  // namespace ottla::sim_campaign
