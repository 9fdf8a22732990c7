// SwarmOptions: how bad a simulated world is. The defaults are a calm one: small delays, no faults.
// draw(seed) makes a different mixture for each seed, because a world in which everything fails a
// little hides what a world shows in which one thing fails often.
#pragma once

#include <cstdint>
#include <string>

#include "io/clock.h"

namespace ottla::io::sim {

using namespace std::chrono_literals;

struct ScheduleOptions {
  double shuffle = 0.5;  // chance that a shard's next item is not the oldest one
};

struct NetworkOptions {
  Duration delay = 100us;              // one way, typical
  double delay_tail = 0;               // chance of four times that, repeated
  double chunk = 0;                    // chance that a message arrives in pieces
  double short_read = 0;               // chance that read_some gives less than is there
  double reset = 0;                    // chance for each message that the connection dies instead
  double half_open = 0;                // chance that a side never hears that the connection died
  double refuse = 0;                   // chance that a connect is refused
  double lose_connect = 0;             // chance that a connect is never answered
  std::uint64_t bytes_per_second = 0;  // of a connection; 0: no limit
  std::size_t buffer_bytes =
      256 << 10;                 // of a connection and direction, sender's and receiver's together
  Duration give_up_after = 30s;  // a sender whose bytes don't get through sees timed_out
  Duration connect_timeout = 10s;
};

struct DiskOptions {
  Duration delay = 50us;
  double delay_tail = 0;
  double stall = 0;  // chance that an operation takes up to stall_max
  Duration stall_max = 5s;
  std::string stall_path;  // ... if its path ends so
  double read_error = 0;   // EIO
  double write_error = 0;  // EIO, a part may have been written
  double sync_error = 0;   // EIO, the pages become clean without being durable
  double rot_on_read = 0;  // chance that a bit under a read has flipped, for good
  std::uint64_t size_bytes = 1ull << 40;
  bool direct_supported = true;  // else File::is_direct() is false
  // What a power loss leaves of unsynced writes, in parts: of 100 files so many keep nothing,
  // everything, the first few writes, any subset of sectors.
  unsigned keep_nothing = 25;
  unsigned keep_everything = 15;
  unsigned keep_prefix = 25;
  unsigned keep_subset = 35;
  double zero_sector = 0.1;   // of the sectors lost in `subset`: zeros rather than the old bytes
  double garbage_sector = 0;  // ... or garbage: a disk that does not promise whole sectors
  double size_without_data = 0.3;  // the size grew although the data did not arrive
  bool names_in_order =
      false;  // names survive as a prefix of what was done (ext4), not as any subset
};

struct ClockOptions {
  std::int64_t drift_ppm_max = 0;  // monotonic clocks run faster or slower by up to that
  double wall_step = 0;            // chance, at each reading of a wall clock, that it jumps first
  Duration wall_step_max = 0s;     // forward or back
};

struct SwarmOptions {
  ScheduleOptions schedule;
  NetworkOptions network;
  DiskOptions disk;
  ClockOptions clock;

  // Faults of every class that a promise is kept under: delays, resets, partitions by the test,
  // power loss. Device errors, rot and full disks stay off: the test that expects them turns them
  // on.
  static SwarmOptions draw(std::uint64_t seed);
  // The same delays and orders, and nothing fails any more: what a liveness check asks for.
  SwarmOptions without_faults() const;
  std::string to_string() const;  // one line, for the report of a failing seed
};

}  // namespace ottla::io::sim
