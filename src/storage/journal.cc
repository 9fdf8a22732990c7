#include "storage/journal.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/planted_bug.h"
#include "storage/large_memory.h"
#include "storage/text_scan.h"

namespace ottla::storage {

namespace {

constexpr std::string_view kNamePrefix = "shard-";
constexpr std::string_view kNameSuffix = ".journal.ottla";
constexpr std::size_t kFillBytes = 256 * 1024;
// Kept for what the log writes for itself: marks, without which no file is ever released, and
// beside them the last block of each partition.
constexpr std::size_t kMarkBytes = kJournalBlockBytes;
constexpr std::size_t kLastBlockBytes = 2 * kJournalBlockBytes;  // with its frame
constexpr std::size_t kReservedBytesMin = 4 * kJournalBlockBytes;
constexpr std::size_t kReservedPart = 4;  // of a file, at most
constexpr io::Duration kFullDiskPause = std::chrono::seconds(1);

// Goes on in a later turn of the executor, so that all appends of this turn share one flush.
struct NextTurn {
  io::Executor& executor;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> self) { executor.post(self); }
  void await_resume() const {}
};

}  // namespace

std::string journal_file_name(std::uint32_t shard, std::uint64_t sequence) {
  return std::string(kNamePrefix) + std::to_string(shard) + "-" + std::to_string(sequence) +
         std::string(kNameSuffix);
}

std::optional<JournalFileName> parse_journal_file_name(std::string_view name) {
  if (!name.starts_with(kNamePrefix) || !name.ends_with(kNameSuffix)) return std::nullopt;
  name.remove_prefix(kNamePrefix.size());
  name.remove_suffix(kNameSuffix.size());
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto shard = parse_decimal<std::uint32_t>(name.substr(0, dash));
  const auto sequence = parse_decimal<std::uint64_t>(name.substr(dash + 1));
  if (!shard || !sequence) return std::nullopt;
  return JournalFileName{*shard, *sequence};
}

io::Task<io::Result<std::shared_ptr<io::File>>> make_journal_file(io::Disk& disk,
                                                                  std::string directory,
                                                                  JournalHeader header) {
  OTTLA_CHECK(header.file_bytes % kJournalBlockBytes == 0 &&
              header.file_bytes > kJournalHeaderBytes);
  const std::string path = directory + "/" + journal_file_name(header.shard, header.sequence);
  auto file =
      co_await disk.open(path, {.write = true, .create = true, .truncate = true, .direct = true});
  if (!file) co_return std::unexpected(std::move(file.error()));
  io::AlignedBuffer zeros(std::min<std::uint64_t>(kFillBytes, header.file_bytes));
  for (std::uint64_t at = 0; at < header.file_bytes; at += zeros.size()) {
    const auto count = std::min<std::uint64_t>(zeros.size(), header.file_bytes - at);
    auto written = co_await (*file)->write(at, zeros.view().first(count));
    if (!written) co_return std::unexpected(std::move(written.error()));
  }
  store_journal_header(zeros.data(), header);
  auto written = co_await (*file)->write_synced(0, zeros.view().first(kJournalHeaderBytes));
  if (!written) co_return std::unexpected(std::move(written.error()));
  co_return std::move(*file);
}

Journal::Journal(io::Env& env, JournalIdentity identity, JournalLimits limits, Callbacks callbacks)
    : env_(env),
      identity_(std::move(identity)),
      limits_(limits),
      callbacks_(std::move(callbacks)),
      reserved_bytes_(kReservedBytesMin),
      room_(env.executor),
      flushed_(env.executor),
      tasks_(env.executor) {}

Journal::~Journal() = default;

io::Task<io::Result<>> Journal::open(std::uint64_t sequence) {
  const std::string path = identity_.directory + "/" + journal_file_name(identity_.shard, sequence);
  auto opened = co_await env_.disk.open(path, {.write = true, .direct = true});
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  io::AlignedBuffer block(kJournalHeaderBytes);
  auto read = co_await (*opened)->read(0, block.view());
  if (!read) co_return std::unexpected(std::move(read.error()));
  auto header = parse_journal_header(block.view().first(*read));
  if (!header) {
    co_return std::unexpected(
        io::Error{io::ErrorKind::invalid, path + ": " + header.error().message});
  }
  OTTLA_CHECK(header->run == identity_.run && header->sequence == sequence);
  auto file = std::make_unique<File>();
  file->file = std::move(*opened);
  file->sequence = sequence;
  file->file_id = header->file_id;
  file->bytes = header->file_bytes;
  file->end = kJournalHeaderBytes;
  end_ = {sequence, kJournalHeaderBytes};
  files_.push_back(std::move(file));
  co_return io::Result<>();
}

