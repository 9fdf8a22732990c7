// FindCoordinator (key 10), v0 to v6. There are no groups and no transactions yet, so no
// coordinator is ever available; the API is offered all the same, because librdkafka before 2.12
// takes it for the sign of a broker that knows lz4.
#include "broker/handlers/handlers.h"
#include "wire/messages/find_coordinator_request.h"
#include "wire/messages/find_coordinator_response.h"

namespace ottla::broker {

void handle_find_coordinator(RequestContext context) {
  constexpr std::int16_t kBatchedFrom = 4;
  const auto request = context.decode<wire::FindCoordinatorRequest>();
  if (!request) return;
  const auto error = static_cast<std::int16_t>(wire::ErrorCode::coordinator_not_available);
  const std::string message = "this broker serves no groups and no transactions yet";
  wire::FindCoordinatorResponse response;
  if (context.request.api_version < kBatchedFrom) {
    response.error_code = error;
    response.error_message = message;
    response.node_id = -1;
    response.port = -1;
  } else {
    for (const std::string& key : request->coordinator_keys) {
      auto& coordinator = response.coordinators.emplace_back();
      coordinator.key = key;
      coordinator.node_id = -1;
      coordinator.port = -1;
      coordinator.error_code = error;
      coordinator.error_message = message;
    }
  }
  context.answer(response);
}

}  // namespace ottla::broker
