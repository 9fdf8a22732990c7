// Fetch from offset 0 to the end: each connection has its share of the partitions and asks for one
// after the other, `depth` answers under way. Every batch is looked at: its checksum, and whether
// its offsets follow those before.
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
#include "report.h"
#include "wire/codec.h"
#include "wire/header.h"
#include "wire/messages/fetch_request.h"
#include "wire/messages/fetch_response.h"
#include "wire/record_batch.h"

namespace ottla::load {
namespace {

constexpr std::int16_t kFetchVersion = 17;
constexpr std::size_t kAnswerBytesBesides = 64 << 10;
constexpr int kEventsMax = 64;
constexpr int kTurnMs = 1;
constexpr std::int32_t kMaxWaitMs = 500;

struct Lane {
  Connection connection;
  std::deque<int> idle;       // partitions that nobody asks for just now
  std::deque<int> in_flight;  // as asked
  std::deque<Slice> frames;   // of the requests in flight
};

class Fetch {
 public:
  explicit Fetch(const Options& options)
      : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    Admin admin(options);
    topic_ = admin.make_topic();
    ends_ = admin.end_offsets(topic_);
    const int lanes = std::min(options.connections, topic_.partitions);
    for (int i = 0; i < lanes; ++i) {
      lanes_.emplace_back(Connection(options, epoll_, static_cast<std::uint64_t>(i),
                                     2 * options.fetch_bytes + kAnswerBytesBesides));
    }
  }

  nlohmann::json run() {
    const double broker_before = cpu_seconds_of(options_.pid);
    const double own_before = own_cpu_seconds();
    begin_ns_ = now_ns();
    for (int pass = 0; pass < options_.passes; ++pass) read_all();
    const double seconds = static_cast<double>(now_ns() - begin_ns_) * 1e-9;
    const double own = own_cpu_seconds() - own_before;
    const double broker = cpu_seconds_of(options_.pid) - broker_before;
    return {{"records", records_},
            {"bytes", bytes_},
            {"requests", answers_},
            {"seconds", seconds},
            {"broker_cpu_seconds", broker},
            {"generator_busy", own / seconds},
            {"rss_mib", resident_mib_of(options_.pid)},
            {"errors", errors_}};
  }

 private:
  void read_all() {
    next_.assign(ends_.size(), 0);
    for (int i = 0; i < topic_.partitions; ++i) {
      if (ends_[static_cast<std::size_t>(i)] > 0)
        lanes_[static_cast<std::size_t>(i) % lanes_.size()].idle.push_back(i);
    }
    const std::uint64_t before = records_;
    while (true) {
      bool is_done = true;
      for (Lane& lane : lanes_) {
        ask(lane);
        is_done = is_done && lane.idle.empty() && lane.in_flight.empty();
      }
      if (is_done) break;
      std::array<epoll_event, kEventsMax> events;
      const int count = ::epoll_wait(epoll_, events.data(), kEventsMax, kTurnMs);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        Lane& lane = lanes_[event.data.u64];
        if ((event.events & ~EPOLLOUT) != 0) lane.connection.receive();
        while (true) {
          const Slice frame = lane.connection.next_frame();
          if (frame.empty()) break;
          take_answer(lane, frame);
        }
        lane.connection.send();
      }
    }
    std::uint64_t wanted = 0;
    for (const Offset end : ends_) wanted += static_cast<std::uint64_t>(end);
    if (records_ - before != wanted)
      errors_.push_back(fmt::format("{} records of {}", records_ - before, wanted));
  }

  bool is_too_fast() const {
    if (options_.megabytes_per_second <= 0) return false;
    const double seconds = static_cast<double>(now_ns() - begin_ns_) * 1e-9;
    return static_cast<double>(bytes_) > seconds * options_.megabytes_per_second * 1e6;
  }

  void ask(Lane& lane) {
    while (!lane.idle.empty() && lane.in_flight.size() < static_cast<std::size_t>(options_.depth) &&
           !is_too_fast()) {
      const int partition = lane.idle.front();
      lane.idle.pop_front();
      wire::FetchRequest request;
      request.max_wait_ms = kMaxWaitMs;
      request.min_bytes = 1;
      request.max_bytes = static_cast<std::int32_t>(options_.fetch_bytes);
      auto& topic = request.topics.emplace_back();
      topic.topic_id = topic_.id;
      auto& wanted = topic.partitions.emplace_back();
      wanted.partition = partition;
      wanted.fetch_offset = next_[static_cast<std::size_t>(partition)];
      wanted.partition_max_bytes = static_cast<std::int32_t>(options_.fetch_bytes);
      const auto frame = wire::request_frame(partition, "ottla-load", request, kFetchVersion);
      if (!frame) die(frame.error().to_string());
      lane.frames.push_back(frame->flatten());
      lane.in_flight.push_back(partition);
      lane.connection.queue(lane.frames.back());
      lane.connection.send();
    }
  }

  void take_answer(Lane& lane, const Slice& frame) {
    static const wire::ApiInfo& api = *wire::find_api(wire::FetchRequest::info.key);
    const int partition = lane.in_flight.front();
    lane.in_flight.pop_front();
    lane.frames.pop_front();
    const auto header = wire::parse_response_header(frame, api, kFetchVersion);
    if (!header || header->correlation_id != partition) die("an answer out of order");
    const auto response = wire::decode<wire::FetchResponse>(
        frame.subslice(header->body_offset, frame.size() - header->body_offset), kFetchVersion);
    if (!response) die(response.error().to_string());
    if (response->error_code != 0) die(fmt::format("Fetch: error {}", response->error_code));
    const auto& answer = response->responses.at(0).partitions.at(0);
    if (answer.error_code != 0 || answer.partition_index != partition)
      die(fmt::format("partition {}: error {}", answer.partition_index, answer.error_code));
    ++answers_;
    Offset& next = next_[static_cast<std::size_t>(partition)];
    const Offset end = ends_[static_cast<std::size_t>(partition)];
    const Slice records = answer.records.flatten();
    wire::BatchCursor cursor(records);
    bool is_last = false;
    for (wire::Batch batch; cursor.next(batch);) {
      if (batch.header.last_offset() < next) continue;  // the answer begins with a whole batch
      if (batch.header.base_offset != next) die("a gap between offsets");
      if (!wire::crc_matches(batch.bytes)) die("a checksum that does not fit");
      records_ += static_cast<std::uint64_t>(batch.header.record_count);
      next = batch.header.next_offset();
      is_last = next >= end;
    }
    if (cursor.error() && *cursor.error() != wire::BatchError::truncated) die("a bad batch");
    bytes_ += cursor.position();
    if (!is_last) lane.idle.push_back(partition);
  }

  const Options& options_;
  int epoll_;
  Topic topic_;
  std::vector<Offset> ends_;
  std::vector<Offset> next_;
  std::deque<Lane> lanes_;
  std::int64_t begin_ns_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t answers_ = 0;
  std::vector<std::string> errors_;
};

}  // namespace

nlohmann::json run_fetch(const Options& options) { return Fetch(options).run(); }

}  // namespace ottla::load
