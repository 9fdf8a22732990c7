#include "metadata/bootstrap.h"

#include <algorithm>
#include <fmt/format.h>

#include "consensus/snapshot.h"
#include "metadata/features.h"
#include "metadata/image.h"
#include "storage/atomic_file.h"
#include "storage/log_directory.h"

namespace ottla::metadata {
namespace {

constexpr std::size_t kBootstrapBytesMax = 16 << 20;

}  // namespace

std::vector<Record> initial_levels() {
  std::vector<Record> records;
  const auto add = [&](const FeatureRange& feature) {
    wire::FeatureLevelRecord record;
    record.name = feature.name;
    record.feature_level = feature.initial_level;
    records.emplace_back(std::move(record));
  };
  // the level of the metadata comes first: it says how the rest is to be read
  for (const FeatureRange& feature : supported_features()) {
    if (feature.name == kMetadataVersion) add(feature);
  }
  for (const FeatureRange& feature : supported_features()) {
    if (feature.name != kMetadataVersion && feature.name != kKraftVersion) add(feature);
  }
  return records;
}

io::Task<io::Result<std::vector<Record>>> read_bootstrap(io::Env& env, std::string log_dir) {
  const std::string path = log_dir + "/" + std::string(storage::kBootstrapCheckpointFile);
  auto bytes = co_await storage::read_small_file(env.disk, path, kBootstrapBytesMax);
  if (!bytes && bytes.error().kind == io::ErrorKind::not_found) co_return initial_levels();
  if (!bytes) co_return std::unexpected(bytes.error());
  const auto invalid = [&](std::string_view why) {
    return std::unexpected(
        io::Error{io::ErrorKind::invalid,
                  fmt::format("{} says with which features a new cluster begins, and can't be "
                              "read: {}. Format an empty folder instead",
                              path, why)});
  };
  const auto content = consensus::parse_snapshot(Slice::copy_of(*bytes));
  if (!content) co_return invalid(content.error());
  std::vector<Record> records;
  for (const Slice& value : content->records) {
    auto record = decode_record(value);
    if (!record) co_return invalid(record.error());
    records.push_back(std::move(*record));
  }
  if (records.empty()) co_return invalid("there is nothing in it");
  co_return records;
}

std::vector<Record> first_transaction(std::vector<Record> bootstrap, std::string min_insync) {
  const bool has_elr = std::ranges::any_of(bootstrap, [](const Record& record) {
    const auto* level = std::get_if<wire::FeatureLevelRecord>(&record);
    return level && level->name == kElrVersion && level->feature_level > 0;
  });
  std::vector<Record> records;
  wire::BeginTransactionRecord begin;
  begin.name = "Bootstrap records";
  records.emplace_back(std::move(begin));
  std::ranges::move(bootstrap, std::back_inserter(records));
  if (has_elr) {
    wire::ConfigRecord config;
    config.resource_type = static_cast<std::int8_t>(ResourceType::broker);
    config.name = "min.insync.replicas";
    config.value = std::move(min_insync);
    records.emplace_back(std::move(config));
  }
  records.emplace_back(wire::EndTransactionRecord{});
  return records;
}

}  // namespace ottla::metadata
