#include "io/real/connection.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "base/check.h"
#include "io/real/file.h"
#include "io/real/system_error.h"

namespace ottla::io::real {
namespace {

constexpr std::size_t kVectorsPerCallMax = 256;
constexpr std::uint64_t kSendfileBytesMax =
    1 << 20;  // a call, so that one reader does not hold up the others
constexpr std::uint64_t kResidentBytesAhead = 1 << 20;  // brought in from the disk at a time
constexpr std::size_t kCopyBytes = 64 << 10;

// Goes on when all else that is ready has had its turn.
struct OthersFirst {
  Loop& loop;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { loop.post(waiter); }
  void await_resume() const {}
};

}  // namespace

struct RealConnection::Readable {
  RealConnection& connection;
  bool await_ready() const { return connection.readable_ || connection.closed_; }
  void await_suspend(std::coroutine_handle<> waiter) {
    OTTLA_CHECK(!connection.reader_);  // one read at a time
    connection.reader_ = waiter;
  }
  void await_resume() const {}
};

struct RealConnection::Writable {
  RealConnection& connection;
  bool await_ready() const { return connection.writable_ || connection.closed_; }
  void await_suspend(std::coroutine_handle<> waiter) {
    OTTLA_CHECK(!connection.writer_);  // one write at a time
    connection.writer_ = waiter;
  }
  void await_resume() const {}
};

RealConnection::RealConnection(Loop& loop, Lanes& lanes, FileDescriptor socket, Address local,
                               Address peer)
    : loop_(loop), lanes_(lanes), socket_(std::move(socket)), local_(local), peer_(peer) {}

int RealConnection::start() { return loop_.watch(socket_.get(), EPOLLIN | EPOLLRDHUP, *this); }

void RealConnection::on_ready(std::uint32_t events) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) end_seen_ = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    readable_ = true;
    if (reader_) loop_.post(std::exchange(reader_, nullptr));
  }
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
    writable_ = true;
    if (writer_) loop_.post(std::exchange(writer_, nullptr));
  }
}

void RealConnection::close() {
  if (closed_) return;
  closed_ = true;
  socket_.close();
  if (reader_) loop_.post(std::exchange(reader_, nullptr));
  if (writer_) loop_.post(std::exchange(writer_, nullptr));
}

Error RealConnection::closed_error(std::string_view operation) const {
  return {ErrorKind::closed,
          fmt::format("{} {}: the connection was closed here", operation, peer().to_string())};
}

Task<Result<>> RealConnection::wait_readable() {
  co_await Readable{*this};
  if (closed_) co_return std::unexpected(closed_error("reading from"));
  co_return Result<>{};
}

Task<Result<std::size_t>> RealConnection::read_some(MutableByteView into) {
  while (true) {
    co_await Readable{*this};
    if (closed_) co_return std::unexpected(closed_error("reading from"));
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got >= 0) {
      // Less than asked for: the kernel has no more, and what comes makes a new edge. An end that
      // has been announced does not.
      if (static_cast<std::size_t>(got) < into.size() && !end_seen_) readable_ = false;
      co_return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN) {
      readable_ = false;
    } else if (errno != EINTR) {
      const int error_number = errno;
      Error error = system_error("reading from", peer().to_string(), error_number);
      error.kind = ErrorKind::closed;  // whatever the cause, this connection is over
      co_return std::unexpected(std::move(error));
    }
  }
}

void RealConnection::wait_for_room() {
  writable_ = false;
  if (wants_writable_) return;
  // Registered when it is needed for the first time: most connections never fill their buffer.
  wants_writable_ = true;
  loop_.watch_again(socket_.get(), EPOLLIN | EPOLLRDHUP | EPOLLOUT, *this);
}

// Sends the memory parts from `at` on, up to the next file range.
RealConnection::Progress RealConnection::send_memory(const Gather& what, Position& at,
                                                     int& error_number) {
  iovec vectors[kVectorsPerCallMax];
  msghdr message{};
  message.msg_iov = vectors;
  bool more = false;
  std::size_t count = 0;
  std::size_t total = 0;
  for (std::size_t part = at.part; part < what.parts().size(); ++part) {
    const auto* slice = std::get_if<Slice>(&what.parts()[part]);
    if (slice == nullptr || count == kVectorsPerCallMax) {
      more = true;
      break;
    }
    const std::size_t skip = part == at.part ? static_cast<std::size_t>(at.offset) : 0;
    vectors[count++] = {const_cast<std::uint8_t*>(slice->data()) + skip, slice->size() - skip};
    total += slice->size() - skip;
  }
  message.msg_iovlen = count;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    error_number = errno;
    return errno == EAGAIN ? Progress::would_block : Progress::failed;
  }
  const bool all = static_cast<std::size_t>(sent) == total;
  while (sent > 0) {
    const std::uint64_t left = std::get<Slice>(what.parts()[at.part]).size() - at.offset;
    const std::uint64_t step = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(sent));
    sent -= static_cast<ssize_t>(step);
    at.offset += step;
    if (step == left) at = {at.part + 1, 0};
  }
  return all ? Progress::some : Progress::would_block;
}

