#include "cli/log_dump.h"

#include <fmt/format.h>
#include <variant>

#include "cli/output.h"
#include "cli/record_format.h"
#include "consensus/quorum_state.h"
#include "metadata/record.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint_file.h"
#include "storage/file_batches.h"
#include "storage/journal.h"
#include "storage/journal_format.h"
#include "storage/log_directory.h"
#include "storage/offset_index.h"
#include "storage/producer_snapshot.h"
#include "storage/recovery_journals.h"
#include "storage/segment_name.h"
#include "storage/segment_sums.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"
#include "wire/codec.h"
#include "wire/compression.h"
#include "wire/control_record.h"
#include "wire/messages/kraft_version_record.h"
#include "wire/messages/leader_change_message.h"
#include "wire/messages/snapshot_footer_record.h"
#include "wire/messages/snapshot_header_record.h"
#include "wire/messages/voters_record.h"
#include "wire/record.h"

namespace ottla::cli {
namespace {

using storage::SegmentFile;

constexpr std::size_t kPieceBytes = 8 << 20;  // a larger batch is shown without its records
constexpr int kDepthMax = 3;                  // log dir, partition, and nothing below

struct PathParts {
  std::string folder;  // without the last slash; "." where there is none
  std::string name;
};
PathParts parts_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string_view kind_name(storage::JournalKind kind) {
  using storage::JournalKind;
  switch (kind) {
    case JournalKind::append:
      return "append";
    case JournalKind::truncate:
      return "truncate";
    case JournalKind::log_start:
      return "log_start";
    case JournalKind::remove:
      return "remove";
    case JournalKind::create:
      return "create";
    case JournalKind::mark:
      return "mark";
    case JournalKind::block:
      return "block";
    case JournalKind::compact:
      return "compact";
  }
  return "unknown";
}

std::string_view control_name(wire::ControlRecordType type) {
  switch (type) {
    case wire::ControlRecordType::abort:
      return "abort";
    case wire::ControlRecordType::commit:
      return "commit";
    case wire::ControlRecordType::leader_change:
      return "leader_change";
    case wire::ControlRecordType::snapshot_header:
      return "snapshot_header";
    case wire::ControlRecordType::snapshot_footer:
      return "snapshot_footer";
    case wire::ControlRecordType::kraft_version:
      return "kraft_version";
    case wire::ControlRecordType::kraft_voters:
      return "kraft_voters";
  }
  return "unknown";
}

// The records of the metadata log as their messages; secrets are hidden.
void add_metadata_record(JsonWriter& json, const std::optional<ByteView>& value) {
  if (!value) return;
  const auto record = metadata::decode_record(Slice::copy_of(*value));
  if (!record) {
    json.field("error", record.error());
    return;
  }
  json.field("record", metadata::record_name(*record));
  std::visit(
      [&](const auto& message) {
        const std::int16_t version = std::decay_t<decltype(message)>::info.versions.last;
        json.key("data").raw(wire::print(message, version));
      },
      *record);
}

// Each begins with its own version.
template <class Message>
void add_message(JsonWriter& json, ByteView value) {
  if (value.size() < sizeof(std::int16_t)) {
    json.field("error", "the value is too short");
    return;
  }
  const auto version = load_big<std::int16_t>(value.data());
  const auto message = wire::decode<Message>(Slice::copy_of(value), version);
  if (message) {
    json.key("data").raw(wire::print(*message, version));
  } else {
    json.field("error", message.error().to_string());
  }
}

void add_control_value(JsonWriter& json, wire::ControlRecordType type, ByteView value) {
  using wire::ControlRecordType;
  switch (type) {
    case ControlRecordType::leader_change:
      return add_message<wire::LeaderChangeMessage>(json, value);
    case ControlRecordType::snapshot_header:
      return add_message<wire::SnapshotHeaderRecord>(json, value);
    case ControlRecordType::snapshot_footer:
      return add_message<wire::SnapshotFooterRecord>(json, value);
    case ControlRecordType::kraft_version:
      return add_message<wire::KRaftVersionRecord>(json, value);
    case ControlRecordType::kraft_voters:
      return add_message<wire::VotersRecord>(json, value);
    case ControlRecordType::abort:
    case ControlRecordType::commit:
      break;
  }
  json.bytes_field("value", value);
}

void add_batch_header(JsonWriter& json, const wire::BatchHeader& batch) {
  json.field("base_offset", batch.base_offset).field("last_offset", batch.last_offset());
  json.field("records", batch.record_count).field("bytes", batch.total_size());
  json.field("leader_epoch", batch.leader_epoch).field("max_timestamp", batch.max_timestamp);
  const auto codec = batch.codec();
  json.field("codec", codec ? wire::codec_name(*codec) : std::string_view("unknown"));
  if (batch.timestamp_type() == wire::TimestampType::log_append_time)
    json.field("timestamp_type", "LogAppendTime");
  if (batch.has_producer()) {
    json.field("producer_id", batch.producer_id).field("producer_epoch", batch.producer_epoch);
    json.field("base_sequence", batch.base_sequence);
  }
  if (batch.is_transactional()) json.field("transactional", true);
  if (batch.is_control()) json.field("control", true);
}

class Dumper {
 public:
  Dumper(io::Env& env, DumpSettings settings, OnLine on_line)
      : env_(env), settings_(settings), on_line_(std::move(on_line)) {}

