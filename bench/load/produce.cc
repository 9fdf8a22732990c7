// Produce: either as fast as answers come (closed loop, `depth` requests in flight a connection),
// or by a schedule (open loop): request i is due at i / rate, goes out then whatever became of the
// others, and its latency counts from when it was due.
#include <algorithm>
#include <array>
#include <deque>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <thread>
#include <vector>

#include "broker_process.h"
#include "connection.h"
#include "options.h"
#include "produce_frames.h"
#include "report.h"

namespace ottla::load {
namespace {

constexpr std::size_t kReceiveBytes = 256 << 10;
constexpr int kEventsMax = 256;
constexpr int kOpenLoopDepth = 256;      // in flight a connection; more wait at the generator
constexpr double kPatienceSeconds = 30;  // for the last answers

struct Request {
  Bytes frame;
  int partition = 0;
  std::int64_t due_ns = 0;
};

struct Lane {
  Connection connection;
  std::vector<Request> requests;
  std::vector<int> idle;
  std::deque<int> in_flight;      // as sent: answers come in this order
  std::deque<std::int64_t> late;  // due, but all requests are in flight
};

class Produce {
 public:
  explicit Produce(const Options& options)
      : options_(options),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        batch_(make_batch(options.record_bytes, options.batch_bytes)) {
    Admin admin(options);
    topic_ = admin.make_topic();
    begins_ = admin.end_offsets(topic_);
    seen_.resize(begins_.size());
    const int depth = is_open_loop() ? kOpenLoopDepth : options.depth;
    int next_partition = 0;
    for (int i = 0; i < options.connections; ++i) {
      Lane& lane = lanes_.emplace_back(
          Connection(options, epoll_, static_cast<std::uint64_t>(i), kReceiveBytes));
      for (int k = 0; k < depth; ++k) {
        const int partition = next_partition++ % topic_.partitions;
        lane.requests.push_back({make_produce_frame(topic_, partition, batch_), partition, 0});
        lane.idle.push_back(k);
      }
    }
  }

  nlohmann::json run() {
    const double broker_before = cpu_seconds_of(options_.pid);
    const double own_before = own_cpu_seconds();
    begin_ns_ = now_ns();
    end_ns_ = begin_ns_ + static_cast<std::int64_t>(options_.seconds * 1e9);
    if (is_open_loop()) {
      run_schedule();
    } else {
      run_full_speed();
    }
    const double seconds = static_cast<double>(last_answer_ns_ - begin_ns_) * 1e-9;
    const double own = own_cpu_seconds() - own_before;
    // What the broker still does in the background is part of its price, and it says of none of it
    // that it has ended: the time is given, the same to every broker.
    std::this_thread::sleep_for(std::chrono::duration<double>(options_.settle_seconds));
    const double broker = cpu_seconds_of(options_.pid) - broker_before;
    check_offsets();
    nlohmann::json report{{"requests", answered_},
                          {"records", answered_ * static_cast<std::uint64_t>(batch_.records)},
                          {"bytes", answered_ * batch_.bytes.size()},
                          {"batch_bytes", batch_.bytes.size()},
                          {"seconds", seconds},
                          {"broker_cpu_seconds", broker},
                          {"generator_busy", own / seconds},
                          {"rss_mib", resident_mib_of(options_.pid)},
                          {"errors", errors_}};
    if (is_open_loop()) {
      report["latency_ms"] = percentiles(latencies_ns_);
      report["late_ms"] = percentiles(late_ns_);
    }
    return report;
  }

 private:
  bool is_open_loop() const { return options_.rate > 0; }

  void run_full_speed() {
    for (Lane& lane : lanes_) {
      while (!lane.idle.empty()) send_one(lane, begin_ns_);
      lane.connection.send();
    }
    while (is_awaiting()) turn(-1);
  }

  // Spins: a sleeping generator would be late, and that would count as latency.
  void run_schedule() {
    const double interval_ns = 1e9 / options_.rate;
    const auto count = static_cast<std::uint64_t>(options_.seconds * options_.rate);
    std::uint64_t next = 0;
    while (next < count || is_awaiting()) {
      const std::int64_t now = now_ns();
      while (next < count) {
        const auto due =
            begin_ns_ + static_cast<std::int64_t>(static_cast<double>(next) * interval_ns);
        if (due > now) break;
        late_ns_.push_back(now - due);
        Lane& lane = lanes_[next % lanes_.size()];
        if (lane.idle.empty()) {
          lane.late.push_back(due);
          ++waiting_;
        } else {
          send_one(lane, due);
          lane.connection.send();
        }
        ++next;
      }
      turn(0);
    }
  }

