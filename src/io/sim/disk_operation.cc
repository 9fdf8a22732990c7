#include "io/sim/disk_operation.h"

#include <algorithm>
#include <fmt/format.h>

namespace ottla::io::sim {

std::string_view to_string(OperationKind kind) {
  static constexpr std::string_view kNames[] = {
      "open",    "read",          "write",          "sync",   "truncate",
      "reserve", "make_resident", "make_directory", "remove", "rename",
      "list",    "status",        "sync_directory", "lock",   "free_bytes"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(OperationKind::free_bytes) + 1);
  return kNames[static_cast<std::size_t>(kind)];
}

namespace {

What what_of(OperationKind kind) {
  static constexpr What kWhat[] = {What::open,     What::read,    What::write,    What::sync,
                                   What::truncate, What::reserve, What::resident, What::make_dir,
                                   What::remove,   What::rename,  What::list,     What::status,
                                   What::sync_dir, What::lock,    What::space};
  return kWhat[static_cast<std::size_t>(kind)];
}

}  // namespace

bool DiskOperation::changes_something() const {
  switch (subject_.kind) {
    case OperationKind::read:
    case OperationKind::reserve:
    case OperationKind::make_resident:
    case OperationKind::list:
    case OperationKind::status:
    case OperationKind::lock:
    case OperationKind::free_bytes:
      return false;
    case OperationKind::open:
      return subject_.size_bytes != 0;
    default:
      return true;
  }
}

// Writes that overlap while in flight land in any order: no caller can want that.
void DiskOperation::check_overlap() {
  const bool truncate = subject_.kind == OperationKind::truncate;
  if (!truncate && subject_.kind != OperationKind::write) return;
  const std::uint64_t end = truncate ? UINT64_MAX : subject_.position + subject_.size_bytes;
  disk_.in_flight_.for_each([&](DiskOperation& other) {
    const Subject& that = other.subject_;
    if (that.file != subject_.file) return;
    const bool cuts = that.kind == OperationKind::truncate;
    if (!cuts && that.kind != OperationKind::write) return;
    const std::uint64_t that_end = cuts ? UINT64_MAX : that.position + that.size_bytes;
    if (subject_.position < that_end && that.position < end)
      shard_.world().fail(fmt::format("{}: writes in flight overlap in {}: [{}, {}) and [{}, {})",
                                      disk_.node_name_, subject_.path, that.position, that_end,
                                      subject_.position, end));
  });
}

void DiskOperation::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  shard_.world().note(shard_.place(), what_of(subject_.kind), subject_.position,
                      subject_.size_bytes, subject_.path, subject_.bytes);
  check_overlap();
  disk_.in_flight_.push_back(*this);
  shard_.world().plan_in(*this, disk_.draw_delay(subject_.path, subject_.size_bytes));
}

std::optional<ErrorKind> DiskOperation::draw_error() {
  if (disk_.inject_)
    if (auto kind = disk_.inject_(subject_.kind, subject_.path)) return kind;
  double chance = 0;
  if (subject_.kind == OperationKind::read) chance = disk_.options_.read_error;
  if (subject_.kind == OperationKind::write) chance = disk_.options_.write_error;
  if (subject_.kind == OperationKind::sync || subject_.kind == OperationKind::sync_directory)
    chance = disk_.options_.sync_error;
  if (disk_.prng_.chance(chance)) return ErrorKind::input_output;
  return std::nullopt;
}

void DiskOperation::happen() {
  SimDisk& disk = disk_;
  const std::uint64_t deaths = disk.deaths_;
  // Copies: a crash inside of the watch destroys this operation and the frame that its path is in.
  const bool watched = disk.watch_ && changes_something();
  const auto watch = watched ? disk.watch_ : nullptr;
  const std::string path(watched ? subject_.path : std::string_view());
  DiskPoint point{disk.counters_.points, DiskPoint::Phase::before, subject_.kind, path};
  if (changes_something()) ++disk.counters_.points;
  if (watched) {
    // Out of the list, so that a crash does not find it.
    unlink();
    watch(point);
    if (disk.deaths_ != deaths) return;
    disk.in_flight_.push_back(*this);
    point.phase = DiskPoint::Phase::during;
    watch(point);
    if (disk.deaths_ != deaths) return;
  }
  unlink();
  if (auto error = draw_error()) {
    shard_.world().note(shard_.place(), What::fault, static_cast<std::uint64_t>(subject_.kind),
                        static_cast<std::uint64_t>(*error), subject_.path);
    switch (subject_.kind) {
      case OperationKind::read:
        ++disk.counters_.read_errors;
        break;
      case OperationKind::sync:
      case OperationKind::sync_directory:
        ++disk.counters_.sync_errors;
        break;
      default:
        ++disk.counters_.write_errors;
        break;
    }
    before_error();
    fail({*error, fmt::format("{} {} at {}: {} (simulated)", to_string(subject_.kind),
                              subject_.path, subject_.position, io::to_string(*error))});
  } else {
    do_it();
  }
  if (watched) {
    point.phase = DiskPoint::Phase::after;
    watch(point);
    if (disk.deaths_ != deaths) return;
  }
  static_cast<Executor&>(shard_).post(waiter_);
}

void WriteOperation::do_it() {
  ++disk_.counters_.writes;
  disk_.counters_.written_bytes += from_.size();
  if (auto written = disk_.do_write(*file_, path_, subject_.position, from_); !written)
    outcome_ = std::unexpected(std::move(written.error()));
}

// Of a write that was cut short any pages may have arrived; mostly its first ones.
void WriteOperation::do_in_part() {
  Prng& prng = disk_.prng_;
  if (from_.empty()) return;
  if (prng.chance(0.6)) {
    const std::uint64_t kept = prng.below(from_.size() + 1);
    static_cast<void>(disk_.do_write(*file_, path_, subject_.position, from_.first(kept)));
    return;
  }
  for (std::uint64_t at = 0; at < from_.size();) {
    const std::uint64_t position = subject_.position + at;
    const std::uint64_t count = std::min<std::uint64_t>(
        from_.size() - at, (position / kSectorBytes + 1) * kSectorBytes - position);
    if (prng.chance(0.5))
      static_cast<void>(disk_.do_write(*file_, path_, position, from_.subspan(at, count)));
    at += count;
  }
}

}  // namespace ottla::io::sim
