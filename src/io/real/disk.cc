#include "io/real/disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "io/real/system_error.h"

namespace ottla::io::real {
namespace {

// Everything here runs on a worker.

Result<RealFile::Opened> open_file(const std::string& path, OpenOptions options) {
  int flags = O_CLOEXEC | (options.write ? O_RDWR : O_RDONLY);
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;
  if (options.truncate) flags |= O_TRUNC;
  RealFile::Opened opened;
  if (options.direct) {
    opened.descriptor = FileDescriptor(::open(path.c_str(), flags | O_DIRECT, 0644));
    opened.is_direct = opened.descriptor.is_open();
    // Some file systems make the name and then refuse the flag.
    if (!opened.is_direct && errno == EINVAL)
      flags &= ~O_EXCL;
    else if (!opened.is_direct)
      return failed("opening", path, errno);
  }
  if (!opened.is_direct) {
    opened.descriptor = FileDescriptor(::open(path.c_str(), flags, 0644));
    if (!opened.descriptor.is_open()) return failed("opening", path, errno);
  }
  struct stat about{};
  if (::fstat(opened.descriptor.get(), &about) != 0) return failed("opening", path, errno);
  if (S_ISDIR(about.st_mode)) return failed("opening", path, EISDIR);
  opened.size_bytes = static_cast<std::uint64_t>(about.st_size);
  opened.device = about.st_dev;
  opened.can_write = options.write;
  return opened;
}

Result<> remove_name(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  if ((errno == EISDIR || errno == EPERM) && ::rmdir(path.c_str()) == 0) return {};
  return failed("removing", path, errno);
}

DirectoryEntry entry_of(std::string name, const struct stat& about) {
  const bool is_directory = S_ISDIR(about.st_mode);
  return {std::move(name), is_directory,
          is_directory ? 0 : static_cast<std::uint64_t>(about.st_size)};
}

Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) {
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return failed("listing", path, errno);
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* next = ::readdir(directory.get());
    if (next == nullptr && errno != 0) return failed("listing", path, errno);
    if (next == nullptr) break;
    const std::string_view name = next->d_name;
    if (name == "." || name == "..") continue;
    struct stat about{};
    if (::fstatat(::dirfd(directory.get()), next->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      return failed("listing", path, errno);
    }
    if (S_ISLNK(about.st_mode) && ::fstatat(::dirfd(directory.get()), next->d_name, &about, 0) != 0)
      continue;
    entries.push_back(entry_of(std::string(name), about));
  }
  std::ranges::sort(entries);
  return entries;
}

Result<> sync_names(const std::string& path) {
  const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) return failed("opening the directory", path, errno);
  if (::fsync(directory.get()) != 0) return failed("flushing the directory", path, errno);
  return {};
}

class RealFileLock final : public FileLock {
 public:
  explicit RealFileLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  FileDescriptor descriptor_;
};

Result<std::unique_ptr<FileLock>> take_lock(const std::string& path) {
  FileDescriptor descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!descriptor.is_open()) return failed("opening the lock", path, errno);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("locking", path, errno);
    return std::unexpected(
        Error{ErrorKind::in_use, fmt::format("locking {}: another process holds the lock", path)});
  }
  return std::make_unique<RealFileLock>(std::move(descriptor));
}

}  // namespace

Task<Result<std::shared_ptr<File>>> RealDisk::open(std::string path, OpenOptions options) {
  options.direct = options.direct && context_.direct_io;
  auto opened = co_await blocking(context_.loop, context_.lanes.general,
                                  [&path, options] { return open_file(path, options); });
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  co_return std::make_shared<RealFile>(context_, std::move(path), std::move(*opened));
}

Task<Result<>> RealDisk::make_directory(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.general, [&path]() -> Result<> {
    if (::mkdir(path.c_str(), 0755) != 0) return failed("making the directory", path, errno);
    return {};
  });
}

Task<Result<>> RealDisk::remove(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.general,
                              [&path] { return remove_name(path); });
}

Task<Result<>> RealDisk::rename(std::string from, std::string to) {
  co_return co_await blocking(context_.loop, context_.lanes.general, [&from, &to]() -> Result<> {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return failed("renaming", fmt::format("{} to {}", from, to), errno);
    }
    return {};
  });
}

Task<Result<std::vector<DirectoryEntry>>> RealDisk::list(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.general,
                              [&path] { return list_directory(path); });
}

Task<Result<DirectoryEntry>> RealDisk::status(std::string path) {
  co_return co_await blocking(
      context_.loop, context_.lanes.general, [&path]() -> Result<DirectoryEntry> {
        struct stat about{};
        if (::stat(path.c_str(), &about) != 0) return failed("looking at", path, errno);
        const std::size_t slash = path.rfind('/');
        return entry_of(slash == std::string::npos ? path : path.substr(slash + 1), about);
      });
}

Task<Result<>> RealDisk::sync_directory(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.syncs,
                              [&path] { return sync_names(path); });
}

Task<Result<std::unique_ptr<FileLock>>> RealDisk::lock(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.general,
                              [&path] { return take_lock(path); });
}

Task<Result<std::uint64_t>> RealDisk::free_bytes(std::string path) {
  co_return co_await blocking(context_.loop, context_.lanes.general,
                              [&path]() -> Result<std::uint64_t> {
                                struct statvfs about{};
                                if (::statvfs(path.c_str(), &about) != 0)
                                  return failed("asking for the free space at", path, errno);
                                return static_cast<std::uint64_t>(about.f_bavail) * about.f_frsize;
                              });
}

void RealDisk::expect_large_io(MutableByteView memory) {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::uintptr_t from = (begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const std::uintptr_t to = (begin + memory.size()) / kHugePageBytes * kHugePageBytes;
  // Refused where the system has none; small pages do as well.
  if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
}

}  // namespace ottla::io::real
