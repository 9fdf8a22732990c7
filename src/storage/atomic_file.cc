#include "storage/atomic_file.h"

#include <fmt/format.h>
#include <utility>

namespace ottla::storage {
namespace {

std::string join(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

}  // namespace

io::Task<io::Result<>> write_file_atomically(io::Disk& disk, std::string directory,
                                             std::string name, Bytes content) {
  const std::string path = join(directory, name);
  const std::string temporary = path + std::string(kTemporarySuffix);
  {
    auto file = co_await disk.open(temporary, {.write = true, .create = true, .truncate = true});
    if (!file) co_return std::unexpected(std::move(file.error()));
    // Two calls, and not write_synced(): that one may leave out what an empty file needs.
    if (auto done = co_await (*file)->write(0, content); !done) co_return done;
    if (auto done = co_await (*file)->sync_data(); !done) co_return done;
  }
  if (auto done = co_await disk.rename(temporary, path); !done) co_return done;
  co_return co_await disk.sync_directory(directory);
}

io::Task<io::Result<Bytes>> read_small_file(io::Disk& disk, std::string path,
                                            std::size_t bytes_max) {
  auto file = co_await disk.open(path, {});
  if (!file) co_return std::unexpected(std::move(file.error()));
  auto size = (*file)->size_bytes();
  if (!size) co_return std::unexpected(std::move(size.error()));
  if (*size > bytes_max) {
    co_return std::unexpected(io::Error{
        io::ErrorKind::invalid,
        fmt::format("{} has {} bytes; at most {} are expected there", path, *size, bytes_max)});
  }
  Bytes content(*size);
  auto count = co_await (*file)->read(0, content);
  if (!count) co_return std::unexpected(std::move(count.error()));
  content.resize(*count);
  co_return content;
}

io::Task<io::Result<>> remove_file_durably(io::Disk& disk, std::string directory,
                                           std::string name) {
  auto removed = co_await disk.remove(join(directory, name));
  if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  co_return co_await disk.sync_directory(directory);
}

}  // namespace ottla::storage
