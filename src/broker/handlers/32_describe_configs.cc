// DescribeConfigs (key 32), v1 to v4, of topics, brokers and groups. v1 has synonyms, v3
// documentation and types, v4 is flexible. Every config that exists is shown with its value and
// where the value comes from.
#include <algorithm>

#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "metadata/config_definitions.h"
#include "metadata/topic_config.h"
#include "wire/messages/describe_configs_request.h"
#include "wire/messages/describe_configs_response.h"

namespace ottla::broker {
namespace {

using metadata::ConfigDefinition;
using metadata::ConfigMap;
using metadata::ResourceType;
using wire::ErrorCode;
using Result = wire::DescribeConfigsResponse::DescribeConfigsResult;

using Source = metadata::ConfigSource;

// One place where a value may stand, the strongest first.
struct Place {
  const ConfigMap* configs;
  std::string_view name;  // of the config there
  Source source;
};

enum class Default { shown, hidden };

void describe(const ConfigDefinition& definition, const std::vector<Place>& places,
              bool is_read_only, const wire::DescribeConfigsRequest& request, Result& result,
              Default standard_value = Default::shown) {
  auto& entry = result.configs.emplace_back();
  entry.name = definition.name;
  entry.read_only = is_read_only;
  entry.is_sensitive = definition.type == metadata::ConfigType::password;
  entry.config_type = static_cast<std::int8_t>(definition.type);
  entry.documentation = request.include_documentation
                            ? std::optional(std::string(definition.documentation))
                            : std::nullopt;
  bool is_found = false;
  const auto add = [&](std::string_view name, std::optional<std::string> value, Source source) {
    if (entry.is_sensitive) value = std::nullopt;
    if (!std::exchange(is_found, true)) {
      entry.value = value;
      entry.config_source = static_cast<std::int8_t>(source);
    }
    if (!request.include_synonyms) return;
    auto& synonym = entry.synonyms.emplace_back();
    synonym.name = name;
    synonym.value = std::move(value);
    synonym.source = static_cast<std::int8_t>(source);
  };
  for (const Place& place : places) {
    if (place.name.empty()) continue;
    if (const auto at = place.configs->find(place.name); at != place.configs->end()) {
      add(place.name, at->second, place.source);
    }
  }
  if (is_found && standard_value == Default::hidden) return;
  auto standard = definition.default_is_null ? std::nullopt
                                             : std::optional(std::string(definition.default_value));
  const ConfigDefinition* of_node = metadata::find_broker_config(definition.node_name);
  if (is_found && of_node && of_node->default_is_null)
    return;  // the node's setting has no default to be a synonym
  add(definition.node_name.empty() ? definition.name : definition.node_name, std::move(standard),
      Source::standard);
}

bool is_wanted(const wire::DescribeConfigsRequest::DescribeConfigsResource& resource,
               std::string_view name) {
  // an empty list asks for all of them, as none does
  if (!resource.configuration_keys || resource.configuration_keys->empty()) return true;
  return std::ranges::find(*resource.configuration_keys, name) !=
         resource.configuration_keys->end();
}

void fail(Result& result, ErrorCode code, std::string message) {
  result.error_code = static_cast<std::int16_t>(code);
  result.error_message = std::move(message);
}

}  // namespace

void handle_describe_configs(RequestContext context) {
  const auto request = context.decode<wire::DescribeConfigsRequest>();
  if (!request) return;
  Shard& shard = context.shard;
  const metadata::ImagePtr image = shard.image();
  const ConfigMap& node = shard.config.broker_configs;
  const std::string own_id = std::to_string(shard.config.node_id);
  const ConfigMap& broker = image->configs->of(ResourceType::broker, own_id);
  const ConfigMap& cluster = image->configs->of(ResourceType::broker, "");
  wire::DescribeConfigsResponse response;
  for (const auto& resource : request->resources) {
    Result& result = response.results.emplace_back();
    result.resource_type = resource.resource_type;
    result.resource_name = resource.resource_name;
    result.error_message = std::nullopt;
    switch (static_cast<ResourceType>(resource.resource_type)) {
      case ResourceType::topic: {
        if (!image->topics->find(resource.resource_name)) {
          const ErrorCode missing = missing_topic_error(resource.resource_name);
          fail(result, missing,
               missing == ErrorCode::invalid_topic_exception
                   ? "The name is not legal for a topic."
                   : "This server does not host this topic-partition.");
          break;
        }
        const ConfigMap& own = image->configs->of(ResourceType::topic, resource.resource_name);
        for (const ConfigDefinition& definition : metadata::topic_configs()) {
          if (!is_wanted(resource, definition.name)) continue;
          describe(definition,
                   {{&own, definition.name, Source::topic},
                    {&broker, definition.node_name, Source::dynamic_broker},
                    {&cluster, definition.node_name, Source::dynamic_default_broker},
                    {&node, definition.node_name, Source::static_broker}},
                   false, *request, result);
        }
        break;
      }
      case ResourceType::broker: {
        const bool is_default = resource.resource_name.empty();
        if (!is_default && resource.resource_name != own_id) {
          fail(result, ErrorCode::invalid_request,
               "Unexpected broker id, expected " + own_id + " or empty string, but received " +
                   resource.resource_name);
          break;
        }
        for (const ConfigDefinition& definition : metadata::broker_configs()) {
          if (!is_wanted(resource, definition.name)) continue;
          if (is_default) {  // of the defaults of all brokers only what was set is shown
            if (cluster.contains(definition.name)) {
              describe(definition, {{&cluster, definition.name, Source::dynamic_default_broker}},
                       false, *request, result, Default::hidden);
            }
            continue;
          }
          describe(definition,
                   {{&broker, definition.name, Source::dynamic_broker},
                    {&cluster, definition.name, Source::dynamic_default_broker},
                    {&node, definition.name, Source::static_broker}},
                   definition.is_read_only, *request, result);
        }
        break;
      }
      case ResourceType::group: {
        if (resource.resource_name.empty()) {
          fail(result, ErrorCode::invalid_request, "Group name must not be empty");
          break;
        }
        const ConfigMap& own = image->configs->of(ResourceType::group, resource.resource_name);
        for (const ConfigDefinition& definition : metadata::group_configs()) {
          if (!is_wanted(resource, definition.name)) continue;
          describe(definition, {{&own, definition.name, Source::group}}, false, *request, result);
        }
        break;
      }
      case ResourceType::broker_logger:
      case ResourceType::client_metrics:
      default:
        fail(result, ErrorCode::invalid_request, "This kind of resource has no configs here yet.");
        break;
    }
  }
  context.answer(response);
}

}  // namespace ottla::broker
