#include "storage/tail_memory.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "storage/store_segment_writer.h"
#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;

constexpr std::size_t kBlock = io::kDirectAlignment;
constexpr TailLimits kLimits{
    .slab_bytes = 64 * 1024, .chunk_bytes_max = 32 * 1024, .spare_bytes = 128 * 1024};

class TailMemoryTest : public OneNodeTest {
 protected:
  TailMemoryTest() : OneNodeTest(1) {}
  // Runs where there is a disk.
  void with_disk(std::function<void(io::Disk&)> body) {
    const auto main = [&](io::Env& env) -> io::Task<int> {
      body(env.disk);
      co_return 0;
    };
    EXPECT_EQ(run(main), 0);
  }
};

// A log as the memory sees it.
struct Writer {
  TailChunk chunk;
  std::uint64_t position = 0;
  const std::uint8_t* end = nullptr;
};

TEST_F(TailMemoryTest, BatchesStandCongruentWithTheFileAndBesideNobodyElse) {
  with_disk([](io::Disk& disk) {
    const bool passed = rc::check("places", [&disk] {
      TailMemory memory(disk, kLimits);
      std::vector<Writer> writers(3);
      std::vector<std::pair<Slice, std::uint8_t>> placed;
      const int steps = *rc::gen::inRange(1, 120);
      for (int i = 0; i < steps; ++i) {
        Writer& writer = writers[*rc::gen::inRange<std::size_t>(0, writers.size())];
        const int what = *rc::gen::inRange(0, 12);
        if (what == 0) {
          memory.leave(writer.chunk);
        } else if (what == 1) {
          memory.begin_segment(writer.chunk);
          writer.position = 0;
        }
        const auto bytes = *rc::gen::element<std::size_t>(1, 70, 4095, 4096, 4097, 20'000, 90'000);
        const auto place = memory.place(writer.chunk, writer.position, bytes, nullptr, i);
        RC_ASSERT(place.bytes.size() == bytes);
        RC_ASSERT(reinterpret_cast<std::uintptr_t>(place.bytes.data()) % kBlock ==
                  writer.position % kBlock);
        if (what <= 1) RC_ASSERT(place.begins_chunk);
        if (!place.begins_chunk) RC_ASSERT(place.bytes.data() == writer.end);
        const auto fill = static_cast<std::uint8_t>(i);
        std::ranges::fill(place.bytes.mutable_view(), fill);
        // The part of the block before it is the writer's.
        if (place.begins_chunk) {
          std::fill_n(place.bytes.mutable_data() - writer.position % kBlock,
                      writer.position % kBlock, std::uint8_t{255});
        }
        placed.emplace_back(place.bytes, fill);
        writer.position += bytes;
        writer.end = place.bytes.data() + bytes;
      }
      for (const auto& [bytes, fill] : placed) {
        RC_ASSERT(std::ranges::all_of(bytes.view(), [&](auto byte) { return byte == fill; }));
      }
    });
    EXPECT_TRUE(passed);
  });
}

TEST_F(TailMemoryTest, ManyLogsWithLittleTrafficTakeABlockEach) {
  with_disk([](io::Disk& disk) {
    TailMemory memory(disk, kLimits);
    std::vector<TailChunk> chunks(5000);
    for (int round = 0; round < 40; ++round) {
      for (TailChunk& chunk : chunks) {
        (void)memory.place(chunk, static_cast<std::uint64_t>(round) * 100, 100, nullptr, 1);
      }
    }
    EXPECT_LE(memory.bytes(), chunks.size() * kBlock + kLimits.slab_bytes);
  });
}

TEST_F(TailMemoryTest, ChunksDoubleAsTheyAreFilledAndShrinkToWhatWasUsed) {
  with_disk([](io::Disk& disk) {
    TailMemory memory(disk, kLimits);
    TailChunk busy;
    TailChunk other;
    std::vector<std::size_t> sizes;
    std::uint64_t position = 0;
    for (int i = 0; i < 200; ++i, position += 512) {
      if (memory.place(busy, position, 512, nullptr, 1).begins_chunk) {
        sizes.push_back(busy.memory.size());
      }
      // Another's chunk behind it, so that it can't just go on.
      memory.leave(other);
      (void)memory.place(other, 0, 10, nullptr, 1);
    }
    ASSERT_GE(sizes.size(), 4u);
    EXPECT_EQ(sizes[0], kBlock);
    EXPECT_EQ(sizes[1], 2 * kBlock);
    EXPECT_LE(std::ranges::max(sizes), kLimits.chunk_bytes_max);
    memory.leave(busy);
    (void)memory.place(busy, 0, 100, nullptr, 1);
    memory.leave(busy);
    (void)memory.place(busy, 0, 100, nullptr, 1);
    EXPECT_EQ(busy.memory.size(), kBlock);
  });
}

