// Fabric: the simulated network between all nodes. A node's host name is its name. Bytes of a
// connection arrive in order, after a delay, in pieces if so drawn; nothing holds between
// connections. Connections die: by chance, because a process died, because a partition outlasted
// the sender's patience; and a side may never hear of it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/network.h"
#include "io/sim/options.h"
#include "io/sim/prng.h"

namespace ottla::io::sim {

class Process;
class Shard;
class SimListener;
class World;
struct Link;

struct NetworkCounters {
  std::uint64_t connects = 0;
  std::uint64_t messages = 0;
  std::uint64_t sent_bytes = 0;
  // Faults that had an effect.
  std::uint64_t refused = 0;  // connects
  std::uint64_t connects_lost = 0;
  std::uint64_t resets = 0;             // connections
  std::uint64_t bytes_lost = 0;         // sent, never delivered
  std::uint64_t half_open = 0;          // sides that were not told
  std::uint64_t held_by_partition = 0;  // deliveries that had to wait
  std::uint64_t gave_up = 0;            // senders that a partition outlasted
  std::uint64_t split = 0;              // messages that arrived in pieces
  std::uint64_t writer_waits = 0;       // for a slow reader
};

class Fabric {
 public:
  explicit Fabric(World& world);
  ~Fabric();

  // From now on nothing that `from` sends reaches `to`, on connections old and new; heal() undoes
  // it. TCP goes on trying, so what was sent arrives after a heal that comes in time.
  void block(const std::string& from, const std::string& to);
  void unblock(const std::string& from, const std::string& to);
  // Blocks both directions between the two groups.
  void partition(const std::vector<std::string>& group, const std::vector<std::string>& others);
  void isolate(const std::string& node);  // from all others
  void heal();                            // all blocks and slow links
  bool is_blocked(const std::string& from, const std::string& to) const;
  // Adds to the delay of everything from here to there.
  void slow_down(const std::string& from, const std::string& to, Duration by);
  // Resets every connection between the two now.
  void reset_connections(const std::string& one, const std::string& other);
  // Another program has this port of this node, until released.
  void occupy_port(const std::string& node, std::uint16_t port) { occupied_.emplace(node, port); }
  void release_port(const std::string& node, std::uint16_t port) { occupied_.erase({node, port}); }

  std::size_t open_connections() const;  // those with a side that is open
  const NetworkCounters& counters() const { return counters_; }

  // For the simulator's own use.
  std::unique_ptr<Network> attach(Shard& shard);
  void process_died(Process& process, bool silently);

 private:
  friend class ShardNetwork;
  friend class SimConnection;
  friend class SimListener;
  friend struct Link;
  using Pair = std::pair<std::string, std::string>;

  const NetworkOptions& options() const;
  Duration draw_delay(const std::string& from, const std::string& to);
  void forget(Link& link);

  World& world_;
  Prng prng_;
  std::set<Pair> blocked_;
  std::map<Pair, Duration> slow_;
  std::set<std::pair<std::string, std::uint16_t>> occupied_;
  // By node and port; of one process all.
  std::map<std::pair<std::string, std::uint16_t>, std::vector<SimListener*>> listeners_;
  std::map<std::uint64_t, std::shared_ptr<Link>> links_;
  std::uint64_t next_link_ = 0;
  NetworkCounters counters_;
};

}  // namespace ottla::io::sim
