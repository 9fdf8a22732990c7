// ottla-load: the generator of bench/compare. Speaks Kafka's protocol to any broker, measures one
// scenario, and prints one line of JSON.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "admin.h"
#include "null_broker.h"
#include "options.h"
#include "report.h"

namespace ottla::load {

nlohmann::json percentiles(std::vector<std::int64_t>& ns) {
  if (ns.empty()) return nullptr;
  std::sort(ns.begin(), ns.end());
  const auto at = [&](double part) {
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(ns.size())));
    return static_cast<double>(ns[std::min(std::max<std::size_t>(rank, 1), ns.size()) - 1]) * 1e-6;
  };
  return {{"count", ns.size()},
          {"p50", at(0.5)},
          {"p99", at(0.99)},
          {"p99.9", at(0.999)},
          {"max", at(1)}};
}

}  // namespace ottla::load

int main(int argc, char** argv) {
  using namespace ottla::load;
  const Options options = parse_options(argc, argv);
  nlohmann::json report;
  if (options.command == "produce") {
    report = run_produce(options);
  } else if (options.command == "fetch") {
    report = run_fetch(options);
  } else if (options.command == "first-ack") {
    report = run_first_ack(options);
  } else if (options.command == "null-broker") {
    run_null_broker(options);
  } else if (options.command == "delete") {
    Admin(options).delete_topic();
    report = {{"errors", nlohmann::json::array()}};
  } else {
    die("unknown command " + options.command);
  }
  std::printf("%s\n", report.dump().c_str());
  return 0;
}