  bool is_awaiting() {
    if (in_flight_ == 0 && waiting_ == 0) return false;
    if (now_ns() > end_ns_ + static_cast<std::int64_t>(kPatienceSeconds * 1e9))
      die("the last answers do not come");
    return true;
  }

  void send_one(Lane& lane, std::int64_t due_ns) {
    const int at = lane.idle.back();
    lane.idle.pop_back();
    Request& request = lane.requests[static_cast<std::size_t>(at)];
    request.due_ns = due_ns;
    set_correlation(request.frame, at);
    lane.connection.queue(request.frame);
    lane.in_flight.push_back(at);
    ++in_flight_;
    bytes_sent_ += batch_.bytes.size();
  }

  void turn(int timeout_ms) {
    std::array<epoll_event, kEventsMax> events;
    const int count = ::epoll_wait(epoll_, events.data(), kEventsMax, timeout_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      Lane& lane = lanes_[event.data.u64];
      if ((event.events & ~EPOLLOUT) != 0) lane.connection.receive();
      const std::int64_t now = now_ns();
      while (true) {
        const Slice frame = lane.connection.next_frame();
        if (frame.empty()) break;
        take_answer(lane, frame, now);
      }
      if (is_open_loop()) {
        while (!lane.late.empty() && !lane.idle.empty()) {
          send_one(lane, lane.late.front());
          lane.late.pop_front();
          --waiting_;
        }
      } else if (now < end_ns_) {
        while (!lane.idle.empty() && bytes_sent_ < options_.bytes_max) send_one(lane, now);
      }
      lane.connection.send();
    }
  }

  void take_answer(Lane& lane, const Slice& frame, std::int64_t now) {
    std::string error;
    const auto answer = read_produce_answer(frame, error);
    if (!answer) die(error);  // nothing after it could be trusted
    const int at = lane.in_flight.front();
    lane.in_flight.pop_front();
    --in_flight_;
    const Request& request = lane.requests[static_cast<std::size_t>(at)];
    if (answer->correlation != at || answer->partition != request.partition)
      die("an answer out of order");
    note_offset(*answer);
    lane.idle.push_back(at);
    ++answered_;
    last_answer_ns_ = now;
    if (is_open_loop() &&
        request.due_ns >= begin_ns_ + static_cast<std::int64_t>(options_.warm_seconds * 1e9))
      latencies_ns_.push_back(now - request.due_ns);
  }

  void note_offset(const ProduceAnswer& answer) {
    const auto partition = static_cast<std::size_t>(answer.partition);
    const Offset from_begin = answer.base_offset - begins_[partition];
    if (from_begin < 0 || from_begin % batch_.records != 0) die("a base offset that cannot be");
    const auto number = static_cast<std::size_t>(from_begin / batch_.records);
    auto& seen = seen_[partition];
    if (number >= seen.size()) seen.resize(std::max(number + 1, seen.size() * 2));
    if (seen[number]) die("a base offset was given twice");
    seen[number] = true;
  }

  // Each partition got as many batches as were acknowledged, without a gap.
  void check_offsets() {
    for (auto& seen : seen_) {
      while (!seen.empty() && !seen.back()) seen.pop_back();
      if (std::find(seen.begin(), seen.end(), false) != seen.end())
        errors_.push_back("a gap between base offsets");
    }
    const auto ends = Admin(options_).end_offsets(topic_);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i] != begins_[i] + static_cast<Offset>(seen_[i].size()) * batch_.records)
        errors_.push_back(fmt::format("partition {} ends at {}", i, ends[i]));
    }
  }

  const Options& options_;
  int epoll_;
  Batch batch_;
  Topic topic_;
  std::vector<Offset> begins_;
  std::vector<std::vector<bool>> seen_;  // of each partition: which batches were acknowledged
  std::deque<Lane> lanes_;
  std::int64_t begin_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::int64_t last_answer_ns_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint64_t waiting_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::vector<std::int64_t> latencies_ns_;
  std::vector<std::int64_t> late_ns_;
  std::vector<std::string> errors_;
};

}  // namespace

nlohmann::json run_produce(const Options& options) { return Produce(options).run(); }

}  // namespace ottla::load
