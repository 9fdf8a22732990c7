// Produce requests made beforehand, so that sending one is a patch of four bytes and a copy by the
// kernel; and what their answers say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "admin.h"
#include "base/bytes.h"

namespace ottla::load {

struct Batch {
  Slice bytes;
  int records = 0;
};

// One batch of incompressible records without keys: as many as fit into `batch_bytes`, at least
// one.
Batch make_batch(std::size_t record_bytes, std::size_t batch_bytes);

// A whole frame, length included, that takes `batch` to a partition; acks=all.
Bytes make_produce_frame(const Topic& topic, int partition, const Batch& batch);
void set_correlation(Bytes& frame, std::int32_t correlation);

struct ProduceAnswer {
  std::int32_t correlation = 0;
  int partition = 0;
  Offset base_offset = 0;
};
// `frame` without its length. What is not a plain acknowledgement of one partition is an error.
std::optional<ProduceAnswer> read_produce_answer(const Slice& frame, std::string& error);

}  // namespace ottla::load
