#include "io/real/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include "io/real/ring.h"
#include "io/real/system_error.h"

namespace ottla::io::real {
namespace {

constexpr std::uint64_t kResidencyStep = 128 << 10;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::size_t kReadAtOnceBytesMax = 256 << 10;  // copied on the loop if it is in memory
constexpr std::size_t kPiecesPerCallMax = 64;

// 0, or errno. Goes on after short writes.
int write_fully(int descriptor, std::uint64_t position, std::span<const ByteView> pieces) {
  std::size_t piece = 0;
  std::size_t offset = 0;
  while (true) {
    while (piece < pieces.size() && offset == pieces[piece].size()) {
      ++piece;
      offset = 0;
    }
    if (piece == pieces.size()) return 0;
    iovec vectors[kPiecesPerCallMax];
    int count = 0;
    for (std::size_t at = piece; at < pieces.size() && count < static_cast<int>(kPiecesPerCallMax);
         ++at) {
      const std::size_t skip = at == piece ? offset : 0;
      vectors[count++] = {const_cast<std::uint8_t*>(pieces[at].data()) + skip,
                          pieces[at].size() - skip};
    }
    ssize_t written = ::pwritev(descriptor, vectors, count, static_cast<off_t>(position));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0) return EIO;
    position += static_cast<std::uint64_t>(written);
    while (written > 0) {
      const auto step =
          std::min<std::size_t>(static_cast<std::size_t>(written), pieces[piece].size() - offset);
      offset += step;
      written -= static_cast<ssize_t>(step);
      if (offset == pieces[piece].size()) {
        ++piece;
        offset = 0;
      }
    }
  }
}

struct ReadOutcome {
  std::size_t count = 0;
  int error_number = 0;
};

// Reads until `into` is full or the file ends.
ReadOutcome read_fully(int descriptor, std::uint64_t position, MutableByteView into) {
  ReadOutcome outcome;
  while (outcome.count < into.size()) {
    const ssize_t got =
        ::pread(descriptor, into.data() + outcome.count, into.size() - outcome.count,
                static_cast<off_t>(position + outcome.count));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      outcome.error_number = errno;
      break;
    }
    if (got == 0) break;
    outcome.count += static_cast<std::size_t>(got);
  }
  return outcome;
}

// What cachestat(2) takes and gives; Linux has it from 6.5 on, older headers do not know it.
struct CacheRange {
  std::uint64_t position;
  std::uint64_t size_bytes;
};
struct CacheState {
  std::uint64_t cached;
  std::uint64_t dirty;
  std::uint64_t writeback;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};
constexpr long kCachestatCall = 451;

// One call instead of a read every kResidencyStep bytes. False also where it can't be told.
bool is_all_cached(int descriptor, std::uint64_t position, std::uint64_t size_bytes) {
  if (size_bytes == 0) return true;
  CacheRange range{position, size_bytes};
  CacheState state{};
  if (::syscall(kCachestatCall, descriptor, &range, &state, 0) != 0) return false;
  const std::uint64_t pages = (position + size_bytes - 1) / kPageBytes - position / kPageBytes + 1;
  return state.cached >= pages;
}

// Closing the last descriptor of a removed file gives its blocks back, which takes time.
class CloseLater final : public Job {
 public:
  CloseLater(Loop& loop, FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {
    home = &loop;
  }
  void work() override { descriptor_.close(); }
  void deliver(bool) override { delete this; }

 private:
  FileDescriptor descriptor_;
};

}  // namespace

RealFile::RealFile(DiskContext context, std::string path, Opened opened)
    : context_(context),
      path_(std::move(path)),
      descriptor_(std::move(opened.descriptor)),
      device_(opened.device),
      is_direct_(opened.is_direct),
      can_write_(opened.can_write),
      size_bytes_(opened.size_bytes) {}

RealFile::~RealFile() {
  context_.lanes.general.submit(*new CloseLater(context_.loop, std::move(descriptor_)));
}

std::unexpected<Error> RealFile::failed_at(const char* operation, std::uint64_t position,
                                           std::uint64_t size_bytes, int error_number) const {
  return failed(fmt::format("{} {} bytes at {} of", operation, size_bytes, position), path_,
                error_number);
}

Result<> RealFile::check_alignment(const char* operation, std::uint64_t position,
                                   ByteView bytes) const {
  if (!is_direct_) return {};
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  if ((position | bytes.size() | address) % kDirectAlignment == 0) return {};
  return std::unexpected(Error{
      ErrorKind::invalid,
      fmt::format(
          "{} {} bytes at {} of {}: direct I/O wants position, size and address in multiples of {}",
          operation, bytes.size(), position, path_, kDirectAlignment)});
}

Result<> RealFile::check_write(std::uint64_t position, ByteView bytes) const {
  if (!can_write_) {
    return std::unexpected(Error{ErrorKind::permission,
                                 fmt::format("writing to {}: it was opened to be read", path_)});
  }
  return check_alignment("writing", position, bytes);
}

