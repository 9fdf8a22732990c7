// The way of one batch into its partition: validation, the log's own rules, and the wait until it
// is durable.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "broker/shard.h"
#include "wire/errors.h"

namespace ottla::broker {

struct AppendOutcome {
  wire::ErrorCode error = wire::ErrorCode::none;
  std::string message;                    // for people, empty without an error
  std::vector<wire::RecordFault> faults;  // the records that made the batch fail
  Offset base_offset = -1;
  TimestampMs log_append_time_ms = -1;
  Offset log_start_offset = -1;
};

struct AppendRequest {
  TopicIdPartition partition;
  Slice records;  // nobody else looks at it: it is patched
  std::int16_t produce_version = 0;
  io::Instant deadline;  // until when it may wait for room in the journal
};

// Appends on this shard, which must own the partition. `done` is called once: when the batch is
// durable, or has been refused (possibly before this returns; at the latest a little after the
// deadline if there is no room). The order of calls is the order in
// the log.
void append(Shard& shard, AppendRequest request, std::move_only_function<void(AppendOutcome)> done);

}  // namespace ottla::broker
