#include "consensus/metadata_log.h"

#include <algorithm>
#include <fmt/format.h>

#include "io/read_gather.h"
#include "storage/atomic_file.h"
#include "wire/codec.h"
#include "wire/control_record.h"
#include "wire/messages/leader_change_message.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::consensus {
namespace {

constexpr std::size_t kSnapshotFileBytesMax = 1u << 30;
constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::int16_t kLeaderChangeVersion = 0;  // what Kafka 4.3.1 writes; it can't read 1
constexpr std::string_view kPartSuffix = ".part";

io::Error invalid(std::string message) { return {io::ErrorKind::invalid, std::move(message)}; }

io::Error from_log(storage::LogError error, std::string_view doing) {
  return {io::ErrorKind::input_output,
          fmt::format("{} the metadata log: {}", doing, storage::describe(error))};
}

Bytes to_bytes(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace

io::Task<io::Result<std::unique_ptr<MetadataLog>>> MetadataLog::open(
    io::Env& env, std::shared_ptr<storage::PartitionLog> log, MetadataLogOptions options) {
  std::unique_ptr<MetadataLog> made(new MetadataLog(env, std::move(log), std::move(options)));
  if (auto loaded = co_await made->load(); !loaded) co_return std::unexpected(loaded.error());
  if (auto begun = co_await made->begin_reign(); !begun) co_return std::unexpected(begun.error());
  co_return std::move(made);
}

io::Task<io::Result<>> MetadataLog::load() {
  last_snapshot_ = env_.clock.now();
  auto entries = co_await env_.disk.list(options_.directory);
  if (!entries) co_return std::unexpected(entries.error());
  std::vector<SnapshotId> snapshots;
  bool has_state = false;
  for (const io::DirectoryEntry& entry : *entries) {
    if (entry.name == kQuorumStateFile) has_state = true;
    if (entry.name.ends_with(kPartSuffix)) {  // of a snapshot that a crash interrupted
      if (auto removed = co_await env_.disk.remove(path_of(entry.name)); !removed)
        co_return removed;
    }
    if (const auto id = parse_snapshot_name(entry.name)) snapshots.push_back(*id);
  }
  if (!snapshots.empty()) {
    const SnapshotId newest = std::ranges::max(snapshots);
    const std::string path = path_of(file_name(newest));
    auto bytes = co_await storage::read_small_file(env_.disk, path, kSnapshotFileBytesMax);
    if (!bytes) co_return std::unexpected(bytes.error());
    auto content = parse_snapshot(Slice::copy_of(*bytes));
    if (!content) co_return std::unexpected(invalid(fmt::format("{}: {}", path, content.error())));
    if (content->voters) voters_ = *content->voters;
    if (newest.end_offset > 0) {
      snapshot_ = newest;
      loaded_snapshot_ = std::move(*content);
    }
    for (const SnapshotId& id : snapshots) {  // a crash came before these were removed
      if (id == newest || id.end_offset == 0) continue;
      if (auto removed = co_await env_.disk.remove(path_of(file_name(id))); !removed)
        co_return removed;
    }
  }
  const Offset loaded_end = snapshot_ ? snapshot_->end_offset : 0;
  if (log_->log_start_offset() > loaded_end) {
    co_return std::unexpected(invalid(
        fmt::format("the metadata log in {} begins at offset {}, but no snapshot holds what came "
                    "before: the cluster's state is incomplete. Restore the missing *.checkpoint",
                    options_.directory, log_->log_start_offset())));
  }
  if (log_->log_end_offset() < loaded_end) {
    co_return std::unexpected(invalid(
        fmt::format("the metadata log in {} ends at offset {}, before its snapshot {}: its end was "
                    "lost. Move the *.log files away to go on from the snapshot of a copy",
                    options_.directory, log_->log_end_offset(), file_name(*snapshot_))));
  }
  if (has_state) {
    if (auto loaded = co_await load_quorum_state(); !loaded) co_return loaded;
  }
  if (auto loaded = co_await load_voters_from_log(); !loaded) co_return loaded;
  if (voters_.voters.empty()) {
    voters_.voters.push_back({options_.node_id, options_.directory_id, options_.endpoints});
  }
  const auto is_other = [&](NodeId id) { return id != options_.node_id; };
  if (voters_.voters.size() > 1 || is_other(voters_.voters.front().id) ||
      std::ranges::any_of(state_.voters, is_other)) {
    co_return std::unexpected(invalid(fmt::format(
        "the metadata quorum in {} is not node {} alone: this version serves a quorum of one only",
        options_.directory, options_.node_id)));
  }
  co_return io::Result<>{};
}

io::Task<io::Result<>> MetadataLog::load_quorum_state() {
  const std::string path = path_of(kQuorumStateFile);
  auto bytes = co_await storage::read_small_file(env_.disk, path, kQuorumStateBytesMax);
  if (!bytes) co_return std::unexpected(bytes.error());
  auto state = parse_quorum_state(as_text(*bytes));
  if (!state) co_return std::unexpected(invalid(fmt::format("{}: {}", path, state.error())));
  state_ = *state;
  co_return io::Result<>{};
}

// The voters may have changed since the snapshot: a folder that was part of a larger quorum must
// not go on alone.
io::Task<io::Result<>> MetadataLog::load_voters_from_log() {
  VoterSet* voters = &voters_;
  co_return co_await for_each_batch(
      snapshot_ ? snapshot_->end_offset : 0,
      [voters](const wire::Batch& batch, const Slice&) -> std::expected<void, std::string> {
        if (!batch.header.is_control()) return {};
        wire::RecordCursor records(batch.records(), batch.header.record_count);
        for (wire::Record record; records.next(record);) {
          if (auto taken = apply_control_record(record, *voters); !taken) return taken;
        }
        return {};
      });
}

io::Task<io::Result<>> MetadataLog::begin_reign() {
  const LeaderEpoch known =
      std::max({state_.leader_epoch, log_->latest_epoch(), snapshot_ ? snapshot_->epoch : 0});
  const QuorumState next{.leader_id = options_.node_id, .leader_epoch = known + 1};
  auto written = co_await storage::write_file_atomically(
      env_.disk, options_.directory, std::string(kQuorumStateFile), to_bytes(serialize(next)));
  if (!written) co_return written;
  state_ = next;

  wire::LeaderChangeMessage change;
  change.version = kLeaderChangeVersion;
  change.leader_id = options_.node_id;
  auto& voter = change.voters.emplace_back();
  voter.voter_id = options_.node_id;
  change.granting_voters = change.voters;
  const auto change_value = wire::encode_to_slice(change, kLeaderChangeVersion);
  OTTLA_CHECK(change_value.has_value());
  const Slice version_value = encode_kraft_version(voters_.kraft_version);
  const Slice voters_value = encode_voters(voters_.voters);
  std::vector<wire::ControlRecord> records{{wire::ControlRecordType::leader_change, *change_value}};
  if (log_->log_end_offset() == 0 && voters_.kraft_version > 0) {
    records.push_back({wire::ControlRecordType::kraft_version, version_value});
    records.push_back({wire::ControlRecordType::kraft_voters, voters_value});
  }
  epoch_start_ = log_->log_end_offset();
  const auto appended =
      append_batch(wire::build_control_batch(epoch_start_, epoch(), env_.clock.wall_ms(), records));
  if (!appended) co_return std::unexpected(appended.error());
  if (!co_await wait_committed(appended->last_offset)) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::input_output, "the metadata log's disk failed"});
  }
  co_return io::Result<>{};
}

