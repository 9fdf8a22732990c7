// What a handler gets: the request, its connection, and the place of its answer; and how it reads
// one and writes the other.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <utility>

#include "broker/controller.h"
#include "broker/shard.h"
#include "rpc/service.h"
#include "wire/codec.h"

namespace ottla::broker {

struct RequestContext {
  Shard& shard;
  rpc::Request request;
  std::shared_ptr<rpc::Peer> peer;
  rpc::ReplySlot reply;

  // The request's body; nullopt, and the connection ends, if it can't be read.
  template <class M>
  std::optional<M> decode() {
    // Like Kafka, bytes behind a request are let pass.
    wire::Reader reader(request.body);
    auto message = wire::decode_next<M>(reader, request.api_version);
    if (message) return std::move(*message);
    reply.close("a request can't be read: " + message.error().to_string() +
                "; look at the client's library");
    return std::nullopt;
  }

  template <class M>
  void answer(const M& message) {
    answer(message, request.api_version);
  }
  template <class M>
  void answer(const M& message, std::int16_t version) {
    wire::Writer writer;
    const auto written = wire::encode(message, version, writer);
    if (!written) return reply.close("an answer can't be written: " + written.error().to_string());
    reply.send(std::move(writer).finish());
  }
};

// Reads the request and answers it in a task of its shard's.
template <class M>
void serve_in_task(RequestContext context, io::Task<void> (*serve)(RequestContext, M)) {
  auto request = context.decode<M>();
  if (!request) return;
  io::TaskGroup& tasks = context.shard.tasks;
  tasks.spawn(serve(std::move(context), std::move(*request)));
}

// Serves one API; starts a task for what takes longer.
using Handler = void (*)(RequestContext context);

}  // namespace ottla::broker
