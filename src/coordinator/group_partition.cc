#include "coordinator/group_partition.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "coordinator/group_record.h"
#include "io/read_gather.h"
#include "wire/compression.h"
#include "wire/control_record.h"
#include "wire/record.h"
#include "wire/record_batch.h"

namespace ottla::coordinator {
namespace {

using wire::ErrorCode;

constexpr std::size_t kLoadBytes = 5 << 20;        // offsets.load.buffer.size
constexpr std::size_t kEntryBytesMax = 16 << 10;   // offsets of one request that go together, about
constexpr std::size_t kOffsetRecordBytes = 64;     // beside its texts
constexpr std::size_t kBatchBytesMax = 512 << 10;  // entries are joined up to about this
constexpr io::Duration kRoomPatience = std::chrono::seconds(1);

struct NextTurn {
  io::Executor& executor;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> self) { executor.post(self); }
  void await_resume() const {}
};

}  // namespace

// Told when the high watermark moves: replies that waited for it go out.
class GroupPartition::Watcher final : public storage::LogWatcher {
 public:
  explicit Watcher(GroupPartition& partition) : partition_(partition) {}
  void on_change(storage::PartitionLog&) override { partition_.release(); }

 private:
  GroupPartition& partition_;
};

GroupPartition::GroupPartition(io::Env& env, std::shared_ptr<storage::PartitionLog> log,
                               LeaderEpoch leader_epoch, const GroupLimits& limits, Host host)
    : env_(env),
      log_(std::move(log)),
      leader_epoch_(leader_epoch),
      host_(std::move(host)),
      machine_(limits, *host_.cluster),
      changed_(env.executor),
      tasks_(env.executor) {}

GroupPartition::~GroupPartition() = default;

Now GroupPartition::now() const {
  return {.monotonic_ms = env_.clock.now().ns / 1'000'000, .wall_ms = env_.clock.wall_ms()};
}

io::Task<void> GroupPartition::run() {
  const auto alive = shared_from_this();
  watcher_ = std::make_unique<Watcher>(*this);
  log_->watch(*watcher_);
  const auto loaded = co_await load();
  if (!loaded) give_up(loaded.error());
  if (state_ == State::loading) {
    state_ = State::active;
    machine_.loaded(now());
    look_at_topics(nullptr);  // some may have gone while nobody was there
    if (skipped_records_ > 0) {
      env_.logger.warning("{}-{}: {} records are of kinds that this version does not serve",
                          log_->name().topic, log_->name().partition, skipped_records_);
    }
  }
  while (state_ != State::stopped) {
    const TimestampMs due = machine_.deadline();
    const io::Instant until = due > now().monotonic_ms + 3'600'000
                                  ? env_.clock.now() + std::chrono::hours(1)
                                  : io::Instant{due * 1'000'000};
    if (co_await changed_.wait_until(env_.clock, until)) continue;
    if (state_ == State::stopped) break;
    Output output;
    machine_.tick(now(), output);
    take(std::move(output));
  }
  co_await tasks_.join();
  watcher_.reset();
}

void GroupPartition::stop() {
  if (state_ == State::stopped) return;
  state_ = State::stopped;
  unwritten_.clear();
  auto held = std::move(held_);
  held_.clear();
  for (Held& one : held) one.go_on(ErrorCode::not_coordinator);
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& [token, reply] : waiting) reply->set(std::unexpected(ErrorCode::not_coordinator));
  changed_.pulse();
}

void GroupPartition::give_up(std::string_view why) {
  if (state_ == State::stopped) return;
  env_.logger.error(
      "{}-{}: {}; its groups have no coordinator until this is mended and the node started again",
      log_->name().topic, log_->name().partition, why);
  stop();
}

ErrorCode GroupPartition::refusal() const {
  switch (state_) {
    case State::loading:
      return ErrorCode::coordinator_load_in_progress;
    case State::stopped:
      return ErrorCode::not_coordinator;
    case State::active:
      return unwritten_records_ >= kUnwrittenRecordsMax ? ErrorCode::coordinator_not_available
                                                        : ErrorCode::none;
  }
  return ErrorCode::not_coordinator;
}

io::Task<GroupPartition::Answer> GroupPartition::ask(Step step) {
  const auto alive = shared_from_this();
  if (const ErrorCode error = refusal(); error != ErrorCode::none) co_return std::unexpected(error);
  const Token token = ++last_token_;
  auto reply = std::make_shared<io::OneShot<Answer>>(env_.executor);
  waiting_.emplace(token, reply);
  Output output;
  step(machine_, token, now(), output);
  take(std::move(output));
  changed_.pulse();
  co_return co_await reply->take();
}

