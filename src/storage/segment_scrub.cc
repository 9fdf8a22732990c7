#include "storage/segment_scrub.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "storage/atomic_file.h"
#include "storage/file_batches.h"
#include "storage/offset_index.h"
#include "storage/segment_recovery.h"

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

// A place where a batch begins for certain.
struct BatchStart {
  std::uint64_t position = 0;
  Offset offset = 0;
};

class DamageFinder {
 public:
  DamageFinder(std::shared_ptr<io::File> file, DamagedSegment segment)
      : file_(std::move(file)), segment_(segment), facts_(segment.facts) {
    at_.offset = facts_.base_offset;
  }

  io::Task<io::Result<>> look_at(ByteRange range);
  std::vector<DamagedOffsets> take() { return std::move(found_); }

 private:
  io::Task<io::Result<std::optional<wire::BatchHeader>>> header_at(std::uint64_t position);
  io::Task<io::Result<>> jump(std::uint64_t towards);
  io::Task<io::Result<BatchStart>> next_certain(const Damage& damage);
  BatchRules::Expectations expectations() const {
    return {.base_offset = facts_.base_offset,
            .next_offset = at_.offset,
            .is_contiguous = segment_.are_summed,
            .epochs = segment_.are_summed ? segment_.epochs : nullptr};
  }
  // Of the entries, the first whose position is at or behind `position`.
  std::size_t entry_behind(std::uint64_t position) const;
  void add(Offset from, Offset to, std::string cause);

  std::shared_ptr<io::File> file_;
  const DamagedSegment segment_;
  const SegmentFacts facts_;
  BatchStart at_;  // all before it has been looked at
  std::vector<DamagedOffsets> found_;
};

void DamageFinder::add(Offset from, Offset to, std::string cause) {
  if (from >= to) return;
  if (!found_.empty() && found_.back().to == from) {
    found_.back().to = to;
  } else {
    found_.push_back({from, to, std::move(cause)});
  }
}

std::size_t DamageFinder::entry_behind(std::uint64_t position) const {
  if (segment_.index == nullptr) return 0;
  std::size_t low = 0;
  std::size_t high = segment_.index->size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (segment_.index->entry(middle).position < position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

io::Task<io::Result<std::optional<wire::BatchHeader>>> DamageFinder::header_at(
    std::uint64_t position) {
  if (position >= facts_.size_bytes) co_return std::nullopt;
  FileBatches batches(file_, position, facts_.size_bytes, kHopPieceBytes);
  auto batch = co_await batches.next_header();
  if (!batch && !batch.error().is_damage()) co_return std::unexpected(std::move(batch.error().io));
  if (!batch || !*batch) co_return std::nullopt;
  co_return (*batch)->header;
}

// To the last entry whose batch has its header before `towards`, where the sums say all is well.
io::Task<io::Result<>> DamageFinder::jump(std::uint64_t towards) {
  if (segment_.index == nullptr || towards < wire::kBatchHeaderBytes) co_return io::Result<>();
  const std::size_t behind = entry_behind(towards - wire::kBatchHeaderBytes);
  if (behind == 0) co_return io::Result<>();
  const OffsetPosition entry = segment_.index->entry(behind - 1);
  if (entry.position <= at_.position) co_return io::Result<>();
  auto header = co_await header_at(entry.position);
  if (!header) co_return std::unexpected(std::move(header.error()));
  if (*header && (*header)->last_offset() == entry.offset && (*header)->base_offset >= at_.offset)
    at_ = {entry.position, (*header)->base_offset};
  co_return io::Result<>();
}

// Behind the batch at `damage`. If its header is right and only its records are not, that is the
// next batch. Else a reader, who goes from header to header, gets past it by the index only.
io::Task<io::Result<BatchStart>> DamageFinder::next_certain(const Damage& damage) {
  auto own = co_await header_at(damage.position);
  if (!own) co_return std::unexpected(std::move(own.error()));
  if (*own) {
    const BatchStart behind{damage.position + (*own)->total_size(), (*own)->next_offset()};
    auto next = co_await header_at(behind.position);
    if (!next) co_return std::unexpected(std::move(next.error()));
    const Offset goes_on_at = *next ? (*next)->base_offset : facts_.next_offset;
    const bool is_end = behind.position == facts_.size_bytes;
    if ((*own)->base_offset == damage.offset && (*next || is_end) && goes_on_at == behind.offset)
      co_return behind;
  }
  const std::size_t entries = segment_.index == nullptr ? 0 : segment_.index->size();
  for (std::size_t at = entry_behind(damage.position + 1); at < entries; ++at) {
    const OffsetPosition entry = segment_.index->entry(at);
    auto header = co_await header_at(entry.position);
    if (!header) co_return std::unexpected(std::move(header.error()));
    if (*header && (*header)->last_offset() == entry.offset &&
        (*header)->base_offset > damage.offset) {
      co_return BatchStart{entry.position, (*header)->base_offset};
    }
  }
  co_return BatchStart{facts_.size_bytes, facts_.next_offset};
}

io::Task<io::Result<>> DamageFinder::look_at(ByteRange range) {
  if (auto jumped = co_await jump(range.from); !jumped) co_return jumped;
  const BatchStart begin = at_;
  // A damage found before may reach into this range, and may be all that there is in it.
  bool is_explained = begin.position > range.from || !segment_.are_summed;
  while (at_.position < std::min(range.to, facts_.size_bytes)) {
    const std::size_t behind = entry_behind(range.to);
    const bool has_entry = segment_.index != nullptr && behind < segment_.index->size();
    const std::uint64_t to = has_entry ? segment_.index->entry(behind).position : facts_.size_bytes;
    auto verified = co_await verify_range(file_, at_.position, to, expectations());
    if (!verified) co_return std::unexpected(std::move(verified.error()));
    at_ = {verified->valid_end, verified->next_offset};
    if (!verified->damage || verified->damage->position >= range.to) break;
    auto next = co_await next_certain(*verified->damage);
    if (!next) co_return std::unexpected(std::move(next.error()));
    add(at_.offset, next->offset, verified->damage->to_string());
    at_ = *next;
    is_explained = true;
  }
  if (!is_explained) add(begin.offset, at_.offset, "the bytes are not those that were summed");
  co_return io::Result<>();
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

io::Task<io::Result<std::vector<DamagedOffsets>>> find_damaged_records(
    std::shared_ptr<io::File> file, DamagedSegment segment, std::vector<ByteRange> ranges) {
  DamageFinder finder(std::move(file), segment);
  for (const ByteRange& range : ranges) {
    auto looked = co_await finder.look_at(range);
    if (!looked) co_return std::unexpected(std::move(looked.error()));
  }
  co_return finder.take();
}

}  // namespace ottla::storage