bool Journal::fits_file(const File& file, std::size_t entry_bytes) const {
  return file.end + journal_align(entry_bytes) <= file.bytes;
}

bool Journal::fits_open_group(std::size_t entry_bytes) const {
  if (!group_is_open_) return false;
  const Group& group = groups_.back();
  const std::size_t bytes = group.bytes + entry_bytes;
  return bytes <= group.memory.size() && group.position + journal_align(bytes) <= group.file->bytes;
}

bool Journal::can_ever_hold(std::size_t body_bytes) const {
  return kJournalHeaderBytes + journal_align(kJournalFrameBytes + body_bytes) +
             reserved_bytes_max() <=
         limits_.file_bytes;
}

bool Journal::has_room(std::size_t body_bytes) {
  refused_bytes_ = body_bytes;
  return !is_closing_ && is_room(body_bytes, reserved_bytes_);
}

bool Journal::has_room_for_own(std::size_t body_bytes) {
  return is_room(body_bytes, is_planted(PlantedBug::mark_room_not_kept) ? 0 : kMarkBytes);
}

bool Journal::has_room_for_mark() { return is_room(0, 0); }

std::size_t Journal::reserved_bytes_max() const {
  return std::max<std::size_t>(kReservedBytesMin, limits_.file_bytes / kReservedPart);
}

void Journal::reserve_for(std::size_t partitions) {
  if (is_planted(PlantedBug::mark_room_not_kept)) return;
  reserved_bytes_ = std::clamp(kMarkBytes + partitions * kLastBlockBytes, kReservedBytesMin,
                               reserved_bytes_max());
}

bool Journal::is_room(std::size_t body_bytes, std::size_t reserve) {
  if (failed_) return false;
  const std::size_t bytes = kJournalFrameBytes + body_bytes;
  const File& current = *files_.back();
  if (current.end > current.bytes / 2) want_prepared_file();
  if (reserve >= kReservedBytesMin && pending_bytes_ > 0 &&
      pending_bytes_ + bytes > limits_.pending_bytes) {
    return false;
  }
  if (fits_open_group(bytes + reserve)) return true;
  // An open group that is left stays where it is: the next begins behind it.
  const std::uint64_t open_bytes = group_is_open_ ? journal_align(groups_.back().bytes) : 0;
  if (current.end + open_bytes + journal_align(bytes) + reserve <= current.bytes) return true;
  if (prepared_) return fits_file(*prepared_, bytes + reserve);
  want_prepared_file();
  return false;
}

io::Task<> Journal::room() {
  const std::size_t wanted = refused_bytes_;
  while (!failed_ && !is_closing_ && !has_room(wanted)) co_await room_.wait();
}

void Journal::take_chunk(std::size_t bytes_min) {
  const std::size_t bytes = std::max<std::size_t>(limits_.chunk_bytes, journal_align(bytes_min));
  chunk_ = {};
  chunk_used_ = 0;
  for (const Slice& kept : chunks_) {
    if (kept.size() < bytes || !kept.is_unique()) continue;
    chunk_ = kept;
    return;
  }
  chunk_ = large_memory(env_.disk, bytes);
  const std::size_t most = limits_.pending_bytes / limits_.chunk_bytes + 1;
  if (bytes == limits_.chunk_bytes && chunks_.size() < most) chunks_.push_back(chunk_);
}

void Journal::close_group() {
  if (!group_is_open_) return;
  Group& group = groups_.back();
  const std::size_t bytes = journal_align(group.bytes);
  std::memset(group.memory.mutable_data() + group.bytes, 0, bytes - group.bytes);
  group.bytes = bytes;
  chunk_used_ += bytes;
  group.file->end += bytes;
  end_ = {group.file->sequence, group.file->end};
  group_is_open_ = false;
}

void Journal::begin_group(std::size_t entry_bytes) {
  close_group();
  if (!fits_file(*files_.back(), entry_bytes)) {
    OTTLA_CHECK(prepared_ != nullptr);
    files_.push_back(std::move(prepared_));
    callbacks_.on_file_switch();
  }
  if (groups_.empty()) chunk_used_ = 0;
  if (chunk_.size() - chunk_used_ < journal_align(entry_bytes)) take_chunk(entry_bytes);
  File& file = *files_.back();
  Group group;
  group.file = &file;
  group.position = file.end;
  group.memory = chunk_.subslice(chunk_used_, chunk_.size() - chunk_used_);
  group.number = ++last_group_;
  group.durable_end = end_;
  groups_.push_back(std::move(group));
  group_is_open_ = true;
}

