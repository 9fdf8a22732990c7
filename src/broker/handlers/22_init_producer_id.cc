// InitProducerId (key 22), v0 to v5, for idempotent producers: a fresh id, epoch 0. An id and epoch
// that the request brings (v3, KIP-360) matter to transactional producers only; those are answered
// NOT_COORDINATOR until there is a transaction coordinator.
#include "broker/handlers/handlers.h"
#include "wire/messages/init_producer_id_request.h"
#include "wire/messages/init_producer_id_response.h"

namespace ottla::broker {
namespace {

void refuse(RequestContext& context, wire::ErrorCode error) {
  wire::InitProducerIdResponse response;
  response.error_code = static_cast<std::int16_t>(error);
  response.producer_id = -1;
  response.producer_epoch = -1;
  context.answer(response);
}

io::Task<void> serve(RequestContext context) {
  const auto id = co_await context.shard.controller.next_producer_id();
  if (!id) {
    context.shard.env.logger.warning("no producer id could be had: {}", id.error().message);
    refuse(context,
           wire::ErrorCode::coordinator_load_in_progress);  // retriable: the client asks again
    co_return;
  }
  wire::InitProducerIdResponse response;
  response.producer_id = *id;
  response.producer_epoch = 0;
  context.answer(response);
}

}  // namespace

void handle_init_producer_id(RequestContext context) {
  const auto request = context.decode<wire::InitProducerIdRequest>();
  if (!request) return;
  if (request->transactional_id) {
    const bool is_empty = request->transactional_id->empty();
    return refuse(context,
                  is_empty ? wire::ErrorCode::invalid_request : wire::ErrorCode::not_coordinator);
  }
  io::TaskGroup& tasks = context.shard.tasks;
  tasks.spawn(serve(std::move(context)));
}

}  // namespace ottla::broker
