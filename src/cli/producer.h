// Sends records to one topic: gathers a batch a partition, sends them to their leaders, tries again
// what may be tried again. With acks=all it is idempotent: a batch that is sent twice is stored
// once. One request at a time to each broker.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "cli/cluster.h"
#include "cli/record_input.h"
#include "wire/record.h"

namespace ottla::cli {

struct ProducerSettings {
  std::string topic;
  std::int16_t acks = -1;  // 0, 1 or -1
  wire::Codec codec = wire::Codec::none;
  bool may_create_topic = true;
  std::int64_t timeout_ms = 30'000;  // for one batch, tries included
};

// What a broker said of one batch. The offset is -1 where it is not known (acks=0; a batch that had
// been stored by an earlier try).
struct Stored {
  PartitionIndex partition = 0;
  Offset first_offset = -1;
  std::int32_t records = 0;
};

class Producer {
 public:
  Producer(Cluster& cluster, ProducerSettings settings)
      : cluster_(cluster), settings_(std::move(settings)) {}

  // Learns of the topic, and gets a producer id.
  io::Task<Answer<>> open();
  std::int32_t partition_count() const { return static_cast<std::int32_t>(leaders_.size()); }

  // Adds a record; the error names a partition that is not there.
  Answer<> add(const InputRecord& record);
  // Whether enough is gathered that it should be sent.
  bool is_full() const { return is_full_; }
  // Sends all that is gathered and waits for the answers.
  io::Task<Answer<>> flush(std::function<void(const Stored&)> on_stored);

 private:
  struct Batch {
    Slice bytes;
    std::int32_t records = 0;
  };
  using Batches = std::map<PartitionIndex, Batch>;

  io::Task<Answer<>> learn_leaders();
  io::Task<Answer<>> get_producer_id();
  PartitionIndex partition_for(const InputRecord& record);
  wire::BatchOptions batch_options(PartitionIndex partition) const;
  io::Task<Answer<>> send_round(Batches& unsent,
                                const std::function<void(const Stored&)>& on_stored);
  io::Task<Answer<>> send_to(NodeId leader, Batches& unsent,
                             const std::function<void(const Stored&)>& on_stored);

  Cluster& cluster_;
  const ProducerSettings settings_;
  std::map<PartitionIndex, NodeId> leaders_;
  std::map<PartitionIndex, wire::RecordBatchBuilder> open_;
  ProducerId producer_id_ = -1;
  ProducerEpoch producer_epoch_ = -1;
  std::map<PartitionIndex, Sequence> next_sequence_;
  std::optional<PartitionIndex> sticky_;  // where records without a key go until the next flush
  std::size_t gathered_bytes_ = 0;
  bool is_full_ = false;
  std::string last_refusal_;
};

}  // namespace ottla::cli
