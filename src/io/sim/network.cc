#include "io/sim/network.h"

#include <algorithm>
#include <fmt/format.h>

#include "io/sim/link.h"
#include "io/sim/shard_disk.h"

namespace ottla::io::sim {
namespace {

constexpr std::size_t kBacklogMax = 128;
constexpr std::size_t kFileBytesAtOnce = 64 << 10;
constexpr Duration kLocalDelay = 10us;

std::unexpected<Error> failed(ErrorKind kind, const char* doing, const Endpoint& where) {
  return std::unexpected(
      Error{kind, fmt::format("{} {}: {}", doing, where.to_string(), to_string(kind))});
}

bool is_local(const std::string& host) {
  return host.empty() || host == "localhost" || host == "127.0.0.1" || host == "0.0.0.0" ||
         host == "::1" || host == "::";
}

}  // namespace

class SimConnection final : public Connection {
 public:
  SimConnection(std::shared_ptr<Link> link, int end) : link_(std::move(link)), end_(end) {}
  ~SimConnection() override { link_->close(end_); }

  Task<Result<>> wait_readable() override {
    while (!is_readable()) co_await Parked(here().reader);
    if (!here().is_open) co_return std::unexpected(closed("reading from"));
    co_return Result<>{};
  }

  Task<Result<std::size_t>> read_some(MutableByteView into) override {
    OTTLA_CHECK(!into.empty());
    while (!is_readable()) co_await Parked(here().reader);
    if (!here().is_open) co_return std::unexpected(closed("reading from"));
    Link::Pipe& pipe = incoming();
    if (pipe.arrived.empty()) {
      if (here().dead) co_return std::unexpected(closed("reading from"));
      co_return std::size_t{0};
    }
    const NetworkOptions& options = link_->fabric.options();
    if (into.size() > 1 && link_->prng().chance(options.short_read))
      into = into.first(link_->prng().between(1, into.size() - 1));
    std::size_t count = 0;
    while (count < into.size() && !pipe.arrived.empty()) {
      const ByteView first = pipe.arrived.front().view().subspan(pipe.first_offset);
      const std::size_t step = std::min(first.size(), into.size() - count);
      std::memcpy(into.data() + count, first.data(), step);
      count += step;
      pipe.first_offset += step;
      if (step == first.size()) {
        pipe.arrived.pop_front();
        pipe.first_offset = 0;
      }
    }
    pipe.held_bytes -= count;
    link_->world().note(link_->place(end_), What::receive, link_->id, count, {}, into.first(count));
    if (link_->room(1 - end_) >= link_->quarter()) link_->ends[1 - end_].wake_writer();
    co_return count;
  }

  Task<Result<>> write(Gather what) override {
    std::vector<Slice> message;
    std::size_t message_bytes = 0;
    for (const Gather::Part& part : what.parts()) {
      const auto* slice = std::get_if<Slice>(&part);
      const auto* range = std::get_if<FileRange>(&part);
      const std::uint64_t size = slice ? slice->size() : range->size_bytes;
      for (std::uint64_t at = 0; at < size;) {
        // Not byte by byte: waits for a quarter of the buffer, as TCP does.
        const std::size_t least = std::min<std::uint64_t>(size - at, link_->quarter());
        if (link_->room(end_) < message_bytes + least) {
          if (!message.empty()) link_->send(end_, std::exchange(message, {}));
          message_bytes = 0;
          while (is_writable() && link_->room(end_) < least) {
            ++link_->fabric.counters_.writer_waits;
            co_await Parked(here().writer);
          }
        }
        if (!is_writable()) co_return std::unexpected(closed("writing to"));
        std::size_t count = std::min(size - at, link_->room(end_) - message_bytes);
        if (slice) {
          message.push_back(slice->subslice(at, count));
        } else {
          count = std::min(count, kFileBytesAtOnce);
          auto bytes = co_await read_range(*range, at, count);
          if (!bytes) co_return std::unexpected(std::move(bytes.error()));
          message.push_back(std::move(*bytes));
        }
        at += count;
        message_bytes += count;
      }
    }
    if (!is_writable()) co_return std::unexpected(closed("writing to"));
    if (!message.empty()) link_->send(end_, std::move(message));
    co_return Result<>{};
  }

  void close() override { link_->close(end_); }
  Endpoint local() const override { return link_->ends[end_].address; }
  Endpoint peer() const override { return link_->ends[1 - end_].address; }

 private:
  Link::End& here() { return link_->ends[end_]; }
  Link::Pipe& incoming() { return link_->pipes[1 - end_]; }
  bool is_readable() {
    return !incoming().arrived.empty() || incoming().end_arrived || here().dead || !here().is_open;
  }
  bool is_writable() { return here().is_open && !here().dead; }
  Error closed(const char* doing) {
    const ErrorKind kind = ErrorKind::closed;
    const bool by_us = !here().is_open;
    return {kind, fmt::format("{} {}: the connection was {}", doing, peer().to_string(),
                              by_us                                 ? "closed here"
                              : here().dead == ErrorKind::timed_out ? "given up"
                                                                    : "reset")};
  }

