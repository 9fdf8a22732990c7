#include "rpc/server_connection.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "wire/header.h"

namespace ottla::rpc {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kRequestHeaderBytesMin = 8;  // api key, version, correlation id
// A frame above this gets a buffer of its own.
constexpr std::size_t kOwnBufferBytesMin = MemoryBudget::kLargeFrom + kLengthBytes;
constexpr std::uint64_t kAnswerOverheadBytes = 256;  // what an answer takes beside its bytes
constexpr std::size_t kPredictedReadBytesMax = 2 << 20;

// What the first bytes of a stream that is not Kafka's probably are.
std::string_view guess_protocol(ByteView bytes) {
  if (bytes.size() >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03) {
    return "this looks like TLS; the listener is plain text: set security.protocol=PLAINTEXT at "
           "the client";
  }
  const std::string_view text = as_text(bytes);
  for (std::string_view verb : {"GET ", "POST", "HEAD", "PUT ", "OPTI"}) {
    if (text.starts_with(verb))
      return "this looks like HTTP; the port speaks Kafka's protocol only: correct the client's "
             "address";
  }
  return "the peer does not speak Kafka's protocol (look at what connects here), or sends more "
         "than "
         "socket.request.max.bytes (raise that)";
}

std::uint64_t memory_of(const Gather& gather) {
  std::uint64_t bytes = 0;
  for (const Gather::Part& part : gather.parts()) {
    if (const auto* slice = std::get_if<Slice>(&part)) bytes += slice->size();
  }
  return bytes;
}

}  // namespace

void ReplySlot::send(Gather body) {
  if (auto connection = std::exchange(connection_, nullptr)) {
    connection->answer(sequence_, std::move(body), false, false);
  }
}

void ReplySlot::send_nothing() {
  if (auto connection = std::exchange(connection_, nullptr)) {
    connection->answer(sequence_, {}, true, false);
  }
}

void ReplySlot::close(std::string_view why) {
  if (auto connection = std::exchange(connection_, nullptr)) {
    connection->log_close(why);
    connection->answer(sequence_, {}, true, true);
  }
}

ServerConnection::ServerConnection(ServerContext context,
                                   std::unique_ptr<io::Connection> connection, std::string listener)
    : context_(context),
      connection_(std::move(connection)),
      peer_(std::make_shared<Peer>()),
      last_activity_(context.env.clock.now()),
      progress_(context.env.executor),
      writable_(context.env.executor),
      tasks_(context.env.executor) {
  peer_->local = connection_->local();
  peer_->remote = connection_->peer();
  peer_->listener = std::move(listener);
}

io::Task<void> ServerConnection::run() {
  const auto self = shared_from_this();
  tasks_.spawn(write_loop());
  while (is_reading() && co_await read_more() && co_await dispatch_frames()) {
  }
  if (is_reading() && filled_ > parsed_) {
    log_close(
        fmt::format("it ended after {} bytes of a request; the client died, or something "
                    "between cuts connections",
                    filled_ - parsed_));
  }
  // A graceful end still writes what is due; otherwise the peer is gone or must go.
  if (!closing_) close_now();
  co_await tasks_.join();
  close_now();
}

void ServerConnection::close_now() {
  if (closed_) return;
  closed_ = true;
  connection_->close();
  for (const Pending& pending : pending_) context_.budget.give(pending.frame_bytes);
  if (reserved_bytes_ > 0) context_.budget.give(reserved_bytes_);
  context_.budget.give_answer(unsent_memory_);
  context_.budget.freed().pulse();  // for a reader of this connection
  in_flight_bytes_ = 0;
  reserved_bytes_ = 0;
  unsent_memory_ = 0;
  pending_.clear();
  outbound_ = {};
  writable_.set();
  progress_.pulse();
  peer_->is_gone = true;
  for (io::Event* waiting : peer_->to_wake) waiting->set();
}

void ServerConnection::close_when_answered() {
  closing_ = true;
  writable_.set();
  progress_.pulse();
  context_.budget.freed().pulse();
}

void ServerConnection::close_stalled() {
  log_close(
      fmt::format("it began a request of {} bytes and sends no more of it; the client hangs, "
                  "or something between does",
                  reserved_bytes_));
  close_now();
}

void ServerConnection::close_slow_reader() {
  log_close(
      fmt::format("it does not read its answers, and those of all connections of the shard "
                  "take {} bytes; look for a client that hangs",
                  context_.budget.answer_bytes()));
  close_now();
}

void ServerConnection::log_close(std::string_view why) {
  context_.log.write(fmt::format("closing the connection of {} on {}: {}",
                                 peer_->remote.to_string(), peer_->listener, why));
}

void ServerConnection::fail(std::string_view why) {
  log_close(why);
  close_when_answered();
}