Workers& RealFile::write_workers() {
  return is_direct_ ? context_.lanes.syncs : context_.lanes.writer(device_);
}

void RealFile::has_written(std::uint64_t position, std::uint64_t size_bytes) {
  size_bytes_ = std::max(size_bytes_, position + size_bytes);
}

// Direct, by io_uring.
Task<Result<std::size_t>> RealFile::ring_read(std::uint64_t position, MutableByteView into) {
  std::size_t count = 0;
  while (count < into.size()) {
    const auto [got] =
        co_await context_.ring->read(descriptor_.get(), position + count, into.subspan(count));
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got < 0) co_return failed_at("reading", position, into.size(), -got);
    count += static_cast<std::size_t>(got);
    // A part of a block is only there at the end of the file.
    if (got == 0 || count % kDirectAlignment != 0) break;
  }
  co_return count;
}

Task<Result<>> RealFile::ring_write(std::uint64_t position, ByteView from) {
  std::size_t count = 0;
  while (count < from.size()) {
    const auto [written] =
        co_await context_.ring->write(descriptor_.get(), position + count, from.subspan(count));
    if (written == -EINTR || written == -EAGAIN) continue;
    if (written <= 0)
      co_return failed_at("writing", position, from.size(), written == 0 ? EIO : -written);
    count += static_cast<std::size_t>(written);
  }
  has_written(position, from.size());
  co_return Result<>{};
}

Task<Result<std::size_t>> RealFile::read(std::uint64_t position, MutableByteView into) {
  if (auto aligned = check_alignment("reading", position, into); !aligned) {
    co_return std::unexpected(std::move(aligned.error()));
  }
  if (is_direct_ && context_.ring != nullptr) co_return co_await ring_read(position, into);
  std::size_t count = 0;
  if (!is_direct_ && into.size() <= kReadAtOnceBytesMax) {
    const iovec vector{into.data(), into.size()};
    const ssize_t got =
        ::preadv2(descriptor_.get(), &vector, 1, static_cast<off_t>(position), RWF_NOWAIT);
    if (got >= 0) count = static_cast<std::size_t>(got);
    if (count == into.size() || (got >= 0 && position + count >= size_bytes_)) co_return count;
  }
  const int descriptor = descriptor_.get();
  const MutableByteView rest = into.subspan(count);
  Workers& workers = is_direct_ ? context_.lanes.syncs : context_.lanes.readers;
  const ReadOutcome outcome = co_await blocking(
      context_.loop, workers, [=] { return read_fully(descriptor, position + count, rest); });
  if (outcome.error_number != 0) {
    co_return failed_at("reading", position, into.size(), outcome.error_number);
  }
  co_return count + outcome.count;
}

Task<Result<>> RealFile::write(std::uint64_t position, ByteView from) {
  if (auto allowed = check_write(position, from); !allowed) co_return allowed;
  if (is_direct_ && context_.ring != nullptr) co_return co_await ring_write(position, from);
  const int descriptor = descriptor_.get();
  const int error_number = co_await blocking(context_.loop, write_workers(), [=] {
    return write_fully(descriptor, position, std::span(&from, 1));
  });
  if (error_number != 0) co_return failed_at("writing", position, from.size(), error_number);
  has_written(position, from.size());
  co_return Result<>{};
}

Task<Result<>> RealFile::write_pieces(std::uint64_t position, std::vector<ByteView> pieces) {
  std::uint64_t total = 0;
  for (const ByteView piece : pieces) {
    if (auto allowed = check_write(position + total, piece); !allowed) co_return allowed;
    total += piece.size();
  }
  const int descriptor = descriptor_.get();
  const std::span<const ByteView> all = pieces;
  const int error_number = co_await blocking(
      context_.loop, write_workers(), [=] { return write_fully(descriptor, position, all); });
  if (error_number != 0) co_return failed_at("writing", position, total, error_number);
  if (total > 0) has_written(position, total);
  co_return Result<>{};
}

Task<Result<>> RealFile::sync_data() {
  const int descriptor = descriptor_.get();
  int error_number = 0;
  if (context_.ring != nullptr) {
    const auto [result] = co_await context_.ring->sync_data(descriptor);
    error_number = -result;
  } else {
    error_number = co_await blocking(context_.loop, context_.lanes.syncs,
                                     [=] { return ::fdatasync(descriptor) == 0 ? 0 : errno; });
  }
  if (error_number != 0) co_return failed("flushing", path_, error_number);
  co_return Result<>{};
}

