// For tests of storage: a file in memory whose calls complete at once, a way to run tasks over it,
// and batches in one line.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "io/disk.h"
#include "io/task.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::storage::testing {

namespace detail {
struct Eager {
  struct promise_type {
    Eager get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};
template <class T>
Eager run_into(io::Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}
}  // namespace detail

// The result of a task that never waits, as over a MemoryFile.
template <class T>
T run(io::Task<T> task) {
  std::optional<T> result;
  detail::run_into(std::move(task), result);
  OTTLA_CHECK(result.has_value());
  return std::move(*result);
}

class MemoryFile final : public io::File {
 public:
  explicit MemoryFile(Bytes content) : content(std::move(content)) {}

  io::Task<io::Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override {
    ++reads;
    largest_read = std::max(largest_read, into.size());
    if (fails) co_return std::unexpected(io::Error{io::ErrorKind::input_output, "read fails"});
    if (position >= content.size()) co_return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(into.size(), content.size() - position);
    std::memcpy(into.data(), content.data() + position, count);
    co_return count;
  }
  io::Task<io::Result<>> write(std::uint64_t position, ByteView from) override {
    if (content.size() < position + from.size()) content.resize(position + from.size());
    std::memcpy(content.data() + position, from.data(), from.size());
    co_return io::Result<>();
  }
  io::Task<io::Result<>> write_pieces(std::uint64_t, std::vector<ByteView>) override {
    co_return io::Result<>();
  }
  io::Task<io::Result<>> sync_data() override { co_return io::Result<>(); }
  io::Task<io::Result<>> write_synced(std::uint64_t position, ByteView from) override {
    co_return co_await write(position, from);
  }
  io::Task<io::Result<>> truncate(std::uint64_t size_bytes) override {
    content.resize(size_bytes);
    co_return io::Result<>();
  }
  io::Task<io::Result<>> reserve(std::uint64_t) override { co_return io::Result<>(); }
  io::Task<io::Result<>> make_resident(std::uint64_t, std::uint64_t) override {
    co_return io::Result<>();
  }
  io::Result<std::uint64_t> size_bytes() override { return content.size(); }
  bool is_direct() const override { return false; }

  Bytes content;
  std::size_t reads = 0;
  std::size_t largest_read = 0;
  bool fails = false;
};

inline std::shared_ptr<MemoryFile> file_of(Bytes content) {
  return std::make_shared<MemoryFile>(std::move(content));
}

struct BatchSpec {
  Offset base_offset = 0;
  int record_count = 1;
  TimestampMs timestamp = 1000;  // of the first record; each next one is one later
  LeaderEpoch leader_epoch = 0;
  std::size_t value_bytes = 20;
  ProducerId producer_id = -1;
  ProducerEpoch producer_epoch = -1;
  Sequence base_sequence = -1;
  bool is_transactional = false;
  wire::Codec codec = wire::Codec::none;
};

inline Bytes make_batch(const BatchSpec& spec) {
  wire::RecordBatchBuilder builder({.base_offset = spec.base_offset,
                                    .leader_epoch = spec.leader_epoch,
                                    .codec = spec.codec,
                                    .producer_id = spec.producer_id,
                                    .producer_epoch = spec.producer_epoch,
                                    .base_sequence = spec.base_sequence,
                                    .is_transactional = spec.is_transactional});
  const Bytes value(spec.value_bytes, 'v');
  for (int i = 0; i < spec.record_count; ++i) {
    builder.append({.timestamp = spec.timestamp + i, .value = ByteView(value)});
  }
  const Slice batch = builder.build().value();
  return Bytes(batch.view().begin(), batch.view().end());
}

inline void append_to(Bytes& log, ByteView bytes) {
  log.insert(log.end(), bytes.begin(), bytes.end());
}

inline wire::BatchHeader header_of(ByteView batch) { return wire::parse_batch(batch)->header; }

}  // namespace ottla::storage::testing
