// Reads partitions of a topic without a group: from an offset to what was their end, or on and on.
// A leader is asked over one connection; several leaders are asked at the same time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/cluster.h"
#include "cli/offset_spec.h"
#include "cli/record_format.h"

namespace ottla::cli {

struct ConsumerSettings {
  std::string topic;
  std::vector<PartitionIndex> partitions;  // empty: all
  OffsetSpec from;
  std::int64_t count = 0;  // end after so many records; 0: no such end
  bool follow = false;
  bool committed_only = false;
};

using OnRecord = std::function<void(const PrintedRecord&)>;  // the views live during the call
using OnPause = std::function<bool()>;  // after each answer; false ends the reading

// Records of a partition come in order; those of several partitions as they arrive. What is lost
// by a leader that goes away is asked for again; other errors end it.
io::Task<Answer<>> consume_topic(Cluster& cluster, ConsumerSettings settings, OnRecord on_record,
                                 OnPause on_pause);

}  // namespace ottla::cli
