#include "cli/configs.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "wire/messages/create_partitions_request.h"
#include "wire/messages/create_partitions_response.h"
#include "wire/messages/describe_configs_request.h"
#include "wire/messages/describe_configs_response.h"
#include "wire/messages/incremental_alter_configs_request.h"
#include "wire/messages/incremental_alter_configs_response.h"

namespace ottla::cli {
namespace {

using wire::ErrorCode;

constexpr std::int32_t kRequestTimeoutMs = 30'000;
constexpr std::int8_t kSet = 0, kRemove = 1, kAppend = 2, kSubtract = 3;

ClusterError refused(const std::string& what, std::int16_t code,
                     const std::optional<std::string>& message) {
  const bool is_missing = code == static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
  return {is_missing ? ExitCode::not_found : ExitCode::failed,
          fmt::format("{}: {}", what, describe_code(code, message))};
}

// One broker's configs are that broker's to tell and to check; all others are anybody's.
io::Task<Answer<BrokerLink*>> link_for(Cluster& cluster, ConfigTarget target) {
  if (target.kind != ConfigResource::broker || target.name.empty())
    co_return co_await cluster.any();
  NodeId id = -1;
  const char* end = target.name.data() + target.name.size();
  const auto [stop, error] = std::from_chars(target.name.data(), end, id);
  if (error != std::errc() || stop != end) {
    co_return std::unexpected(
        ClusterError{ExitCode::usage, fmt::format("'{}' is no broker's number", target.name)});
  }
  auto metadata = co_await cluster.metadata(std::vector<std::string>{});
  if (!metadata) co_return std::unexpected(std::move(metadata.error()));
  co_return co_await cluster.broker(id);
}

std::string source_name(std::int8_t source) {
  constexpr std::pair<std::int8_t, std::string_view> kNames[] = {
      {1, "topic"}, {2, "broker"}, {3, "all brokers"}, {4, "file"}, {5, "default"}, {8, "group"}};
  for (const auto& [number, name] : kNames) {
    if (number == source) return std::string(name);
  }
  return fmt::format("source {}", source);
}

}  // namespace

std::string ConfigTarget::describe() const {
  switch (kind) {
    case ConfigResource::topic:
      return fmt::format("topic '{}'", name);
    case ConfigResource::broker:
      return name.empty() ? std::string("all brokers") : fmt::format("broker {}", name);
    case ConfigResource::group:
      return fmt::format("group '{}'", name);
  }
  return name;
}

Answer<std::vector<ConfigChange>> parse_changes(const ConfigChangeFlags& flags) {
  std::vector<ConfigChange> changes;
  for (const auto& [flag, list, operation] : {std::tuple{"--config", &flags.set, kSet},
                                              {"--append", &flags.appended, kAppend},
                                              {"--subtract", &flags.subtracted, kSubtract}}) {
    for (const std::string& text : *list) {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos || equals == 0) {
        return std::unexpected(
            ClusterError{ExitCode::usage, fmt::format("{} {}: write NAME=VALUE", flag, text)});
      }
      changes.push_back({text.substr(0, equals), operation, text.substr(equals + 1)});
    }
  }
  for (const std::string& name : flags.removed) changes.push_back({name, kRemove, std::nullopt});
  return changes;
}

io::Task<Answer<>> change_configs(Cluster& cluster, ConfigTarget target,
                                  std::vector<ConfigChange> changes, bool dry_run) {
  auto link = co_await link_for(cluster, target);
  if (!link) co_return std::unexpected(std::move(link.error()));
  wire::IncrementalAlterConfigsRequest request;
  request.validate_only = dry_run;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = static_cast<std::int8_t>(target.kind);
  resource.resource_name = target.name;
  for (ConfigChange& change : changes) {
    auto& config = resource.configs.emplace_back();
    config.name = std::move(change.name);
    config.config_operation = change.operation;
    config.value = std::move(change.value);
  }
  auto answer = co_await (*link)->call<wire::IncrementalAlterConfigsResponse>(std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  for (const auto& one : answer->responses) {
    if (one.error_code != 0) {
      co_return std::unexpected(refused(fmt::format("{} is not changed", target.describe()),
                                        one.error_code, one.error_message));
    }
  }
  co_return Answer<>{};
}

io::Task<Answer<std::vector<ShownConfig>>> describe_configs(Cluster& cluster, ConfigTarget target) {
  auto link = co_await link_for(cluster, target);
  if (!link) co_return std::unexpected(std::move(link.error()));
  wire::DescribeConfigsRequest request;
  const auto version = (*link)->version_of<wire::DescribeConfigsRequest>(INT16_MAX);
  request.include_documentation = version && *version >= 3;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = static_cast<std::int8_t>(target.kind);
  resource.resource_name = target.name;
  resource.configuration_keys.reset();
  auto answer = co_await (*link)->call<wire::DescribeConfigsResponse>(std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  std::vector<ShownConfig> shown;
  for (const auto& result : answer->results) {
    if (result.error_code != 0) {
      co_return std::unexpected(
          refused(target.describe(), result.error_code, result.error_message));
    }
    for (const auto& config : result.configs) {
      shown.push_back({config.name, config.value, source_name(config.config_source),
                       config.read_only, config.documentation.value_or("")});
    }
  }
  std::ranges::sort(shown, {}, &ShownConfig::name);
  co_return shown;
}

io::Task<Answer<>> add_partitions(Cluster& cluster, std::string topic, std::int32_t count,
                                  bool dry_run) {
  auto link = co_await cluster.any();
  if (!link) co_return std::unexpected(std::move(link.error()));
  wire::CreatePartitionsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  request.validate_only = dry_run;
  auto& wanted = request.topics.emplace_back();
  wanted.name = topic;
  wanted.count = count;
  wanted.assignments.reset();
  auto answer = co_await (*link)->call<wire::CreatePartitionsResponse>(std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  for (const auto& one : answer->results) {
    if (one.error_code != 0) {
      co_return std::unexpected(refused(fmt::format("topic '{}' gets no partitions", topic),
                                        one.error_code, one.error_message));
    }
  }
  co_return Answer<>{};
}

}  // namespace ottla::cli
