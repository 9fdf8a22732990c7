#include "storage/store_recovery_files.h"

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_batches.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_name.h"
#include "storage/segment_recovery.h"

namespace ottla::storage {

namespace {

// Absent or too long: as one that does not parse. What can't be read is another thing: its records
// may be deleted, so that the log no longer tells what it did.
bool is_no_file(const io::Error& error) {
  return error.kind == io::ErrorKind::not_found || error.kind == io::ErrorKind::invalid;
}

}  // namespace

io::Task<io::Result<ProducerState>> load_snapshot(io::Disk& disk, std::string directory,
                                                  Offset log_start, Offset end, TimestampMs now) {
  auto entries = co_await disk.list(directory);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  std::vector<Offset> offsets;
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (name && name->file == SegmentFile::snapshot && name->state == SegmentFileState::live &&
        name->offset <= end) {
      offsets.push_back(name->offset);
    }
  }
  std::sort(offsets.rbegin(), offsets.rend());
  for (const Offset offset : offsets) {
    const std::string path = directory + "/" + segment_file_name(offset, SegmentFile::snapshot);
    const std::string side_path =
        directory + "/" + segment_file_name(offset, SegmentFile::snapshot_side);
    auto snapshot = co_await read_small_file(disk, path, kSnapshotFileBytesMax);
    if (!snapshot && !is_no_file(snapshot.error())) co_return std::unexpected(snapshot.error());
    if (!snapshot) continue;
    auto side = co_await read_small_file(disk, side_path, kSnapshotFileBytesMax);
    if (!side && !is_no_file(side.error())) co_return std::unexpected(side.error());
    auto restored = restore_producers(offset, *snapshot, side ? ByteView(*side) : ByteView(), now);
    if (restored) co_return std::move(restored->state);
    (void)co_await disk.remove(path);  // the log is the truth
  }
  ProducerState state;
  state.clear(log_start);
  co_return state;
}

io::Task<io::Result<ProducerState>> replay_producers(io::Disk& disk, std::string directory,
                                                     std::vector<SegmentFrom> segments,
                                                     ProducerState state, Offset end,
                                                     TimestampMs now,
                                                     std::vector<CompletedTransaction>* completed) {
  for (const auto& [facts, position] : segments) {
    if (facts.next_offset <= state.end_offset() || facts.base_offset >= end) continue;
    auto file = co_await disk.open(
        directory + "/" + segment_file_name(facts.base_offset, SegmentFile::log), {});
    if (!file) co_return std::unexpected(std::move(file.error()));
    FileBatches batches(*file, position, facts.size_bytes);
    while (true) {
      auto batch = co_await batches.next_header();
      if (!batch) {
        if (!batch.error().is_damage()) co_return std::unexpected(std::move(batch.error().io));
        co_return state;
      }
      if (!*batch || (*batch)->header.base_offset >= end) break;
      const wire::BatchHeader header = (*batch)->header;
      if (header.base_offset < state.end_offset()) continue;
      if (!header.is_control()) {
        state.apply(header, now);
        continue;
      }
      Bytes bytes(header.total_size());
      auto read = co_await (*file)->read((*batch)->position, bytes);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (*read != bytes.size()) co_return state;
      auto applied = apply_batch(state, wire::Batch{header, bytes}, now);
      if (applied && *applied && completed) completed->push_back(**applied);
    }
  }
  co_return state;
}

io::Task<io::Result<>> remove_derived_files(io::Disk& disk, std::string directory, Offset base) {
  for (const SegmentFile file : {SegmentFile::sums, SegmentFile::offset_index,
                                 SegmentFile::time_index, SegmentFile::transaction_index}) {
    auto removed = co_await disk.remove(directory + "/" + segment_file_name(base, file));
    if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  }
  co_return io::Result<>();
}

io::Task<io::Result<>> remove_snapshots_above(io::Disk& disk, std::string directory, Offset end) {
  auto entries = co_await disk.list(directory);
  if (!entries) co_return std::unexpected(std::move(entries.error()));
  for (const io::DirectoryEntry& entry : *entries) {
    const auto name = parse_segment_file_name(entry.name);
    if (!name || name->offset <= end) continue;
    if (name->file != SegmentFile::snapshot && name->file != SegmentFile::snapshot_side) continue;
    auto removed = co_await disk.remove(directory + "/" + entry.name);
    if (!removed) co_return removed;
  }
  co_return io::Result<>();
}

}  // namespace ottla::storage
