// Disk: the file operations that the storage layer needs, at the level at which their failures
// matter: what is durable after which call. Nothing is durable before a sync; a name is durable
// only after sync_directory of its parent. All calls are asynchronous and belong to one shard; none
// blocks its loop.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/gather.h"
#include "io/error.h"
#include "io/task.h"

namespace ottla::io {

// Position, size and address of direct I/O are multiples of this.
inline constexpr std::size_t kDirectAlignment = 4096;

struct OpenOptions {
  bool write = false;
  bool create = false;     // make it if it is not there
  bool exclusive = false;  // with create: fail with `exists` if it is there
  bool truncate = false;   // cut to nothing
  bool direct = false;     // bypass the page cache where the file system can; see File::is_direct
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  std::uint64_t size_bytes = 0;  // 0 for directories
  auto operator<=>(const DirectoryEntry&) const = default;
};

// An open file. Closed by its destructor, when the last owner (a reader's FileRange counts) lets
// go.
class File : public FileSource {
 public:
  // Reads up to into.size() bytes from `position`; fewer only at the end of the file.
  virtual Task<Result<std::size_t>> read(std::uint64_t position, MutableByteView into) = 0;

  // Writes all of `from`, which stays untouched until then. Writes to overlapping ranges must not
  // be in flight together.
  virtual Task<Result<>> write(std::uint64_t position, ByteView from) = 0;

  // Writes all pieces one behind the other, as one write.
  virtual Task<Result<>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces) = 0;

  // Makes durable what was written before this call, with the size needed to read it back. After a
  // failure the file must not be trusted again: never retry.
  virtual Task<Result<>> sync_data() = 0;

  // write() and then sync_data(), in one trip where the system can: durable when it returns.
  virtual Task<Result<>> write_synced(std::uint64_t position, ByteView from) = 0;

  virtual Task<Result<>> truncate(std::uint64_t size_bytes) = 0;

  // Reserves space for [0, size_bytes) without changing the size, so that later writes there do not
  // fail for lack of it. May do nothing where the file system can't.
  virtual Task<Result<>> reserve(std::uint64_t size_bytes) = 0;

  // Brings a range into memory, so that sending it does not block on the disk.
  virtual Task<Result<>> make_resident(std::uint64_t position, std::uint64_t size_bytes) = 0;

  virtual Result<std::uint64_t> size_bytes() = 0;  // of the file as written so far; does not block
  virtual bool is_direct() const = 0;              // whether alignment is demanded
};

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

inline constexpr std::size_t kHugePageBytes = 2 << 20;

class Disk {
 public:
  virtual ~Disk() = default;

  virtual Task<Result<std::shared_ptr<File>>> open(std::string path, OpenOptions options) = 0;
  virtual Task<Result<>> make_directory(std::string path) = 0;  // `exists` if it is there
  virtual Task<Result<>> remove(std::string path) = 0;          // a file, or an empty directory
  virtual Task<Result<>> rename(std::string from, std::string to) = 0;  // replaces a file at `to`
  virtual Task<Result<std::vector<DirectoryEntry>>> list(std::string path) = 0;  // sorted by name
  virtual Task<Result<DirectoryEntry>> status(std::string path) = 0;
  // Makes the names inside `path` durable: creations, renames, removals.
  virtual Task<Result<>> sync_directory(std::string path) = 0;
  // Takes the lock that one process at a time may hold; `in_use` if another has it. Creates the
  // file.
  virtual Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) = 0;
  virtual Task<Result<std::uint64_t>> free_bytes(std::string path) = 0;

  // Tells that large direct reads or writes will use this memory again and again. The real disk
  // asks the system for huge pages: a megabyte of small ones is 256 entries for everybody from the
  // processor to the device. Whole kHugePageBytes count, at multiples of it.
  virtual void expect_large_io(MutableByteView) {}
};

// Memory fit for direct I/O.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t size_bytes);  // rounded up to kDirectAlignment, zeroed
  // Rounded up to kHugePageBytes, zeroed, and `disk` knows what it is for.
  AlignedBuffer(Disk& disk, std::size_t size_bytes);
  std::uint8_t* data() { return data_.get(); }
  const std::uint8_t* data() const { return data_.get(); }
  std::size_t size() const { return size_bytes_; }
  MutableByteView view() { return {data_.get(), size_bytes_}; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const;
  };
  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_bytes_;
};

}  // namespace ottla::io
