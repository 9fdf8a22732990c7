// `ottla produce`: lines of stdin, or of a file, become records.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <map>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/process.h"
#include "cli/producer.h"
#include "cli/record_format.h"
#include "cli/usage_error.h"

namespace ottla::cli {
namespace {

constexpr const char* kFooter = R"(
Each line is a record; with --input jsonl each line is an object with key, value, headers,
partition, timestamp, as `ottla consume --output jsonl` prints them. What has been read is sent as
soon as no more is waiting, so that typing works. A key decides on the partition as in Kafka's Java
client. With --acks all (the default) a record is stored once, even if it had to be sent twice.

Examples:
  echo 'hello' | ottla produce greetings
  printf 'k1:v1\nk2:v2\n' | ottla produce orders --key-separator : --compression zstd
  ottla consume orders --output jsonl | ottla produce copy --input jsonl
)";

enum class InputFormat { text, jsonl, raw };

struct ProduceFlags {
  ProducerSettings producer;
  LineRules lines;
  InputFormat input = InputFormat::text;
  std::string file = "-";
  std::string key;
  std::string separator;
  std::int32_t partition = -1;
  std::vector<std::string> headers;
  bool has_key = false;
  bool no_create = false;
  bool quiet = false;
};

// What is the same for all records of a run.
std::expected<InputRecord, std::string> common_part(const ProduceFlags& flags) {
  InputRecord common;
  if (flags.has_key) common.key = flags.key;
  if (flags.partition >= 0) common.partition = flags.partition;
  for (const std::string& header : flags.headers) {
    const std::size_t equals = header.find('=');
    if (equals == std::string::npos)
      return std::unexpected(fmt::format("--header {}: write NAME=VALUE", header));
    common.headers.emplace_back(header.substr(0, equals), header.substr(equals + 1));
  }
  return common;
}

std::expected<InputRecord, std::string> read_record(std::string_view line,
                                                    const ProduceFlags& flags,
                                                    const InputRecord& common) {
  InputRecord record;
  if (flags.input == InputFormat::jsonl) {
    auto parsed = parse_json_line(line);
    if (!parsed) return parsed;
    record = std::move(*parsed);
    // that of the topic it was read from; it may have more partitions than this one
    record.partition.reset();
  } else if (flags.input == InputFormat::raw) {
    record.value = line;
  } else {
    record = parse_line(line, flags.lines);
  }
  if (common.key) record.key = common.key;
  if (common.partition) record.partition = common.partition;
  record.headers.insert(record.headers.end(), common.headers.begin(), common.headers.end());
  return record;
}

struct Total {
  std::int64_t records = 0;
  std::map<PartitionIndex, std::int64_t> by_partition;
};

void print_total(const Total& total, const ProduceFlags& flags) {
  std::string where;
  for (const auto& [partition, records] : total.by_partition)
    where += fmt::format("{}{} in {}", where.empty() ? "" : ", ", records, partition);
  print_error(fmt::format("{} record{} to '{}'{}", total.records, total.records == 1 ? "" : "s",
                          flags.producer.topic,
                          where.empty() ? "" : fmt::format(" (partitions: {})", where)));
}

void print_stored(const Stored& stored, const ProduceFlags& flags, JsonStream& stream) {
  JsonWriter json;
  json.begin_object().field("topic", flags.producer.topic).field("partition", stored.partition);
  json.field("offset", stored.first_offset).field("records", stored.records).end_object();
  stream.add(json.text());
}

io::Task<int> produce(Cluster& cluster, const ProduceFlags& flags, OutputFormat format) {
  const auto common = common_part(flags);
  if (!common) co_return report({ExitCode::usage, common.error()});
  auto input = LineReader::open(flags.file);
  if (!input) co_return to_int(ExitCode::not_found);
  Producer producer(cluster, flags.producer);
  if (auto opened = co_await producer.open(); !opened) co_return report(opened.error());

  Total total;
  JsonStream stream(format);
  const auto on_stored = [&](const Stored& stored) {
    total.records += stored.records;
    total.by_partition[stored.partition] += stored.records;
    if (format != OutputFormat::text) print_stored(stored, flags, stream);
  };
  std::int64_t line_number = 0;
  int code = to_int(ExitCode::done);
  bool has_more = true;
  while (has_more && code == to_int(ExitCode::done)) {
    std::optional<std::string> line;
    if (flags.input == InputFormat::raw) {
      line = input->rest();
      has_more = false;
    } else {
      line = input->next();
      has_more = line.has_value();
    }
    if (line) {
      ++line_number;
      auto record = read_record(*line, flags, *common);
      if (!record) {
        code = report({ExitCode::usage, fmt::format("line {}: {}", line_number, record.error())});
      } else if (auto added = producer.add(*record); !added) {
        code = report(added.error());
      }
    }
    // what stood before a bad line is sent
    if (!has_more || code != 0 || producer.is_full() || !input->is_ready()) {
      if (auto flushed = co_await producer.flush(on_stored); !flushed)
        code = report(flushed.error());
    }
  }
  if (format != OutputFormat::text) {
    stream.end();
  } else if (!flags.quiet) {
    print_total(total, flags);
  }
  co_return code;
}

}  // namespace

