#include "options.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string_view>

namespace ottla::load {
namespace {

[[noreturn]] void usage(const char* what, std::string_view which) {
  std::fprintf(
      stderr,
      "ottla-load: %s %.*s\n"
      "usage: ottla-load produce|fetch|first-ack|delete|null-broker --port N [--topic T] ...\n"
      "The options are listed in bench/load/options.h.\n",
      what, static_cast<int>(which.size()), which.data());
  std::exit(2);
}

template <class Number>
std::function<bool(std::string_view)> number(Number& into) {
  return [&into](std::string_view text) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc{} && end == text.data() + text.size();
  };
}

std::function<bool(std::string_view)> text(std::string& into) {
  return [&into](std::string_view value) {
    into = value;
    return !value.empty();
  };
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  const std::map<std::string_view, std::function<bool(std::string_view)>> known{
      {"--host", text(options.host)},
      {"--port", number(options.port)},
      {"--topic", text(options.topic)},
      {"--partitions", number(options.partitions)},
      {"--pid", number(options.pid)},
      {"--connections", number(options.connections)},
      {"--depth", number(options.depth)},
      {"--record-bytes", number(options.record_bytes)},
      {"--batch-bytes", number(options.batch_bytes)},
      {"--seconds", number(options.seconds)},
      {"--bytes-max", number(options.bytes_max)},
      {"--settle-seconds", number(options.settle_seconds)},
      {"--rate", number(options.rate)},
      {"--warm-seconds", number(options.warm_seconds)},
      {"--fetch-bytes", number(options.fetch_bytes)},
      {"--megabytes-per-second", number(options.megabytes_per_second)},
      {"--passes", number(options.passes)},
      {"--all-partitions", number(options.all_partitions)},
      {"--timeout-seconds", number(options.timeout_seconds)},
      {"--broker-log", text(options.broker_log)},
  };
  if (argc < 2) usage("no command", "");
  options.command = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--") {
      options.broker.assign(argv + i + 1, argv + argc);
      break;
    }
    const auto found = known.find(name);
    if (found == known.end()) usage("unknown option", name);
    if (i + 1 == argc || !found->second(argv[++i])) usage("no sense in", name);
  }
  if (options.port == 0) usage("wants", "--port");
  return options;
}

}  // namespace ottla::load
