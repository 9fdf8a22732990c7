// An open file of the real disk. What may block runs on a worker, or in the kernel by io_uring;
// buffered reads and residency are first tried on the spot, without waiting for the disk.
#pragma once

#include <string>
#include <sys/types.h>

#include "io/disk.h"
#include "io/real/file_descriptor.h"
#include "io/real/lanes.h"
#include "io/real/loop.h"

namespace ottla::io::real {

class Ring;

// What the files of one shard use.
struct DiskContext {
  Loop& loop;
  Lanes& lanes;
  Ring* ring = nullptr;   // null: direct I/O and flushes by workers
  bool direct_io = true;  // false: OpenOptions::direct is ignored
};

class RealFile final : public File {
 public:
  struct Opened {
    FileDescriptor descriptor;
    std::uint64_t size_bytes = 0;
    dev_t device = 0;
    bool is_direct = false;
    bool can_write = false;
  };
  RealFile(DiskContext context, std::string path, Opened opened);
  ~RealFile() override;

  Task<Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override;
  Task<Result<>> write(std::uint64_t position, ByteView from) override;
  Task<Result<>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces) override;
  Task<Result<>> sync_data() override;
  Task<Result<>> write_synced(std::uint64_t position, ByteView from) override;
  Task<Result<>> truncate(std::uint64_t size_bytes) override;
  Task<Result<>> reserve(std::uint64_t size_bytes) override;
  Task<Result<>> make_resident(std::uint64_t position, std::uint64_t size_bytes) override;
  Result<std::uint64_t> size_bytes() override { return size_bytes_; }
  bool is_direct() const override { return is_direct_; }

  // For sendfile, from any shard, since file ranges travel between shards. How much of the range,
  // from its start, is in memory now: looked at in steps of kResidencyStep, which is what the
  // kernel reads ahead at least.
  std::uint64_t resident_bytes(std::uint64_t position, std::uint64_t size_bytes) const;
  // Makes the kernel read the range into its cache, and waits for that: only on a worker. 0, or
  // errno.
  int bring_in(std::uint64_t position, std::uint64_t size_bytes) const;
  int descriptor() const { return descriptor_.get(); }
  const std::string& path() const { return path_; }

 private:
  Task<Result<std::size_t>> ring_read(std::uint64_t position, MutableByteView into);
  Task<Result<>> ring_write(std::uint64_t position, ByteView from);
  Result<> check_write(std::uint64_t position, ByteView bytes) const;
  Result<> check_alignment(const char* operation, std::uint64_t position, ByteView bytes) const;
  Workers& write_workers();
  void has_written(std::uint64_t position, std::uint64_t size_bytes);
  std::unexpected<Error> failed_at(const char* operation, std::uint64_t position,
                                   std::uint64_t size_bytes, int error_number) const;

  DiskContext context_;
  const std::string path_;
  FileDescriptor descriptor_;
  const dev_t device_;
  const bool is_direct_;
  const bool can_write_;
  std::uint64_t size_bytes_;
};

}  // namespace ottla::io::real