  static Task<Result<Slice>> read_range(const FileRange& range, std::uint64_t at,
                                        std::uint64_t size) {
    if (auto* file = dynamic_cast<SimFile*>(&range.file->underlying()); file && !file->is_direct())
      co_return file->read_now(range.position + at, size);
    auto* file = dynamic_cast<File*>(range.file.get());
    OTTLA_CHECK(file != nullptr);
    const std::uint64_t position = range.position + at;
    const std::uint64_t skip = file->is_direct() ? position % kDirectAlignment : 0;
    AlignedBuffer buffer(skip + size);
    auto got = co_await file->read(position - skip, buffer.view());
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got < skip + size)
      co_return std::unexpected(
          Error{ErrorKind::input_output, "a file is shorter than the range to be sent"});
    co_return Slice::copy_of({buffer.data() + skip, static_cast<std::size_t>(size)});
  }

  const std::shared_ptr<Link> link_;
  const int end_;
};

class SimListener final : public Listener {
 public:
  SimListener(Fabric& fabric, Shard& shard, Endpoint local)
      : fabric_(fabric), shard_(&shard), local_(std::move(local)) {
    fabric_.listeners_[key()].push_back(this);
  }
  ~SimListener() override { close(); }

  Task<Result<std::unique_ptr<Connection>>> accept() override {
    while (is_open_ && backlog_.empty()) co_await Parked(acceptor_);
    if (!is_open_) co_return failed(ErrorKind::closed, "accepting on", local_);
    std::shared_ptr<Link> link = std::move(backlog_.front());
    backlog_.pop_front();
    link->world().note(shard_->place(), What::accept, link->id);
    co_return std::make_unique<SimConnection>(std::move(link), 1);
  }

  void close() override {
    if (!is_open_) return;
    is_open_ = false;
    auto& all = fabric_.listeners_[key()];
    std::erase(all, this);
    if (all.empty()) fabric_.listeners_.erase(key());
    if (acceptor_) static_cast<Executor&>(*shard_).post(std::exchange(acceptor_, nullptr)->waiter);
    for (auto& link : std::exchange(backlog_, {})) link->close(1);
  }

  Endpoint local() const override { return local_; }

  Shard& shard() { return *shard_; }
  bool has_room() const { return backlog_.size() < kBacklogMax; }
  void arrive(std::shared_ptr<Link> link) {
    backlog_.push_back(std::move(link));
    if (acceptor_) static_cast<Executor&>(*shard_).post(std::exchange(acceptor_, nullptr)->waiter);
  }

 private:
  std::pair<std::string, std::uint16_t> key() const {
    return {shard_->process().node().name(), local_.port};
  }

  Fabric& fabric_;
  Shard* shard_;
  const Endpoint local_;
  bool is_open_ = true;
  std::deque<std::shared_ptr<Link>> backlog_;
  Parked* acceptor_ = nullptr;
};

