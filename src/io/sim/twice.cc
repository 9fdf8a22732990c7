#include "io/sim/twice.h"

#include <array>
#include <fmt/format.h>
#include <memory>
#include <vector>

namespace ottla::io::sim {
namespace {

// Leaves holes of many sizes, so that the next allocations come at other addresses and in another
// order.
class DisturbedHeap {
 public:
  explicit DisturbedHeap(std::uint64_t seed) {
    Prng prng(seed);
    for (int i = 0; i < kBlocks; ++i)
      blocks_.push_back(std::make_unique<char[]>(prng.between(16, 2048)));
    for (auto& block : blocks_)
      if (prng.chance(0.5)) block.reset();
  }

 private:
  static constexpr int kBlocks = 5000;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

struct Outcome {
  std::uint64_t hash = 0;
  std::uint64_t steps = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome run_once(WorldOptions options, const std::function<void(World&)>& body, std::uint64_t heap,
                 std::FILE* text) {
  const DisturbedHeap disturbed(heap);
  options.trace_text = text;
  World world(options);
  body(world);
  return {world.trace_hash(), world.steps()};
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using TextFile = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

std::optional<std::string> find_nondeterminism(const WorldOptions& options,
                                               const std::function<void(World&)>& body) {
  const Outcome first = run_once(options, body, 1, nullptr);
  const Outcome second = run_once(options, body, 2, nullptr);
  if (first == second) return std::nullopt;
  std::string report =
      fmt::format("seed {}: trace {:016x} after {} steps, then {:016x} after {}\n", options.seed,
                  first.hash, first.steps, second.hash, second.steps);
  const TextFile one(std::tmpfile());
  const TextFile other(std::tmpfile());
  if (!one || !other) return report;
  run_once(options, body, 3, one.get());
  run_once(options, body, 4, other.get());
  std::rewind(one.get());
  std::rewind(other.get());
  std::array<char, 512> line{};
  std::array<char, 512> other_line{};
  for (std::uint64_t count = 1;; ++count) {
    const bool more = std::fgets(line.data(), line.size(), one.get()) != nullptr;
    const bool other_more =
        std::fgets(other_line.data(), other_line.size(), other.get()) != nullptr;
    if (!more && !other_more) return report + "two more runs agreed\n";
    const std::string left = more ? line.data() : "(end)\n";
    const std::string right = other_more ? other_line.data() : "(end)\n";
    if (left != right)
      return report +
             fmt::format("first difference, line {} of the trace:\n  {}  {}", count, left, right);
  }
}

}  // namespace ottla::io::sim
