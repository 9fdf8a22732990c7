// What a run found out: one JSON object on stdout.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace ottla::load {

struct Options;

// p50, p99, p99.9 and the maximum, in milliseconds. Sorts.
nlohmann::json percentiles(std::vector<std::int64_t>& ns);

nlohmann::json run_produce(const Options& options);
nlohmann::json run_fetch(const Options& options);
nlohmann::json run_first_ack(const Options& options);

}  // namespace ottla::load