class ShardNetwork final : public Network {
 public:
  ShardNetwork(Fabric& fabric, Shard& shard) : fabric_(fabric), shard_(shard) {}

  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint at) override {
    Node& node = shard_.process().node();
    if (!is_local(at.host) && at.host != node.name())
      co_return failed(
          fabric_.world_.find_node(at.host) ? ErrorKind::invalid : ErrorKind::not_found,
          "listening on", at);
    if (at.port == 0) {
      do at.port = node.next_port();
      while (is_taken(node.name(), at.port));
    } else if (is_taken(node.name(), at.port)) {
      co_return failed(ErrorKind::in_use, "listening on", at);
    }
    fabric_.world_.note(shard_.place(), What::listen, at.port);
    if (at.host.empty()) at.host = node.name();
    co_return std::make_unique<SimListener>(fabric_, shard_, std::move(at));
  }

  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to) override {
    World& world = fabric_.world_;
    Node& node = shard_.process().node();
    const Endpoint named = to;
    if (is_local(to.host)) to.host = node.name();
    ++fabric_.counters_.connects;
    world.note(shard_.place(), What::connect, to.port, 0, to.host);
    Node* target = world.find_node(to.host);
    if (!target) {
      co_await Pause(shard_, fabric_.draw_delay(node.name(), node.name()));
      co_return failed(ErrorKind::not_found, "connecting to", named);
    }
    const NetworkOptions& options = fabric_.options();
    const Instant deadline = world.now() + options.connect_timeout;
    const bool lost = fabric_.prng_.chance(options.lose_connect);
    const bool refused = fabric_.prng_.chance(options.refuse);
    fabric_.counters_.connects_lost += lost;
    Duration retry = 1s;
    SimListener* listener = nullptr;
    for (;;) {
      co_await Pause(shard_, fabric_.draw_delay(node.name(), to.host));
      const bool through = !lost && target->is_up() && !fabric_.is_blocked(node.name(), to.host) &&
                           !fabric_.is_blocked(to.host, node.name());
      if (through) {
        const auto found = fabric_.listeners_.find({to.host, to.port});
        if (refused || found == fabric_.listeners_.end()) {
          ++fabric_.counters_.refused;
          co_await Pause(shard_, fabric_.draw_delay(to.host, node.name()));
          co_return failed(ErrorKind::refused, "connecting to", named);
        }
        listener = found->second[fabric_.prng_.below(found->second.size())];
        if (listener->has_room()) break;
      } else {
        ++fabric_.counters_.held_by_partition;
      }
      if (world.now() + retry >= deadline) {
        co_await Pause(shard_, deadline - world.now());
        co_return failed(ErrorKind::timed_out, "connecting to", named);
      }
      co_await Pause(shard_, retry);
      retry *= 2;
    }
    auto link = std::make_shared<Link>(fabric_, ++fabric_.next_link_);
    link->ends[0] = {
        .node = node.name(), .address = {node.name(), node.next_port()}, .shard = &shard_};
    link->ends[1] = {.node = to.host, .address = to, .shard = &listener->shard()};
    fabric_.links_.emplace(link->id, link);
    listener->arrive(link);
    auto connection = std::make_unique<SimConnection>(link, 0);
    co_await Pause(shard_, fabric_.draw_delay(to.host, node.name()));
    co_return connection;
  }

 private:
  bool is_taken(const std::string& node, std::uint16_t port) {
    if (fabric_.occupied_.contains({node, port})) return true;
    const auto found = fabric_.listeners_.find({node, port});
    if (found == fabric_.listeners_.end()) return false;
    // The shards of a process share a port; one shard has it once.
    return std::ranges::any_of(found->second,
                               [&](SimListener* other) { return &other->shard() == &shard_; });
  }

  Fabric& fabric_;
  Shard& shard_;
};

Fabric::Fabric(World& world) : world_(world), prng_(world.prng("network")) {}
Fabric::~Fabric() = default;

const NetworkOptions& Fabric::options() const { return world_.swarm().network; }

std::unique_ptr<Network> Fabric::attach(Shard& shard) {
  return std::make_unique<ShardNetwork>(*this, shard);
}

Duration Fabric::draw_delay(const std::string& from, const std::string& to) {
  if (from == to) return prng_.delay(kLocalDelay, 0);
  Duration delay = prng_.delay(options().delay, options().delay_tail);
  if (const auto slow = slow_.find({from, to}); slow != slow_.end()) delay += slow->second;
  return delay;
}

void Fabric::block(const std::string& from, const std::string& to) {
  blocked_.emplace(from, to);
  world_.note({}, What::block, 0, 0, from + " " + to);
}

void Fabric::unblock(const std::string& from, const std::string& to) {
  blocked_.erase({from, to});
  world_.note({}, What::heal, 0, 0, from + " " + to);
}

void Fabric::partition(const std::vector<std::string>& group,
                       const std::vector<std::string>& others) {
  for (auto& one : group) {
    for (auto& other : others) {
      block(one, other);
      block(other, one);
    }
  }
}

void Fabric::isolate(const std::string& name) {
  for (auto& other : world_.nodes()) {
    if (other->name() == name) continue;
    block(name, other->name());
    block(other->name(), name);
  }
}

void Fabric::heal() {
  blocked_.clear();
  slow_.clear();
  world_.note({}, What::heal);
}

bool Fabric::is_blocked(const std::string& from, const std::string& to) const {
  return !blocked_.empty() && from != to && blocked_.contains({from, to});
}

void Fabric::slow_down(const std::string& from, const std::string& to, Duration by) {
  slow_[{from, to}] = by;
}

void Fabric::reset_connections(const std::string& one, const std::string& other) {
  std::vector<std::shared_ptr<Link>> all;
  for (auto& [id, link] : links_) {
    const auto& [a, b] = link->ends;
    if ((a.node == one && b.node == other) || (a.node == other && b.node == one))
      all.push_back(link);
  }
  for (auto& link : all) link->reset();
}

std::size_t Fabric::open_connections() const { return links_.size(); }

void Fabric::forget(Link& link) { links_.erase(link.id); }

void Fabric::process_died(Process& process, bool silently) {
  std::vector<std::shared_ptr<Link>> all;
  all.reserve(links_.size());
  for (auto& [id, link] : links_) all.push_back(link);
  for (auto& link : all)
    for (int end : {0, 1})
      if (link->ends[end].shard && &link->ends[end].shard->process() == &process)
        link->process_died(end, silently);
}

}  // namespace ottla::io::sim
