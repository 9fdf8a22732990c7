#include <algorithm>
#include <iterator>

#include "io/fault/trace_pen.h"

namespace ottla::io::fault {
namespace {

// Awaits `task` between a line that it begins and a line that it has ended.
template <class T>
Task<Result<T>> traced(Pen pen, std::string what, Task<Result<T>> task) {
  const std::uint64_t id = pen.log.next_id();
  const std::size_t name_end = what.find(' ');
  const std::string name = what.substr(0, name_end);
  pen.write("file {} begin{} op={}", name, what.substr(name_end), id);
  Result<T> result = co_await std::move(task);
  pen.write("file {} {} op={}", name, result ? "ok" : "failed", id);
  co_return result;
}

class TraceFile final : public File {
 public:
  TraceFile(Pen pen, std::shared_ptr<File> inner, std::string path)
      : pen_(pen), inner_(std::move(inner)), path_(std::move(path)) {}

  FileSource& underlying() override { return inner_->underlying(); }
  Result<std::uint64_t> size_bytes() override { return inner_->size_bytes(); }
  bool is_direct() const override { return inner_->is_direct(); }

  Task<Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override {
    return inner_->read(position, into);
  }
  Task<Result<>> write(std::uint64_t position, ByteView from) override {
    return traced(pen_, describe("write", position, from.size(), marks(from)),
                  inner_->write(position, from));
  }
  Task<Result<>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces) override {
    std::size_t total = 0;
    MarkFinder finder(pen_.log.marker());
    std::vector<std::string> found;
    for (const ByteView piece : pieces) {
      total += piece.size();
      std::ranges::move(finder.find(piece), std::back_inserter(found));
    }
    std::string what = describe("write", position, total, describe_marks(found));
    return traced(pen_, std::move(what), inner_->write_pieces(position, std::move(pieces)));
  }
  Task<Result<>> sync_data() override {
    return traced(pen_, "sync path=" + path_, inner_->sync_data());
  }
  Task<Result<>> write_synced(std::uint64_t position, ByteView from) override {
    return traced(pen_, describe("write_synced", position, from.size(), marks(from)),
                  inner_->write_synced(position, from));
  }
  Task<Result<>> truncate(std::uint64_t size_bytes) override {
    return traced(pen_, describe("truncate", size_bytes, 0, ""), inner_->truncate(size_bytes));
  }
  Task<Result<>> reserve(std::uint64_t size_bytes) override { return inner_->reserve(size_bytes); }
  Task<Result<>> make_resident(std::uint64_t position, std::uint64_t size_bytes) override {
    return inner_->make_resident(position, size_bytes);
  }

 private:
  std::string describe(std::string_view name, std::uint64_t position, std::size_t size,
                       std::string_view marks) const {
    return fmt::format("{} path={} at={} bytes={}{}", name, path_, position, size, marks);
  }
  std::string marks(ByteView bytes) const {
    return describe_marks(MarkFinder(pen_.log.marker()).find(bytes));
  }

  const Pen pen_;
  std::shared_ptr<File> inner_;
  const std::string path_;
};

class TraceDisk final : public Disk {
 public:
  TraceDisk(Disk& inner, Pen pen) : inner_(inner), pen_(pen) {}

  Task<Result<std::shared_ptr<File>>> open(std::string path, OpenOptions options) override {
    auto opened = co_await traced(pen_, "open path=" + path, inner_.open(path, options));
    if (!opened) co_return opened;
    co_return std::make_shared<TraceFile>(pen_, std::move(*opened), std::move(path));
  }
  Task<Result<>> make_directory(std::string path) override {
    return traced(pen_, "make_directory path=" + path, inner_.make_directory(path));
  }
  Task<Result<>> remove(std::string path) override {
    return traced(pen_, "remove path=" + path, inner_.remove(path));
  }
  Task<Result<>> rename(std::string from, std::string to) override {
    return traced(pen_, "rename path=" + from + " to=" + to, inner_.rename(from, to));
  }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string path) override {
    return inner_.list(std::move(path));
  }
  Task<Result<DirectoryEntry>> status(std::string path) override {
    return inner_.status(std::move(path));
  }
  Task<Result<>> sync_directory(std::string path) override {
    return traced(pen_, "sync_directory path=" + path, inner_.sync_directory(path));
  }
  Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override {
    return inner_.lock(std::move(path));
  }
  Task<Result<std::uint64_t>> free_bytes(std::string path) override {
    return inner_.free_bytes(std::move(path));
  }
  void expect_large_io(MutableByteView memory) override { inner_.expect_large_io(memory); }

 private:
  Disk& inner_;
  const Pen pen_;
};

}  // namespace

std::unique_ptr<Disk> make_trace_disk(Disk& inner, unsigned shard, Clock& clock, TraceLog& log) {
  return std::make_unique<TraceDisk>(inner, Pen{shard, clock, log});
}

}  // namespace ottla::io::fault
