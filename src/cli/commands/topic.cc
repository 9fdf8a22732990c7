// `ottla topic create|list|describe|delete`; alter.cc has `alter`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <memory>

#include "cli/cluster.h"
#include "cli/commands/commands.h"
#include "cli/process.h"
#include "cli/text.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/delete_topics_request.h"
#include "wire/messages/delete_topics_response.h"
#include "wire/messages/describe_configs_request.h"
#include "wire/messages/describe_configs_response.h"
#include "wire/messages/list_offsets_request.h"
#include "wire/messages/list_offsets_response.h"

namespace ottla::cli {
namespace {

using wire::ErrorCode;
using Topic = wire::MetadataResponse::MetadataResponseTopic;
using Partition = wire::MetadataResponse::MetadataResponsePartition;

constexpr std::int32_t kRequestTimeoutMs = 30'000;
constexpr std::int8_t kTopicResource = 2;      // of DescribeConfigs
constexpr std::int8_t kTopicConfigSource = 1;  // set on the topic itself
constexpr std::int64_t kEarliest = -2, kLatest = -1;

struct TopicFlags {
  std::vector<std::string> names;
  std::int32_t partitions = -1;
  std::int16_t replication_factor = -1;
  std::vector<std::string> configs;
  bool if_not_exists = false;
  bool if_exists = false;
  bool dry_run = false;
  bool with_internal = false;
};

int exit_code_of(std::int16_t code) {
  const bool is_missing = code == static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
  return to_int(is_missing ? ExitCode::not_found : ExitCode::failed);
}

// --- create

Answer<wire::CreateTopicsRequest> create_request(const TopicFlags& flags) {
  wire::CreateTopicsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  request.validate_only = flags.dry_run;
  for (const std::string& name : flags.names) {
    wire::CreateTopicsRequest::CreatableTopic topic;
    topic.name = name;
    topic.num_partitions = flags.partitions;
    topic.replication_factor = flags.replication_factor;
    for (const std::string& config : flags.configs) {
      const std::size_t equals = config.find('=');
      if (equals == std::string::npos) {
        return std::unexpected(
            ClusterError{ExitCode::usage, fmt::format("--config {}: write NAME=VALUE", config)});
      }
      wire::CreateTopicsRequest::CreatableTopicConfig entry;
      entry.name = config.substr(0, equals);
      entry.value = config.substr(equals + 1);
      topic.configs.push_back(std::move(entry));
    }
    request.topics.push_back(std::move(topic));
  }
  return request;
}

void print_created(const wire::CreateTopicsResponse::CreatableTopicResult& topic,
                   const TopicFlags& flags, OutputFormat format, JsonStream& stream) {
  if (format == OutputFormat::text) {
    print(fmt::format("{} {} ({} partition{}, replication factor {})\n",
                      flags.dry_run ? "would create" : "created", topic.name, topic.num_partitions,
                      topic.num_partitions == 1 ? "" : "s", topic.replication_factor));
    return;
  }
  JsonWriter json;
  json.begin_object().field("topic", topic.name).field("id", topic.topic_id.to_string());
  json.field("partitions", topic.num_partitions);
  json.field("replication_factor", topic.replication_factor);
  json.field("created", !flags.dry_run).end_object();
  stream.add(json.text());
}

io::Task<int> create_topics(Cluster& cluster, const TopicFlags& flags, OutputFormat format) {
  auto request = create_request(flags);
  if (!request) co_return report(request.error());
  auto link = co_await cluster.any();
  if (!link) co_return report(link.error());
  auto answer = co_await (*link)->call<wire::CreateTopicsResponse>(std::move(*request));
  if (!answer) co_return report(answer.error());
  int code = to_int(ExitCode::done);
  JsonStream stream(format);
  for (const auto& topic : answer->topics) {
    const bool is_there =
        topic.error_code == static_cast<std::int16_t>(ErrorCode::topic_already_exists);
    if (topic.error_code == 0) {
      print_created(topic, flags, format, stream);
    } else if (!is_there || !flags.if_not_exists) {
      print_error(fmt::format("ottla: topic '{}' is not created: {}", topic.name,
                              describe_code(topic.error_code, topic.error_message)));
      code = to_int(ExitCode::failed);
    }
  }
  if (format != OutputFormat::text) stream.end();
  co_return code;
}

// --- delete

io::Task<int> delete_topics(Cluster& cluster, const TopicFlags& flags, OutputFormat format) {
  wire::DeleteTopicsRequest request;
  request.timeout_ms = kRequestTimeoutMs;
  auto link = co_await cluster.any();
  if (!link) co_return report(link.error());
  const auto version = (*link)->version_of<wire::DeleteTopicsRequest>(INT16_MAX);
  if (!version) co_return report(version.error());
  for (const std::string& name : flags.names) {
    if (*version < 6) {
      request.topic_names.push_back(name);
    } else {
      wire::DeleteTopicsRequest::DeleteTopicState topic;
      topic.name = name;
      request.topics.push_back(std::move(topic));
    }
  }
  auto answer = co_await (*link)->call<wire::DeleteTopicsResponse>(std::move(request));
  if (!answer) co_return report(answer.error());
  int code = to_int(ExitCode::done);
  JsonStream stream(format);
  for (const auto& topic : answer->responses) {
    const std::string name = topic.name.value_or("");
    const bool is_missing =
        topic.error_code == static_cast<std::int16_t>(ErrorCode::unknown_topic_or_partition);
    if (topic.error_code == 0 && format == OutputFormat::text) {
      print(fmt::format("deleted {}\n", name));
    } else if (topic.error_code == 0) {
      JsonWriter json;
      json.begin_object().field("topic", name).field("deleted", true).end_object();
      stream.add(json.text());
    } else if (!is_missing || !flags.if_exists) {
      print_error(fmt::format("ottla: topic '{}' is not deleted: {}", name,
                              describe_code(topic.error_code, topic.error_message)));
      code = exit_code_of(topic.error_code);
    }
  }
  if (format != OutputFormat::text) stream.end();
  co_return code;
}

// --- list

std::size_t replicas_of(const Topic& topic) {
  return topic.partitions.empty() ? 0 : topic.partitions.front().replica_nodes.size();
}

io::Task<int> list_topics(Cluster& cluster, const TopicFlags& flags, OutputFormat format) {
  auto answer = co_await cluster.metadata(std::nullopt);
  if (!answer) co_return report(answer.error());
  std::ranges::sort(answer->topics, {}, &Topic::name);
  TextTable table({"TOPIC", "PARTITIONS", "REPLICAS"});
  JsonStream stream(format);
  for (const Topic& topic : answer->topics) {
    if (topic.is_internal && !flags.with_internal) continue;
    const std::string name = topic.name.value_or("");
    if (format == OutputFormat::text) {
      table.add(
          {name, std::to_string(topic.partitions.size()), std::to_string(replicas_of(topic))});
      continue;
    }
    JsonWriter json;
    json.begin_object().field("topic", name).field("id", topic.topic_id.to_string());
    json.field("partitions", topic.partitions.size()).field("replicas", replicas_of(topic));
    json.field("internal", topic.is_internal).end_object();
    stream.add(json.text());
  }
  if (format == OutputFormat::text) {
    print(table.text());
  } else {
    stream.end();
  }
  co_return to_int(ExitCode::done);
}

// --- describe

struct Bounds {
  std::optional<Offset> start, end;  // nullopt: its leader did not say
};

// Adds the offsets at `timestamp` of the partitions that `leader` leads.
io::Task<Answer<>> ask_offsets(Cluster& cluster, const Topic& topic, NodeId leader,
                               std::int64_t timestamp, std::map<PartitionIndex, Bounds>& into) {
  auto link = co_await cluster.broker(leader);
  if (!link) co_return std::unexpected(std::move(link.error()));
  wire::ListOffsetsRequest request;
  request.replica_id = -1;
  wire::ListOffsetsRequest::ListOffsetsTopic asked;
  asked.name = topic.name.value_or("");
  for (const Partition& partition : topic.partitions) {
    if (partition.leader_id != leader) continue;
    wire::ListOffsetsRequest::ListOffsetsPartition one;
    one.partition_index = partition.partition_index;
    one.timestamp = timestamp;
    asked.partitions.push_back(one);
  }
  request.topics.push_back(std::move(asked));
  auto answer = co_await (*link)->call<wire::ListOffsetsResponse>(std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  for (const auto& answered : answer->topics) {
    for (const auto& one : answered.partitions) {
      if (one.error_code != 0) continue;
      Bounds& bounds = into[one.partition_index];
      (timestamp == kEarliest ? bounds.start : bounds.end) = one.offset;
    }
  }
  co_return Answer<>{};
}

io::Task<Answer<std::map<PartitionIndex, Bounds>>> bounds_of(Cluster& cluster, const Topic& topic) {
  std::map<PartitionIndex, Bounds> bounds;
  std::map<NodeId, bool> leaders;
  for (const Partition& partition : topic.partitions) {
    if (partition.leader_id >= 0) leaders.emplace(partition.leader_id, true);
  }
  for (const auto& [leader, is_one] : leaders) {
    for (const std::int64_t timestamp : {kEarliest, kLatest}) {
      auto asked = co_await ask_offsets(cluster, topic, leader, timestamp, bounds);
      if (!asked) co_return std::unexpected(std::move(asked.error()));
    }
  }
  co_return bounds;
}

// What was set on the topic itself.
io::Task<Answer<std::map<std::string, std::string>>> configs_of(Cluster& cluster,
                                                                std::string name) {
  wire::DescribeConfigsRequest request;
  wire::DescribeConfigsRequest::DescribeConfigsResource resource;
  resource.resource_type = kTopicResource;
  resource.resource_name = std::move(name);
  resource.configuration_keys.reset();
  request.resources.push_back(std::move(resource));
  auto link = co_await cluster.any();
  if (!link) co_return std::unexpected(std::move(link.error()));
  auto answer = co_await (*link)->call<wire::DescribeConfigsResponse>(std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  std::map<std::string, std::string> configs;
  for (const auto& result : answer->results) {
    for (const auto& config : result.configs) {
      if (config.config_source == kTopicConfigSource)
        configs.emplace(config.name, config.value.value_or(""));
    }
  }
  co_return configs;
}

std::string or_dash(const std::optional<Offset>& offset) {
  return offset ? std::to_string(*offset) : "-";
}

void print_description(const Topic& topic, std::map<PartitionIndex, Bounds> bounds,
                       const std::map<std::string, std::string>& configs) {
  print(fmt::format("{}  id {}, {} partition{}, {} replica{}\n", topic.name.value_or(""),
                    topic.topic_id.to_string(), topic.partitions.size(),
                    topic.partitions.size() == 1 ? "" : "s", replicas_of(topic),
                    replicas_of(topic) == 1 ? "" : "s"));
  for (const auto& [name, value] : configs) print(fmt::format("  {}={}\n", name, value));
  TextTable table({"PARTITION", "LEADER", "EPOCH", "START", "END", "REPLICAS", "ISR"});
  for (const Partition& partition : topic.partitions) {
    const Bounds& of = bounds[partition.partition_index];
    table.add({std::to_string(partition.partition_index),
               partition.leader_id < 0 ? "none" : std::to_string(partition.leader_id),
               std::to_string(partition.leader_epoch), or_dash(of.start), or_dash(of.end),
               fmt::format("{}", fmt::join(partition.replica_nodes, ",")),
               fmt::format("{}", fmt::join(partition.isr_nodes, ","))});
  }
  print(table.text());
}

std::string description_as_json(const Topic& topic, std::map<PartitionIndex, Bounds> bounds,
                                const std::map<std::string, std::string>& configs) {
  JsonWriter json;
  json.begin_object().field("topic", topic.name.value_or(""));
  json.field("id", topic.topic_id.to_string()).field("internal", topic.is_internal);
  json.key("configs").begin_object();
  for (const auto& [name, value] : configs) json.field(name, value);
  json.end_object().key("partitions").begin_array();
  for (const Partition& partition : topic.partitions) {
    const Bounds& of = bounds[partition.partition_index];
    json.begin_object().field("partition", partition.partition_index);
    json.field("leader", partition.leader_id).field("leader_epoch", partition.leader_epoch);
    if (of.start) json.field("start_offset", *of.start);
    if (of.end) json.field("end_offset", *of.end);
    json.key("replicas").raw(fmt::format("[{}]", fmt::join(partition.replica_nodes, ",")));
    json.key("isr").raw(fmt::format("[{}]", fmt::join(partition.isr_nodes, ",")));
    json.end_object();
  }
  json.end_array().end_object();
  return std::move(json).take();
}

io::Task<int> describe_topics(Cluster& cluster, const TopicFlags& flags, OutputFormat format) {
  int code = to_int(ExitCode::done);
  JsonStream stream(format);
  for (const std::string& name : flags.names) {
    auto topic = co_await cluster.topic(name);
    if (!topic) {
      code = report(topic.error());
      continue;
    }
    auto bounds = co_await bounds_of(cluster, *topic);
    if (!bounds) co_return report(bounds.error());
    auto configs = co_await configs_of(cluster, name);
    if (!configs) co_return report(configs.error());
    if (format == OutputFormat::text) {
      print_description(*topic, std::move(*bounds), *configs);
    } else {
      stream.add(description_as_json(*topic, std::move(*bounds), *configs));
    }
  }
  if (format != OutputFormat::text) stream.end();
  co_return code;
}

using TopicCommand = io::Task<int> (*)(Cluster&, const TopicFlags&, OutputFormat);

void set_action(CLI::App& command, std::shared_ptr<TopicFlags> flags, Invocation& invocation,
                TopicCommand work) {
  add_bootstrap_option(command, invocation);
  add_output_option(command, invocation);
  command.callback([flags, &invocation, work] {
    invocation.action = [flags, &invocation, work] {
      return invocation.run_here([&](io::Env& env) {
        return with_cluster(env, invocation.bootstrap, [&](Cluster& cluster) {
          return work(cluster, *flags, invocation.output);
        });
      });
    };
  });
}

}  // namespace

void add_topic(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<TopicFlags>();
  CLI::App* topic =
      app.add_subcommand("topic", "Create, list, describe, alter, delete topics")->group("Data");
  topic->require_subcommand(1);

  CLI::App* create = topic->add_subcommand("create", "Create topics");
  create->add_option("topic", flags->names, "names")->required()->type_name("TOPIC");
  create->add_option("-p,--partitions", flags->partitions, "the node's num.partitions without it")
      ->type_name("N");
  create
      ->add_option("-r,--replication-factor", flags->replication_factor,
                   "the node's default without it")
      ->type_name("N");
  create->add_option("-c,--config", flags->configs, "of the topic; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  create->add_flag("--if-not-exists", flags->if_not_exists, "fine if it is there");
  create->add_flag("--dry-run", flags->dry_run, "check only");
  create->footer(
      "\nExample: ottla topic create orders --partitions 4 --config retention.ms=86400000\n");
  set_action(*create, flags, invocation, create_topics);

  CLI::App* list = topic->add_subcommand("list", "List topics");
  list->add_flag("--internal", flags->with_internal, "internal ones too");
  set_action(*list, flags, invocation, list_topics);

  CLI::App* describe = topic->add_subcommand("describe", "Show partitions, offsets and configs");
  describe->add_option("topic", flags->names, "names")->required()->type_name("TOPIC");
  set_action(*describe, flags, invocation, describe_topics);

  add_topic_alter(*topic, invocation);

  CLI::App* remove = topic->add_subcommand("delete", "Delete topics and their records");
  remove->add_option("topic", flags->names, "names")->required()->type_name("TOPIC");
  remove->add_flag("--if-exists", flags->if_exists, "fine if it is not there");
  set_action(*remove, flags, invocation, delete_topics);
}

}  // namespace ottla::cli