TEST_F(TailMemoryTest, ASlabThatReadersHoldIsNotUsedAgain) {
  with_disk([](io::Disk& disk) {
    TailMemory memory(disk, kLimits);
    TailChunk chunk;
    Slice held = memory.place(chunk, 0, 100, nullptr, 1).bytes;
    std::ranges::fill(held.mutable_view(), std::uint8_t{7});
    const std::uint8_t* const slab = held.data();
    const auto next_slab = [&] {
      memory.leave(chunk);
      (void)memory.place(chunk, 0, kLimits.slab_bytes, nullptr, 1);
      return chunk.memory.data();
    };
    (void)next_slab();
    ASSERT_NE(memory.oldest(), nullptr);
    EXPECT_EQ(memory.oldest()->touched.size(), 1u);
    memory.drop_oldest();
    EXPECT_EQ(memory.oldest(), nullptr);
    EXPECT_EQ(memory.bytes(), kLimits.slab_bytes);
    EXPECT_NE(next_slab(), slab);
    EXPECT_TRUE(std::ranges::all_of(held.view(), [](auto byte) { return byte == 7; }));
    held = {};
    EXPECT_EQ(next_slab(), slab);
    memory.leave(chunk);
  });
}

// --- from there to the file

constexpr std::string_view kPath = "segment";

// A segment in chunks as large as told, all of whose bytes differ from their neighbours'.
struct Chunks {
  TailMemory& memory;
  TailChunk chunk;
  Bytes all;
  std::vector<SegmentRun> runs;

  void add(std::size_t bytes, bool in_new_chunk) {
    if (in_new_chunk) memory.leave(chunk);
    const auto place = memory.place(chunk, all.size(), bytes, nullptr, 1);
    for (std::size_t i = 0; i < bytes; ++i) {
      place.bytes.mutable_data()[i] = static_cast<std::uint8_t>(1 + (all.size() + i) % 250);
    }
    all.insert(all.end(), place.bytes.view().begin(), place.bytes.view().end());
    runs.push_back({place.bytes, bytes, place.begins_chunk});
  }
  std::vector<SegmentRun> take() { return std::exchange(runs, {}); }
};

TEST_F(TailMemoryTest, ABlockThatStandsInSeveralChunksIsWrittenWhole) {
  const auto main = [&](io::Env& env) -> io::Task<int> {
    TailMemory memory(env.disk, kLimits);
    Chunks chunks{memory, {}, {}, {}};
    SegmentWriter writer(env.disk, std::string(kPath));
    REQUIRE_OK(co_await writer.open(0));
    io::sim::Prng prng(5);
    for (int i = 0; i < 60; ++i) {
      const int batches = 1 + static_cast<int>(prng.below(4));
      for (int batch = 0; batch < batches; ++batch) {
        chunks.add(1 + prng.below(prng.chance(0.5) ? 300 : 9000), prng.chance(0.4));
      }
      REQUIRE_OK(co_await writer.append(chunks.take()));
      EXPECT_EQ(writer.size_bytes(), chunks.all.size());
      if (prng.chance(0.3)) REQUIRE_OK(co_await writer.settle());
      const Bytes file = node_.disk().content(kPath).value();
      const std::size_t readable = writer.readable_bytes();
      EXPECT_TRUE(readable <= file.size() &&
                  std::equal(file.begin(), file.begin() + readable, chunks.all.begin()));
    }
    REQUIRE_OK(co_await writer.finish());
    EXPECT_EQ(node_.disk().content(kPath), chunks.all);
    co_return 0;
  };
  EXPECT_EQ(run(main), 0);
}

TEST_F(TailMemoryTest, NothingBehindWhatWasHandedOverReachesTheFile) {
  const auto main = [&](io::Env& env) -> io::Task<int> {
    TailMemory memory(env.disk, kLimits);
    Chunks chunks{memory, {}, {}, {}};
    SegmentWriter writer(env.disk, std::string(kPath));
    REQUIRE_OK(co_await writer.open(0));
    chunks.add(5000, false);
    auto durable = chunks.take();
    chunks.add(9000, false);  // in the same block and behind it, not durable yet
    REQUIRE_OK(co_await writer.append(std::move(durable)));
    EXPECT_EQ(node_.disk().content(kPath)->size(), kBlock);
    REQUIRE_OK(co_await writer.settle());
    const Bytes file = node_.disk().content(kPath).value();
    EXPECT_EQ(file.size(), 2 * kBlock);
    EXPECT_TRUE(std::all_of(file.begin() + 5000, file.end(), [](auto byte) { return byte == 0; }));
    REQUIRE_OK(co_await writer.append(chunks.take()));
    REQUIRE_OK(co_await writer.finish());
    EXPECT_EQ(node_.disk().content(kPath), chunks.all);
    co_return 0;
  };
  EXPECT_EQ(run(main), 0);
}

}  // namespace
}  // namespace ottla::storage
