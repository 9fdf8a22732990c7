// The asking side of one connection: any number of requests under way, answers matched by
// correlation id. Used between the halves of a node, between nodes, and by the command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "io/env.h"
#include "wire/codec.h"
#include "wire/header.h"

namespace ottla::rpc {

inline constexpr io::Duration kRequestTimeoutDefault = std::chrono::seconds(30);
inline constexpr std::uint32_t kResponseBytesMax = 1u << 30;

// After an error of kind `closed` or `timed_out` the client is done: make a new one. What the
// request did is unknown.
class Client {
 public:
  // Takes over a connection. The client outlives every call; its owner awaits close() before
  // destroying it.
  Client(io::Env& env, std::unique_ptr<io::Connection> connection, std::string client_id);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connects and makes a client; an error names the address.
  static io::Task<io::Result<std::unique_ptr<Client>>> connect(io::Env& env, io::Endpoint to,
                                                               std::string client_id);

  // Sends `request` and waits for its answer.
  template <class Response, class Req>
  io::Task<io::Result<Response>> call(Req request, std::int16_t version,
                                      io::Duration timeout = kRequestTimeoutDefault) {
    auto frame = wire::request_frame(next_correlation_, client_id_, request, version);
    if (!frame)
      co_return std::unexpected(io::Error{io::ErrorKind::invalid, frame.error().to_string()});
    auto answer = co_await exchange(std::move(*frame), Response::info.key, version, timeout);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    auto response = wire::decode<Response>(std::move(*answer), version);
    if (!response) {
      co_return std::unexpected(io::Error{io::ErrorKind::invalid, response.error().to_string()});
    }
    co_return std::move(*response);
  }

  // Sends a whole frame (with its length) that carries next_correlation(), and gives the answer's
  // body. The key and version tell the form of the answer's header.
  io::Task<io::Result<Slice>> exchange(Gather frame, std::int16_t api_key, std::int16_t version,
                                       io::Duration timeout);

  // Sends a frame that gets no answer (Produce with acks=0).
  io::Task<io::Result<>> send_only(Gather frame);

  std::int32_t next_correlation() const { return next_correlation_; }
  bool is_open() const { return open_; }
  io::Endpoint peer() const { return connection_->peer(); }
  io::Endpoint local() const { return connection_->local(); }

  // Ends the connection; calls under way fail with `closed`.
  io::Task<void> close();

 private:
  struct Waiting {
    explicit Waiting(io::Executor& executor) : answered(executor) {}
    io::Event answered;
    std::optional<Slice> frame;  // of the answer, header included; none if the connection ended
  };

  io::Task<io::Result<Slice>> wait_for_answer(Gather frame, std::int16_t api_key,
                                              std::int16_t version, io::Duration timeout);
  io::Task<void> read_loop();
  io::Task<void> write_loop();
  void end(std::string why);

  io::Env& env_;
  std::unique_ptr<io::Connection> connection_;
  std::string client_id_;
  std::int32_t next_correlation_ = 0;
  std::map<std::int32_t, std::shared_ptr<Waiting>> waiting_;
  Gather outbound_;
  io::Event writable_;
  bool open_ = true;
  std::string end_reason_;
  std::size_t calls_ = 0;  // under way
  io::Event idle_;
  io::TaskGroup tasks_;
};

}  // namespace ottla::rpc
