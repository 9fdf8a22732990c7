#include "storage/segment_scrub.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "storage/atomic_file.h"
#include "storage/offset_index.h"

namespace ottla::storage {
namespace {

std::string path_of(const std::string& directory, Offset base_offset, SegmentFile file) {
  return fmt::format("{}/{}", directory, segment_file_name(base_offset, file));
}

void add_range(std::vector<ByteRange>& ranges, ByteRange range) {
  if (range.from == range.to) return;
  if (!ranges.empty() && ranges.back().to == range.from) {
    ranges.back().to = range.to;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

io::Task<io::Result<Parsed<SegmentSums>>> load_sums(io::Disk& disk, std::string directory,
                                                    SumsOwner owner) {
  auto file = co_await read_small_file(
      disk, path_of(directory, owner.base_offset, SegmentFile::sums), kSumsFileBytesMax);
  if (file) co_return SegmentSums::parse(*file, owner);
  const bool is_fault =
      file.error().kind == io::ErrorKind::not_found || file.error().kind == io::ErrorKind::invalid;
  if (!is_fault) co_return std::unexpected(std::move(file.error()));
  co_return Parsed<SegmentSums>(format_error(file.error().message));
}

io::Task<io::Result<std::vector<ByteRange>>> scrub_log(std::shared_ptr<io::File> file,
                                                       const SegmentSums& sums, std::uint64_t from,
                                                       std::uint64_t to) {
  std::vector<ByteRange> damaged;
  std::uint64_t position = from / kSumBlockBytes * kSumBlockBytes;
  const std::uint64_t block_end = (to + kSumBlockBytes - 1) / kSumBlockBytes * kSumBlockBytes;
  const std::uint64_t end = std::min(sums.log_bytes(), block_end);
  Bytes piece;
  while (position < end) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kScrubPieceBytes, end - position)));
    auto count = co_await file->read(position, piece);
    if (!count) co_return std::unexpected(std::move(count.error()));
    if (*count < piece.size()) {
      // Whole blocks before the end of the file may still be good.
      const std::size_t whole = *count / kSumBlockBytes * kSumBlockBytes;
      for (const ByteRange& range : sums.damaged(position, ByteView(piece).first(whole))) {
        add_range(damaged, range);
      }
      add_range(damaged, {position + whole, end});
      co_return damaged;
    }
    for (const ByteRange& range : sums.damaged(position, piece)) add_range(damaged, range);
    position += piece.size();
  }
  co_return damaged;
}

io::Task<io::Result<std::vector<SegmentFile>>> scrub_indexes(io::Disk& disk, std::string directory,
                                                             const SegmentSums& sums) {
  std::vector<SegmentFile> damaged;
  const std::array<std::pair<SegmentFile, FileSum>, 3> files = {
      {{SegmentFile::offset_index, sums.offset_index()},
       {SegmentFile::time_index, sums.time_index()},
       {SegmentFile::transaction_index, sums.transaction_index()}}};
  for (const auto& [file, sum] : files) {
    auto content = co_await read_small_file(
        disk, path_of(directory, sums.owner().base_offset, file), kIndexFileBytesMax);
    if (!content) {
      const bool is_missing = content.error().kind == io::ErrorKind::not_found;
      if (!is_missing && content.error().kind != io::ErrorKind::invalid) {
        co_return std::unexpected(std::move(content.error()));
      }
      // Where nothing was aborted there is no `.txnindex`.
      const bool may_be_missing =
          file == SegmentFile::transaction_index && sum.size_bytes == 0 && is_missing;
      if (!may_be_missing) damaged.push_back(file);
      continue;
    }
    if (FileSum::of(*content) != sum) damaged.push_back(file);
  }
  co_return damaged;
}

}  // namespace ottla::storage
