// What record batches cost a broker: CRC, walking records, validation of a batch by codec,
// building. Times are per batch; the counters say nanoseconds a record and how much memory was
// asked for per batch once everything is warm.
//   record_bench [--benchmark_filter=...]
#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <malloc.h>
#include <string>

#include "wire/record.h"
#include "wire/record_validation.h"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Every allocation of the process, those of the codecs' C code too.
extern "C" {
void* __libc_malloc(std::size_t size);
void* malloc(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
}

namespace ottla::wire {
namespace {

constexpr TimestampMs kNow = 1'700'000'000'000;

// Like JSON: words and numbers, so that it compresses about 2 to 4 times.
std::string json_like(std::size_t size, std::uint32_t& state) {
  static constexpr std::string_view kWords[] = {
      "\"user\":", "\"amount\":", "\"currency\":\"EUR\"", "\"country\":\"de\"", "\"item\":",
      "true",      "null"};
  std::string text = "{";
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += kWords[(state >> 16) % std::size(kWords)];
    text += std::to_string(state >> 8) + ",";
  }
  text.resize(size);
  return text;
}

Slice make_batch(Codec codec, std::size_t record_bytes, int count) {
  std::uint32_t state = 7;
  RecordBatchBuilder builder(
      {.codec = codec, .producer_id = 1, .producer_epoch = 0, .base_sequence = 0});
  for (int i = 0; i < count; ++i) {
    const std::string value = json_like(record_bytes, state);
    builder.append({.timestamp = kNow + i, .value = as_bytes(value)});
  }
  return builder.build().value();
}

void finish(benchmark::State& state, std::int64_t records, std::size_t bytes,
            std::uint64_t allocations_before) {
  const auto iterations = static_cast<double>(state.iterations());
  state.counters["per_record"] =
      benchmark::Counter(iterations * static_cast<double>(records),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["allocs/batch"] =
      static_cast<double>(allocations - allocations_before) / iterations;
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void walk(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto count = static_cast<int>(state.range(1));
  const Slice bytes = make_batch(Codec::none, size, count);
  const Batch batch = parse_batch(bytes).value();
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    std::int64_t sum = 0;
    RecordCursor cursor(batch.records(), batch.header.record_count);
    for (Record record; cursor.next(record);) sum += record.timestamp_delta + record.offset_delta;
    benchmark::DoNotOptimize(sum);
  }
  finish(state, count, bytes.size(), before);
}
BENCHMARK(walk)->ArgsProduct({{10, 100, 1024}, {1000}})->Args({100, 1})->Args({1024, 16});

void validate(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  const auto size = static_cast<std::size_t>(state.range(1));
  const auto count = static_cast<int>(state.range(2));
  const Slice bytes = make_batch(codec, size, count);
  ValidationSettings settings;
  settings.max_message_bytes = 1 << 24;
  settings.mode = state.range(3) ? ValidationMode::header : ValidationMode::full;
  ValidationScratch scratch;
  if (!validate_batch(bytes, settings, 11, kNow, scratch)) std::abort();
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    auto result = validate_batch(bytes, settings, 11, kNow, scratch);
    benchmark::DoNotOptimize(result);
  }
  finish(state, count, size * static_cast<std::size_t>(count), before);
  state.SetLabel(std::string(codec_name(codec)) + (state.range(3) ? " header" : " full"));
}
BENCHMARK(validate)
    ->Args({0, 100, 1, 0})
    ->Args({0, 100, 1000, 0})
    ->Args({0, 1024, 16, 0})
    ->Args({0, 1024, 128, 0})
    ->ArgsProduct({{1, 2, 3, 4}, {1024}, {128}, {0, 1}});

void build(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  std::uint32_t seed = 7;
  const std::string value = json_like(1024, seed);
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    RecordBatchBuilder builder({.codec = codec});
    for (int i = 0; i < 128; ++i) builder.append({.timestamp = kNow, .value = as_bytes(value)});
    benchmark::DoNotOptimize(builder.build());
  }
  finish(state, 128, 128 * 1024, before);
  state.SetLabel(std::string(codec_name(codec)));
}
BENCHMARK(build)->DenseRange(0, 4);

}  // namespace
}  // namespace ottla::wire

BENCHMARK_MAIN();