void add_produce(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<ProduceFlags>();
  CLI::App* command = app.add_subcommand("produce", "Write records")->group("Data");
  command->add_option("topic", flags->producer.topic, "name")->required()->type_name("TOPIC");
  command->add_option("-f,--file", flags->file, "read from there instead of stdin")
      ->type_name("FILE");
  command->add_option("-i,--input", flags->input, "text, jsonl, or raw: all of it is one value")
      ->transform(one_of(std::map<std::string, InputFormat>{
          {"text", InputFormat::text}, {"jsonl", InputFormat::jsonl}, {"raw", InputFormat::raw}}))
      ->type_name("FORMAT");
  CLI::Option* key =
      command->add_option("-k,--key", flags->key, "of all records")->type_name("KEY");
  command
      ->add_option("-K,--key-separator", flags->separator,
                   "what stands between key and value; \\t and \\xHH are understood")
      ->type_name("TEXT");
  command->add_option("-H,--header", flags->headers, "of all records; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("-p,--partition", flags->partition, "instead of the key's")->type_name("N");
  command->add_option("-a,--acks", flags->producer.acks, "all, 1 or 0")
      ->transform(
          one_of(std::map<std::string, std::int16_t>{{"all", -1}, {"-1", -1}, {"1", 1}, {"0", 0}}))
      ->type_name("ACKS");
  command->add_option("-z,--compression", flags->producer.codec, "none, gzip, snappy, lz4 or zstd")
      ->transform(one_of(std::map<std::string, wire::Codec>{{"none", wire::Codec::none},
                                                            {"gzip", wire::Codec::gzip},
                                                            {"snappy", wire::Codec::snappy},
                                                            {"lz4", wire::Codec::lz4},
                                                            {"zstd", wire::Codec::zstd}}))
      ->type_name("CODEC");
  command->add_flag("-Z,--empty-is-null", flags->lines.empty_is_null,
                    "an empty value deletes its key (tombstone)");
  command->add_flag("--no-create", flags->no_create, "fail if the topic is not there");
  command->add_option("--timeout-ms", flags->producer.timeout_ms, "for one batch, tries included")
      ->type_name("MS");
  command->add_flag("-q,--quiet", flags->quiet, "no summary on stderr");
  add_bootstrap_option(*command, invocation);
  add_output_option(*command, invocation);
  command->footer(kFooter);
  command->callback([flags, key, &invocation] {
    auto separator = unescape(flags->separator);
    if (!separator) throw CLI::ValidationError("--key-separator", separator.error());
    flags->lines.key_separator = std::move(*separator);
    flags->has_key = key->count() > 0;
    flags->producer.may_create_topic = !flags->no_create;
    invocation.action = [flags, &invocation] {
      return invocation.run_here([&](io::Env& env) {
        return with_cluster(env, invocation.bootstrap, [&](Cluster& cluster) {
          return produce(cluster, *flags, invocation.output);
        });
      });
    };
  });
}

}  // namespace ottla::cli
