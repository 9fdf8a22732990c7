#include "io/sim/shard_disk.h"

#include <algorithm>
#include <fmt/format.h>

#include "io/sim/disk_operation.h"

namespace ottla::io::sim {
namespace {

std::unexpected<Error> failed(ErrorKind kind, std::string_view doing, std::string_view path) {
  return std::unexpected(Error{kind, fmt::format("{} {}: {}", doing, path, to_string(kind))});
}

DirectoryEntry entry_of(std::string name, const Inode& inode) {
  return {std::move(name), inode.is_directory, inode.is_directory ? 0 : inode.content.size_bytes()};
}

}  // namespace

// Goes with the frame that holds it, so a crash gives the lock back, too.
class SimFileLock final : public FileLock {
 public:
  SimFileLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~SimFileLock() override {
    const auto held = disk_.locks_.find(path_);
    if (held != disk_.locks_.end() && held->second == this) disk_.locks_.erase(held);
  }

 private:
  SimDisk& disk_;
  const std::string path_;
};

SimFile::SimFile(SimDisk& disk, Shard& shard, std::shared_ptr<Inode> inode, std::string path,
                 OpenOptions options)
    : disk_(disk),
      shard_(shard),
      inode_(std::move(inode)),
      path_(std::move(path)),
      is_writable_(options.write),
      is_direct_(options.direct && disk.options().direct_supported) {
  ++inode_->open_files;
}

SimFile::~SimFile() {
  --inode_->open_files;
  inode_->release_space_if_gone();
}

Result<> SimFile::check(const char* doing, std::uint64_t position, ByteView bytes,
                        bool writes) const {
  if (writes && !is_writable_) return failed(ErrorKind::permission, doing, path_);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  if (is_direct_ && (position | bytes.size() | address) % kDirectAlignment != 0)
    return std::unexpected(Error{
        ErrorKind::invalid, fmt::format("{} {} bytes at {} of {}: direct I/O wants position, size "
                                        "and address in multiples of {}",
                                        doing, bytes.size(), position, path_, kDirectAlignment)});
  return {};
}

Task<Result<std::size_t>> SimFile::read(std::uint64_t position, MutableByteView into) {
  if (auto fine = check("reading", position, into, false); !fine)
    co_return std::unexpected(std::move(fine.error()));
  auto effect = [this, position, into] { return disk_.do_read(*inode_, path_, position, into); };
  SimpleOperation<decltype(effect)> operation(
      disk_, shard_, {OperationKind::read, path_, inode_.get(), position, into.size(), {}}, effect);
  auto got = co_await operation;
  if (got) shard_.world().note(shard_.place(), What::read, position, *got, path_, into.first(*got));
  co_return got;
}

Task<Result<>> SimFile::write(std::uint64_t position, ByteView from) {
  if (auto fine = check("writing", position, from, true); !fine) co_return fine;
  WriteOperation operation(disk_, shard_, inode_, path_, position, from);
  co_return co_await operation;
}

Task<Result<>> SimFile::write_pieces(std::uint64_t position, std::vector<ByteView> pieces) {
  Bytes all;
  for (ByteView piece : pieces) {
    if (auto fine = check("writing", position + all.size(), piece, true); !fine) co_return fine;
    all.insert(all.end(), piece.begin(), piece.end());
  }
  WriteOperation operation(disk_, shard_, inode_, path_, position, all);
  co_return co_await operation;
}

Task<Result<>> SimFile::sync_data() {
  SyncOperation operation(disk_, shard_, inode_, path_);
  co_return co_await operation;
}

Task<Result<>> SimFile::write_synced(std::uint64_t position, ByteView from) {
  if (auto fine = check("writing", position, from, true); !fine) co_return fine;
  {
    WriteOperation operation(disk_, shard_, inode_, path_, position, from);
    if (auto written = co_await operation; !written) co_return written;
  }
  SyncOperation operation(disk_, shard_, inode_, path_);
  co_return co_await operation;
}

Task<Result<>> SimFile::truncate(std::uint64_t size_bytes) {
  if (!is_writable_) co_return failed(ErrorKind::permission, "truncating", path_);
  auto effect = [this, size_bytes] { return disk_.do_truncate(*inode_, path_, size_bytes); };
  SimpleOperation<decltype(effect)> operation(
      disk_, shard_, {OperationKind::truncate, path_, inode_.get(), size_bytes, 0, {}}, effect);
  co_return co_await operation;
}

Task<Result<>> SimFile::reserve(std::uint64_t size_bytes) {
  if (!is_writable_) co_return failed(ErrorKind::permission, "reserving", path_);
  auto effect = [this, size_bytes] { return disk_.do_reserve(*inode_, path_, size_bytes); };
  SimpleOperation<decltype(effect)> operation(
      disk_, shard_, {OperationKind::reserve, path_, inode_.get(), size_bytes, 0, {}}, effect);
  co_return co_await operation;
}

Task<Result<>> SimFile::make_resident(std::uint64_t position, std::uint64_t size_bytes) {
  auto effect = []() -> Result<> { return {}; };
  SimpleOperation<decltype(effect)> operation(
      disk_, shard_, {OperationKind::make_resident, path_, inode_.get(), position, size_bytes, {}},
      effect);
  co_return co_await operation;
}

Result<Slice> SimFile::read_now(std::uint64_t position, std::uint64_t size_bytes) {
  if (disk_.prng_.chance(disk_.options_.read_error)) {
    ++disk_.counters_.read_errors;
    return failed(ErrorKind::input_output, "sending", path_);
  }
  Slice slice = Slice::allocate(size_bytes);
  auto got = disk_.do_read(*inode_, path_, position, slice.mutable_view());
  if (!got) return std::unexpected(std::move(got.error()));
  if (*got < size_bytes)
    return std::unexpected(
        Error{ErrorKind::input_output,
              fmt::format("sending bytes {} to {} of {}: the file is shorter than the range",
                          position, position + size_bytes, path_)});
  return slice;
}

template <class Do>
auto ShardDisk::operation(OperationKind kind, std::string_view path, Do effect,
                          std::uint64_t flags) {
  return SimpleOperation<Do>(disk_, shard_, {kind, path, nullptr, 0, flags, {}}, std::move(effect));
}

Task<Result<std::shared_ptr<File>>> ShardDisk::open(std::string path, OpenOptions options) {
  auto opened = co_await operation(
      OperationKind::open, path, [&] { return disk_.do_open(path, options); },
      (options.create ? 1 : 0) | (options.truncate ? 2 : 0));
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  co_return std::make_shared<SimFile>(disk_, shard_, std::move(*opened), std::move(path), options);
}

Task<Result<>> ShardDisk::make_directory(std::string path) {
  co_return co_await operation(OperationKind::make_directory, path,
                               [&] { return disk_.do_make_directory(path); });
}

Task<Result<>> ShardDisk::remove(std::string path) {
  co_return co_await operation(OperationKind::remove, path, [&] { return disk_.do_remove(path); });
}

Task<Result<>> ShardDisk::rename(std::string from, std::string to) {
  shard_.world().note(shard_.place(), What::rename, 1, 0, to);
  co_return co_await operation(OperationKind::rename, from,
                               [&] { return disk_.do_rename(from, to); });
}

Task<Result<std::vector<DirectoryEntry>>> ShardDisk::list(std::string path) {
  co_return co_await operation(OperationKind::list, path,
                               [&]() -> Result<std::vector<DirectoryEntry>> {
                                 const auto directory = disk_.find(path);
                                 if (!directory)
                                   return failed(ErrorKind::not_found, "listing", path);
                                 if (!directory->is_directory)
                                   return failed(ErrorKind::invalid, "listing", path);
                                 std::vector<DirectoryEntry> entries;
                                 for (auto& [name, inode] : directory->names)
                                   entries.push_back(entry_of(name, *inode));
                                 return entries;
                               });
}

Task<Result<DirectoryEntry>> ShardDisk::status(std::string path) {
  co_return co_await operation(OperationKind::status, path, [&]() -> Result<DirectoryEntry> {
    const auto found = disk_.find(path);
    if (!found) return failed(ErrorKind::not_found, "looking at", path);
    const std::size_t slash = path.rfind('/');
    return entry_of(slash == std::string::npos ? path : path.substr(slash + 1), *found);
  });
}

Task<Result<>> ShardDisk::sync_directory(std::string path) {
  const std::uint64_t mark = disk_.name_sequence_;
  co_return co_await operation(OperationKind::sync_directory, path, [&]() -> Result<> {
    const auto directory = disk_.find(path);
    if (!directory) return failed(ErrorKind::not_found, "flushing the directory", path);
    if (!directory->is_directory) return failed(ErrorKind::invalid, "flushing the directory", path);
    ++disk_.counters_.directory_syncs;
    disk_.sync_names(*directory, mark);
    return {};
  });
}

Task<Result<std::unique_ptr<FileLock>>> ShardDisk::lock(std::string path) {
  co_return co_await operation(
      OperationKind::lock, path, [&]() -> Result<std::unique_ptr<FileLock>> {
        if (auto opened = disk_.do_open(path, {.write = true, .create = true}); !opened)
          return std::unexpected(std::move(opened.error()));
        if (disk_.locks_.contains(path)) return failed(ErrorKind::in_use, "locking", path);
        auto lock = std::make_unique<SimFileLock>(disk_, path);
        disk_.locks_.emplace(path, lock.get());
        return lock;
      });
}

Task<Result<std::uint64_t>> ShardDisk::free_bytes(std::string path) {
  co_return co_await operation(OperationKind::free_bytes, path, [&]() -> Result<std::uint64_t> {
    if (!disk_.find(path))
      return failed(ErrorKind::not_found, "asking for the free space at", path);
    return disk_.options_.size_bytes - std::min(disk_.options_.size_bytes, *disk_.used_bytes_);
  });
}

}  // namespace ottla::io::sim
