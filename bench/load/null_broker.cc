#include "null_broker.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin.h"
#include "wire/codec.h"
#include "wire/errors.h"
#include "wire/header.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"
#include "wire/messages/metadata_request.h"
#include "wire/messages/metadata_response.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"
#include "wire/record_batch.h"

namespace ottla::load {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;
constexpr int kEventsMax = 256;
constexpr std::int32_t kNode = 1;
constexpr std::string_view kCongestionControl = "reno";  // as ours on loopback

struct Partition {
  Offset end = 0;
  Bytes answer;  // to a produce request, of which two fields are set anew each time
  std::size_t base_offset_at = 0;
};

struct KnownTopic {
  Uuid id;
  std::vector<Partition> partitions;
};

struct Peer {
  int socket = -1;
  std::size_t filled = 0;
  Slice buffer = Slice::allocate(kBufferBytes);
  Bytes answers;
};

// Where the answer's base offset stands is found, not counted: it differs in the version's layout.
Partition make_partition(const Uuid& topic, std::int32_t index, std::int16_t version) {
  constexpr Offset kMark = 0x0102030405060708;
  wire::ProduceResponse response;
  auto& to = response.responses.emplace_back();
  to.topic_id = topic;
  auto& part = to.partition_responses.emplace_back();
  part.index = index;
  part.base_offset = kMark;
  part.log_start_offset = 0;
  const auto frame = wire::response_frame(0, response, version);
  if (!frame) die(frame.error().to_string());
  const Slice bytes = frame->flatten();
  Partition partition;
  partition.answer.assign(bytes.data(), bytes.data() + bytes.size());
  std::array<std::uint8_t, 8> mark;
  store_big(mark.data(), kMark);
  const auto at =
      std::search(partition.answer.begin(), partition.answer.end(), mark.begin(), mark.end());
  if (at == partition.answer.end()) die("an answer without base offset");
  partition.base_offset_at = static_cast<std::size_t>(at - partition.answer.begin());
  return partition;
}

class NullBroker {
 public:
  explicit NullBroker(const Options& options) : port_(options.port) {}

  // Appends the answer of one request, a frame without its length.
  void serve(const Slice& request, Bytes& answers) {
    const auto key = load_big<std::int16_t>(request.data());
    const auto version = load_big<std::int16_t>(request.data() + 2);
    const auto correlation = load_big<std::int32_t>(request.data() + 4);
    if (key == wire::ProduceRequest::info.key)
      return produce(request, version, correlation, answers);
    const auto header = wire::parse_request_header(request);
    if (!header) die(header.error().to_string());
    const Slice body = request.subslice(header->body_offset, request.size() - header->body_offset);
    if (key == wire::MetadataRequest::info.key) {
      answer(describe(decoded<wire::MetadataRequest>(body, version)), version, correlation,
             answers);
    } else if (key == wire::CreateTopicsRequest::info.key) {
      answer(create(decoded<wire::CreateTopicsRequest>(body, version)), version, correlation,
             answers);
    } else if (key == wire::DeleteTopicsRequest::info.key) {
      answer(remove(decoded<wire::DeleteTopicsRequest>(body, version)), version, correlation,
             answers);
    } else if (key == wire::ListOffsetsRequest::info.key) {
      answer(ends(decoded<wire::ListOffsetsRequest>(body, version)), version, correlation, answers);
    } else {
      die(fmt::format("a request that the generator does not send: {}", key));
    }
  }

 private:
  template <class Request>
  Request decoded(const Slice& body, std::int16_t version) {
    auto request = wire::decode<Request>(body, version);
    if (!request) die(request.error().to_string());
    return std::move(*request);
  }

  template <class Response>
  void answer(const Response& response, std::int16_t version, std::int32_t correlation,
              Bytes& answers) {
    const auto frame = wire::response_frame(correlation, response, version);
    if (!frame) die(frame.error().to_string());
    const Slice bytes = frame->flatten();
    answers.insert(answers.end(), bytes.data(), bytes.data() + bytes.size());
  }

  // The shape of the generator's requests is known: one topic, one partition, one batch. So the
  // batch's header is all that is looked at, and where it stands is the same in all of them.
  void produce(const Slice& request, std::int16_t version, std::int32_t correlation,
               Bytes& answers) {
    if (batch_at_ == 0 || request.size() != request_bytes_) learn(request, version);
    Uuid id{load_big<std::uint64_t>(request.data() + topic_id_at_),
            load_big<std::uint64_t>(request.data() + topic_id_at_ + 8)};
    const auto index = load_big<std::int32_t>(request.data() + index_at_);
    const auto records = load_big<std::int32_t>(request.data() + batch_at_ + kRecordCountAt);
    if (last_ == nullptr || last_->id != id) {
      last_ = nullptr;
      for (auto& [name, topic] : topics_) {
        if (topic.id == id) last_ = &topic;
      }
      if (last_ == nullptr) die("records for a topic that is not there");
    }
    Partition& partition = last_->partitions.at(static_cast<std::size_t>(index));
    if (partition.answer.empty()) partition = make_partition(id, index, version);
    store_big(partition.answer.data() + kCorrelationAt, correlation);
    store_big(partition.answer.data() + partition.base_offset_at, partition.end);
    partition.end += records;
    answers.insert(answers.end(), partition.answer.begin(), partition.answer.end());
  }

