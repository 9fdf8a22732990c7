#include "io/fault/fault_disk.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace ottla::io::fault {
namespace {

// What the rules say of one call.
struct Verdict {
  std::optional<Error> error;
  std::uint64_t written_first = 0;  // of a failing write: bytes that get through
  Duration delay{0};
};

class Judge {
 public:
  Judge(Clock& clock, std::vector<FaultRule> rules) : clock(clock) {
    for (FaultRule& rule : rules) states_.push_back({std::move(rule)});
  }

  Verdict judge(std::string_view operation, std::string_view path, std::uint64_t write_bytes = 0) {
    Verdict verdict;
    for (State& state : states_) {
      const FaultRule& rule = state.rule;
      if (rule.operation != "any" && rule.operation != operation) continue;
      if (path.find(rule.path_part) == std::string_view::npos) continue;
      const std::uint64_t call = ++state.calls;
      if (rule.after_bytes != UINT64_MAX) {
        const std::uint64_t room = rule.after_bytes - std::min(rule.after_bytes, state.bytes);
        state.bytes += std::min(room, write_bytes);
        if (write_bytes > room) fail(verdict, rule, operation, path, room);
        continue;
      }
      if (call < rule.from || call - rule.from >= rule.count) continue;
      switch (rule.effect) {
        case Effect::fail:
          fail(verdict, rule, operation, path, 0);
          break;
        case Effect::cut_short:
          fail(verdict, rule, operation, path, write_bytes / 2);
          break;
        case Effect::delay:
          verdict.delay += rule.delay;
          break;
      }
    }
    return verdict;
  }

  Clock& clock;

 private:
  struct State {
    FaultRule rule;
    std::uint64_t calls = 0;
    std::uint64_t bytes = 0;
  };

  static void fail(Verdict& verdict, const FaultRule& rule, std::string_view operation,
                   std::string_view path, std::uint64_t written_first) {
    if (verdict.error) return;  // the first rule decides
    verdict.error = Error{rule.error, fmt::format("{} of {}: {} (by a fault rule)", operation, path,
                                                  to_string(rule.error))};
    verdict.written_first = written_first;
  }

  std::vector<State> states_;
};

Task<void> wait(std::shared_ptr<Judge> judge, Verdict& verdict) {
  if (verdict.delay > Duration(0)) co_await sleep_for(judge->clock, verdict.delay);
}

class FaultFile final : public File {
 public:
  FaultFile(std::shared_ptr<Judge> judge, std::shared_ptr<File> inner, std::string path)
      : judge_(std::move(judge)), inner_(std::move(inner)), path_(std::move(path)) {}

  FileSource& underlying() override { return inner_->underlying(); }
  Result<std::uint64_t> size_bytes() override { return inner_->size_bytes(); }
  bool is_direct() const override { return inner_->is_direct(); }

  Task<Result<std::size_t>> read(std::uint64_t position, MutableByteView into) override {
    Verdict verdict = judge_->judge("read", path_);
    co_await wait(judge_, verdict);
    if (verdict.error) co_return std::unexpected(*verdict.error);
    co_return co_await inner_->read(position, into);
  }

  Task<Result<>> write(std::uint64_t position, ByteView from) override {
    Verdict verdict = judge_->judge("write", path_, from.size());
    co_await wait(judge_, verdict);
    if (verdict.error) co_return co_await cut(position, from, verdict);
    co_return co_await inner_->write(position, from);
  }

  Task<Result<>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces) override {
    std::uint64_t total = 0;
    for (const ByteView piece : pieces) total += piece.size();
    Verdict verdict = judge_->judge("write", path_, total);
    co_await wait(judge_, verdict);
    if (!verdict.error) co_return co_await inner_->write_pieces(position, std::move(pieces));
    for (const ByteView piece : pieces) {
      const auto step = std::min<std::uint64_t>(piece.size(), verdict.written_first);
      Verdict part{.error = verdict.error, .written_first = step};
      (void)co_await cut(position, piece, part);
      position += step;
      verdict.written_first -= step;
    }
    co_return std::unexpected(*verdict.error);
  }

  Task<Result<>> sync_data() override {
    Verdict verdict = judge_->judge("sync", path_);
    if (!verdict.error) {
      if (auto synced = co_await inner_->sync_data(); !synced) co_return synced;
    }
    co_await wait(judge_, verdict);
    if (verdict.error) co_return std::unexpected(*verdict.error);
    co_return Result<>{};
  }

