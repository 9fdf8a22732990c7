#include "storage/segment_files.h"

#include <fmt/format.h>
#include <utility>

#include "storage/atomic_file.h"
#include "storage/segment_name.h"

namespace ottla::storage {
namespace {

std::string path_of(const std::string& directory, Offset base_offset, SegmentFile file) {
  return fmt::format("{}/{}", directory, segment_file_name(base_offset, file));
}

io::Task<io::Result<>> write_whole(io::Disk& disk, std::string path, Bytes content) {
  auto file =
      co_await disk.open(std::move(path), {.write = true, .create = true, .truncate = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  if (!content.empty()) {
    if (auto done = co_await (*file)->write(0, content); !done) co_return done;
  }
  co_return co_await (*file)->sync_data();
}

io::Task<io::Result<>> append_part(io::Disk& disk, std::string path, Bytes content,
                                   std::uint64_t& saved) {
  if (content.size() <= saved) co_return io::Result<>();
  auto file = co_await disk.open(std::move(path), {.write = true, .create = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  auto written = co_await (*file)->write(saved, ByteView(content).subspan(saved));
  if (!written) co_return written;
  auto synced = co_await (*file)->sync_data();
  if (!synced) co_return synced;
  saved = content.size();
  co_return io::Result<>();
}

}  // namespace

io::Task<io::Result<>> extend_indexes(io::Disk& disk, std::string directory,
                                      const SegmentIndexes& indexes, SavedIndexes& saved) {
  const Offset base = indexes.offsets.base_offset();
  auto done = co_await append_part(disk, path_of(directory, base, SegmentFile::offset_index),
                                   indexes.offsets.serialize(), saved.offsets_bytes);
  if (!done) co_return done;
  done = co_await append_part(disk, path_of(directory, base, SegmentFile::time_index),
                              indexes.times.serialize(), saved.times_bytes);
  if (!done) co_return done;
  co_return co_await append_part(disk, path_of(directory, base, SegmentFile::transaction_index),
                                 indexes.aborted.serialize(), saved.aborted_bytes);
}

io::Task<io::Result<>> save_indexes(io::Disk& disk, std::string directory, const Segment& segment) {
  const Offset base = segment.base_offset();
  const SegmentIndexes& indexes = segment.indexes();
  Bytes offsets = indexes.offsets.serialize();
  Bytes times = indexes.times.serialize();
  Bytes aborted = indexes.aborted.serialize();
  auto done = co_await write_whole(disk, path_of(directory, base, SegmentFile::offset_index),
                                   std::move(offsets));
  if (!done) co_return done;
  done = co_await write_whole(disk, path_of(directory, base, SegmentFile::time_index),
                              std::move(times));
  if (!done) co_return done;
  const std::string aborted_path = path_of(directory, base, SegmentFile::transaction_index);
  if (!aborted.empty()) co_return co_await write_whole(disk, aborted_path, std::move(aborted));
  auto removed = co_await disk.remove(aborted_path);
  if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  co_return io::Result<>();
}

io::Task<io::Result<Parsed<std::unique_ptr<SegmentIndexes>>>> load_indexes(
    io::Disk& disk, std::string directory, Offset base_offset, std::uint64_t log_size_bytes,
    std::optional<Offset> next_offset, const SegmentSums* sums) {
  const auto read = [&](SegmentFile file) {
    return read_small_file(disk, path_of(directory, base_offset, file), kIndexFileBytesMax);
  };
  // A file that is missing or too long is a matter of format, all else of the disk.
  const auto is_fault = [](const io::Error& error) {
    return error.kind == io::ErrorKind::not_found || error.kind == io::ErrorKind::invalid;
  };
  const auto fault = [&](SegmentFile file, const std::string& what) {
    return Parsed<std::unique_ptr<SegmentIndexes>>(
        format_error(fmt::format("{}: {}", segment_file_name(base_offset, file), what)));
  };

  auto offsets_file = co_await read(SegmentFile::offset_index);
  if (!offsets_file) {
    if (!is_fault(offsets_file.error())) co_return std::unexpected(std::move(offsets_file.error()));
    co_return fault(SegmentFile::offset_index, offsets_file.error().message);
  }
  auto times_file = co_await read(SegmentFile::time_index);
  if (!times_file) {
    if (!is_fault(times_file.error())) co_return std::unexpected(std::move(times_file.error()));
    co_return fault(SegmentFile::time_index, times_file.error().message);
  }
  auto aborted_file = co_await read(SegmentFile::transaction_index);
  if (!aborted_file) {
    if (!is_fault(aborted_file.error())) co_return std::unexpected(std::move(aborted_file.error()));
    if (aborted_file.error().kind == io::ErrorKind::invalid) {
      co_return fault(SegmentFile::transaction_index, aborted_file.error().message);
    }
    aborted_file = Bytes();
  }

  if (sums) {
    const auto cut = [](Bytes& file, const FileSum& sum) {
      if (file.size() < sum.size_bytes) return false;
      file.resize(static_cast<std::size_t>(sum.size_bytes));
      return FileSum::of(file) == sum;
    };
    if (!cut(*offsets_file, sums->offset_index())) {
      co_return fault(SegmentFile::offset_index, "its sum does not fit");
    }
    if (!cut(*times_file, sums->time_index())) {
      co_return fault(SegmentFile::time_index, "its sum does not fit");
    }
    if (!cut(*aborted_file, sums->transaction_index())) {
      co_return fault(SegmentFile::transaction_index, "its sum does not fit");
    }
  }

  auto indexes = std::make_unique<SegmentIndexes>(base_offset);
  auto offsets = OffsetIndex::parse(base_offset, *offsets_file, log_size_bytes);
  if (!offsets) co_return fault(SegmentFile::offset_index, offsets.error().message);
  indexes->offsets = std::move(*offsets);
  auto times = TimeIndex::parse(base_offset, *times_file, next_offset);
  if (!times) co_return fault(SegmentFile::time_index, times.error().message);
  indexes->times = std::move(*times);
  auto aborted = TransactionIndex::parse(base_offset, *aborted_file);
  if (!aborted) co_return fault(SegmentFile::transaction_index, aborted.error().message);
  indexes->aborted = std::move(*aborted);
  co_return Parsed<std::unique_ptr<SegmentIndexes>>(std::move(indexes));
}

}  // namespace ottla::storage