// Reads until at least one whole frame lies in buffer_. False at the end of the stream.
io::Task<bool> ServerConnection::read_more() {
  const std::size_t left = filled_ - parsed_;
  std::size_t wanted = kLengthBytes;
  if (left >= kLengthBytes) {
    const auto length = load_big<std::uint32_t>(buffer_.data() + parsed_);
    wanted += length;  // dispatch_frames() has checked it
  }
  if (left == 0 && last_frame_bytes_ > kOwnBufferBytesMin) {
    wanted = std::min(last_frame_bytes_ + kLengthBytes, kPredictedReadBytesMax);
    co_return co_await read_into_own(wanted, kLengthBytes);
  }
  if (wanted > kOwnBufferBytesMin) {
    if (!co_await reserve(static_cast<std::uint32_t>(wanted - kLengthBytes))) co_return false;
    co_return co_await read_into_own(wanted, wanted);
  }
  co_return co_await read_into_chunk();
}

io::Task<bool> ServerConnection::reserve(std::uint32_t frame_bytes) {
  context_.budget.begin_waiting();
  while (is_reading() && !context_.budget.has_room(frame_bytes)) {
    co_await context_.budget.freed().wait();
  }
  context_.budget.end_waiting();
  if (!is_reading()) co_return false;
  last_activity_ = context_.env.clock.now();
  context_.budget.take(frame_bytes);
  reserved_bytes_ = frame_bytes;
  co_return true;
}

// A buffer of exactly `capacity` for what is left and what comes, read until `enough` bytes are
// there.
io::Task<bool> ServerConnection::read_into_own(std::size_t capacity, std::size_t enough) {
  if (filled_ == parsed_) (void)co_await connection_->wait_readable();
  Slice own = Slice::allocate(capacity);
  const std::size_t left = filled_ - parsed_;
  if (left > 0) std::memcpy(own.mutable_data(), buffer_.data() + parsed_, left);
  buffer_ = std::move(own);
  parsed_ = 0;
  filled_ = left;
  while (filled_ < enough && is_reading()) {
    const auto got = co_await connection_->read_some(buffer_.mutable_view().subspan(filled_));
    if (!got || *got == 0) co_return false;
    filled_ += *got;
    last_activity_ = context_.env.clock.now();
  }
  co_return is_reading();
}

io::Task<bool> ServerConnection::read_into_chunk() {
  const std::size_t left = filled_ - parsed_;
  if (left == 0) {
    buffer_ = {};
    (void)co_await connection_->wait_readable();
    if (!is_reading()) co_return false;
  }
  Slice space = context_.receive.take();
  if (left >= space.size()) {  // cannot be: kOwnBufferBytesMin bounds what is left
    co_return co_await read_into_own(left + ReceiveBuffer::kReadBytesMin, left + 1);
  }
  if (left > 0) std::memcpy(space.mutable_data(), buffer_.data() + parsed_, left);
  const auto got = co_await connection_->read_some(space.mutable_view().subspan(left));
  const std::size_t count = got ? *got : 0;
  context_.receive.give_back(space, left + count);
  if (count == 0) co_return false;
  buffer_ = space.subslice(0, left + count);
  parsed_ = 0;
  filled_ = left + count;
  last_activity_ = context_.env.clock.now();
  co_return true;
}

// Begins every request that lies whole in buffer_. False when the connection ends here.
io::Task<bool> ServerConnection::dispatch_frames() {
  while (filled_ - parsed_ >= kLengthBytes) {
    const std::uint8_t* at = buffer_.data() + parsed_;
    const auto length = load_big<std::uint32_t>(at);
    if (length < kRequestHeaderBytesMin || length > context_.limits.frame_bytes_max) {
      fail(fmt::format("a frame of {} bytes was announced: {}", length,
                       guess_protocol(buffer_.view().subspan(parsed_, filled_ - parsed_))));
      co_return false;
    }
    if (filled_ - parsed_ - kLengthBytes < length) break;
    Slice frame = buffer_.subslice(parsed_ + kLengthBytes, length);
    parsed_ += kLengthBytes + length;
    last_frame_bytes_ = length;
    const auto api_key = load_big<std::int16_t>(frame.data());
    if (!co_await wait_for_turn(api_key, length)) co_return false;
    if (!begin(std::move(frame))) co_return false;
  }
  co_return true;
}

io::Task<bool> ServerConnection::wait_for_turn(std::int16_t api_key, std::size_t frame_bytes) {
  const ServerLimits& limits = context_.limits;
  while (is_reading()) {
    const bool in_order = pending_.empty() || (pending_.back().api_key == api_key &&
                                               context_.service.may_overlap(api_key));
    const bool in_bounds =
        pending_.size() < limits.requests_in_flight_max &&
        (pending_.empty() || in_flight_bytes_ + frame_bytes <= limits.in_flight_bytes_max) &&
        unsent_bytes_ <= limits.unsent_bytes_max;
    if (!in_order || !in_bounds) {
      co_await progress_.wait();
    } else if (reserved_bytes_ == 0 && !context_.budget.has_room(frame_bytes)) {
      co_await context_.budget.freed().wait();
    } else {
      co_return true;
    }
  }
  co_return false;
}