io::Result<storage::AppendResult> MetadataLog::append_batch(const Slice& batch) {
  const auto header = wire::parse_batch_header(batch);
  OTTLA_CHECK(header.has_value());
  const auto appended = log_->append(
      batch, *header, {.leader_epoch = epoch(), .origin = storage::AppendOrigin::coordinator});
  if (!appended && appended.error() == storage::LogError::no_room) {
    return std::unexpected(
        io::Error{io::ErrorKind::exhausted, "the journal has no room for metadata yet"});
  }
  if (!appended) return std::unexpected(from_log(appended.error(), "appending to"));
  bytes_since_snapshot_ += batch.size();
  return *appended;
}

io::Result<Offset> MetadataLog::append(const std::vector<Bytes>& records) {
  OTTLA_CHECK(!records.empty());
  wire::RecordBatchBuilder builder({.base_offset = next_offset(), .leader_epoch = epoch()});
  const TimestampMs now = env_.clock.wall_ms();
  for (const Bytes& record : records) builder.append({.timestamp = now, .value = ByteView(record)});
  const auto batch = builder.build();
  OTTLA_CHECK(batch.has_value());
  const auto appended = append_batch(*batch);
  if (!appended) return std::unexpected(appended.error());
  return appended->last_offset;
}

io::Task<bool> MetadataLog::wait_committed(Offset last) {
  co_return (co_await log_->wait_durable(last + 1)).has_value();
}