  bool is_good() const { return is_good_; }

  io::Task<void> folder(std::string path, int depth) {
    auto entries = co_await env_.disk.list(path);
    if (!entries) {
      fault(path, entries.error().message);
      co_return;
    }
    for (const io::DirectoryEntry& entry : *entries) {
      const std::string inside = fmt::format("{}/{}", path, entry.name);
      if (!entry.is_directory) {
        co_await file(inside, false);
      } else if (depth < kDepthMax) {
        co_await folder(inside, depth + 1);
      }
    }
  }

  // `is_asked_for`: this very file was named, so one that is unknown is a fault.
  io::Task<void> file(std::string path, bool is_asked_for) {
    const PathParts parts = parts_of(path);
    if (const auto segment = storage::parse_segment_file_name(parts.name)) {
      co_await segment_file(path, parts, *segment);
    } else if (parts.name.ends_with(".checkpoint")) {
      co_await batches(path, true);
    } else if (storage::parse_journal_file_name(parts.name)) {
      co_await journal(path);
    } else if (parts.name.ends_with("-checkpoint")) {
      co_await checkpoint(path, parts.name);
    } else if (parts.name == storage::kPartitionMetadataFile ||
               parts.name == storage::kMetaPropertiesFile ||
               parts.name == storage::kJournalListFile ||
               parts.name == storage::kCleanShutdownFile ||
               parts.name == consensus::kQuorumStateFile) {
      co_await text_file(path);
    } else if (is_asked_for) {
      fault(path, "no file of a log: its name says nothing to this program");
    }
  }

 private:
  void fault(const std::string& path, std::string_view what) {
    is_good_ = false;
    JsonWriter json;
    json.begin_object().field("file", path).field("error", what).end_object();
    on_line_(json.text());
  }
  JsonWriter line(const std::string& path, std::string_view kind) {
    JsonWriter json;
    json.begin_object().field("file", path).field("kind", kind);
    return json;
  }
  void put(JsonWriter& json) {
    json.end_object();
    on_line_(json.text());
  }

  io::Task<std::optional<Bytes>> read(std::string path, std::size_t bytes_max) {
    auto content = co_await storage::read_small_file(env_.disk, path, bytes_max);
    if (content) co_return std::move(*content);
    fault(path, content.error().message);
    co_return std::nullopt;
  }

  io::Task<void> segment_file(std::string path, PathParts parts, storage::SegmentFileName name) {
    switch (name.file) {
      case SegmentFile::log:
        co_await batches(path,
                         parts.folder.ends_with(fmt::format("{}-0", storage::kMetadataTopic)));
        break;
      case SegmentFile::offset_index:
      case SegmentFile::time_index:
      case SegmentFile::transaction_index:
        co_await index(path, name);
        break;
      case SegmentFile::snapshot:
        co_await snapshot(path);
        break;
      case SegmentFile::snapshot_side:
        break;  // read with its snapshot
      case SegmentFile::sums:
        co_await sums(path, parts, name.offset);
        break;
    }
  }

  // --- segments, and snapshots of the metadata log, which have the same form

  io::Task<void> batches(std::string path, bool is_metadata) {
    auto file = co_await env_.disk.open(path, {});
    if (!file) {
      fault(path, file.error().message);
      co_return;
    }
    const auto size = (*file)->size_bytes();
    if (!size) {
      fault(path, size.error().message);
      co_return;
    }
    storage::FileBatches cursor(*file, 0, *size, kPieceBytes);
    for (;;) {
      auto batch = co_await cursor.next();
      if (!batch) {
        fault(path, batch.error().to_string());
        co_return;
      }
      if (!*batch) co_return;
      const storage::FileBatch& found = **batch;
      JsonWriter json = line(path, "batch");
      json.field("position", found.position);
      add_batch_header(json, found.header);
      json.field("crc_matches", found.crc_matches);
      is_good_ = is_good_ && found.crc_matches;
      put(json);
      if (settings_.with_records || is_metadata) records(path, found, is_metadata);
    }
  }