bool ServerConnection::begin(Slice frame) {
  auto header = wire::parse_request_header(frame);
  if (!header) {
    fail(fmt::format("a request header can't be read: {}; look at the client's library",
                     header.error().to_string()));
    return false;
  }
  if (!header->api || !context_.service.serves(header->api_key, header->api_version)) {
    fail(fmt::format(
        "API key {} version {} is not served here: the client should ask by ApiVersions first",
        header->api_key, header->api_version));
    return false;
  }
  Pending pending;
  pending.api_key = header->api_key;
  pending.correlation_id = header->correlation_id;
  pending.response_header_version = header->api->response_header_version(header->api_version);
  pending.frame_bytes = static_cast<std::uint32_t>(frame.size());
  in_flight_bytes_ += frame.size();
  if (reserved_bytes_ == 0) context_.budget.take(frame.size());
  reserved_bytes_ = 0;
  pending_.push_back(std::move(pending));

  Request request;
  request.api_key = header->api_key;
  request.api_version = header->api_version;
  request.correlation_id = header->correlation_id;
  request.client_id = std::move(header->client_id);
  request.body = frame.subslice(header->body_offset, frame.size() - header->body_offset);
  request.frame = std::move(frame);
  const std::uint64_t sequence = first_sequence_ + pending_.size() - 1;
  context_.service.handle(std::move(request), peer_, ReplySlot(shared_from_this(), sequence));
  return is_reading();
}

void ServerConnection::answer(std::uint64_t sequence, Gather body, bool silent, bool close) {
  if (closed_ || abandoned_) return;
  OTTLA_CHECK(sequence >= first_sequence_ && sequence - first_sequence_ < pending_.size());
  Pending& mine = pending_[sequence - first_sequence_];
  OTTLA_CHECK(!mine.answered);
  mine.answered = true;
  mine.silent = silent;
  mine.close = close;
  mine.body = std::move(body);

  bool moved = false;
  while (!pending_.empty() && pending_.front().answered) {
    Pending front = std::move(pending_.front());
    pending_.pop_front();
    ++first_sequence_;
    in_flight_bytes_ -= front.frame_bytes;
    context_.budget.give(front.frame_bytes);
    moved = true;
    if (front.close) {
      closing_ = true;
      // requests begun after it are not answered any more
      while (!pending_.empty()) {
        in_flight_bytes_ -= pending_.front().frame_bytes;
        context_.budget.give(pending_.front().frame_bytes);
        pending_.pop_front();
      }
      abandoned_ = true;
      break;
    }
    if (front.silent) continue;
    const std::size_t header_bytes = front.response_header_version == 0 ? 4 : 5;
    Slice head = Slice::allocate(kLengthBytes + header_bytes);
    std::uint8_t* at = head.mutable_data();
    store_big<std::int32_t>(at, static_cast<std::int32_t>(header_bytes + front.body.size_bytes()));
    store_big<std::int32_t>(at + kLengthBytes, front.correlation_id);
    if (front.response_header_version > 0) at[8] = 0;  // no tagged fields
    const std::uint64_t memory = kAnswerOverheadBytes + memory_of(front.body);
    context_.budget.take_answer(memory);
    unsent_memory_ += memory;
    outbound_memory_ += memory;
    unsent_bytes_ += kAnswerOverheadBytes + front.body.size_bytes();
    outbound_bytes_ += kAnswerOverheadBytes + front.body.size_bytes();
    outbound_.append(std::move(head));
    outbound_.append(std::move(front.body));
  }
  if (!moved) return;
  writable_.set();
  progress_.pulse();
}

io::Task<void> ServerConnection::write_loop() {
  while (true) {
    co_await writable_.wait();
    if (closed_) co_return;
    writable_.reset();
    Gather out = std::move(outbound_);
    outbound_ = {};
    if (!out.empty()) {
      const std::uint64_t bytes = std::exchange(outbound_bytes_, 0);
      const std::uint64_t memory = std::exchange(outbound_memory_, 0);
      writing_since_ = context_.env.clock.now();
      const auto written = co_await connection_->write(std::move(out));
      writing_since_ = io::Instant::never();
      if (closed_) co_return;
      unsent_bytes_ -= bytes;
      unsent_memory_ -= memory;
      context_.budget.give_answer(memory);
      last_activity_ = context_.env.clock.now();
      if (!written) {
        close_now();
        co_return;
      }
      progress_.pulse();
    }
    if (closing_ && pending_.empty() && outbound_.empty()) {
      close_now();
      co_return;
    }
  }
}

}  // namespace ottla::rpc
