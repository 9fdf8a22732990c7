// The files of a log dir and of partitions: whatever parses is written again and parses to the
// same. The first byte chooses the format.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "storage/checkpoint_file.h"
#include "storage/log_directory.h"
#include "storage/offset_index.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_name.h"
#include "storage/segment_sums.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"

namespace ottla::storage {
namespace {

constexpr Offset kBase = 1000;
constexpr std::uint64_t kLogBytes = 1 << 20;

// A fuzzer never finds a CRC, nor the owner that sums are bound to: both are put right first.
void try_sums(ByteView bytes) {
  constexpr std::size_t kOwnerAt = 10;
  constexpr std::size_t kOwnerEnd = 38;
  Bytes file(bytes.begin(), bytes.end());
  if (file.size() >= kOwnerEnd) {
    store_big<std::uint32_t>(file.data(), 0x4f545355);
    store_big<std::int16_t>(file.data() + 4, 1);
    std::fill(file.begin() + kOwnerAt, file.begin() + kOwnerEnd, 0);
    store_big(file.data() + 6, crc32c(ByteView(file).subspan(kOwnerAt)));
  }
  if (const auto sums = SegmentSums::parse(file, {})) {
    OTTLA_CHECK(SegmentSums::parse(sums->serialize(), {}).value() == *sums);
  }
}

void try_snapshot(ByteView bytes) {
  constexpr Offset kOffset = 1 << 20;
  constexpr TimestampMs kNow = 5;
  Bytes file(bytes.begin(), bytes.end());
  if (file.size() >= kSnapshotHeaderBytes) {
    store_big<std::int16_t>(file.data(), 1);
    store_big(file.data() + 2, crc32c(ByteView(file).subspan(6)));
  }
  const auto restored = restore_producers(kOffset, file, {}, kNow);
  if (!restored) return;
  const auto again = snapshot_of(restored->state);
  const auto same = restore_producers(kOffset, again.snapshot, again.side, kNow);
  OTTLA_CHECK(same && same->state.producers() == restored->state.producers());
}

void try_one(std::uint8_t format, ByteView bytes) {
  const std::string_view text = as_text(bytes);
  switch (format % 10) {
    case 0:
      if (const auto index = OffsetIndex::parse(kBase, bytes, kLogBytes)) {
        OTTLA_CHECK(OffsetIndex::parse(kBase, index->serialize(), kLogBytes).value() == *index);
      }
      return;
    case 1:
      if (const auto index = TimeIndex::parse(kBase, bytes, std::nullopt)) {
        OTTLA_CHECK(TimeIndex::parse(kBase, index->serialize(), std::nullopt).value() == *index);
      }
      return;
    case 2:
      if (const auto index = TransactionIndex::parse(kBase, bytes)) {
        OTTLA_CHECK(TransactionIndex::parse(kBase, index->serialize()).value() == *index);
      }
      return;
    case 3:
      return try_snapshot(bytes);
    case 4:
      return try_sums(bytes);
    case 5:
      if (const auto entries = parse_offset_checkpoint(text)) {
        OTTLA_CHECK(parse_offset_checkpoint(serialize_offset_checkpoint(*entries)).value() ==
                    *entries);
      }
      return;
    case 6:
      if (const auto entries = parse_epoch_checkpoint(text)) {
        OTTLA_CHECK(parse_epoch_checkpoint(serialize_epoch_checkpoint(*entries)).value() ==
                    *entries);
      }
      return;
    case 7:
      if (const auto properties = parse_meta_properties(text)) {
        OTTLA_CHECK(parse_meta_properties(serialize_meta_properties(*properties)).value() ==
                    *properties);
      }
      return;
    case 8:
      static_cast<void>(parse_clean_shutdown(text));
      static_cast<void>(parse_partition_metadata(text));
      return;
    default:
      if (const auto name = parse_segment_file_name(text)) {
        OTTLA_CHECK(segment_file_name(name->offset, name->file, name->state) == text);
      }
      if (const auto directory = parse_partition_directory(text)) {
        OTTLA_CHECK(
            partition_directory_name(directory->partition, directory->state, directory->unique)
                .size() <= kFileNameBytesMax);
      }
      static_cast<void>(classify_root_name(text, true));
      static_cast<void>(classify_root_name(text, false));
  }
}

}  // namespace
}  // namespace ottla::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) ottla::storage::try_one(data[0], {data + 1, size - 1});
  return 0;
}
