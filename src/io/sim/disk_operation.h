// DiskOperation: a call of Disk or File while it is under way. Lives in the frame of the coroutine
// that awaits it.
#pragma once

#include <coroutine>
#include <optional>
#include <string_view>

#include "io/sim/disk.h"
#include "io/sim/world.h"

namespace ottla::io::sim {

class DiskOperation : public Happening, public ListNode {
 public:
  // What it is about: a path, and of a file which bytes.
  struct Subject {
    OperationKind kind = OperationKind::read;
    std::string_view path;
    const Inode* file = nullptr;
    std::uint64_t position = 0;
    std::uint64_t size_bytes = 0;  // of open: 1 for create, 2 for truncate
    ByteView bytes = {};           // of a write
  };
  DiskOperation(SimDisk& disk, Shard& shard, Subject subject)
      : disk_(disk), shard_(shard), subject_(subject) {}

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter);
  void happen() final;

  // What a crash of its process makes of it.
  void cut_short() {
    cancel();
    unlink();
    ++disk_.counters_.cut_in_flight;
    do_in_part();
  }

 protected:
  virtual void do_it() = 0;
  virtual void fail(Error error) = 0;
  virtual void do_in_part() {
    if (disk_.prng_.chance(0.5)) do_it();
  }
  // An error on the way that has effects of its own.
  virtual void before_error() {}

  SimDisk& disk_;
  Shard& shard_;
  const Subject subject_;

 private:
  bool changes_something() const;
  void check_overlap();
  std::optional<ErrorKind> draw_error();

  std::coroutine_handle<> waiter_;
};

// One whose effect is a function object giving Result<T>.
template <class Do>
class SimpleOperation final : public DiskOperation {
 public:
  using Outcome = decltype(std::declval<Do&>()());
  SimpleOperation(SimDisk& disk, Shard& shard, Subject subject, Do effect)
      : DiskOperation(disk, shard, subject), effect_(std::move(effect)) {}
  Outcome await_resume() { return std::move(*outcome_); }

 private:
  void do_it() override { outcome_.emplace(effect_()); }
  void fail(Error error) override { outcome_.emplace(std::unexpected(std::move(error))); }
  Do effect_;
  std::optional<Outcome> outcome_;
};

class WriteOperation final : public DiskOperation {
 public:
  WriteOperation(SimDisk& disk, Shard& shard, std::shared_ptr<Inode> file, const std::string& path,
                 std::uint64_t position, ByteView from)
      : DiskOperation(disk, shard,
                      {OperationKind::write, path, file.get(), position, from.size(), from}),
        file_(std::move(file)),
        path_(path),
        from_(from) {}
  Result<> await_resume() { return std::move(outcome_); }

 private:
  void do_it() override;
  void fail(Error error) override { outcome_ = std::unexpected(std::move(error)); }
  void do_in_part() override;
  void before_error() override { do_in_part(); }

  const std::shared_ptr<Inode> file_;
  const std::string& path_;
  const ByteView from_;
  Result<> outcome_;
};

class SyncOperation final : public DiskOperation {
 public:
  SyncOperation(SimDisk& disk, Shard& shard, std::shared_ptr<Inode> file, const std::string& path)
      : DiskOperation(disk, shard, {OperationKind::sync, path, file.get(), 0, 0, {}}),
        file_(std::move(file)),
        mark_(file_->content.mark()) {}
  Result<> await_resume() { return std::move(outcome_); }

 private:
  void do_it() override {
    ++disk_.counters_.syncs;
    file_->content.sync(mark_);
  }
  void fail(Error error) override { outcome_ = std::unexpected(std::move(error)); }
  void before_error() override { file_->content.sync_failed(mark_, disk_.prng_); }

  const std::shared_ptr<Inode> file_;
  const std::uint64_t mark_;
  Result<> outcome_;
};

}  // namespace ottla::io::sim