RealConnection::Progress RealConnection::send_file(const FileRange& range, std::uint64_t size_bytes,
                                                   Position& at, int& error_number) {
  auto& file = static_cast<RealFile&>(range.file->underlying());
  auto position = static_cast<off_t>(range.position + at.offset);
  ssize_t sent = 0;
  do {
    sent = ::sendfile(socket_.get(), file.descriptor(), &position,
                      static_cast<std::size_t>(std::min(size_bytes, kSendfileBytesMax)));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    error_number = errno;
    return errno == EAGAIN ? Progress::would_block : Progress::failed;
  }
  if (sent == 0) {
    error_number = ENODATA;  // the file is shorter than the range
    return Progress::failed;
  }
  at.offset += static_cast<std::uint64_t>(sent);
  return Progress::some;
}

// Sends the file range that `at` points at, from memory: what is not there is brought in first.
Task<Result<>> RealConnection::write_range(const FileRange& range, Position& at) {
  auto* file = dynamic_cast<RealFile*>(&range.file->underlying());
  if (file == nullptr || file->is_direct()) {
    // Not a file that the kernel can send: through memory.
    auto& any = dynamic_cast<File&>(*range.file);
    AlignedBuffer buffer(kCopyBytes);
    while (at.offset < range.size_bytes) {
      const std::uint64_t position = range.position + at.offset;
      const std::uint64_t aligned =
          any.is_direct() ? position / kDirectAlignment * kDirectAlignment : position;
      auto got = co_await any.read(aligned, buffer.view());
      if (!got) co_return std::unexpected(std::move(got.error()));
      const std::uint64_t skip = position - aligned;
      if (*got <= skip) {
        co_return std::unexpected(
            Error{ErrorKind::input_output, "a file is shorter than the range to be sent"});
      }
      const std::uint64_t count = std::min(*got - skip, range.size_bytes - at.offset);
      const Gather piece(Slice::copy_of({buffer.data() + skip, static_cast<std::size_t>(count)}));
      for (Position inside; inside.part == 0;) {
        int error_number = 0;
        const Progress progress =
            closed_ ? Progress::failed : send_memory(piece, inside, error_number);
        if (closed_) co_return std::unexpected(closed_error("writing to"));
        if (progress == Progress::failed)
          co_return failed("writing to", peer().to_string(), error_number);
        if (progress == Progress::would_block && inside.part == 0) {
          wait_for_room();
          co_await Writable{*this};
        }
      }
      at.offset += count;
    }
    co_return Result<>{};
  }
  std::uint64_t resident_to = 0;  // of the range
  while (at.offset < range.size_bytes) {
    if (closed_) co_return std::unexpected(closed_error("writing to"));
    if (at.offset >= resident_to) {
      const std::uint64_t ahead = std::min(kResidentBytesAhead, range.size_bytes - at.offset);
      std::uint64_t resident = file->resident_bytes(range.position + at.offset, ahead);
      if (resident == 0) {
        // Not by File::make_resident: the file may belong to another shard, and must not be touched
        // but by the kernel.
        const int error_number = co_await blocking(
            loop_, lanes_.readers, [file, from = range.position + at.offset, ahead] {
              return file->bring_in(from, ahead);
            });
        if (error_number != 0) co_return failed("reading", file->path(), error_number);
        if (closed_) co_return std::unexpected(closed_error("writing to"));
        resident = ahead;
      }
      resident_to = at.offset + resident;
    }
    int error_number = 0;
    const Progress progress = send_file(range, resident_to - at.offset, at, error_number);
    if (progress == Progress::failed) {
      co_return failed(fmt::format("sending bytes {} to {} of {} to", range.position + at.offset,
                                   range.position + range.size_bytes, file->path()),
                       peer().to_string(), error_number);
    }
    if (progress == Progress::would_block) {
      wait_for_room();
      co_await Writable{*this};
    } else if (at.offset < range.size_bytes) {
      co_await OthersFirst{loop_};  // a fast reader could take a whole segment without a pause
    }
  }
  co_return Result<>{};
}

Task<Result<>> RealConnection::write(Gather what) {
  Position at;
  while (at.part < what.parts().size()) {
    if (closed_) co_return std::unexpected(closed_error("writing to"));
    if (const auto* range = std::get_if<FileRange>(&what.parts()[at.part])) {
      auto sent = co_await write_range(*range, at);
      if (!sent) co_return sent;
      at = {at.part + 1, 0};
      continue;
    }
    int error_number = 0;
    const Progress progress = send_memory(what, at, error_number);
    if (progress == Progress::failed) {
      Error error = system_error("writing to", peer().to_string(), error_number);
      error.kind = ErrorKind::closed;
      co_return std::unexpected(std::move(error));
    }
    if (progress == Progress::would_block) {
      wait_for_room();
      co_await Writable{*this};
    }
  }
  if (closed_) co_return std::unexpected(closed_error("writing to"));
  co_return Result<>{};
}

}  // namespace ottla::io::real
