// SimDisk: the disk of one simulated machine. It outlives the processes that use it. What is
// durable, and what a crash leaves, is decided here; content.h does the same for the bytes of one
// file.
//
// Operations take virtual time and take effect at its end. A process that dies takes its operations
// in flight with it: each has happened, has not, or has in part.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/disk.h"
#include "io/sim/calendar.h"
#include "io/sim/content.h"
#include "io/sim/trace.h"

namespace ottla::io::sim {

class Shard;
class World;

// A file or directory, reachable by its names or by who has it open.
struct Inode {
  explicit Inode(std::shared_ptr<std::uint64_t> used_bytes)
      : disk_used_bytes(std::move(used_bytes)) {}
  ~Inode() { *disk_used_bytes -= charged_bytes; }
  // Gives its space back once nobody can reach it. A power loss may still bring it back.
  void release_space_if_gone() {
    if (!has_name && open_files == 0) *disk_used_bytes -= std::exchange(charged_bytes, 0);
  }
  using Names = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

  bool is_directory = false;
  bool has_name = true;
  unsigned open_files = 0;
  Content content;
  std::uint64_t reserved_bytes = 0;
  std::uint64_t charged_bytes = 0;
  Names names;  // of a directory
  Names durable_names;
  std::shared_ptr<std::uint64_t> disk_used_bytes;
};

class DiskOperation;

// How often something was done or had an effect. A test of a fault looks here whether its fault
// bit.
struct DiskCounters {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t directory_syncs = 0;
  std::uint64_t name_changes = 0;  // create, make_directory, remove, rename
  std::uint64_t truncates = 0;
  std::uint64_t points = 0;  // of all changing operations, see on_operation
  std::uint64_t power_losses = 0;
  // Faults that had an effect.
  std::uint64_t unsynced_bytes_lost = 0;
  std::uint64_t names_lost = 0;  // name changes undone by a power loss
  std::uint64_t truncates_lost = 0;
  std::uint64_t sectors_torn = 0;  // lost out of the middle of a write
  std::uint64_t sectors_garbage = 0;
  std::uint64_t cut_in_flight = 0;  // operations that a crash left half done or undone
  std::uint64_t bits_flipped = 0;
  std::uint64_t read_errors = 0;
  std::uint64_t write_errors = 0;
  std::uint64_t sync_errors = 0;
  std::uint64_t clean_pages_lost = 0;  // files that lost what a failed sync had called clean
  std::uint64_t no_space = 0;
  std::uint64_t stalls = 0;
};

enum class OperationKind : std::uint8_t {
  open,
  read,
  write,
  sync,
  truncate,
  reserve,
  make_resident,
  make_directory,
  remove,
  rename,
  list,
  status,
  sync_directory,
  lock,
  free_bytes
};
std::string_view to_string(OperationKind kind);

// A point at which a test may crash the node.
struct DiskPoint {
  enum class Phase {
    before,  // nothing of it has happened
    during,  // a crash now leaves it in part
    after    // it has happened, and nobody has been told
  };
  std::uint64_t index;  // counts the changing operations of this disk, from 0
  Phase phase;
  OperationKind kind;
  std::string_view path;
};

class SimDisk {
 public:
  SimDisk(World& world, std::uint32_t node, std::string node_name);
  ~SimDisk();

  // The machine's faults; starts as the world's. Changes apply from now on.
  DiskOptions& options() { return options_; }
  const DiskCounters& counters() const { return counters_; }

  // `watch` is called at every operation that changes something, three times (see Phase); it may
  // crash the node.
  void on_operation(std::function<void(const DiskPoint&)> watch) { watch_ = std::move(watch); }
  // Asked at each operation, before chance is: an error fails it. For faults at a chosen place.
  using Inject = std::function<std::optional<ErrorKind>(OperationKind kind, std::string_view path)>;
  void on_fault(Inject inject) { inject_ = std::move(inject); }