  void records(const std::string& path, const storage::FileBatch& batch, bool is_metadata) {
    if (batch.bytes.empty()) {
      fault(path, fmt::format("the batch at {} is too large to show its records", batch.position));
      return;
    }
    ByteView bytes = batch.bytes.subspan(wire::kBatchHeaderBytes);
    Slice plain;
    if (batch.header.is_compressed()) {
      const auto codec = batch.header.codec();
      auto decompressed = codec ? wire::decompress(*codec, bytes, wire::kDecompressedBytesMax)
                                : std::expected<Slice, wire::BatchError>(
                                      std::unexpected(wire::BatchError::unknown_codec));
      if (!decompressed) {
        fault(path, fmt::format("the batch at {}: {}", batch.position,
                                wire::describe(decompressed.error())));
        return;
      }
      plain = std::move(*decompressed);
      bytes = plain;
    }
    wire::RecordCursor cursor(bytes, batch.header.record_count);
    for (wire::Record record; cursor.next(record);) {
      JsonWriter json = line(path, "record");
      json.field("offset", wire::record_offset(batch.header, record));
      json.field("timestamp", wire::record_timestamp(batch.header, record));
      add_content(json, batch.header, record, is_metadata);
      put(json);
    }
    if (cursor.error())
      fault(path,
            fmt::format("the batch at {}: {}", batch.position, wire::describe(*cursor.error())));
  }

  static void add_content(JsonWriter& json, const wire::BatchHeader& batch,
                          const wire::Record& record, bool is_metadata) {
    if (batch.is_control()) {
      const auto key = wire::parse_control_key(record.key);
      json.field("control", key ? control_name(key->type) : std::string_view("unreadable"));
      if (key && record.value) add_control_value(json, key->type, *record.value);
      return;
    }
    if (is_metadata) {
      add_metadata_record(json, record.value);
      return;
    }
    json.bytes_field("key", record.key).bytes_field("value", record.value);
    if (record.header_count == 0) return;
    json.key("headers").begin_array();
    wire::HeaderCursor headers(record);
    for (wire::RecordHeader header; headers.next(header);)
      json.begin_object().field("name", header.key).bytes_field("value", header.value).end_object();
    json.end_array();
  }

  // --- the files beside

  io::Task<void> index(std::string path, storage::SegmentFileName name) {
    const auto content = co_await read(path, storage::kIndexFileBytesMax);
    if (!content) co_return;
    if (name.file == SegmentFile::offset_index) {
      const auto parsed = storage::OffsetIndex::parse(name.offset, *content, UINT64_MAX);
      if (!parsed) co_return fault(path, parsed.error().message);
      for (std::size_t i = 0; i < parsed->size(); ++i) {
        JsonWriter json = line(path, "offset_index");
        json.field("offset", parsed->entry(i).offset).field("position", parsed->entry(i).position);
        put(json);
      }
    } else if (name.file == SegmentFile::time_index) {
      const auto parsed = storage::TimeIndex::parse(name.offset, *content, std::nullopt);
      if (!parsed) co_return fault(path, parsed.error().message);
      for (std::size_t i = 0; i < parsed->size(); ++i) {
        JsonWriter json = line(path, "time_index");
        json.field("timestamp", parsed->entry(i).timestamp)
            .field("offset", parsed->entry(i).offset);
        put(json);
      }
    } else {
      const auto parsed = storage::TransactionIndex::parse(name.offset, *content);
      if (!parsed) co_return fault(path, parsed.error().message);
      for (const storage::AbortedTransaction& aborted : parsed->entries()) {
        JsonWriter json = line(path, "aborted_transaction");
        json.field("producer_id", aborted.producer_id).field("first_offset", aborted.first_offset);
        json.field("last_offset", aborted.last_offset);
        json.field("last_stable_offset", aborted.last_stable_offset);
        put(json);
      }
    }
  }

  io::Task<void> snapshot(std::string path) {
    const auto content = co_await read(path, storage::kSnapshotFileBytesMax);
    if (!content) co_return;
    const auto parsed = storage::parse_producer_snapshot(*content);
    if (!parsed) co_return fault(path, parsed.error().message);
    for (const storage::ProducerSnapshotEntry& entry : *parsed) {
      JsonWriter json = line(path, "producer");
      json.field("producer_id", entry.producer_id).field("epoch", entry.epoch);
      json.field("last_sequence", entry.last_sequence).field("last_offset", entry.last_offset);
      json.field("timestamp", entry.timestamp);
      json.field("coordinator_epoch", entry.coordinator_epoch);
      if (entry.open_transaction >= 0) json.field("open_transaction", entry.open_transaction);
      put(json);
    }
  }

