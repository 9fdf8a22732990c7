#include "connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace ottla::load {
namespace {

constexpr std::size_t kVectorsMax = 64;
constexpr std::size_t kLengthBytes = 4;

}  // namespace

Connection::Connection(const Options& options, int epoll, std::uint64_t tag,
                       std::size_t receive_bytes)
    : epoll_(epoll),
      tag_(tag),
      socket_(connect_to(options)),
      buffer_(Slice::allocate(receive_bytes)) {
  if (socket_ < 0) die(fmt::format("nobody listens on port {}", options.port));
  epoll_event event{EPOLLIN, {.u64 = tag}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event);
}

Connection::~Connection() {
  if (socket_ >= 0) ::close(socket_);
}

Connection::Connection(Connection&& other) noexcept
    : epoll_(other.epoll_),
      tag_(other.tag_),
      socket_(std::exchange(other.socket_, -1)),
      outbound_(std::move(other.outbound_)),
      wants_writable_(other.wants_writable_),
      buffer_(std::move(other.buffer_)),
      parsed_(other.parsed_),
      filled_(other.filled_) {}

void Connection::send() {
  while (!outbound_.empty()) {
    std::array<iovec, kVectorsMax> vectors;
    std::size_t count = 0;
    std::size_t total = 0;
    for (const ByteView bytes : outbound_) {
      if (count == kVectorsMax) break;
      vectors[count++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
      total += bytes.size();
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) die(fmt::format("sending: {}", std::strerror(errno)));
    auto left = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    const bool all = left == total;
    while (left > 0) {
      ByteView& front = outbound_.front();
      const std::size_t step = std::min(left, front.size());
      left -= step;
      front = front.subspan(step);
      if (front.empty()) outbound_.pop_front();
    }
    if (!all) break;
  }
  if (wants_writable_ == !outbound_.empty()) return;
  wants_writable_ = !outbound_.empty();
  epoll_event event{EPOLLIN | (wants_writable_ ? EPOLLOUT : 0u), {.u64 = tag_}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event);
}

bool Connection::receive() {
  if (parsed_ > 0) {
    std::memmove(buffer_.mutable_data(), buffer_.data() + parsed_, filled_ - parsed_);
    filled_ -= parsed_;
    parsed_ = 0;
  }
  if (filled_ == buffer_.size()) die("an answer is longer than the buffer");
  const ssize_t got =
      ::recv(socket_, buffer_.mutable_data() + filled_, buffer_.size() - filled_, MSG_DONTWAIT);
  if (got == 0) die("the broker closed a connection");
  if (got < 0 && errno != EAGAIN) die(fmt::format("receiving: {}", std::strerror(errno)));
  filled_ += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  return got > 0;
}

Slice Connection::next_frame() {
  if (filled_ - parsed_ < kLengthBytes) return {};
  const auto length = load_big<std::uint32_t>(buffer_.data() + parsed_);
  if (filled_ - parsed_ - kLengthBytes < length) return {};
  Slice frame = buffer_.subslice(parsed_ + kLengthBytes, length);
  parsed_ += kLengthBytes + length;
  return frame;
}

}  // namespace ottla::load
