#include "io/fault/trace_pen.h"

namespace ottla::io::fault {
namespace {

class TraceConnection final : public Connection {
 public:
  TraceConnection(Pen pen, std::unique_ptr<Connection> inner, std::string_view how)
      : pen_(pen),
        inner_(std::move(inner)),
        id_(pen.log.next_id()),
        received_(FrameFollower::kRequestShownBytes, pen.log.marker()),
        sent_(FrameFollower::kResponseShownBytes) {
    pen_.write("net {} ok connection={} local={} peer={}", how, id_, inner_->local().to_string(),
               inner_->peer().to_string());
  }
  ~TraceConnection() override { pen_.write("net gone ok connection={}", id_); }

  Task<Result<>> wait_readable() override { return inner_->wait_readable(); }

  Task<Result<std::size_t>> read_some(MutableByteView into) override {
    auto got = co_await inner_->read_some(into);
    if (!got) {
      pen_.write("net read failed connection={}", id_);
      co_return got;
    }
    pen_.write("net read ok connection={} bytes={}{}", id_, *got,
               received_.follow(into.first(*got)));
    co_return got;
  }

  Task<Result<>> write(Gather what) override {
    const std::uint64_t operation = pen_.log.next_id();
    std::string frames;
    for (const Gather::Part& part : what.parts()) {
      const auto* slice = std::get_if<Slice>(&part);
      std::string found =
          slice ? sent_.follow(*slice) : sent_.skip(std::get<FileRange>(part).size_bytes);
      if (!frames.empty() && !found.empty())
        found.replace(0, std::string_view(" frames=").size(), ",");
      frames += found;
    }
    pen_.write("net write begin connection={} bytes={}{} op={}", id_, what.size_bytes(), frames,
               operation);
    auto written = co_await inner_->write(std::move(what));
    pen_.write("net write {} connection={} op={}", written ? "ok" : "failed", id_, operation);
    co_return written;
  }

  void close() override {
    pen_.write("net close ok connection={}", id_);
    inner_->close();
  }
  Endpoint local() const override { return inner_->local(); }
  Endpoint peer() const override { return inner_->peer(); }

 private:
  const Pen pen_;
  std::unique_ptr<Connection> inner_;
  const std::uint64_t id_;
  FrameFollower received_;
  FrameFollower sent_;
};

class TraceListener final : public Listener {
 public:
  TraceListener(Pen pen, std::unique_ptr<Listener> inner) : pen_(pen), inner_(std::move(inner)) {}

  Task<Result<std::unique_ptr<Connection>>> accept() override {
    auto accepted = co_await inner_->accept();
    if (!accepted) co_return accepted;
    co_return std::make_unique<TraceConnection>(pen_, std::move(*accepted), "accept");
  }
  void close() override { inner_->close(); }
  Endpoint local() const override { return inner_->local(); }

 private:
  const Pen pen_;
  std::unique_ptr<Listener> inner_;
};

class TraceNetwork final : public Network {
 public:
  TraceNetwork(Network& inner, Pen pen) : inner_(inner), pen_(pen) {}

  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint at) override {
    auto listener = co_await inner_.listen(std::move(at));
    if (!listener) co_return listener;
    co_return std::make_unique<TraceListener>(pen_, std::move(*listener));
  }
  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to) override {
    auto connection = co_await inner_.connect(std::move(to));
    if (!connection) co_return connection;
    co_return std::make_unique<TraceConnection>(pen_, std::move(*connection), "connect");
  }

 private:
  Network& inner_;
  const Pen pen_;
};

}  // namespace

std::unique_ptr<Network> make_trace_network(Network& inner, unsigned shard, Clock& clock,
                                            TraceLog& log) {
  return std::make_unique<TraceNetwork>(inner, Pen{shard, clock, log});
}

}  // namespace ottla::io::fault