Journal::Place Journal::stage(JournalKind kind, const TopicIdPartition& partition, Offset offset,
                              LeaderEpoch leader_epoch, std::size_t body_bytes) {
  OTTLA_CHECK(!failed_);
  const std::size_t bytes = kJournalFrameBytes + body_bytes;
  if (!fits_open_group(bytes)) begin_group(bytes);
  Group& group = groups_.back();
  Place place;
  place.frame = group.memory.mutable_data() + group.bytes;
  place.body = group.memory.subslice(group.bytes + kJournalFrameBytes, body_bytes);
  place.meta.kind = kind;
  place.meta.partition = partition;
  place.meta.offset = offset;
  place.meta.leader_epoch = leader_epoch;
  place.meta.body_bytes = static_cast<std::uint32_t>(body_bytes);
  place.meta.file_id = group.file->file_id;
  place.meta.position = group.position + group.bytes;
  place.meta.durable_end = group.durable_end;
  return place;
}

void Journal::seal(const Place& place) {
  OTTLA_CHECK(group_is_open_);
  Group& group = groups_.back();
  OTTLA_CHECK(place.frame == group.memory.data() + group.bytes);
  store_journal_frame(place.frame, place.meta, place.body);
  const std::size_t bytes = kJournalFrameBytes + place.body.size();
  group.bytes += bytes;
  pending_bytes_ += bytes;
  want_flush();
}

void Journal::seal(const Place& place, const std::shared_ptr<StoredLog>& log, JournalMarks& marks,
                   Offset end) {
  seal(place);
  Group& group = groups_.back();
  touch(group.touched, group.number, marks.group, log, end);
  touch(group.file->touched, group.file->sequence + 1, marks.file, log, end);
}

void Journal::want_flush() {
  if (is_flushing_) return;
  is_flushing_ = true;
  tasks_.spawn(flush_loop());
}

io::Task<> Journal::flush_loop() {
  co_await NextTurn{env_.executor};
  while (!groups_.empty() && !failed_) {
    if (groups_.size() == 1) close_group();
    const Group& front = groups_.front();
    if (is_planted(PlantedBug::acknowledged_before_sync)) {
      callbacks_.on_flushed(groups_.front().touched);
    }
    const ByteView bytes{front.memory.data(), front.bytes};
    auto result = is_planted(PlantedBug::journal_not_synced)
                      ? co_await front.file->file->write(front.position, bytes)
                      : co_await front.file->file->write_synced(front.position, bytes);
    if (failed_) break;
    if (!result && !is_planted(PlantedBug::failed_sync_ignored)) {
      fail(std::move(result.error()));
      break;
    }
    Group done = std::move(groups_.front());
    groups_.pop_front();
    ++flushes_;
    written_bytes_ += done.bytes;
    flushed_group_ = done.number;
    if (groups_.empty()) {
      pending_bytes_ = 0;
    } else {
      pending_bytes_ -= std::min(pending_bytes_, done.bytes);
    }
    callbacks_.on_flushed(done.touched);
    flushed_.pulse();
    room_.pulse();
  }
  is_flushing_ = false;
}

io::Task<bool> Journal::flushed() {
  const std::uint64_t wanted = last_group_;
  while (!failed_ && flushed_group_ < wanted) co_await flushed_.wait();
  co_return !failed_;
}

void Journal::fail(io::Error error) {
  if (failed_) return;
  failed_ = std::move(error);
  callbacks_.on_failed(*failed_);
  flushed_.pulse();
  room_.pulse();
}

void Journal::want_prepared_file() {
  if (is_preparing_ || prepared_ || failed_ || is_closing_) return;
  if (free_.empty() && files_.size() >= limits_.files) return;
  is_preparing_ = true;
  tasks_.spawn(prepare_file());
}

JournalHeader Journal::header_of(std::uint64_t sequence, std::uint64_t bytes) {
  JournalHeader header;
  header.cluster_id = identity_.cluster_id;
  header.directory_id = identity_.directory_id;
  header.run = identity_.run;
  header.shard = identity_.shard;
  header.sequence = sequence;
  header.file_id = env_.random.next();
  header.file_bytes = bytes;
  header.first_needed = files_.front()->sequence;
  return header;
}

