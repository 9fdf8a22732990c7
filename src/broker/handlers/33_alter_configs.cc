// AlterConfigs (key 33), v0 to v2: all configs of a topic, a broker or a group at once; what is not
// named goes back to its default. Clients of today send IncrementalAlterConfigs (44).
#include "broker/config_changes.h"
#include "broker/handlers/handlers.h"
#include "wire/messages/alter_configs_request.h"
#include "wire/messages/alter_configs_response.h"

namespace ottla::broker {

void handle_alter_configs(RequestContext context) {
  serve_in_task(std::move(context),
                &alter_configs<wire::AlterConfigsRequest, wire::AlterConfigsResponse>);
}

}  // namespace ottla::broker