  // For tests: at once, without delay, trace or counters. Paths as the node uses them.
  bool exists(std::string_view path) const;
  std::optional<Bytes> content(std::string_view path) const;  // nullopt: no such file
  std::optional<Bytes> durable_content(
      std::string_view path) const;                   // of the file with this current name
  bool is_name_durable(std::string_view path) const;  // all the way from the root
  std::vector<std::string> files() const;             // all paths of files, sorted
  void put(std::string_view path, ByteView bytes);    // durable, with its directories
  void make_directories(std::string_view path);       // durable
  void erase(std::string_view path);                  // durable, with all below it
  void flip_bit(std::string_view path, std::uint64_t position, unsigned bit);
  // Flips one bit at a place drawn among those durable bytes for which `may_rot` says yes (the
  // atlas, which keeps the faults inside of what is promised). False if there is none within
  // kRotTries.
  using Atlas = std::function<bool(std::string_view path, std::uint64_t position)>;
  bool rot(const Atlas& may_rot);
  void copy_in(const std::filesystem::path& from, std::string_view to);
  void copy_out(std::string_view from, const std::filesystem::path& to) const;
  std::uint64_t used_bytes() const { return *used_bytes_; }
  std::uint64_t unsynced_bytes(std::string_view path) const;

  // For the simulator's own use.
  std::unique_ptr<Disk> attach(Shard& shard);
  void process_died();  // its operations in flight end here
  void power_lost();

 private:
  friend class DiskOperation;
  friend class WriteOperation;
  friend class SyncOperation;
  friend class ShardDisk;
  friend class SimFile;
  friend class SimFileLock;
  static constexpr int kRotTries = 100;

  struct NameChange {
    std::uint64_t sequence = 0;
    std::shared_ptr<Inode> removed_from;  // null: only adds
    std::string removed_name;
    std::shared_ptr<Inode> added_to;  // null: only removes
    std::string added_name;
    std::shared_ptr<Inode> what;
  };
  struct Place {  // where a name is or would be
    std::shared_ptr<Inode> parent;
    std::string name;
    std::shared_ptr<Inode> found;  // null: not there
  };

  std::shared_ptr<Inode> new_inode(bool is_directory);
  std::shared_ptr<Inode> find(std::string_view path) const;
  Result<Place> locate(const char* doing, std::string_view path) const;
  void record(NameChange change);
  static bool make_durable(const NameChange& change);
  void sync_names(Inode& directory, std::uint64_t mark);
  // Whether so much fits; if so it is taken.
  bool charge(Inode& file, std::uint64_t end);
  void recharge(Inode& file);
  void list_files(const Inode& directory, const std::string& prefix,
                  std::vector<std::string>& files) const;

  // What operations do at their end.
  Result<std::shared_ptr<Inode>> do_open(const std::string& path, OpenOptions options);
  Result<> do_make_directory(const std::string& path);
  Result<> do_remove(const std::string& path);
  Result<> do_rename(const std::string& from, const std::string& to);
  Result<> do_write(Inode& file, const std::string& path, std::uint64_t position, ByteView from);
  Result<> do_truncate(Inode& file, const std::string& path, std::uint64_t size_bytes);
  Result<> do_reserve(Inode& file, const std::string& path, std::uint64_t size_bytes);
  Result<std::size_t> do_read(Inode& file, const std::string& path, std::uint64_t position,
                              MutableByteView into);

  Duration draw_delay(std::string_view path, std::uint64_t size_bytes);

  World& world_;
  const std::uint32_t node_;
  const std::string node_name_;
  DiskOptions options_;
  Prng prng_;
  std::shared_ptr<std::uint64_t> used_bytes_ = std::make_shared<std::uint64_t>(0);
  std::shared_ptr<Inode> root_;
  std::uint64_t name_sequence_ = 0;
  std::vector<NameChange> unsynced_names_;
  std::map<std::string, const void*, std::less<>> locks_;  // by path: its holder, only compared
  List<DiskOperation> in_flight_;
  std::uint64_t deaths_ = 0;  // of processes; tells an operation that it is no more
  DiskCounters counters_;
  std::function<void(const DiskPoint&)> watch_;
  Inject inject_;
};

}  // namespace ottla::io::sim
