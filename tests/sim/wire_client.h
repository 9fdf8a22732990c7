// What the scripted clients of a campaign share: a connection that is made when it is needed,
// producer ids, and batches whose values the last reader recognizes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients.h"
#include "rpc/client.h"
#include "wire/messages/metadata_response.h"

namespace ottla::sim_campaign {

inline constexpr const char* kClientId = "campaign";
inline constexpr std::int16_t kProduceVersion = 13;
inline constexpr io::Duration kRetryPause = std::chrono::milliseconds(150);
inline constexpr std::size_t kValueBytes = 8;  // of a record's value, before its filling

constexpr std::uint8_t filling(verify::Value value) {
  return static_cast<std::uint8_t>(value * 31 + 7);
}

class Link {
 public:
  Link(io::Env& env, io::Duration timeout) : env_(env), timeout_(timeout) {}

  io::Task<bool> open();
  io::Task<void> close();
  bool is_open() const { return client_ && client_->is_open(); }

  template <class Response, class Request>
  io::Task<std::optional<Response>> call(Request request, std::int16_t version) {
    if (!is_open()) co_return std::nullopt;
    auto answer = co_await client_->call<Response>(std::move(request), version, timeout_);
    if (!answer) co_return std::nullopt;
    co_return std::move(*answer);
  }

  // A request that gets no answer; nobody hears whether it went.
  template <class Request>
  io::Task<void> send_only(Request request, std::int16_t version) {
    if (!is_open()) co_return;
    auto frame = wire::request_frame(client_->next_correlation(), kClientId, request, version);
    if (frame) (void)co_await client_->send_only(std::move(*frame));
  }

  io::Task<std::optional<wire::MetadataResponse>> metadata();
  // Of a topic that is there and has a leader for all its partitions.
  io::Task<std::optional<Uuid>> topic_id(std::string name);

 private:
  io::Env& env_;
  const io::Duration timeout_;
  std::unique_ptr<rpc::Client> client_;
};

struct ProducerIdentity {
  ProducerId id = -1;
  ProducerEpoch epoch = -1;
};
// One that nobody had before; null: ask again.
io::Task<std::optional<ProducerIdentity>> new_producer(Link& link, Record& record);

// A batch of `count` new values, which are added to `values`.
Slice make_records(Record& record, io::sim::Prng& prng, ProducerIdentity producer,
                   Sequence sequence, std::int32_t count, std::size_t value_bytes_max,
                   std::int64_t wall_ms, std::vector<verify::Value>& values);

}  // namespace ottla::sim_campaign
