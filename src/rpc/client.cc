#include "rpc/client.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace ottla::rpc {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

}  // namespace

Client::Client(io::Env& env, std::unique_ptr<io::Connection> connection, std::string client_id)
    : env_(env),
      connection_(std::move(connection)),
      client_id_(std::move(client_id)),
      writable_(env.executor),
      idle_(env.executor),
      tasks_(env.executor) {
  tasks_.spawn(read_loop());
  tasks_.spawn(write_loop());
}

io::Task<io::Result<std::unique_ptr<Client>>> Client::connect(io::Env& env, io::Endpoint to,
                                                              std::string client_id) {
  auto connection = co_await env.network.connect(to);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  co_return std::make_unique<Client>(env, std::move(*connection), std::move(client_id));
}

// close() waits for the calls under way, so that their frames never outlive the client.
io::Task<io::Result<Slice>> Client::exchange(Gather frame, std::int16_t api_key,
                                             std::int16_t version, io::Duration timeout) {
  ++calls_;
  auto answer = co_await wait_for_answer(std::move(frame), api_key, version, timeout);
  if (--calls_ == 0) idle_.set();
  co_return answer;
}

io::Task<io::Result<Slice>> Client::wait_for_answer(Gather frame, std::int16_t api_key,
                                                    std::int16_t version, io::Duration timeout) {
  if (!open_) co_return std::unexpected(io::Error{io::ErrorKind::closed, end_reason_});
  const std::int32_t correlation = next_correlation_++;
  auto mine = std::make_shared<Waiting>(env_.executor);
  waiting_.emplace(correlation, mine);
  outbound_.append(std::move(frame));
  writable_.set();
  const bool in_time = co_await mine->answered.wait_until(env_.clock, env_.clock.now() + timeout);
  if (!in_time && !mine->frame) {
    end(fmt::format("no answer to API {} from {} within {} ms", api_key,
                    connection_->peer().to_string(),
                    std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()));
    co_return std::unexpected(io::Error{io::ErrorKind::timed_out, end_reason_});
  }
  if (!mine->frame) co_return std::unexpected(io::Error{io::ErrorKind::closed, end_reason_});
  const wire::ApiInfo* api = wire::find_api(api_key);
  OTTLA_CHECK(api != nullptr);
  const auto header = wire::parse_response_header(*mine->frame, *api, version);
  if (!header)
    co_return std::unexpected(io::Error{io::ErrorKind::invalid, header.error().to_string()});
  co_return mine->frame->subslice(header->body_offset, mine->frame->size() - header->body_offset);
}

io::Task<io::Result<>> Client::send_only(Gather frame) {
  if (!open_) co_return std::unexpected(io::Error{io::ErrorKind::closed, end_reason_});
  ++next_correlation_;
  outbound_.append(std::move(frame));
  writable_.set();
  co_return io::Result<>{};
}

io::Task<void> Client::close() {
  end("closed here");
  co_await tasks_.join();
  while (calls_ > 0) {
    idle_.reset();
    co_await idle_.wait();
  }
}

void Client::end(std::string why) {
  if (!open_) return;
  open_ = false;
  end_reason_ = std::move(why);
  connection_->close();
  writable_.set();
  const auto waiting = std::move(waiting_);
  waiting_.clear();
  for (const auto& [correlation, waiter] : waiting) waiter->answered.set();
}

io::Task<void> Client::write_loop() {
  while (open_) {
    co_await writable_.wait();
    writable_.reset();
    while (open_ && !outbound_.empty()) {
      Gather out = std::move(outbound_);
      outbound_ = {};
      auto written = co_await connection_->write(std::move(out));
      if (!written) end(written.error().message);
    }
  }
}

io::Task<void> Client::read_loop() {
  Slice buffer = Slice::allocate(kReadBytes);
  std::size_t parsed = 0;
  std::size_t filled = 0;
  while (open_) {
    // make room for the rest of the frame under way
    std::size_t wanted = 4;
    if (filled - parsed >= 4) wanted += load_big<std::uint32_t>(buffer.data() + parsed);
    if (wanted > kResponseBytesMax) {
      end(fmt::format("{} announces an answer of {} bytes", connection_->peer().to_string(),
                      wanted));
      break;
    }
    if (parsed == filled && buffer.is_unique()) parsed = filled = 0;
    if (buffer.size() - parsed < wanted) {
      Slice bigger = Slice::allocate(std::max(wanted, kReadBytes));
      if (filled > parsed)
        std::memcpy(bigger.mutable_data(), buffer.data() + parsed, filled - parsed);
      filled -= parsed;
      parsed = 0;
      buffer = std::move(bigger);
    }
    auto got = co_await connection_->read_some(buffer.mutable_view().subspan(filled));
    if (!got || *got == 0) {
      end(got ? fmt::format("{} closed the connection", connection_->peer().to_string())
              : got.error().message);
      break;
    }
    filled += *got;
    while (filled - parsed >= 8) {
      const auto length = load_big<std::uint32_t>(buffer.data() + parsed);
      if (length < 4) {
        end(fmt::format("{} sent a frame without a header", connection_->peer().to_string()));
        break;
      }
      if (filled - parsed - 4 < length) break;
      Slice frame = buffer.subslice(parsed + 4, length);
      parsed += 4 + length;
      const auto correlation = load_big<std::int32_t>(frame.data());
      const auto found = waiting_.find(correlation);
      if (found == waiting_.end()) continue;  // its caller has given up
      found->second->frame = std::move(frame);
      found->second->answered.set();
      waiting_.erase(found);
    }
  }
}

}  // namespace ottla::rpc