void GroupPartition::topics_changed(const std::set<std::string>& names) {
  if (state_ == State::active) look_at_topics(&names);  // else when all is loaded
}

void GroupPartition::look_at_topics(const std::set<std::string>* changed) {
  Output output;
  machine_.topics_changed(changed, output);
  take(std::move(output));
}

// --- writing

void GroupPartition::take(Output output) {
  // Commits of offsets stand for themselves, so a large request becomes several batches; what one
  // group changes at once stays together.
  std::vector<GroupRecord> entry;
  std::size_t bytes = 0;
  for (GroupRecord& record : output.records) {
    if (const auto* offset = std::get_if<OffsetRecord>(&record)) {
      if (bytes > kEntryBytesMax) {
        enter(std::exchange(entry, {}));
        bytes = 0;
      }
      bytes += kOffsetRecordBytes + offset->group.size() + offset->topic.size();
      if (offset->value) bytes += offset->value->metadata.size();
    }
    entry.push_back(std::move(record));
  }
  if (!entry.empty()) enter(std::move(entry));
  for (Reply& reply : output.replies) answer(std::move(reply));
}

void GroupPartition::enter(std::vector<GroupRecord> entry) {
  ++last_entry_;
  unwritten_records_ += entry.size();
  unwritten_.push_back(std::move(entry));
  want_write();
}

void GroupPartition::answer(Reply reply) {
  hold([this, reply = std::move(reply)](ErrorCode error) mutable {
    const auto waiter = waiting_.find(reply.token);
    if (waiter == waiting_.end()) return;  // sent away by stop()
    const auto shot = std::move(waiter->second);
    waiting_.erase(waiter);
    if (error == ErrorCode::none) {
      shot->set(std::move(reply.body));
    } else {
      shot->set(std::unexpected(error));
    }
  });
}

io::Task<ErrorCode> GroupPartition::written_so_far() {
  const auto alive = shared_from_this();
  auto done = std::make_shared<io::OneShot<ErrorCode>>(env_.executor);
  hold([done](ErrorCode error) { done->set(error); });
  co_return co_await done->take();
}

void GroupPartition::hold(std::move_only_function<void(ErrorCode)> go_on) {
  if (state_ == State::stopped) return go_on(ErrorCode::not_coordinator);
  Held held{.entry = last_entry_, .go_on = std::move(go_on)};
  if (held.entry <= written_entry_) {
    held.end = written_end_;
    if (held_.empty() && log_->high_watermark() >= held.end) return held.go_on(ErrorCode::none);
  }
  held_.push_back(std::move(held));
}

void GroupPartition::want_write() {
  if (is_writing_) return;
  is_writing_ = true;
  tasks_.spawn(write());
}

io::Task<void> GroupPartition::write() {
  co_await NextTurn{env_.executor};  // all steps of this turn go together
  while (state_ != State::stopped && !unwritten_.empty()) {
    if (!write_once()) (void)co_await host_.wait_for_room(env_.clock.now() + kRoomPatience);
  }
  is_writing_ = false;
}

// One batch of whole entries; false if there is no room for it now.
bool GroupPartition::write_once() {
  wire::RecordBatchBuilder builder(
      {.base_offset = log_->log_end_offset(), .leader_epoch = leader_epoch_});
  const TimestampMs timestamp = env_.clock.wall_ms();
  std::size_t entries = 0;
  std::size_t records = 0;
  for (const auto& entry : unwritten_) {
    if (entries > 0 && (joins_none_ || builder.uncompressed_size() > kBatchBytesMax)) break;
    for (const GroupRecord& record : entry) {
      const EncodedRecord encoded = encode_record(record);
      builder.append(
          {.timestamp = timestamp,
           .key = ByteView(encoded.key),
           .value = encoded.value ? std::optional<ByteView>(*encoded.value) : std::nullopt});
    }
    ++entries;
    records += entry.size();
  }
  const auto batch = builder.build();
  OTTLA_CHECK(batch.has_value());
  const auto header = wire::parse_batch_header(*batch);
  OTTLA_CHECK(header.has_value());
  const auto appended =
      log_->append(*batch, *header,
                   {.leader_epoch = leader_epoch_, .origin = storage::AppendOrigin::coordinator});
  if (!appended && appended.error() == storage::LogError::no_room) return false;
  if (!appended && appended.error() == storage::LogError::too_large) {
    // Its entries one by one; the one that is too large itself is refused. It is a group's: nobody
    // is told that it was taken, so all who wait for it join anew.
    joins_none_ = true;
    if (entries > 1) return true;
    env_.logger.error(
        "{}-{}: a group's {} records of {} bytes are too large for the log; its "
        "members are told so: use fewer members or shorter subscriptions",
        log_->name().topic, log_->name().partition, records, batch->size());
  } else if (!appended) {
    give_up(storage::describe(appended.error()));
    return true;
  }
  joins_none_ = false;
  unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(entries));
  unwritten_records_ -= records;
  written_entry_ += entries;
  if (appended) written_end_ = appended->end_offset();
  std::vector<Held> refused;
  for (auto held = held_.begin(); held != held_.end();) {
    if (!appended && held->entry == written_entry_) {
      refused.push_back(std::move(*held));
      held = held_.erase(held);
      continue;
    }
    if (held->end < 0 && held->entry <= written_entry_) held->end = written_end_;
    ++held;
  }
  for (Held& held : refused) held.go_on(ErrorCode::unknown_server_error);
  release();
  return true;
}