  Task<Result<>> write_synced(std::uint64_t position, ByteView from) override {
    Verdict write_verdict = judge_->judge("write", path_, from.size());
    co_await wait(judge_, write_verdict);
    if (write_verdict.error) co_return co_await cut(position, from, write_verdict);
    Verdict sync_verdict = judge_->judge("sync", path_);
    auto written = sync_verdict.error ? co_await inner_->write(position, from)
                                      : co_await inner_->write_synced(position, from);
    if (!written) co_return written;
    co_await wait(judge_, sync_verdict);
    if (sync_verdict.error) co_return std::unexpected(*sync_verdict.error);
    co_return Result<>{};
  }

  Task<Result<>> truncate(std::uint64_t size_bytes) override {
    Verdict verdict = judge_->judge("truncate", path_);
    co_await wait(judge_, verdict);
    if (verdict.error) co_return std::unexpected(*verdict.error);
    co_return co_await inner_->truncate(size_bytes);
  }

  Task<Result<>> reserve(std::uint64_t size_bytes) override {
    Verdict verdict = judge_->judge("reserve", path_);
    co_await wait(judge_, verdict);
    if (verdict.error) co_return std::unexpected(*verdict.error);
    co_return co_await inner_->reserve(size_bytes);
  }

  Task<Result<>> make_resident(std::uint64_t position, std::uint64_t size_bytes) override {
    co_return co_await inner_->make_resident(position, size_bytes);
  }

 private:
  // Lets the start of a failing write through.
  Task<Result<>> cut(std::uint64_t position, ByteView from, const Verdict& verdict) {
    std::uint64_t size = std::min<std::uint64_t>(verdict.written_first, from.size());
    if (inner_->is_direct()) size = size / kDirectAlignment * kDirectAlignment;
    if (size > 0)
      (void)co_await inner_->write(position, from.first(static_cast<std::size_t>(size)));
    co_return std::unexpected(*verdict.error);
  }

  std::shared_ptr<Judge> judge_;
  std::shared_ptr<File> inner_;
  const std::string path_;
};

class FaultDisk final : public Disk {
 public:
  FaultDisk(Disk& inner, Clock& clock, std::vector<FaultRule> rules)
      : inner_(inner), judge_(std::make_shared<Judge>(clock, std::move(rules))) {}

  Task<Result<std::shared_ptr<File>>> open(std::string path, OpenOptions options) override {
    if (auto denied = co_await deny("open", path)) co_return std::unexpected(std::move(*denied));
    auto opened = co_await inner_.open(path, options);
    if (!opened) co_return opened;
    co_return std::make_shared<FaultFile>(judge_, std::move(*opened), std::move(path));
  }
  Task<Result<>> make_directory(std::string path) override {
    if (auto denied = co_await deny("make_directory", path))
      co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.make_directory(std::move(path));
  }
  Task<Result<>> remove(std::string path) override {
    if (auto denied = co_await deny("remove", path)) co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.remove(std::move(path));
  }
  Task<Result<>> rename(std::string from, std::string to) override {
    if (auto denied = co_await deny("rename", from + " to " + to))
      co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.rename(std::move(from), std::move(to));
  }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string path) override {
    if (auto denied = co_await deny("list", path)) co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.list(std::move(path));
  }
  Task<Result<DirectoryEntry>> status(std::string path) override {
    if (auto denied = co_await deny("status", path)) co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.status(std::move(path));
  }
  Task<Result<>> sync_directory(std::string path) override {
    if (auto denied = co_await deny("sync_directory", path))
      co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.sync_directory(std::move(path));
  }
  Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override {
    if (auto denied = co_await deny("lock", path)) co_return std::unexpected(std::move(*denied));
    co_return co_await inner_.lock(std::move(path));
  }
  Task<Result<std::uint64_t>> free_bytes(std::string path) override {
    co_return co_await inner_.free_bytes(std::move(path));
  }
  void expect_large_io(MutableByteView memory) override { inner_.expect_large_io(memory); }

 private:
  Task<std::optional<Error>> deny(const char* operation, std::string path) {
    Verdict verdict = judge_->judge(operation, path);
    co_await wait(judge_, verdict);
    co_return std::move(verdict.error);
  }

  Disk& inner_;
  std::shared_ptr<Judge> judge_;
};

}  // namespace

std::unique_ptr<Disk> make_fault_disk(Disk& inner, Clock& clock, std::vector<FaultRule> rules) {
  return std::make_unique<FaultDisk>(inner, clock, std::move(rules));
}

}  // namespace ottla::io::fault
