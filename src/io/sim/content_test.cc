// Content against a plain model, and the memory of pages.
#include "io/sim/content.h"

#include <gtest/gtest.h>

namespace ottla::io::sim {
namespace {

Bytes all_of(const Content& content) {
  Bytes bytes(content.size_bytes());
  EXPECT_EQ(content.read(0, bytes), bytes.size());
  return bytes;
}

Bytes durable_of(const Content& content) {
  Bytes bytes(content.durable_size_bytes());
  EXPECT_EQ(content.read_durable(0, bytes), bytes.size());
  return bytes;
}

void model_write(Bytes& model, std::uint64_t position, ByteView bytes) {
  if (model.size() < position + bytes.size()) model.resize(position + bytes.size());
  std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<std::ptrdiff_t>(position));
}

TEST(Content, behaves_as_two_byte_arrays) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Prng prng(seed);
    Content content;
    Bytes current;
    Bytes durable;
    std::vector<std::pair<std::uint64_t, Bytes>> states{{0, {}}};  // what was current at each mark
    for (int step = 0; step < 200; ++step) {
      switch (prng.below(6)) {
        case 0: {
          content.truncate(prng.below(30'000));
          current.resize(content.size_bytes());
          break;
        }
        case 1: {
          const auto& [mark, state] = states[prng.below(states.size())];
          content.sync(mark);
          // Older marks than one synced already change nothing.
          for (auto& [other, earlier] : states)
            if (other <= mark && other >= states.front().first) durable = earlier;
          std::erase_if(states, [&](auto& entry) { return entry.first < mark; });
          break;
        }
        default: {
          Bytes bytes(prng.below(9000));
          if (prng.chance(0.7))
            for (auto& byte : bytes) byte = static_cast<std::uint8_t>(prng.next());
          const std::uint64_t position = prng.below(30'000);
          content.write(position, bytes);
          if (!bytes.empty()) model_write(current, position, bytes);
        }
      }
      if (states.back().first != content.mark()) states.emplace_back(content.mark(), current);
      ASSERT_EQ(all_of(content), current) << "seed " << seed << " step " << step;
      ASSERT_EQ(durable_of(content), durable) << "seed " << seed << " step " << step;
    }
  }
}

TEST(Content, a_power_loss_that_keeps_everything_changes_nothing_else_keeps_the_durable_part) {
  Prng prng(1);
  DiskOptions options;
  for (bool everything : {true, false}) {
    options.keep_nothing = !everything;
    options.keep_everything = everything;
    options.keep_prefix = options.keep_subset = 0;
    Content content;
    const Bytes first(5000, 1);
    const Bytes second(9000, 2);
    content.write(0, first);
    content.sync(content.mark());
    content.write(3000, second);
    content.truncate(100);
    content.write(200, first);
    const Bytes current = all_of(content);
    content.lose_power(options, prng);
    EXPECT_EQ(all_of(content), everything ? current : first);
    EXPECT_EQ(durable_of(content), all_of(content));
    EXPECT_EQ(content.unsynced_changes(), 0u);
  }
}

TEST(Content, what_lies_behind_the_end_after_a_power_loss_reads_as_zeros) {
  DiskOptions options;
  options.garbage_sector = 0.3;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng prng(seed);
    Content content;
    const Bytes ones(prng.below(9000), 1);
    for (int i = 0; i < 5; ++i) {
      content.write(prng.below(9000), ones);
      if (prng.chance(0.3)) content.sync(content.mark());
      if (prng.chance(0.3)) content.truncate(prng.below(9000));
      if (prng.chance(0.2)) content.sync_failed(content.mark(), prng);
    }
    content.lose_power(options, prng);
    const std::uint64_t size = content.size_bytes();
    content.truncate(size + 20'000);
    Bytes behind(20'000, 1);
    ASSERT_EQ(content.read(size, behind), behind.size());
    ASSERT_EQ(behind, Bytes(20'000, 0)) << "seed " << seed;
  }
}

TEST(SparseBytes, reads_zeros_where_nothing_was_written) {
  SparseBytes bytes;
  const Bytes out(10, 1);
  bytes.write((1ull << 40) + 4090, out);
  Bytes in(20, 9);
  bytes.read((1ull << 40) + 4085, in);
  EXPECT_EQ(in, (Bytes{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}));
}

TEST(SparseBytes, copies_do_not_see_later_writes) {
  SparseBytes bytes;
  const Bytes ones(8192, 1);
  const Bytes twos(100, 2);
  bytes.write(0, ones);
  const SparseBytes copy = bytes;
  bytes.write(4000, twos);
  bytes.flip(0, 0);
  Bytes in(8192);
  copy.read(0, in);
  EXPECT_EQ(in, ones);
}

}  // namespace
}  // namespace ottla::io::sim
