// Snapshot files of the metadata partition, `<end offset:20>-<epoch:10>.checkpoint` (KIP-630): a
// control batch with header (and the quorum's version and voters), data batches, a control batch
// with the footer. The same form serves `bootstrap.checkpoint`, which format writes for the first
// leader of an empty log.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "wire/record.h"

namespace ottla::consensus {

struct SnapshotId {
  Offset end_offset = 0;  // exclusive
  LeaderEpoch epoch = 0;  // of the last record
  auto operator<=>(const SnapshotId&) const = default;
};

std::string file_name(const SnapshotId& id);
std::optional<SnapshotId> parse_snapshot_name(std::string_view name);

struct VoterEndpoint {
  std::string listener;
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const VoterEndpoint&) const = default;
};

struct Voter {
  NodeId id = -1;
  Uuid directory_id;
  std::vector<VoterEndpoint> endpoints;
  bool operator==(const Voter&) const = default;
};

// What stands in control records of the log (KIP-853). At version 0 the voters are in the nodes'
// configuration only, and no record tells of them.
struct VoterSet {
  std::int16_t kraft_version = 1;
  std::vector<Voter> voters;
  bool operator==(const VoterSet&) const = default;
};

// Takes over what a record of a control batch says of version and voters; others change nothing.
std::expected<void, std::string> apply_control_record(const wire::Record& record, VoterSet& voters);

// Values of the two control records, for the log and for snapshots.
Slice encode_kraft_version(std::int16_t version);
Slice encode_voters(const std::vector<Voter>& voters);

inline constexpr std::size_t kSnapshotBatchBytes = 8 << 20;  // one data batch holds about so much

// Makes a whole snapshot file. Records are framed values; offsets count from 0.
class SnapshotBuilder {
 public:
  SnapshotBuilder(LeaderEpoch epoch, TimestampMs last_contained_log_timestamp, TimestampMs now,
                  const std::optional<VoterSet>& voters);
  void add(const std::vector<Bytes>& records);
  Bytes finish() &&;

 private:
  void append(const Slice& batch, std::int32_t records);

  LeaderEpoch epoch_;
  TimestampMs now_;
  Offset next_offset_ = 0;
  Bytes bytes_;
};

struct SnapshotContent {
  TimestampMs last_contained_log_timestamp = 0;
  std::optional<VoterSet> voters;
  std::vector<Slice> records;  // framed values, in order
};

// Checks every CRC, the header and the footer: a file without footer was not finished.
std::expected<SnapshotContent, std::string> parse_snapshot(const Slice& file);

}  // namespace ottla::consensus
