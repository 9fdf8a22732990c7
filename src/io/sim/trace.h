// Trace: what happened in a simulated run, as a hash always and as text when asked. Two runs of one
// seed must give the same hash; if they don't, something in the code under test is not decided by
// the seed. docs/testing.md has the columns.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/bytes.h"
#include "io/clock.h"

namespace ottla::io::sim {

enum class What : std::uint8_t {
  run,
  fire,
  log,
  start,
  stop,
  exit,
  crash,
  open,
  read,
  write,
  sync,
  truncate,
  reserve,
  resident,
  make_dir,
  remove,
  rename,
  list,
  status,
  sync_dir,
  lock,
  space,
  listen,
  connect,
  accept,
  send,
  arrive,
  receive,
  close,
  reset,
  block,
  heal,
  fault
};
std::string_view to_string(What what);

// Who did it: a node and one of its shards.
struct Place {
  std::uint32_t node = 0;
  std::uint32_t shard = 0;
};

class Trace {
 public:
  // Copies lines to `text` too, from now on; null: no more.
  void print_to(std::FILE* text) { text_ = text; }

  void note(Instant at, Place place, What what, std::uint64_t a = 0, std::uint64_t b = 0,
            std::string_view object = {}, ByteView bytes = {});

  std::uint64_t hash() const { return hash_; }
  std::uint64_t count() const { return count_; }

 private:
  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ull;
    hash_ ^= hash_ >> 29;
  }
  std::uint64_t hash_ = 0x6f74746c61ull;
  std::uint64_t count_ = 0;
  std::FILE* text_ = nullptr;
};

}  // namespace ottla::io::sim
