// The io::Disk and io::File that a shard's tasks see, over the machine's SimDisk.
#pragma once

#include "io/sim/disk.h"

namespace ottla::io::sim {

class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, Shard& shard, std::shared_ptr<Inode> inode, std::string path,
          OpenOptions options);
  ~SimFile() override;

  Task<Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override;
  Task<Result<>> write(std::uint64_t position, ByteView from) override;
  Task<Result<>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces) override;
  Task<Result<>> sync_data() override;
  Task<Result<>> write_synced(std::uint64_t position, ByteView from) override;
  Task<Result<>> truncate(std::uint64_t size_bytes) override;
  Task<Result<>> reserve(std::uint64_t size_bytes) override;
  Task<Result<>> make_resident(std::uint64_t position, std::uint64_t size_bytes) override;
  Result<std::uint64_t> size_bytes() override { return inode_->content.size_bytes(); }
  bool is_direct() const override { return is_direct_; }

  // For sending a range of it: at once.
  Result<Slice> read_now(std::uint64_t position, std::uint64_t size_bytes);

 private:
  Result<> check(const char* doing, std::uint64_t position, ByteView bytes, bool writes) const;

  SimDisk& disk_;
  Shard& shard_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const bool is_writable_;
  const bool is_direct_;
};

class ShardDisk final : public Disk {
 public:
  ShardDisk(SimDisk& disk, Shard& shard) : disk_(disk), shard_(shard) {}

  Task<Result<std::shared_ptr<File>>> open(std::string path, OpenOptions options) override;
  Task<Result<>> make_directory(std::string path) override;
  Task<Result<>> remove(std::string path) override;
  Task<Result<>> rename(std::string from, std::string to) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string path) override;
  Task<Result<DirectoryEntry>> status(std::string path) override;
  Task<Result<>> sync_directory(std::string path) override;
  Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override;
  Task<Result<std::uint64_t>> free_bytes(std::string path) override;

 private:
  template <class Do>
  auto operation(OperationKind kind, std::string_view path, Do effect, std::uint64_t flags = 0);

  SimDisk& disk_;
  Shard& shard_;
};

}  // namespace ottla::io::sim