io::Task<io::Result<>> MetadataLog::replay(Take take) {
  if (snapshot_) {
    for (const Slice& value : loaded_snapshot_.records) {
      const auto taken = take({.offset = snapshot_->end_offset - 1,
                               .epoch = snapshot_->epoch,
                               .timestamp = loaded_snapshot_.last_contained_log_timestamp,
                               .value = value});
      if (!taken)
        co_return std::unexpected(
            invalid(fmt::format("snapshot {}: {}", file_name(*snapshot_), taken.error())));
    }
    loaded_snapshot_ = {};
  }
  const Offset from = snapshot_ ? snapshot_->end_offset : 0;
  bytes_since_snapshot_ = 0;
  co_return co_await for_each_batch(
      from,
      [this, from, &take](const wire::Batch& batch,
                          const Slice& owner) -> std::expected<void, std::string> {
        bytes_since_snapshot_ += batch.bytes.size();
        if (batch.header.is_control()) return {};
        wire::RecordCursor records(batch.records(), batch.header.record_count);
        for (wire::Record record; records.next(record);) {
          const Offset offset = wire::record_offset(batch.header, record);
          if (offset < from || !record.value) continue;
          const Slice value = owner.subslice(
              static_cast<std::size_t>(record.value->data() - owner.data()), record.value->size());
          auto taken = take({.offset = offset,
                             .epoch = batch.header.leader_epoch,
                             .timestamp = wire::record_timestamp(batch.header, record),
                             .value = value});
          if (!taken) {
            return std::unexpected(
                fmt::format("metadata record at offset {}: {}", offset, taken.error()));
          }
        }
        if (records.error()) return std::unexpected("its records can't be read");
        return {};
      });
}