void GroupPartition::release() {
  if (log_->is_deleted() || log_->is_fenced()) return stop();
  const Offset committed = log_->high_watermark();
  while (!held_.empty() && held_.front().end >= 0 && held_.front().end <= committed) {
    auto go_on = std::move(held_.front().go_on);
    held_.pop_front();
    go_on(ErrorCode::none);
  }
}

// --- loading

io::Task<GroupPartition::Loaded> GroupPartition::load() {
  // Of an earlier epoch there may be records that are not committed yet: they will be.
  const Offset end = log_->log_end_offset();
  const auto durable = co_await log_->wait_durable(end);
  if (!durable) co_return std::unexpected(std::string(storage::describe(durable.error())));
  Offset at = log_->log_start_offset();
  while (at < end && state_ == State::loading) {
    auto read = co_await log_->read({.from = at, .max_bytes = kLoadBytes, .upper_bound = end});
    if (!read) co_return std::unexpected(std::string(storage::describe(read.error())));
    const auto bytes = co_await io::read_gather(std::move(read->records));
    if (!bytes) co_return std::unexpected(bytes.error().message);
    if (auto loaded = load_batches(*bytes); !loaded) co_return loaded;
    if (read->next_offset <= at)
      co_return std::unexpected(fmt::format("nothing can be read at offset {}", at));
    at = read->next_offset;
  }
  written_end_ = end;
  co_return Loaded{};
}

GroupPartition::Loaded GroupPartition::load_batches(ByteView bytes) {
  wire::BatchCursor cursor(bytes);
  for (wire::Batch batch; cursor.next(batch);) {
    const Loaded loaded = wire::crc_matches(batch.bytes)
                              ? load_batch(batch)
                              : std::unexpected(std::string("its checksum is wrong"));
    if (loaded) continue;
    return std::unexpected(
        fmt::format("the batch at offset {}: {}", batch.header.base_offset, loaded.error()));
  }
  if (const auto error = cursor.error())
    return std::unexpected(fmt::format("a batch: {}", wire::describe(*error)));
  return {};
}

GroupPartition::Loaded GroupPartition::load_batch(const wire::Batch& batch) {
  ByteView plain = batch.records();
  Slice decompressed;
  if (const auto codec = batch.header.codec(); !codec) {
    return std::unexpected(std::string("its codec is unknown"));
  } else if (*codec != wire::Codec::none) {
    auto out = wire::decompress(*codec, plain, wire::kDecompressedBytesMax);
    if (!out) return std::unexpected(std::string(wire::describe(out.error())));
    decompressed = std::move(*out);
    plain = decompressed;
  }
  wire::RecordCursor records(plain, batch.header.record_count);
  for (wire::Record record; records.next(record);) {
    if (batch.header.is_control()) {
      if (const auto marker = wire::parse_transaction_marker(record)) {
        machine_.end_transaction(batch.header.producer_id,
                                 marker->type == wire::ControlRecordType::commit);
      }
      continue;
    }
    const auto decoded = decode_record(record.key, record.value);
    if (!decoded) return std::unexpected(decoded.error());
    if (!*decoded) {
      ++skipped_records_;
      continue;
    }
    std::optional<ProducerId> producer;
    if (batch.header.is_transactional()) producer = batch.header.producer_id;
    machine_.load(**decoded, producer, now());
  }
  if (const auto error = records.error())
    return std::unexpected(std::string(wire::describe(*error)));
  return {};
}

}  // namespace ottla::coordinator
