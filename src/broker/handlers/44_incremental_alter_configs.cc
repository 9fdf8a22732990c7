// IncrementalAlterConfigs (key 44), v0 and v1: sets, unsets, appends to and takes from configs of
// topics, brokers and groups (KIP-339). The controller decides; the answer comes when this node
// goes by the new values.
#include "broker/config_changes.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/incremental_alter_configs_request.h"
#include "wire/messages/incremental_alter_configs_response.h"

namespace ottla::broker {

void handle_incremental_alter_configs(RequestContext context) {
  serve_in_task(
      std::move(context),
      &alter_configs<wire::IncrementalAlterConfigsRequest, wire::IncrementalAlterConfigsResponse>);
}

}  // namespace ottla::broker