// Batch CRCs leave out the offset and the epoch: those must follow each other without a hole.
io::Task<io::Result<>> MetadataLog::for_each_batch(Offset from, TakeBatch take) {
  Offset at = std::max(log_->log_start_offset(), from);
  LeaderEpoch last_epoch = 0;
  const LeaderEpoch epoch_max = std::max(state_.leader_epoch, log_->latest_epoch());
  const auto fault = [this](Offset offset, std::string_view what) {
    return std::unexpected(invalid(
        fmt::format("{}: the batch at offset {}: {}. The metadata log is damaged: restore the "
                    "folder from a copy",
                    options_.directory, offset, what)));
  };
  while (at < log_->high_watermark()) {
    auto read = co_await log_->read(
        {.from = at, .max_bytes = kReadBytes, .upper_bound = log_->high_watermark()});
    if (!read) co_return fault(at, storage::describe(read.error()));
    auto bytes = co_await io::read_gather(std::move(read->records));
    if (!bytes) co_return std::unexpected(bytes.error());
    const Offset before = at;
    wire::BatchCursor batches(*bytes);
    for (wire::Batch batch; batches.next(batch);) {
      const wire::BatchHeader& header = batch.header;
      if (header.next_offset() <= at) continue;
      if (header.base_offset > at) {
        co_return fault(at, fmt::format("the log goes on at {}", header.base_offset));
      }
      if (header.leader_epoch < last_epoch || header.leader_epoch > epoch_max) {
        co_return fault(header.base_offset,
                        fmt::format("its epoch can't be {}", header.leader_epoch));
      }
      if (!wire::crc_matches(batch.bytes)) co_return fault(header.base_offset, "its CRC is wrong");
      if (auto taken = take(batch, *bytes); !taken)
        co_return fault(header.base_offset, taken.error());
      last_epoch = header.leader_epoch;
      at = header.next_offset();
    }
    if (at == before) co_return fault(at, "it is missing");
  }
  co_return io::Result<>{};
}

bool MetadataLog::wants_snapshot() const {
  return bytes_since_snapshot_ >= options_.snapshot_bytes ||
         (bytes_since_snapshot_ > 0 &&
          env_.clock.now() - last_snapshot_ >= options_.snapshot_interval);
}

io::Task<io::Result<>> MetadataLog::write_snapshot(SnapshotId id, TimestampMs last_timestamp,
                                                   std::vector<Bytes> records) {
  OTTLA_CHECK(id.end_offset <= log_->high_watermark());
  bytes_since_snapshot_ = 0;
  last_snapshot_ = env_.clock.now();
  SnapshotBuilder builder(id.epoch, last_timestamp, env_.clock.wall_ms(),
                          voters_.kraft_version > 0 ? std::optional(voters_) : std::nullopt);
  builder.add(records);
  const Bytes content = std::move(builder).finish();
  const std::string path = path_of(file_name(id));
  auto file = co_await env_.disk.open(path + std::string(kPartSuffix),
                                      {.write = true, .create = true, .truncate = true});
  if (!file) co_return std::unexpected(file.error());
  if (auto written = co_await (*file)->write(0, content); !written) co_return written;
  if (auto synced = co_await (*file)->sync_data(); !synced) co_return synced;
  if (auto renamed = co_await env_.disk.rename(path + std::string(kPartSuffix), path); !renamed)
    co_return renamed;
  if (auto synced = co_await env_.disk.sync_directory(options_.directory); !synced)
    co_return synced;

  const std::optional<SnapshotId> before = std::exchange(snapshot_, id);
  log_->roll();
  if (auto moved = co_await log_->delete_records(id.end_offset); !moved) {
    co_return std::unexpected(from_log(moved.error(), "shortening"));
  }
  if (before) {
    auto removed = co_await env_.disk.remove(path_of(file_name(*before)));
    if (!removed && removed.error().kind != io::ErrorKind::not_found) co_return removed;
  }
  co_return io::Result<>{};
}

io::Task<io::Result<std::optional<MetadataLog::SnapshotPart>>> MetadataLog::read_snapshot(
    SnapshotId id, std::uint64_t position, std::size_t max_bytes) {
  if (id != snapshot_) co_return std::optional<SnapshotPart>();
  auto file = co_await env_.disk.open(path_of(file_name(id)), {});
  if (!file) co_return std::unexpected(file.error());
  const auto size = (*file)->size_bytes();
  if (!size) co_return std::unexpected(size.error());
  if (position >= *size) co_return SnapshotPart{{}, *size};
  Slice bytes = Slice::allocate(std::min<std::uint64_t>(max_bytes, *size - position));
  const auto got = co_await (*file)->read(position, bytes.mutable_view());
  if (!got) co_return std::unexpected(got.error());
  co_return SnapshotPart{bytes.subslice(0, *got), *size};
}

}  // namespace ottla::consensus
