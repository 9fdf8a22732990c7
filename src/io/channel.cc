// make_channel: two pipes, crossed. The same code serves the real and the simulated world.
#include <algorithm>
#include <cstring>
#include <deque>

#include "io/disk.h"
#include "io/event.h"
#include "io/network.h"

namespace ottla::io {
namespace {

constexpr std::size_t kFilePieceBytes = 64 << 10;

// One direction. Both ends hold it; bytes stay readable after the writer has gone.
struct Pipe {
  Pipe(Executor& executor, std::size_t capacity)
      : came(executor), went(executor), capacity_bytes(capacity) {}
  Event came;  // pulsed: there is something to read, or one end has closed
  Event went;  // pulsed: there is room, or one end has closed
  const std::size_t capacity_bytes;
  std::deque<Slice> slices;
  std::size_t bytes = 0;
  bool writer_closed = false;
  bool reader_closed = false;
};

Error closed_error(const char* operation, const char* who) {
  return {ErrorKind::closed, std::string(operation) + " an in-process channel: closed by " + who};
}

class ChannelEnd final : public Connection {
 public:
  ChannelEnd(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~ChannelEnd() override { close(); }

  Task<Result<>> wait_readable() override { return wait_for_bytes(in_); }

  Task<Result<std::size_t>> read_some(MutableByteView into) override { return read(in_, into); }

  Task<Result<>> write(Gather what) override { return write_all(out_, std::move(what)); }

  void close() override {
    if (in_->reader_closed) return;
    in_->reader_closed = true;
    in_->slices.clear();
    in_->bytes = 0;
    out_->writer_closed = true;
    for (Pipe* pipe : {in_.get(), out_.get()}) {
      pipe->came.pulse();
      pipe->went.pulse();
    }
  }

  Endpoint local() const override { return {"in-process", 0}; }
  Endpoint peer() const override { return {"in-process", 0}; }

 private:
  static Task<Result<>> wait_for_bytes(std::shared_ptr<Pipe> pipe) {
    while (pipe->bytes == 0 && !pipe->writer_closed && !pipe->reader_closed)
      co_await pipe->came.wait();
    if (pipe->reader_closed) co_return std::unexpected(closed_error("reading", "this end"));
    co_return Result<>{};
  }

  static Task<Result<std::size_t>> read(std::shared_ptr<Pipe> pipe, MutableByteView into) {
    auto ready = co_await wait_for_bytes(pipe);
    if (!ready) co_return std::unexpected(std::move(ready.error()));
    std::size_t count = 0;
    while (count < into.size() && !pipe->slices.empty()) {
      Slice& front = pipe->slices.front();
      const std::size_t step = std::min(front.size(), into.size() - count);
      std::memcpy(into.data() + count, front.data(), step);
      count += step;
      if (step == front.size()) {
        pipe->slices.pop_front();
      } else {
        front = front.subslice(step, front.size() - step);
      }
    }
    pipe->bytes -= count;
    if (count > 0) pipe->went.pulse();
    co_return count;
  }

  static Task<Result<>> write_slice(std::shared_ptr<Pipe> pipe, Slice slice) {
    while (!slice.empty()) {
      while (pipe->bytes >= pipe->capacity_bytes && !pipe->writer_closed && !pipe->reader_closed) {
        co_await pipe->went.wait();
      }
      if (pipe->writer_closed) co_return std::unexpected(closed_error("writing", "this end"));
      if (pipe->reader_closed) co_return std::unexpected(closed_error("writing", "the other end"));
      const std::size_t step = std::min(slice.size(), pipe->capacity_bytes - pipe->bytes);
      pipe->slices.push_back(slice.subslice(0, step));
      pipe->bytes += step;
      slice = slice.subslice(step, slice.size() - step);
      pipe->came.pulse();
    }
    co_return Result<>{};
  }

  static Task<Result<>> write_range(std::shared_ptr<Pipe> pipe, FileRange range) {
    auto* file = dynamic_cast<File*>(range.file.get());
    OTTLA_CHECK(file != nullptr);
    while (range.size_bytes > 0) {
      // A direct file wants aligned reads: read the blocks around, send the part.
      const std::uint64_t before = file->is_direct() ? range.position % kDirectAlignment : 0;
      AlignedBuffer buffer(kFilePieceBytes);
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(
          kFilePieceBytes, file->is_direct() ? kFilePieceBytes : range.size_bytes));
      auto got = co_await file->read(range.position - before, buffer.view().first(wanted));
      if (!got) co_return std::unexpected(std::move(got.error()));
      if (*got <= before) {
        co_return std::unexpected(Error{
            ErrorKind::input_output, "sending a file range: the file is shorter than the range"});
      }
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(*got - before, range.size_bytes));
      auto written = co_await write_slice(pipe, Slice::copy_of({buffer.data() + before, count}));
      if (!written) co_return written;
      range.position += count;
      range.size_bytes -= count;
    }
    co_return Result<>{};
  }

  static Task<Result<>> write_all(std::shared_ptr<Pipe> pipe, Gather what) {
    if (pipe->writer_closed) co_return std::unexpected(closed_error("writing", "this end"));
    for (const Gather::Part& part : what.parts()) {
      const auto* slice = std::get_if<Slice>(&part);
      auto written = slice != nullptr ? co_await write_slice(pipe, *slice)
                                      : co_await write_range(pipe, std::get<FileRange>(part));
      if (!written) co_return written;
    }
    co_return Result<>{};
  }

  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
};

}  // namespace

ChannelPair make_channel(Executor& executor, std::size_t capacity_bytes) {
  auto there = std::make_shared<Pipe>(executor, capacity_bytes);
  auto back = std::make_shared<Pipe>(executor, capacity_bytes);
  return {std::make_unique<ChannelEnd>(back, there), std::make_unique<ChannelEnd>(there, back)};
}

}  // namespace ottla::io
