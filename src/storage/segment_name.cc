#include "storage/segment_name.h"

#include <array>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "storage/text_scan.h"

namespace ottla::storage {
namespace {

constexpr std::size_t kOffsetDigits = 20;

constexpr std::array<std::pair<SegmentFile, std::string_view>, 7> kSuffixes = {{
    {SegmentFile::log, ".log"},
    {SegmentFile::offset_index, ".index"},
    {SegmentFile::time_index, ".timeindex"},
    {SegmentFile::transaction_index, ".txnindex"},
    {SegmentFile::snapshot, ".snapshot"},
    {SegmentFile::snapshot_side, ".snapshot.ottla"},
    {SegmentFile::sums, ".sums.ottla"},
}};

constexpr std::array<std::pair<SegmentFileState, std::string_view>, 3> kStates = {{
    {SegmentFileState::deleted, ".deleted"},
    {SegmentFileState::cleaned, ".cleaned"},
    {SegmentFileState::swap, ".swap"},
}};

std::string_view suffix_of(SegmentFile file) {
  for (const auto& [kind, suffix] : kSuffixes) {
    if (kind == file) return suffix;
  }
  return {};
}

std::string_view suffix_of(SegmentFileState state) {
  for (const auto& [kind, suffix] : kStates) {
    if (kind == state) return suffix;
  }
  return {};
}

}  // namespace

std::string segment_file_name(Offset offset, SegmentFile file, SegmentFileState state) {
  OTTLA_CHECK(offset >= 0);
  return fmt::format("{:020}{}{}", offset, suffix_of(file), suffix_of(state));
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
  if (name.size() <= kOffsetDigits) return std::nullopt;
  const std::string_view digits = name.substr(0, kOffsetDigits);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const auto offset = parse_decimal<Offset>(digits);
  if (!offset) return std::nullopt;  // above int64
  SegmentFileName parsed{.offset = *offset};
  std::string_view suffix = name.substr(kOffsetDigits);
  for (const auto& [state, state_suffix] : kStates) {
    if (suffix.ends_with(state_suffix)) {
      parsed.state = state;
      suffix.remove_suffix(state_suffix.size());
      break;
    }
  }
  for (const auto& [file, file_suffix] : kSuffixes) {
    if (suffix == file_suffix) {
      parsed.file = file;
      return parsed;
    }
  }
  return std::nullopt;
}

bool would_stop_kafka(std::string_view name) {
  constexpr std::string_view kTaken[] = {".log",  ".index",   ".timeindex", ".txnindex",
                                         ".swap", ".cleaned", ".deleted"};
  for (const std::string_view suffix : kTaken) {
    if (name.ends_with(suffix)) return !parse_segment_file_name(name).has_value();
  }
  return false;
}

}  // namespace ottla::storage
