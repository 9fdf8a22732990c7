#include "admin.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

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

namespace ottla::load {
namespace {

constexpr std::int16_t kCreateTopicsVersion = 7;
constexpr std::int16_t kDeleteTopicsVersion = 6;
constexpr std::int16_t kMetadataVersion = 12;
constexpr std::int16_t kListOffsetsVersion = 7;
constexpr std::int64_t kLatest = -1;
// Between two questions: no request of the protocol waits until partitions have their leaders, so
// every client asks again.
constexpr auto kPause = std::chrono::milliseconds(1);

void send_all(int socket, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) die(fmt::format("sending: {}", std::strerror(errno)));
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void receive_all(int socket, MutableByteView into) {
  while (!into.empty()) {
    const ssize_t got = ::recv(socket, into.data(), into.size(), 0);
    if (got <= 0) die(got == 0 ? "the broker closed the connection" : std::strerror(errno));
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace

void die(const std::string& why) {
  std::fprintf(stderr, "ottla-load: %s\n", why.c_str());
  std::exit(1);
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

double now_seconds() { return static_cast<double>(now_ns()) * 1e-9; }

int connect_to(const Options& options) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  if (::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1)
    die(options.host + " is no IPv4 address");
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket);
    return -1;
  }
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return socket;
}

Admin::Admin(const Options& options) : options_(options), socket_(connect_to(options)) {
  if (socket_ < 0) die(fmt::format("nobody listens on port {}", options.port));
}

Admin::~Admin() { ::close(socket_); }

template <class Response, class Request>
Response Admin::ask(const Request& request, std::int16_t version) {
  const auto frame = wire::request_frame(next_correlation_++, "ottla-load", request, version);
  if (!frame) die(frame.error().to_string());
  send_all(socket_, frame->flatten());
  std::uint8_t length[4];
  receive_all(socket_, length);
  Slice answer = Slice::allocate(load_big<std::uint32_t>(length));
  receive_all(socket_, answer.mutable_view());
  const auto header =
      wire::parse_response_header(answer, *wire::find_api(Request::info.key), version);
  if (!header) die(header.error().to_string());
  auto response = wire::decode<Response>(
      answer.subslice(header->body_offset, answer.size() - header->body_offset), version);
  if (!response) die(response.error().to_string());
  return std::move(*response);
}

Topic Admin::make_topic() {
  const double deadline = now_seconds() + options_.timeout_seconds;
  for (bool is_asked = false;; std::this_thread::sleep_for(kPause)) {
    if (now_seconds() > deadline) die("the topic gets no leaders");
    wire::MetadataRequest request;
    auto& wanted = request.topics->emplace_back();
    wanted.name = options_.topic;
    request.allow_auto_topic_creation = false;
    const auto metadata = ask<wire::MetadataResponse>(request, kMetadataVersion);
    const auto& topic = metadata.topics.at(0);
    const auto error = static_cast<wire::ErrorCode>(topic.error_code);
    if (error == wire::ErrorCode::unknown_topic_or_partition && !is_asked) {
      wire::CreateTopicsRequest creation;
      auto& made = creation.topics.emplace_back();
      made.name = options_.topic;
      made.num_partitions = options_.partitions;
      made.replication_factor = 1;
      creation.timeout_ms = 30'000;
      const auto answer = ask<wire::CreateTopicsResponse>(creation, kCreateTopicsVersion);
      const auto code = static_cast<wire::ErrorCode>(answer.topics.at(0).error_code);
      is_asked = code == wire::ErrorCode::none || code == wire::ErrorCode::topic_already_exists;
      continue;
    }
    if (error != wire::ErrorCode::none) continue;
    bool is_led = !topic.partitions.empty();
    for (const auto& partition : topic.partitions)
      is_led = is_led && partition.error_code == 0 && partition.leader_id >= 0;
    if (is_led) return {options_.topic, topic.topic_id, static_cast<int>(topic.partitions.size())};
  }
}

void Admin::delete_topic() {
  wire::DeleteTopicsRequest request;
  request.topics.emplace_back().name = options_.topic;
  request.timeout_ms = 30'000;
  const auto answer = ask<wire::DeleteTopicsResponse>(request, kDeleteTopicsVersion);
  if (const auto code = answer.responses.at(0).error_code; code != 0)
    die(fmt::format("deleting {}: error {}", options_.topic, code));
}

std::vector<Offset> Admin::end_offsets(const Topic& topic) {
  wire::ListOffsetsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = topic.name;
  for (int i = 0; i < topic.partitions; ++i) {
    auto& partition = wanted.partitions.emplace_back();
    partition.partition_index = i;
    partition.timestamp = kLatest;
  }
  std::vector<Offset> ends(static_cast<std::size_t>(topic.partitions));
  // A broker may name the leaders of a new topic a moment before it leads.
  for (const double deadline = now_seconds() + options_.timeout_seconds;;) {
    const auto answer = ask<wire::ListOffsetsResponse>(request, kListOffsetsVersion);
    std::int16_t error = 0;
    for (const auto& partition : answer.topics.at(0).partitions) {
      if (partition.error_code != 0) error = partition.error_code;
      ends.at(static_cast<std::size_t>(partition.partition_index)) = partition.offset;
    }
    if (error == 0) break;
    if (now_seconds() > deadline) die(fmt::format("ListOffsets: error {}", error));
    std::this_thread::sleep_for(kPause);
  }
  return ends;
}

}  // namespace ottla::load
