// `ottla topic alter`, `ottla config alter|describe`: what can change while a cluster runs.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/cluster.h"
#include "cli/commands/commands.h"
#include "cli/configs.h"
#include "cli/process.h"

namespace ottla::cli {
namespace {

struct AlterFlags {
  std::vector<std::string> topics;  // of `topic alter`
  std::string topic, broker, group;
  bool all_brokers = false;
  std::int32_t partitions = 0;  // 0: as many as now
  ConfigChangeFlags changes;
  bool dry_run = false;
  bool with_defaults = false;
};

void add_change_options(CLI::App& command, AlterFlags& flags) {
  const auto add = [&](const char* names, std::vector<std::string>& into, const char* what,
                       const char* type) {
    command.add_option(names, into, what)->type_name(type)->allow_extra_args(false);
  };
  add("-c,--config", flags.changes.set, "sets it; may be repeated", "NAME=VALUE");
  add("--delete-config", flags.changes.removed, "back to what stands behind it", "NAME");
  add("--append", flags.changes.appended, "adds to a list", "NAME=ITEM,...");
  add("--subtract", flags.changes.subtracted, "takes from a list", "NAME=ITEM,...");
  command.add_flag("--dry-run", flags.dry_run, "check only");
}

Answer<ConfigTarget> target_of(const AlterFlags& flags) {
  std::vector<ConfigTarget> named;
  if (!flags.topic.empty()) named.push_back({ConfigResource::topic, flags.topic});
  if (!flags.broker.empty()) named.push_back({ConfigResource::broker, flags.broker});
  if (flags.all_brokers) named.push_back({ConfigResource::broker, ""});
  if (!flags.group.empty()) named.push_back({ConfigResource::group, flags.group});
  if (named.size() == 1) return named.front();
  return std::unexpected(ClusterError{
      ExitCode::usage, "say whose configs: one of --topic, --broker, --all-brokers, --group"});
}

void print_altered(const std::string& what, const AlterFlags& flags, OutputFormat format,
                   JsonStream& stream) {
  if (format == OutputFormat::text)
    return print(fmt::format("{} {}\n", flags.dry_run ? "would change" : "changed", what));
  JsonWriter json;
  json.begin_object().field("changed", what).field("dry_run", flags.dry_run).end_object();
  stream.add(json.text());
}

io::Task<int> alter_topics(Cluster& cluster, const AlterFlags& flags, OutputFormat format) {
  auto changes = parse_changes(flags.changes);
  if (!changes) co_return report(changes.error());
  if (changes->empty() && flags.partitions == 0) {
    co_return report({ExitCode::usage, "nothing to change: give --partitions or --config"});
  }
  int code = to_int(ExitCode::done);
  JsonStream stream(format);
  for (const std::string& name : flags.topics) {
    const ConfigTarget target{ConfigResource::topic, name};
    Answer<> done;
    if (!changes->empty()) done = co_await change_configs(cluster, target, *changes, flags.dry_run);
    if (done && flags.partitions != 0)
      done = co_await add_partitions(cluster, name, flags.partitions, flags.dry_run);
    if (done) {
      print_altered(target.describe(), flags, format, stream);
    } else {
      code = report(done.error());
    }
  }
  if (format != OutputFormat::text) stream.end();
  co_return code;
}

io::Task<int> alter(Cluster& cluster, const AlterFlags& flags, OutputFormat format) {
  auto target = target_of(flags);
  if (!target) co_return report(target.error());
  auto changes = parse_changes(flags.changes);
  if (!changes) co_return report(changes.error());
  if (changes->empty())
    co_return report({ExitCode::usage, "nothing to change: give --config or --delete-config"});
  auto done = co_await change_configs(cluster, *target, std::move(*changes), flags.dry_run);
  if (!done) co_return report(done.error());
  JsonStream stream(format);
  print_altered(target->describe(), flags, format, stream);
  if (format != OutputFormat::text) stream.end();
  co_return to_int(ExitCode::done);
}

io::Task<int> describe(Cluster& cluster, const AlterFlags& flags, OutputFormat format) {
  auto target = target_of(flags);
  if (!target) co_return report(target.error());
  auto configs = co_await describe_configs(cluster, *target);
  if (!configs) co_return report(configs.error());
  TextTable table({"CONFIG", "VALUE", "FROM"});
  JsonStream stream(format);
  for (const ShownConfig& config : *configs) {
    if (config.source == "default" && !flags.with_defaults) continue;
    if (format == OutputFormat::text) {
      table.add({config.name, config.value.value_or(""), config.source});
      continue;
    }
    JsonWriter json;
    json.begin_object().field("name", config.name).key("value");
    if (config.value) {
      json.value(*config.value);
    } else {
      json.null();
    }
    json.field("from", config.source).field("read_only", config.is_read_only);
    json.field("meaning", config.documentation).end_object();
    stream.add(json.text());
  }
  if (format == OutputFormat::text) {
    print(table.text());
  } else {
    stream.end();
  }
  co_return to_int(ExitCode::done);
}

using Work = io::Task<int> (*)(Cluster&, const AlterFlags&, OutputFormat);

void set_action(CLI::App& command, std::shared_ptr<AlterFlags> flags, Invocation& invocation,
                Work work) {
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

void add_target_options(CLI::App& command, AlterFlags& flags) {
  command.add_option("--topic", flags.topic, "of this topic")->type_name("TOPIC");
  command.add_option("--broker", flags.broker, "of this broker")->type_name("ID");
  command.add_flag("--all-brokers", flags.all_brokers, "of all brokers");
  command.add_option("--group", flags.group, "of this group")->type_name("GROUP");
}

}  // namespace

void add_topic_alter(CLI::App& topic, Invocation& invocation) {
  auto flags = std::make_shared<AlterFlags>();
  CLI::App* command = topic.add_subcommand("alter", "Change configs, add partitions");
  command->add_option("topic", flags->topics, "names")->required()->type_name("TOPIC");
  command
      ->add_option("-p,--partitions", flags->partitions,
                   "how many there shall be; keys then fall on others")
      ->type_name("N");
  add_change_options(*command, *flags);
  command->footer(
      "\nExample: ottla topic alter orders --partitions 8 --config retention.ms=3600000\n");
  set_action(*command, flags, invocation, alter_topics);
}

void add_config_changes(CLI::App& config, Invocation& invocation) {
  auto changed = std::make_shared<AlterFlags>();
  CLI::App* command =
      config.add_subcommand("alter", "Change configs of a topic, of brokers or of a group");
  add_target_options(*command, *changed);
  add_change_options(*command, *changed);
  command->footer(
      "\nExample: ottla config alter --all-brokers --config log.retention.ms=3600000\n");
  set_action(*command, changed, invocation, alter);

  auto shown = std::make_shared<AlterFlags>();
  command =
      config.add_subcommand("describe", "Show what was set on a topic, on brokers or on a group");
  add_target_options(*command, *shown);
  command->add_flag("--defaults", shown->with_defaults, "also what nobody has set");
  set_action(*command, shown, invocation, describe);
}

}  // namespace ottla::cli
