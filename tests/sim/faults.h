// What happens to the broker of a campaign, and whether it was felt: a fault that nobody noticed
// proves nothing, so each is measured.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "io/sim/world.h"

namespace ottla::sim_campaign {

enum class Fault : std::uint8_t {
  power_loss,
  process_kill,
  clean_stop,
  partition,
  reset,
  slow_network,
  slow_disk,
  slow_segments,
  full_disk,
  failing_sync,
  failing_write,
  clock_step,
  pause,
};
inline constexpr std::size_t kFaultCount = 13;
std::string_view to_string(Fault fault);

struct FaultCount {
  std::uint64_t planned = 0;
  std::uint64_t felt = 0;
};
using FaultCounts = std::array<FaultCount, kFaultCount>;

// Crashes and errors after which the node is expected to be gone.
bool ends_process(Fault fault);

// Sums that grow when a fault of this kind is felt. Compared before and after.
std::uint64_t effect_of(Fault fault, io::sim::World& world, io::sim::Node& broker);

// Begins and ends what lasts for a while. Crashes, stops and clock steps have no end.
void begin_fault(Fault fault, io::sim::World& world, io::sim::Node& broker, io::sim::Prng& prng);
void end_fault(Fault fault, io::sim::World& world, io::sim::Node& broker,
               const io::sim::DiskOptions& disk_before);

}  // namespace ottla::sim_campaign
