// What the generator was asked to do: `--name value` pairs, each known by its name here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ottla::load {

struct Options {
  std::string command;  // produce, fetch, first-ack, delete, null-broker
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string topic = "load";
  int partitions = 16;
  int pid = 0;  // the broker's: its CPU time and memory are read around the run

  int connections = 32;
  int depth = 5;  // requests in flight on a connection
  std::size_t record_bytes = 1024;
  std::size_t batch_bytes =
      16 << 10;  // records are added while the batch stays below; at least one
  double seconds = 3;
  std::uint64_t bytes_max = UINT64_MAX;  // ends the run earlier
  double settle_seconds = 1.3;  // after the last answer, before the broker's CPU time is read again
  double rate = 0;              // requests a second by schedule (open loop); 0: as fast as answered
  double warm_seconds = 0;      // of an open loop: answers not counted

  std::size_t fetch_bytes = 1 << 20;  // of a partition, an answer
  double megabytes_per_second = 0;    // a fetch asks no faster; 0: as fast as answered
  int passes = 1;

  int all_partitions = 0;  // first-ack: goes on until each partition has answered
  double timeout_seconds = 120;
  std::vector<std::string> broker;  // first-ack: the command that starts it, after "--"
  std::string broker_log = "/dev/null";
};

// Ends the process with a usage text if they make no sense.
Options parse_options(int argc, char** argv);

}  // namespace ottla::load