  void learn(const Slice& request, std::int16_t version) {
    const auto header = wire::parse_request_header(request);
    if (!header) die(header.error().to_string());
    const Slice body = request.subslice(header->body_offset, request.size() - header->body_offset);
    const auto whole = decoded<wire::ProduceRequest>(body, version);
    const auto& topic = whole.topic_data.at(0);
    const auto& records = topic.partition_data.at(0).records;
    if (records.is_null()) die("a produce request without records");
    batch_at_ = static_cast<std::size_t>(records.flatten().data() - request.data());
    std::array<std::uint8_t, 16> id;
    store_big(id.data(), topic.topic_id.high);
    store_big(id.data() + 8, topic.topic_id.low);
    const auto at = std::search(request.data(), request.data() + batch_at_, id.begin(), id.end());
    topic_id_at_ = static_cast<std::size_t>(at - request.data());
    index_at_ = topic_id_at_ + id.size() + 1;  // behind the length of an array of one
    request_bytes_ = request.size();
  }

  wire::MetadataResponse describe(const wire::MetadataRequest& request) {
    wire::MetadataResponse response;
    auto& broker = response.brokers.emplace_back();
    broker.node_id = kNode;
    broker.host = "127.0.0.1";
    broker.port = port_;
    for (const auto& wanted : *request.topics) {
      auto& topic = response.topics.emplace_back();
      topic.name = wanted.name;
      const auto found = topics_.find(*wanted.name);
      if (found == topics_.end()) {
        topic.error_code = static_cast<std::int16_t>(wire::ErrorCode::unknown_topic_or_partition);
        continue;
      }
      topic.topic_id = found->second.id;
      for (std::size_t i = 0; i < found->second.partitions.size(); ++i) {
        auto& partition = topic.partitions.emplace_back();
        partition.partition_index = static_cast<std::int32_t>(i);
        partition.leader_id = kNode;
      }
    }
    return response;
  }

  wire::CreateTopicsResponse create(const wire::CreateTopicsRequest& request) {
    wire::CreateTopicsResponse response;
    for (const auto& wanted : request.topics) {
      KnownTopic& topic = topics_[wanted.name];
      topic.id = {++made_, made_};
      topic.partitions.resize(static_cast<std::size_t>(std::max(wanted.num_partitions, 1)));
      auto& result = response.topics.emplace_back();
      result.name = wanted.name;
      result.topic_id = topic.id;
    }
    return response;
  }

  wire::DeleteTopicsResponse remove(const wire::DeleteTopicsRequest& request) {
    wire::DeleteTopicsResponse response;
    for (const auto& wanted : request.topics) {
      topics_.erase(*wanted.name);
      response.responses.emplace_back().name = wanted.name;
    }
    last_ = nullptr;
    return response;
  }

  wire::ListOffsetsResponse ends(const wire::ListOffsetsRequest& request) {
    wire::ListOffsetsResponse response;
    for (const auto& wanted : request.topics) {
      auto& topic = response.topics.emplace_back();
      topic.name = wanted.name;
      const auto& partitions = topics_[wanted.name].partitions;
      for (const auto& asked : wanted.partitions) {
        auto& partition = topic.partitions.emplace_back();
        partition.partition_index = asked.partition_index;
        partition.offset = partitions.at(static_cast<std::size_t>(asked.partition_index)).end;
      }
    }
    return response;
  }

  static constexpr std::size_t kCorrelationAt = 4;   // behind the length
  static constexpr std::size_t kRecordCountAt = 57;  // in a batch's header

  std::uint16_t port_;
  std::map<std::string, KnownTopic> topics_;
  std::uint64_t made_ = 0;
  KnownTopic* last_ = nullptr;
  std::size_t request_bytes_ = 0;  // of the requests whose places are known
  std::size_t topic_id_at_ = 0;
  std::size_t index_at_ = 0;
  std::size_t batch_at_ = 0;
};

int listen_on(std::uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ::setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, kCongestionControl.data(),
               kCongestionControl.size());
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // connections inherit both
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, SOMAXCONN) != 0)
    die(fmt::format("port {} is taken", port));
  return listener;
}

// Everything that is readable is read and answered by one send; false once the peer has gone.
bool serve_peer(NullBroker& broker, Peer& peer) {
  while (true) {
    const ssize_t got = ::recv(peer.socket, peer.buffer.mutable_data() + peer.filled,
                               kBufferBytes - peer.filled, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    peer.filled += static_cast<std::size_t>(got);
    std::size_t at = 0;
    while (peer.filled - at >= 4) {
      const auto length = load_big<std::uint32_t>(peer.buffer.data() + at);
      if (length + 4 > kBufferBytes) return false;
      if (peer.filled - at - 4 < length) break;
      broker.serve(peer.buffer.subslice(at + 4, length), peer.answers);
      at += 4 + length;
    }
    std::memmove(peer.buffer.mutable_data(), peer.buffer.data() + at, peer.filled - at);
    peer.filled -= at;
    // The generator always reads, and answers are short: they fit the socket's buffer.
    if (!peer.answers.empty() && ::send(peer.socket, peer.answers.data(), peer.answers.size(),
                                        MSG_NOSIGNAL) != static_cast<ssize_t>(peer.answers.size()))
      return false;
    peer.answers.clear();
  }
}

}  // namespace

void run_null_broker(const Options& options) {
  NullBroker broker(options);
  const int listener = listen_on(options.port);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {.ptr = nullptr}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  while (true) {
    std::array<epoll_event, kEventsMax> events;
    const int count = ::epoll_wait(epoll, events.data(), kEventsMax, -1);
    for (int i = 0; i < count; ++i) {
      auto* peer = static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (peer == nullptr) {
        auto made = std::make_unique<Peer>();
        made->socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (made->socket < 0) continue;
        event = {EPOLLIN | EPOLLET, {.ptr = made.get()}};
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, made->socket, &event);
        made.release();
      } else if (!serve_peer(broker, *peer)) {
        ::close(peer->socket);
        delete peer;
      }
    }
  }
}

}  // namespace ottla::load
