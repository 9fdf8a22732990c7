#include "io/sim/trace.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace ottla::io::sim {

std::string_view to_string(What what) {
  static constexpr std::string_view kNames[] = {
      "run",      "fire",   "log",     "start",  "stop",     "exit",     "crash",
      "open",     "read",   "write",   "sync",   "truncate", "reserve",  "resident",
      "make_dir", "remove", "rename",  "list",   "status",   "sync_dir", "lock",
      "space",    "listen", "connect", "accept", "send",     "arrive",   "receive",
      "close",    "reset",  "block",   "heal",   "fault"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(What::fault) + 1);
  return kNames[static_cast<std::size_t>(what)];
}

void Trace::note(Instant at, Place place, What what, std::uint64_t a, std::uint64_t b,
                 std::string_view object, ByteView bytes) {
  ++count_;
  mix(static_cast<std::uint64_t>(at.ns));
  mix(static_cast<std::uint64_t>(place.node) << 32 | place.shard << 8 |
      static_cast<std::uint8_t>(what));
  mix(a);
  mix(b);
  if (!object.empty()) mix(crc32c(as_bytes(object)));
  const std::uint32_t sum = bytes.empty() ? 0 : crc32c(bytes);
  if (!bytes.empty()) mix(static_cast<std::uint64_t>(bytes.size()) << 32 | sum);
  if (text_)
    fmt::print(text_, "{:>14} {:>2}/{} {:<8} {:>10} {:>8} {:08x} {:016x} {}\n", at.ns, place.node,
               place.shard, to_string(what), a, b, sum, hash_, object);
}

}  // namespace ottla::io::sim
