// `ottla log dump|verify|drain`: looks into the files of a node.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/log_dump.h"
#include "cli/log_verify.h"
#include "cli/process.h"
#include "storage/recovery.h"

namespace ottla::cli {
namespace {

struct LogFlags {
  std::string path;
  bool with_records = false;
};

int fail(const io::Error& error) {
  print_error(fmt::format("ottla: {}", error.message));
  switch (error.kind) {
    case io::ErrorKind::not_found:
      return to_int(ExitCode::not_found);
    case io::ErrorKind::in_use:
      return to_int(ExitCode::in_use);
    default:
      return to_int(ExitCode::failed);
  }
}

io::Task<int> dump(io::Env& env, const LogFlags& flags, OutputFormat format) {
  JsonStream stream(format);
  auto good = co_await dump_path(env, flags.path, {.with_records = flags.with_records},
                                 [&](std::string_view json) { stream.add(json); });
  if (!good) co_return fail(good.error());
  stream.end();
  co_return to_int(*good ? ExitCode::done : ExitCode::failed);
}

void print_finding(const Finding& finding, OutputFormat format, JsonStream& stream) {
  const bool is_damage = finding.weight == Finding::Weight::damage;
  if (format == OutputFormat::text) {
    print(fmt::format("{}: {}: {}\n", is_damage ? "damaged" : "note", finding.file, finding.what));
    return;
  }
  JsonWriter json;
  json.begin_object().field("finding", is_damage ? "damage" : "note");
  json.field("file", finding.file).field("what", finding.what).end_object();
  stream.add(json.text());
}

io::Task<int> verify(io::Env& env, const LogFlags& flags, OutputFormat format) {
  JsonStream stream(format);
  auto report = co_await verify_path(
      env, flags.path, [&](const Finding& finding) { print_finding(finding, format, stream); });
  if (!report) co_return fail(report.error());
  if (format == OutputFormat::text) {
    print(fmt::format(
        "{}: {} partitions, {} segments, {} batches ({} bytes), {} journal entries; {}\n",
        report->damages == 0 ? "good" : "DAMAGED", report->partitions, report->segments,
        report->batches, report->bytes, report->journal_entries,
        report->damages == 0 ? "nothing is damaged" : fmt::format("{} damages", report->damages)));
  } else {
    JsonWriter json;
    json.begin_object().field("good", report->damages == 0).field("damages", report->damages);
    json.field("partitions", report->partitions).field("segments", report->segments);
    json.field("batches", report->batches).field("bytes", report->bytes);
    json.field("journal_entries", report->journal_entries);
    json.field("clean", report->is_clean).end_object();
    stream.add(json.text());
    stream.end();
  }
  co_return to_int(report->damages == 0 ? ExitCode::done : ExitCode::failed);
}

io::Task<int> drain(io::Env& env, const LogFlags& flags, OutputFormat format) {
  // recovery would make the folder
  if (auto there = co_await env.disk.status(flags.path); !there) co_return fail(there.error());
  auto folder = co_await storage::recover_log_dir(env, {.path = flags.path, .shards = 1});
  if (!folder) co_return fail(folder.error());
  const storage::RecoveryReport found = (*folder)->report();
  auto store = co_await (*folder)->open_store(env);
  if (!store) co_return fail(store.error());
  std::size_t partitions = 0;
  for (const TopicIdPartition& id : (*folder)->found()) {
    if (auto loaded = (*folder)->take(id)) {
      (*store)->open(std::move(*loaded), {});
      ++partitions;
    }
  }
  auto closed = co_await (*folder)->close_clean({*store}, found.previous_broker_epoch.value_or(-1));
  store->reset();
  if (!closed) co_return fail(closed.error());
  for (const std::string& damage : found.damages)
    print_error(fmt::format("ottla: damaged: {}", damage));
  if (format == OutputFormat::text) {
    print(fmt::format(
        "{}: {} partitions, {} journal entries written into their segments; a Kafka "
        "node may take the folder now\n",
        found.was_clean ? "was clean already" : "clean now", partitions, found.replayed_entries));
  } else {
    JsonWriter json;
    json.begin_object().field("was_clean", found.was_clean).field("partitions", partitions);
    json.field("journal_entries", found.replayed_entries);
    json.field("damages", found.damages.size()).end_object();
    print(json.text() + "\n");
  }
  co_return to_int(found.damages.empty() ? ExitCode::done : ExitCode::failed);
}

using LogCommand = io::Task<int> (*)(io::Env&, const LogFlags&, OutputFormat);

void set_action(CLI::App& command, std::shared_ptr<LogFlags> flags, Invocation& invocation,
                LogCommand work) {
  add_output_option(command, invocation);
  command.callback([flags, &invocation, work] {
    invocation.action = [flags, &invocation, work] {
      return invocation.run_here(
          [&](io::Env& env) { return work(env, *flags, invocation.output); });
    };
  });
}

}  // namespace

void add_log(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<LogFlags>();
  CLI::App* log = app.add_subcommand("log", "Look into a node's files")->group("Files");
  log->require_subcommand(1);

  CLI::App* dump_command = log->add_subcommand("dump", "Print files as JSON lines");
  dump_command->add_option("path", flags->path, "a file, a partition's folder or a log dir")
      ->required()
      ->type_name("PATH");
  dump_command->add_flag("-r,--records", flags->with_records, "the records of the batches, too");
  dump_command->footer(
      "\nKnows .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint, .sums.ottla, "
      "journals,\n"
      "checkpoints, meta.properties and quorum-state; records of __cluster_metadata are "
      "decoded.\n\n"
      "Example: ottla log dump data/__cluster_metadata-0 | jq 'select(.record)'\n");
  set_action(*dump_command, flags, invocation, dump);

  CLI::App* verify_command = log->add_subcommand("verify", "Check files against each other");
  verify_command->add_option("path", flags->path, "a log dir or a partition's folder, not in use")
      ->required()
      ->type_name("DIR");
  verify_command->footer(
      "\nCRCs and order of all batches, indexes against a scan, sums, snapshots, journals.\n"
      "Exit code 0: all is good; 1: something is damaged.\n");
  set_action(*verify_command, flags, invocation, verify);

  CLI::App* drain_command =
      log->add_subcommand("drain", "Make the folder of a killed node fit for Kafka");
  drain_command->add_option("path", flags->path, "a log dir, not in use")
      ->required()
      ->type_name("DIR");
  drain_command->footer(
      "\nWrites what only the journal holds into the segments and leaves the folder as a clean "
      "stop\n"
      "does: no journal, Kafka's files only.\n");
  set_action(*drain_command, flags, invocation, drain);
}

}  // namespace ottla::cli