io::Task<> Journal::prepare_file() {
  const JournalHeader header = header_of(files_.back()->sequence + 1, limits_.file_bytes);
  io::Result<std::unique_ptr<File>> file;
  if (!free_.empty()) {
    auto old = std::move(free_.back());
    free_.pop_back();
    file = co_await recycle(std::move(old), header);
  } else {
    file = co_await make(header);
  }
  if (!file && file.error().kind == io::ErrorKind::no_space && !failed_) {
    // A full disk harms nobody yet: what is acknowledged is safe. There is just no room.
    if (!std::exchange(lacks_space_, true)) {
      env_.logger.error(
          "journal of shard {}: no space for another file ({}); producers wait until there is "
          "some: "
          "free some space",
          identity_.shard, file.error().message);
    }
    if (!is_closing_) co_await io::sleep_for(env_.clock, kFullDiskPause);
    is_preparing_ = false;
    room_.pulse();
    co_return;
  }
  is_preparing_ = false;
  if (failed_) co_return;
  if (!file) {
    fail(std::move(file.error()));
    co_return;
  }
  if (std::exchange(lacks_space_, false))
    env_.logger.warning("journal of shard {}: there is space again", identity_.shard);
  prepared_ = std::move(*file);
  room_.pulse();
}

io::Task<io::Result<std::unique_ptr<Journal::File>>> Journal::recycle(std::unique_ptr<File> file,
                                                                      JournalHeader header) {
  const std::string from =
      identity_.directory + "/" + journal_file_name(identity_.shard, file->sequence);
  const std::string to =
      identity_.directory + "/" + journal_file_name(identity_.shard, header.sequence);
  auto renamed = co_await env_.disk.rename(from, to);
  if (!renamed) co_return std::unexpected(std::move(renamed.error()));
  io::AlignedBuffer block(kJournalHeaderBytes);
  store_journal_header(block.data(), header);
  auto written = co_await file->file->write_synced(0, block.view());
  if (!written) co_return std::unexpected(std::move(written.error()));
  auto synced = co_await env_.disk.sync_directory(identity_.directory);
  if (!synced) co_return std::unexpected(std::move(synced.error()));
  file->sequence = header.sequence;
  file->file_id = header.file_id;
  file->end = kJournalHeaderBytes;
  co_return std::move(file);
}

io::Task<io::Result<std::unique_ptr<Journal::File>>> Journal::make(JournalHeader header) {
  auto made = co_await make_journal_file(env_.disk, identity_.directory, header);
  if (!made) {
    (void)co_await env_.disk.remove(identity_.directory + "/" +
                                    journal_file_name(header.shard, header.sequence));
    co_return std::unexpected(std::move(made.error()));
  }
  io::Result<> synced;
  if (!is_planted(PlantedBug::journal_name_not_synced))
    synced = co_await env_.disk.sync_directory(identity_.directory);
  if (!synced) co_return std::unexpected(std::move(synced.error()));
  auto file = std::make_unique<File>();
  file->file = std::move(*made);
  file->sequence = header.sequence;
  file->file_id = header.file_id;
  file->bytes = header.file_bytes;
  file->end = kJournalHeaderBytes;
  co_return std::move(file);
}

std::vector<Touched> Journal::touched_before(std::uint64_t sequence) const {
  std::vector<Touched> all;
  for (const auto& file : files_) {
    if (file->sequence >= sequence) break;
    all.insert(all.end(), file->touched.begin(), file->touched.end());
  }
  return all;
}

void Journal::release_before(std::uint64_t sequence) {
  while (files_.size() > 1 && files_.front()->sequence < sequence) {
    auto file = std::move(files_.front());
    files_.pop_front();
    file->touched.clear();
    if (file->bytes == limits_.file_bytes) {
      free_.push_back(std::move(file));
    } else {
      tasks_.spawn(remove_file(journal_file_name(identity_.shard, file->sequence)));
    }
  }
  const File& current = *files_.back();
  if (current.end > current.bytes / 2) want_prepared_file();
  room_.pulse();
}

io::Task<> Journal::remove_file(std::string name) {
  auto removed = co_await env_.disk.remove(identity_.directory + "/" + name);
  if (!removed) env_.logger.warning("{}: {}", name, removed.error().message);
}

void Journal::release_spares() {
  std::erase_if(chunks_, [](const Slice& kept) { return kept.is_unique(); });
}

std::uint64_t Journal::undrained_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& file : files_) bytes += file->end - kJournalHeaderBytes;
  return bytes;
}

io::Task<> Journal::close() {
  is_closing_ = true;
  room_.pulse();
  co_await tasks_.join();
}

}  // namespace ottla::storage