Task<Result<>> RealFile::write_synced(std::uint64_t position, ByteView from) {
  if (auto allowed = check_write(position, from); !allowed) co_return allowed;
  if (is_direct_ && context_.ring != nullptr) {
    const auto [written, synced] =
        co_await context_.ring->write_then_sync(descriptor_.get(), position, from);
    if (std::cmp_equal(written, from.size())) {
      has_written(position, from.size());
      if (synced < 0) co_return failed("flushing", path_, -synced);
      co_return Result<>{};
    }
    // Nothing was flushed. What is written short is written again, whole, and flushed anew.
    if (written < 0 && written != -EINTR && written != -EAGAIN) {
      co_return failed_at("writing", position, from.size(), -written);
    }
    auto again = co_await ring_write(position, from);
    if (!again) co_return again;
    co_return co_await sync_data();
  }
  struct Outcome {
    int write_error = 0;
    int sync_error = 0;
  };
  const int descriptor = descriptor_.get();
  const Outcome outcome = co_await blocking(context_.loop, context_.lanes.syncs, [=] {
    Outcome result;
    result.write_error = write_fully(descriptor, position, std::span(&from, 1));
    if (result.write_error == 0 && ::fdatasync(descriptor) != 0) result.sync_error = errno;
    return result;
  });
  if (outcome.write_error != 0) {
    co_return failed_at("writing", position, from.size(), outcome.write_error);
  }
  has_written(position, from.size());
  if (outcome.sync_error != 0) co_return failed("flushing", path_, outcome.sync_error);
  co_return Result<>{};
}

Task<Result<>> RealFile::truncate(std::uint64_t size_bytes) {
  if (auto allowed = check_write(0, {}); !allowed) co_return allowed;
  const int descriptor = descriptor_.get();
  const int error_number = co_await blocking(context_.loop, context_.lanes.general, [=] {
    return ::ftruncate(descriptor, static_cast<off_t>(size_bytes)) == 0 ? 0 : errno;
  });
  if (error_number != 0)
    co_return failed(fmt::format("cutting to {} bytes", size_bytes), path_, error_number);
  size_bytes_ = size_bytes;
  co_return Result<>{};
}

Task<Result<>> RealFile::reserve(std::uint64_t size_bytes) {
  const int descriptor = descriptor_.get();
  const int error_number = co_await blocking(context_.loop, context_.lanes.general, [=] {
    return ::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) == 0
               ? 0
               : errno;
  });
  if (error_number != 0 && error_number != EOPNOTSUPP && error_number != ENOSYS) {
    co_return failed(fmt::format("reserving {} bytes for", size_bytes), path_, error_number);
  }
  co_return Result<>{};
}

std::uint64_t RealFile::resident_bytes(std::uint64_t position, std::uint64_t size_bytes) const {
  if (is_all_cached(descriptor_.get(), position, size_bytes)) return size_bytes;
  const std::uint64_t end = position + size_bytes;
  std::uint64_t resident_to = position;
  while (resident_to < end) {
    const std::uint64_t step_end =
        std::min(end, (resident_to / kResidencyStep + 1) * kResidencyStep);
    std::uint8_t byte = 0;
    const iovec vector{&byte, 1};
    if (::preadv2(descriptor_.get(), &vector, 1, static_cast<off_t>(step_end - 1), RWF_NOWAIT) != 1)
      break;
    resident_to = step_end;
  }
  return resident_to - position;
}

int RealFile::bring_in(std::uint64_t position, std::uint64_t size_bytes) const {
  const int descriptor = descriptor_.get();
  // A mapping whose pages are asked for: seen to cost a tenth of the CPU of reading (0.08 instead
  // of 1.1 s a GB), since nothing is copied and the kernel reads ahead in large pieces. readahead()
  // does not say when it is done.
  const std::uint64_t from = position / kPageBytes * kPageBytes;
  const auto mapped_bytes = static_cast<std::size_t>(position + size_bytes - from);
  void* mapped =
      ::mmap(nullptr, mapped_bytes, PROT_READ, MAP_SHARED, descriptor, static_cast<off_t>(from));
  if (mapped != MAP_FAILED) {
    const bool populated = ::madvise(mapped, mapped_bytes, MADV_POPULATE_READ) == 0;
    ::munmap(mapped, mapped_bytes);
    if (populated) return 0;
  }
  // Not possible here, or the device failed: reading tells.
  const auto scratch = std::make_unique_for_overwrite<std::uint8_t[]>(kResidencyStep);
  const std::uint64_t end = position + size_bytes;
  for (std::uint64_t at = position; at < end; at += kResidencyStep) {
    const auto size = static_cast<std::size_t>(std::min(kResidencyStep, end - at));
    const ReadOutcome outcome = read_fully(descriptor, at, {scratch.get(), size});
    if (outcome.error_number != 0) return outcome.error_number;
  }
  return 0;
}

Task<Result<>> RealFile::make_resident(std::uint64_t position, std::uint64_t size_bytes) {
  const std::uint64_t end = std::min(position + size_bytes, size_bytes_);
  if (is_direct_ || position >= end) co_return Result<>{};
  const std::uint64_t resident = resident_bytes(position, end - position);
  if (position + resident >= end) co_return Result<>{};
  const int error_number = co_await blocking(context_.loop, context_.lanes.readers, [=, this] {
    return bring_in(position + resident, end - position - resident);
  });
  if (error_number != 0) co_return failed_at("reading", position, size_bytes, error_number);
  co_return Result<>{};
}

}  // namespace ottla::io::real
