// `ottla consume`: reads partitions of topics, without a group.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/consumer.h"
#include "cli/process.h"
#include "cli/record_format.h"
#include "cli/text.h"

namespace ottla::cli {
namespace {

constexpr const char* kFooter = R"(
Reads what is there and ends; --follow goes on with what comes. The offset of --offset is
  start, end     the first record that is there; the one that comes next
  N, -N          that offset; the last N of each partition
  @MS            the first record at or after that time (milliseconds since 1970)

--format takes kcat's tokens: %t topic, %p partition, %o offset, %T timestamp, %k key, %s value,
%K and %S their lengths, %h headers, %% a percent sign, and \n \t \xHH. With --output json or jsonl
a key or value that is no UTF-8 comes as key_base64 or value_base64.

Examples:
  ottla consume orders                                  all values, a line each
  ottla consume orders --offset -1 --format '%p@%o %k=%s\n'
  ottla consume orders --partition 0 --follow --output jsonl
)";

struct ConsumeFlags {
  ConsumerSettings consumer;
  std::string partitions;
  std::string offset = "start";
  std::string isolation;
  std::string format = std::string(kDefaultPattern);
  bool from_beginning = false;
  RecordPattern pattern;
};

io::Task<int> consume(Cluster& cluster, const ConsumeFlags& flags, OutputFormat format) {
  std::string text;
  JsonStream stream(format);
  const auto on_record = [&](const PrintedRecord& record) {
    if (format != OutputFormat::text) {
      stream.add(record_as_json(record));
    } else {
      text.clear();
      flags.pattern.print(record, text);
      print(text);
    }
  };
  // A reader that went away (`| head`) is a reason to stop.
  const auto on_pause = [] {
    flush();
    return is_output_open();
  };
  auto consumed = co_await consume_topic(cluster, flags.consumer, on_record, on_pause);
  if (format != OutputFormat::text) stream.end();
  co_return consumed ? to_int(ExitCode::done) : report(consumed.error());
}

// What CLI11 can't check.
void check(ConsumeFlags& flags) {
  if (flags.from_beginning) flags.offset = "start";
  auto offset = parse_offset_spec(flags.offset);
  if (!offset) throw CLI::ValidationError("--offset", offset.error());
  flags.consumer.from = *offset;
  for (const std::string_view item : split(flags.partitions, ',')) {
    const auto partition = parse_number<PartitionIndex>(item);
    if (!partition || *partition < 0)
      throw CLI::ValidationError("--partition", fmt::format("\"{}\" is no partition", item));
    flags.consumer.partitions.push_back(*partition);
  }
  auto pattern = RecordPattern::parse(flags.format);
  if (!pattern) throw CLI::ValidationError("--format", pattern.error());
  flags.pattern = std::move(*pattern);
  if (!flags.isolation.empty() && flags.isolation != "committed" &&
      flags.isolation != "uncommitted") {
    throw CLI::ValidationError("--isolation", "write committed or uncommitted");
  }
  flags.consumer.committed_only = flags.isolation == "committed";
}

}  // namespace

void add_consume(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ConsumeFlags>();
  CLI::App* command = app.add_subcommand("consume", "Read records")->group("Data");
  command->add_option("topic", flags->consumer.topic, "name")->required()->type_name("TOPIC");
  command->add_option("-p,--partition", flags->partitions, "only these; all without it")
      ->type_name("N,...");
  command->add_option("-o,--offset", flags->offset, "where to begin (see below)")
      ->type_name("OFFSET")
      ->capture_default_str();
  command->add_flag("--from-beginning", flags->from_beginning, "the same as --offset start");
  command->add_option("-n,--count", flags->consumer.count, "end after so many records")
      ->type_name("N")
      ->check(CLI::Validator(
          [](std::string& word) {
            return parse_number<std::uint64_t>(word).value_or(0) > 0
                       ? std::string()
                       : "\"" + word + "\" is no number of records: write 1 or more";
          },
          ""));
  command->add_flag("-F,--follow", flags->consumer.follow, "wait for more instead of ending");
  command
      ->add_option("--isolation", flags->isolation,
                   "committed leaves out open and aborted transactions")
      ->type_name("LEVEL");
  command->add_option("-f,--format", flags->format, "of text output (see below)")
      ->type_name("PATTERN");
  add_bootstrap_option(*command, invocation);
  add_output_option(*command, invocation);
  command->footer(kFooter);
  command->callback([flags, &invocation] {
    check(*flags);
    invocation.action = [flags, &invocation] {
      return invocation.run_here([&](io::Env& env) {
        return with_cluster(env, invocation.bootstrap, [&](Cluster& cluster) {
          return consume(cluster, *flags, invocation.output);
        });
      });
    };
  });
}

}  // namespace ottla::cli
