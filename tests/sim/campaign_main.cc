// sim_campaign: seeds of the simulated broker, one after the other.
//   sim_campaign --seeds 300 --first 1 [--twice-every 20] [--until-found]
//   sim_campaign --seed N [--trace]
// Exit code 0: all seeds are clean, and enough of them valid; 1: a finding; 2: bad arguments.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <vector>

#include "base/planted_bug.h"
#include "campaign.h"

namespace {

using namespace ottla::sim_campaign;

// Of the seeds; beyond that the campaign proves too little to be called green.
constexpr double kInvalidShareMax = 0.34;
constexpr std::size_t kFindingsShown = 6;
// So many must come across every mark.
constexpr std::size_t kMarkedSeeds = 300;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 300;
  std::uint64_t twice_every = 0;
  bool until_found = false;
  bool verbose = false;
  bool trace = false;
};

struct Sums {
  std::vector<double> cpu_seconds;
  FaultCounts faults{};
  MarkCounts marks{};
  std::uint64_t operations = 0, acknowledged = 0, starts = 0;
  std::uint64_t invalid = 0, failed = 0, repeated = 0;

  void add(const SeedResult& result) {
    cpu_seconds.push_back(result.cpu_seconds);
    operations += result.operations;
    acknowledged += result.acknowledged;
    starts += result.starts;
    invalid += !result.is_valid;
    for (std::size_t i = 0; i < marks.size(); ++i) marks[i] += result.marks[i];
    for (std::size_t i = 0; i < kFaultCount; ++i) {
      faults[i].planned += result.faults[i].planned;
      faults[i].felt += result.faults[i].felt;
    }
  }
};

void print_failure(const SeedResult& result) {
  fmt::print("seed {}: {} finding(s); replay: sim_campaign --seed {} --trace\n", result.seed,
             result.findings.size(), result.seed);
  for (std::size_t i = 0; i < std::min(result.findings.size(), kFindingsShown); ++i)
    fmt::print("  {}\n", result.findings[i]);
}

bool parse(int count, char** values, Arguments& arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    const auto number = [&](std::uint64_t& into) {
      if (++i >= count) return false;
      const char* end = values[i] + std::strlen(values[i]);
      const auto [at, error] = std::from_chars(values[i], end, into);
      return error == std::errc() && at == end;
    };
    bool is_good = true;
    if (name == "--seeds") {
      is_good = number(arguments.seeds);
    } else if (name == "--first") {
      is_good = number(arguments.first);
    } else if (name == "--twice-every") {
      is_good = number(arguments.twice_every);
    } else if (name == "--seed") {
      is_good = number(arguments.first);
      arguments.seeds = 1;
    } else if (name == "--until-found") {
      arguments.until_found = true;
    } else if (name == "--verbose") {
      arguments.verbose = true;
    } else if (name == "--trace") {
      arguments.trace = true;
    } else if (name == "--plant") {
      is_good = ++i < count && ottla::plant_bug(values[i]);
    } else {
      is_good = false;
    }
    if (!is_good) {
      fmt::print(stderr, "bad argument: {}\n", name);
      return false;
    }
  }
  return true;
}

void print_sums(Sums& sums) {
  std::ranges::sort(sums.cpu_seconds);
  const std::size_t count = sums.cpu_seconds.size();
  fmt::print(
      "{} seeds ({} invalid: a planned fault was not felt; {} run twice), {} operations, {} "
      "records acknowledged, {} starts of the broker\n",
      count, sums.invalid, sums.repeated, sums.operations, sums.acknowledged, sums.starts);
  fmt::print("faults felt of planned:");
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    fmt::print(" {} {}/{}", to_string(static_cast<Fault>(i)), sums.faults[i].felt,
               sums.faults[i].planned);
  }
  fmt::print("\nreached:");
  for (std::size_t i = 0; i < sums.marks.size(); ++i)
    fmt::print("{} {} {}", i > 0 ? "," : "", kMarkNames[i], sums.marks[i]);
  fmt::print("\nCPU a seed: median {:.2f} s, most {:.2f} s; {} seed(s) with findings\n",
             sums.cpu_seconds[count / 2], sums.cpu_seconds.back(), sums.failed);
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!parse(count, values, arguments)) return 2;
  Sums sums;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    SeedResult result = run_seed(seed, arguments.trace ? stdout : nullptr);
    if (arguments.twice_every > 0 && seed % arguments.twice_every == 0) {
      ++sums.repeated;
      if (run_seed(seed).trace_hash != result.trace_hash)
        result.findings.emplace_back("two runs have different traces");
    }
    sums.add(result);
    if (arguments.verbose) {
      fmt::print("seed {}: {} operations, {} acknowledged, {} starts, {:.2f} s, hash {:016x}\n",
                 seed, result.operations, result.acknowledged, result.starts, result.cpu_seconds,
                 result.trace_hash);
    }
    if (result.findings.empty()) continue;
    ++sums.failed;
    print_failure(result);
    std::fflush(stdout);
    if (arguments.until_found) break;
  }
  if (sums.cpu_seconds.empty()) return 2;
  print_sums(sums);
  const auto missed = std::ranges::find(sums.marks, 0u);
  const bool is_blind = sums.cpu_seconds.size() >= kMarkedSeeds && missed != sums.marks.end();
  if (is_blind) fmt::print("never reached: {}\n", kMarkNames[missed - sums.marks.begin()]);
  const bool is_proof = static_cast<double>(sums.invalid) <=
                            kInvalidShareMax * static_cast<double>(sums.cpu_seconds.size()) ||
                        arguments.seeds == 1;
  if (!is_proof) fmt::print("too many invalid seeds\n");
  return sums.failed == 0 && is_proof && !is_blind ? 0 : 1;
}
