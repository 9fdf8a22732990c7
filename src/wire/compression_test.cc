#include "wire/compression.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <rapidcheck/gtest.h>
#include <snappy.h>
#include <string>
#include <zstd.h>

#include "wire/record_testing.h"

namespace ottla::wire {
namespace {

constexpr std::size_t kMegabyte = std::size_t{1} << 20;
constexpr Codec kCodecs[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

Bytes noise(std::size_t size) {
  testing::Numbers numbers(size);
  Bytes bytes(size);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(numbers.next() >> 56);
  return bytes;
}

bool holds(const std::expected<Slice, BatchError>& result, ByteView bytes) {
  return result && std::ranges::equal(result->view(), bytes);
}

RC_GTEST_PROP(Compression, WhatIsCompressedComesBack, ()) {
  const auto codec = *rc::gen::elementOf(
      std::vector<Codec>(std::begin(testing::kAllCodecs), std::end(testing::kAllCodecs)));
  Bytes bytes;
  const int pieces = *rc::gen::inRange(1, 8);
  for (int i = 0; i < pieces; ++i) {
    const auto size = *rc::gen::inRange<std::size_t>(1, 40'000);
    if (*rc::gen::arbitrary<bool>()) {
      bytes.insert(bytes.end(), size, static_cast<std::uint8_t>(i));
    } else {
      const Bytes more = noise(size);
      bytes.insert(bytes.end(), more.begin(), more.end());
    }
  }
  const Slice compressed = compress(codec, std::nullopt, bytes).value();
  RC_ASSERT(holds(decompress(codec, compressed, bytes.size()), bytes));
  RC_ASSERT(decompress(codec, compressed, bytes.size() - 1).error() == BatchError::too_large);

  // In pieces of any size, the same.
  Decompressor decompressor;
  RC_ASSERT(decompressor.start(codec, compressed).has_value());
  Bytes piece(*rc::gen::inRange<std::size_t>(1, 70'000));
  Bytes together;
  while (true) {
    const std::size_t count = decompressor.read(piece).value();
    if (count == 0) break;
    together.insert(together.end(), piece.begin(),
                    piece.begin() + static_cast<std::ptrdiff_t>(count));
  }
  RC_ASSERT(together == bytes);
  RC_ASSERT(decompressor.read(piece).value() == 0u);
}

TEST(Compression, LevelsAreKafkas) {
  const Bytes bytes(1'000, 'x');
  const auto levels = [&](Codec codec, int level) {
    auto result = compress(codec, level, bytes);
    if (result) EXPECT_TRUE(holds(decompress(codec, *result, bytes.size()), bytes));
    return result.has_value();
  };
  EXPECT_TRUE(levels(Codec::gzip, -1));
  EXPECT_TRUE(levels(Codec::gzip, 1));
  EXPECT_TRUE(levels(Codec::gzip, 9));
  EXPECT_FALSE(levels(Codec::gzip, 0));
  EXPECT_FALSE(levels(Codec::gzip, 10));
  EXPECT_FALSE(levels(Codec::gzip, -2));
  EXPECT_FALSE(levels(Codec::lz4, 0));
  for (int level = 1; level <= 17; ++level) EXPECT_TRUE(levels(Codec::lz4, level));
  EXPECT_FALSE(levels(Codec::lz4, 18));
  EXPECT_TRUE(levels(Codec::zstd, 22));
  EXPECT_TRUE(levels(Codec::zstd, -131'072));
  EXPECT_FALSE(levels(Codec::zstd, 23));
  EXPECT_FALSE(levels(Codec::zstd, -131'073));
  EXPECT_FALSE(levels(Codec::snappy, 1));
  EXPECT_EQ(level_range(Codec::zstd).standard, 3);
  EXPECT_EQ(level_range(Codec::lz4).standard, 9);
  EXPECT_EQ(level_range(Codec::gzip).standard, -1);
}

TEST(Compression, HeadroomStandsBeforeTheResult) {
  const Bytes bytes(500, 'y');
  for (const Codec codec : testing::kAllCodecs) {
    const Slice with = compress(codec, std::nullopt, bytes, 61).value();
    EXPECT_TRUE(holds(decompress(codec, with.view().subspan(61), 500), bytes));
  }
}

TEST(Decompression, ACutStreamIsNeverTakenForAWholeOne) {
  Bytes bytes = noise(300);
  bytes.resize(40'000, 'z');
  for (const Codec codec : kCodecs) {
    const Slice compressed = compress(codec, std::nullopt, bytes).value();
    for (std::size_t size = 0; size < compressed.size(); ++size) {
      auto result = decompress(codec, compressed.view().first(size), kMegabyte);
      // xerial's framing has no end mark: cut between its blocks it is a shorter stream. The record
      // count tells.
      if (codec == Codec::snappy && result) {
        EXPECT_LT(result->size(), bytes.size());
        continue;
      }
      ASSERT_FALSE(result) << codec_name(codec) << " cut to " << size;
      EXPECT_EQ(result.error(), BatchError::corrupt_compression);
    }
  }
}

TEST(Decompression, DamagedStreamsAreErrorsOrOtherBytesButNeverMore) {
  Bytes bytes = noise(2'000);
  bytes.resize(10'000, 'z');
  testing::Numbers numbers(3);
  Decompressor decompressor;
  for (const Codec codec : kCodecs) {
    const Slice good = compress(codec, std::nullopt, bytes).value();
    for (int round = 0; round < 2'000; ++round) {
      Bytes damaged(good.view().begin(), good.view().end());
      for (int i = 0; i < 3; ++i) {
        damaged[numbers.below(damaged.size())] = static_cast<std::uint8_t>(numbers.next());
      }
      auto result = decompress(decompressor, codec, damaged, bytes.size());
      if (result) EXPECT_LE(result->size(), bytes.size());
    }
    // The contexts are none the worse for it.
    EXPECT_TRUE(holds(decompress(decompressor, codec, good, bytes.size()), bytes));
  }
}

TEST(Decompression, BombsEndAtTheBound) {
  const Bytes zeros(64 * kMegabyte);
  for (const Codec codec : kCodecs) {
    const Slice bomb = compress(codec, std::nullopt, zeros).value();
    EXPECT_LT(bomb.size(), zeros.size() / 15);
    Decompressor decompressor;
    EXPECT_EQ(decompress(decompressor, codec, bomb, kMegabyte).error(), BatchError::too_large);
    EXPECT_LE(decompressor.held_bytes(), kKeptDecompressorBytes);
  }
}

TEST(Decompression, SnappyBlocksThatClaimTheImpossibleTakeNoMemory) {
  Decompressor decompressor;
  Bytes out(100);
  // A length of 2^31 before nine bytes; raw, and the same inside xerial's framing.
  const Bytes raw = {0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  ASSERT_TRUE(decompressor.start(Codec::snappy, raw));
  EXPECT_EQ(decompressor.read(out).error(), BatchError::corrupt_compression);
  Bytes framed = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 14};
  framed.insert(framed.end(), raw.begin(), raw.end());
  ASSERT_TRUE(decompressor.start(Codec::snappy, framed));
  EXPECT_EQ(decompressor.read(out).error(), BatchError::corrupt_compression);
  EXPECT_EQ(decompressor.held_bytes(), 0u);
}

TEST(Decompression, SnappyComesInBothFramings) {
  const Bytes bytes(100'000, 's');
  std::string raw;
  snappy::Compress(as_text(bytes).data(), bytes.size(), &raw);
  EXPECT_TRUE(holds(decompress(Codec::snappy, as_bytes(raw), bytes.size()), bytes));

  const Slice framed = compress(Codec::snappy, std::nullopt, bytes).value();
  EXPECT_EQ(as_text(framed).substr(1, 6), "SNAPPY");
  // Two streams one after the other, headers and all.
  Bytes twice(framed.view().begin(), framed.view().end());
  twice.insert(twice.end(), framed.view().begin(), framed.view().end());
  auto both = decompress(Codec::snappy, twice, kMegabyte);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->size(), 2 * bytes.size());
}

Bytes lz4_frame(ByteView bytes, const LZ4F_preferences_t& preferences) {
  Bytes frame(LZ4F_compressFrameBound(bytes.size(), &preferences));
  frame.resize(
      LZ4F_compressFrame(frame.data(), frame.size(), bytes.data(), bytes.size(), &preferences));
  return frame;
}

TEST(Decompression, Lz4FramesAreThoseThatJavaReads) {
  const Bytes bytes(200'000, 'l');
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockLinked;
  EXPECT_EQ(decompress(Codec::lz4, lz4_frame(bytes, preferences), kMegabyte).error(),
            BatchError::corrupt_compression);
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  preferences.frameInfo.contentSize = bytes.size();
  Bytes frame = lz4_frame(bytes, preferences);
  EXPECT_TRUE(holds(decompress(Codec::lz4, frame, kMegabyte), bytes));
  frame[14] ^= 1;  // the header's checksum
  EXPECT_FALSE(decompress(Codec::lz4, frame, kMegabyte));
}

TEST(Decompression, AZstdWindowBeyondTheBoundIsRefused) {
  // Frame header: magic, descriptor without content size, window descriptor 2^(10+18).
  const Bytes frame = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 0x01, 0x00, 0x00};
  EXPECT_EQ(decompress(Codec::zstd, frame, kMegabyte).error(), BatchError::corrupt_compression);

  // A large window that is allowed: used, and then let go.
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 24);
  const Bytes bytes(100, 'w');
  Bytes big(ZSTD_compressBound(bytes.size()));
  ZSTD_outBuffer out{big.data(), big.size(), 0};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);  // so that no content size is written
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  Decompressor decompressor;
  EXPECT_TRUE(
      holds(decompress(decompressor, Codec::zstd, ByteView(big).first(out.pos), 200), bytes));
  EXPECT_EQ(decompressor.held_bytes(), 0u);
}

TEST(Decompression, UnknownCodecsAndEmptyInputAreErrors) {
  for (const Codec codec : kCodecs) {
    EXPECT_EQ(decompress(codec, {}, 10).error(), BatchError::corrupt_compression);
  }
  EXPECT_EQ(decompress(static_cast<Codec>(5), as_bytes("x"), 10).error(),
            BatchError::unknown_codec);
  EXPECT_EQ(compress(static_cast<Codec>(5), std::nullopt, {}).error(), BatchError::unknown_codec);
  EXPECT_TRUE(decompress(Codec::none, {}, 0));
}

}  // namespace
}  // namespace ottla::wire
