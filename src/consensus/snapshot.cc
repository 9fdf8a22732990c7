#include "consensus/snapshot.h"

#include <array>
#include <charconv>
#include <fmt/format.h>

#include "wire/codec.h"
#include "wire/control_record.h"
#include "wire/messages/kraft_version_record.h"
#include "wire/messages/snapshot_footer_record.h"
#include "wire/messages/snapshot_header_record.h"
#include "wire/messages/voters_record.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::consensus {
namespace {

constexpr std::string_view kSuffix = ".checkpoint";
constexpr std::size_t kOffsetDigits = 20;
constexpr std::size_t kEpochDigits = 10;

template <class M>
Slice encode(const M& message) {
  auto bytes = wire::encode_to_slice(message, 0);
  OTTLA_CHECK(bytes.has_value());
  return std::move(*bytes);
}

template <class T>
std::optional<T> parse_digits(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

}  // namespace

std::string file_name(const SnapshotId& id) {
  return fmt::format("{:020}-{:010}{}", id.end_offset, id.epoch, kSuffix);
}

std::optional<SnapshotId> parse_snapshot_name(std::string_view name) {
  if (name.size() != kOffsetDigits + 1 + kEpochDigits + kSuffix.size() ||
      !name.ends_with(kSuffix) || name[kOffsetDigits] != '-') {
    return std::nullopt;
  }
  const auto offset = parse_digits<Offset>(name.substr(0, kOffsetDigits));
  const auto epoch = parse_digits<LeaderEpoch>(name.substr(kOffsetDigits + 1, kEpochDigits));
  if (!offset || !epoch) return std::nullopt;
  return SnapshotId{*offset, *epoch};
}

std::expected<void, std::string> apply_control_record(const wire::Record& record,
                                                      VoterSet& voters) {
  const auto key = wire::parse_control_key(record.key);
  if (!key) return std::unexpected("a control record has no type");
  const bool is_version = key->type == wire::ControlRecordType::kraft_version;
  if (!is_version && key->type != wire::ControlRecordType::kraft_voters) return {};
  if (!record.value) return std::unexpected("a control record has no value");
  const Slice value = Slice::copy_of(*record.value);
  if (is_version) {
    const auto version = wire::decode<wire::KRaftVersionRecord>(value, 0);
    if (!version) return std::unexpected(version.error().to_string());
    voters.kraft_version = version->kraft_version;
    return {};
  }
  const auto decoded = wire::decode<wire::VotersRecord>(value, 0);
  if (!decoded) return std::unexpected(decoded.error().to_string());
  voters.voters.clear();
  for (const auto& entry : decoded->voters) {
    Voter& voter = voters.voters.emplace_back();
    voter.id = entry.voter_id;
    voter.directory_id = entry.voter_directory_id;
    for (const auto& endpoint : entry.endpoints) {
      voter.endpoints.push_back({endpoint.name, endpoint.host, endpoint.port});
    }
  }
  return {};
}

Slice encode_kraft_version(std::int16_t version) {
  wire::KRaftVersionRecord record;
  record.kraft_version = version;
  return encode(record);
}

Slice encode_voters(const std::vector<Voter>& voters) {
  wire::VotersRecord record;
  for (const Voter& voter : voters) {
    auto& entry = record.voters.emplace_back();
    entry.voter_id = voter.id;
    entry.voter_directory_id = voter.directory_id;
    for (const VoterEndpoint& endpoint : voter.endpoints) {
      auto& added = entry.endpoints.emplace_back();
      added.name = endpoint.listener;
      added.host = endpoint.host;
      added.port = endpoint.port;
    }
    entry.kraft_version_feature.min_supported_version = 0;
    entry.kraft_version_feature.max_supported_version = 1;
  }
  return encode(record);
}

SnapshotBuilder::SnapshotBuilder(LeaderEpoch epoch, TimestampMs last_contained_log_timestamp,
                                 TimestampMs now, const std::optional<VoterSet>& voters)
    : epoch_(epoch), now_(now) {
  wire::SnapshotHeaderRecord header;
  header.last_contained_log_timestamp = last_contained_log_timestamp;
  const Slice header_value = encode(header);
  std::vector<wire::ControlRecord> records{
      {wire::ControlRecordType::snapshot_header, header_value}};
  Slice version_value;
  Slice voters_value;
  if (voters) {
    version_value = encode_kraft_version(voters->kraft_version);
    voters_value = encode_voters(voters->voters);
    records.push_back({wire::ControlRecordType::kraft_version, version_value});
    records.push_back({wire::ControlRecordType::kraft_voters, voters_value});
  }
  append(wire::build_control_batch(0, epoch_, now_, records),
         static_cast<std::int32_t>(records.size()));
}

void SnapshotBuilder::append(const Slice& batch, std::int32_t records) {
  bytes_.insert(bytes_.end(), batch.view().begin(), batch.view().end());
  next_offset_ += records;
}

void SnapshotBuilder::add(const std::vector<Bytes>& records) {
  std::optional<wire::RecordBatchBuilder> builder;
  const auto flush = [&] {
    if (!builder || builder->empty()) return;
    const auto batch = builder->build();
    OTTLA_CHECK(batch.has_value());
    append(*batch, builder->record_count());
    builder.reset();
  };
  for (const Bytes& record : records) {
    if (builder && builder->uncompressed_size() + record.size() > kSnapshotBatchBytes) flush();
    if (!builder)
      builder.emplace(wire::BatchOptions{.base_offset = next_offset_, .leader_epoch = epoch_});
    builder->append({.timestamp = now_, .value = ByteView(record)});
  }
  flush();
}

Bytes SnapshotBuilder::finish() && {
  const Slice footer = encode(wire::SnapshotFooterRecord{});
  const std::array records{wire::ControlRecord{wire::ControlRecordType::snapshot_footer, footer}};
  append(wire::build_control_batch(next_offset_, epoch_, now_, records), 1);
  return std::move(bytes_);
}

std::expected<SnapshotContent, std::string> parse_snapshot(const Slice& file) {
  SnapshotContent content;
  bool has_header = false;
  bool has_footer = false;
  wire::BatchCursor batches(file);
  for (wire::Batch batch; batches.next(batch);) {
    if (!wire::crc_matches(batch.bytes))
      return std::unexpected("a batch of the snapshot has a wrong CRC");
    if (has_footer) return std::unexpected("the snapshot goes on behind its footer");
    wire::RecordCursor records(batch.records(), batch.header.record_count);
    for (wire::Record record; records.next(record);) {
      if (!record.value) return std::unexpected("a record of the snapshot has no value");
      const Slice value = file.subslice(
          static_cast<std::size_t>(record.value->data() - file.data()), record.value->size());
      if (!batch.header.is_control()) {
        if (!has_header) return std::unexpected("the snapshot has no header");
        content.records.push_back(value);
        continue;
      }
      const auto key = wire::parse_control_key(record.key);
      if (!key) return std::unexpected("a control record of the snapshot has no type");
      switch (key->type) {
        case wire::ControlRecordType::snapshot_header: {
          const auto header = wire::decode<wire::SnapshotHeaderRecord>(value, 0);
          if (!header) return std::unexpected(header.error().to_string());
          has_header = true;
          content.last_contained_log_timestamp = header->last_contained_log_timestamp;
          break;
        }
        case wire::ControlRecordType::snapshot_footer:
          has_footer = true;
          break;
        case wire::ControlRecordType::kraft_version:
        case wire::ControlRecordType::kraft_voters: {
          if (!content.voters) content.voters.emplace();
          if (auto taken = apply_control_record(record, *content.voters); !taken)
            return std::unexpected(taken.error());
          break;
        }
        default:
          break;  // a newer kind: nothing that the records depend on
      }
    }
    if (records.error()) return std::unexpected("a batch of the snapshot can't be read");
  }
  if (batches.error()) return std::unexpected("the snapshot ends inside a batch");
  if (!has_header || !has_footer)
    return std::unexpected("the snapshot was not finished: it has no header or no footer");
  return content;
}

}  // namespace ottla::consensus
