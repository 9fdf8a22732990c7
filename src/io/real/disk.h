// The real disk: one for each shard, over the lanes that all shards share.
#pragma once

#include "io/disk.h"
#include "io/real/file.h"

namespace ottla::io::real {

class RealDisk final : public Disk {
 public:
  explicit RealDisk(DiskContext context) : context_(context) {}

  Task<Result<std::shared_ptr<File>>> open(std::string path, OpenOptions options) override;
  Task<Result<>> make_directory(std::string path) override;
  Task<Result<>> remove(std::string path) override;
  Task<Result<>> rename(std::string from, std::string to) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string path) override;
  Task<Result<DirectoryEntry>> status(std::string path) override;
  Task<Result<>> sync_directory(std::string path) override;
  Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override;
  Task<Result<std::uint64_t>> free_bytes(std::string path) override;
  void expect_large_io(MutableByteView memory) override;

 private:
  DiskContext context_;
};

}  // namespace ottla::io::real