  io::Task<void> sums(std::string path, PathParts parts, Offset base_offset) {
    const auto content = co_await read(path, storage::kSumsFileBytesMax);
    if (!content) co_return;
    const auto partition = storage::parse_partition_directory(parts_of(parts.folder).name);
    const auto id =
        co_await read(fmt::format("{}/{}", parts.folder, storage::kPartitionMetadataFile),
                      storage::kSmallFileBytesMax);
    const auto topic_id =
        id ? storage::parse_partition_metadata(as_text(*id)) : storage::Parsed<Uuid>(Uuid{});
    if (!partition || !topic_id)
      co_return fault(path, "its folder does not say of which partition");
    const auto parsed = storage::SegmentSums::parse(
        *content, {{*topic_id, partition->partition.partition}, base_offset});
    if (!parsed) co_return fault(path, parsed.error().message);
    JsonWriter json = line(path, "sums");
    json.field("log_bytes", parsed->log_bytes());
    json.field("block_bytes", storage::kSumBlockBytes);
    json.field("index_bytes", parsed->offset_index().size_bytes);
    json.field("time_index_bytes", parsed->time_index().size_bytes);
    json.field("transaction_index_bytes", parsed->transaction_index().size_bytes);
    put(json);
  }

  io::Task<void> checkpoint(std::string path, std::string name) {
    const auto content = co_await read(path, storage::kCheckpointFileBytesMax);
    if (!content) co_return;
    if (name == storage::kLeaderEpochFile) {
      const auto parsed = storage::parse_epoch_checkpoint(as_text(*content));
      if (!parsed) co_return fault(path, parsed.error().message);
      for (const storage::EpochEntry& entry : *parsed) {
        JsonWriter json = line(path, "leader_epoch");
        json.field("epoch", entry.epoch).field("start_offset", entry.start_offset);
        put(json);
      }
      co_return;
    }
    const auto parsed = storage::parse_offset_checkpoint(as_text(*content));
    if (!parsed) co_return fault(path, parsed.error().message);
    for (const storage::PartitionOffset& entry : *parsed) {
      JsonWriter json = line(path, "offset_checkpoint");
      json.field("topic", entry.partition.topic).field("partition", entry.partition.partition);
      json.field("offset", entry.offset);
      put(json);
    }
  }

  io::Task<void> text_file(std::string path) {
    const auto content = co_await read(path, storage::kSmallFileBytesMax);
    if (!content) co_return;
    JsonWriter json = line(path, "text");
    json.bytes_field("text", ByteView(*content));
    put(json);
  }

  io::Task<void> journal(std::string path) {
    const auto content = co_await read(path, storage::kJournalFileBytesMax);
    if (!content) co_return;
    const auto header = storage::parse_journal_header(*content);
    if (!header) co_return fault(path, header.error().message);
    JsonWriter first = line(path, "journal");
    first.field("cluster_id", header->cluster_id);
    first.field("directory_id", header->directory_id.to_string()).field("run", header->run);
    first.field("shard", header->shard).field("sequence", header->sequence);
    first.field("file_bytes", header->file_bytes).field("first_needed", header->first_needed);
    put(first);
    const storage::JournalContent found = storage::read_journal(*content, *header);
    for (const storage::JournalEntry& entry : found.entries) {
      JsonWriter json = line(path, "journal_entry");
      json.field("entry", kind_name(entry.frame.kind)).field("position", entry.frame.position);
      json.field("topic_id", entry.frame.partition.topic_id.to_string());
      json.field("partition", entry.frame.partition.partition);
      json.field("offset", entry.frame.offset).field("bytes", entry.frame.body_bytes);
      if (entry.frame.kind == storage::JournalKind::append) {
        json.field("last_offset", entry.frame.offset + entry.frame.last_offset_delta);
        json.field("leader_epoch", entry.frame.leader_epoch);
      }
      if (entry.frame.kind == storage::JournalKind::create) json.bytes_field("topic", entry.body);
      json.field("durable_sequence", entry.frame.durable_end.sequence);
      json.field("durable_position", entry.frame.durable_end.position);
      if (entry.body_is_damaged) json.field("error", "the batch's CRC is wrong");
      is_good_ = is_good_ && !entry.body_is_damaged;
      put(json);
    }
    for (const auto& gap : found.gaps) {
      JsonWriter json = line(path, "journal_gap");
      json.field("from", gap.from).field("to", gap.to);
      put(json);
    }
  }

  io::Env& env_;
  const DumpSettings settings_;
  OnLine on_line_;
  bool is_good_ = true;
};

}  // namespace

io::Task<io::Result<bool>> dump_path(io::Env& env, std::string path, DumpSettings settings,
                                     OnLine on_line) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  auto status = co_await env.disk.status(path);
  if (!status) co_return std::unexpected(std::move(status.error()));
  Dumper dumper(env, settings, std::move(on_line));
  if (status->is_directory) {
    co_await dumper.folder(std::move(path), 1);
  } else {
    co_await dumper.file(std::move(path), true);
  }
  co_return dumper.is_good();
}

}  // namespace ottla::cli
