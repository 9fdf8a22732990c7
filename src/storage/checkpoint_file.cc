#include "storage/checkpoint_file.h"

#include <fmt/format.h>
#include <iterator>
#include <set>
#include <utility>

#include "base/check.h"
#include "storage/text_scan.h"

namespace ottla::storage {
namespace {

constexpr std::string_view kVersion = "0";

// Checks version and count, and calls take(words, line number) for each entry. Kafka reads until
// the count is met and refuses a file that ends before or goes on after it.
template <class Take>
Parsed<> parse_lines(std::string_view text, std::size_t words_per_line, Take take) {
  if (text.empty()) return {};  // as Kafka makes it before there is anything to say
  const std::string_view version = take_line(text);
  if (version != kVersion) return format_error(fmt::format("unknown version '{}'", version));
  if (text.empty()) return format_error("the number of entries is missing");
  const auto count = parse_decimal<std::uint64_t>(take_line(text));
  if (!count || *count > kCheckpointEntriesMax) {
    return format_error("the number of entries is not a number that may be there");
  }
  for (std::uint64_t i = 0; i < *count; ++i) {
    const std::uint64_t line_number = i + 3;
    if (text.empty()) {
      return format_error(fmt::format("{} entries are announced, {} are there", *count, i));
    }
    const auto words = split_words(take_line(text));
    if (words.size() != words_per_line) {
      return format_error(fmt::format("line {} is not {} words", line_number, words_per_line));
    }
    if (auto taken = take(words, line_number); !taken) return taken;
  }
  if (!text.empty()) return format_error(fmt::format("more than {} entries are there", *count));
  return {};
}

std::string header(std::size_t count) { return fmt::format("{}\n{}\n", kVersion, count); }

}  // namespace

std::string serialize_offset_checkpoint(const std::vector<PartitionOffset>& entries) {
  std::string text = header(entries.size());
  for (const PartitionOffset& entry : entries) {
    OTTLA_CHECK(entry.offset >= 0 && entry.partition.partition >= 0);
    OTTLA_CHECK(entry.partition.topic.find_first_of(" \t\n") == std::string::npos);
    fmt::format_to(std::back_inserter(text), "{} {} {}\n", entry.partition.topic,
                   entry.partition.partition, entry.offset);
  }
  return text;
}

Parsed<std::vector<PartitionOffset>> parse_offset_checkpoint(std::string_view text) {
  std::vector<PartitionOffset> entries;
  std::set<TopicPartition> seen;
  auto parsed = parse_lines(text, 3, [&](const auto& words, std::uint64_t line) -> Parsed<> {
    const auto partition = parse_decimal<PartitionIndex>(words[1]);
    const auto offset = parse_decimal<Offset>(words[2]);
    if (!partition || *partition < 0 || !offset || *offset < 0) {
      return format_error(fmt::format("line {} has no partition and offset", line));
    }
    PartitionOffset entry{{std::string(words[0]), *partition}, *offset};
    if (!seen.insert(entry.partition).second) {
      return format_error(fmt::format("line {} names a partition for the second time", line));
    }
    entries.push_back(std::move(entry));
    return {};
  });
  if (!parsed) return std::unexpected(parsed.error());
  return entries;
}

std::string serialize_epoch_checkpoint(const std::vector<EpochEntry>& entries) {
  std::string text = header(entries.size());
  for (const EpochEntry& entry : entries) {
    fmt::format_to(std::back_inserter(text), "{} {}\n", entry.epoch, entry.start_offset);
  }
  return text;
}

Parsed<std::vector<EpochEntry>> parse_epoch_checkpoint(std::string_view text) {
  std::vector<EpochEntry> entries;
  auto parsed = parse_lines(text, 2, [&](const auto& words, std::uint64_t line) -> Parsed<> {
    const auto epoch = parse_decimal<LeaderEpoch>(words[0]);
    const auto start = parse_decimal<Offset>(words[1]);
    if (!epoch || *epoch < 0 || !start || *start < 0) {
      return format_error(fmt::format("line {} has no epoch and offset", line));
    }
    if (!entries.empty() &&
        (*epoch <= entries.back().epoch || *start <= entries.back().start_offset)) {
      return format_error(fmt::format("line {} does not rise above the one before", line));
    }
    entries.push_back({*epoch, *start});
    return {};
  });
  if (!parsed) return std::unexpected(parsed.error());
  return entries;
}

}  // namespace ottla::storage
