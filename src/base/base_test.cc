#include <algorithm>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/copy.h"
#include "base/crc32c.h"
#include "base/gather.h"
#include "base/ids.h"

namespace ottla {
namespace {

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43u);
}

TEST(Crc32c, InstructionAndTableAgreeAtEveryLengthAndSeed) {
  Bytes bytes(10'000);
  std::uint32_t state = 1;
  for (auto& b : bytes) b = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  for (std::size_t length = 0; length <= bytes.size(); length += length < 64 ? 1 : 977) {
    const ByteView part = ByteView(bytes).first(length);
    EXPECT_EQ(crc32c(part, 7), crc32c_portable(part, 7)) << length;
  }
  const ByteView all(bytes);
  EXPECT_EQ(crc32c(all.subspan(5000), crc32c(all.first(5000))), crc32c(all));
}

TEST(Copy, UncachedCopiesExactlyTheBytesAtEveryAlignment) {
  Bytes from(9'000);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint8_t>(i * 31 + i / 7);
  for (const std::size_t size : {0, 1, 63, 4095, 4096, 4097, 4160, 8192, 8200}) {
    for (std::size_t skew = 0; skew < 130; skew += 13) {
      Bytes to(9'000, 0xee);
      copy_uncached(to.data() + skew, from.data() + 2 * skew, size);
      Bytes wanted(9'000, 0xee);
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(2 * skew), size,
                  wanted.begin() + static_cast<std::ptrdiff_t>(skew));
      ASSERT_EQ(to, wanted) << size << " bytes at " << skew;
    }
  }
}

TEST(Base64, BothWays) {
  for (const std::string_view text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    const auto back = from_base64(to_base64(as_bytes(text)));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(as_text(*back), text);
  }
  EXPECT_EQ(to_base64(as_bytes("fooba")), "Zm9vYmE=");
  EXPECT_FALSE(from_base64("abc"));
  EXPECT_FALSE(from_base64("ab!="));
}

TEST(Slice, ABlockIsShownBeforeItIsTouched) {
  constexpr std::size_t kAlignment = 64 * 1024;
  MutableByteView shown;
  const Slice slice = Slice::allocate_in_block(kAlignment + 1, kAlignment,
                                               [&](MutableByteView block) { shown = block; });
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(shown.data()) % kAlignment, 0u);
  EXPECT_EQ(shown.size(), 2 * kAlignment);
  EXPECT_EQ(slice.data(), shown.data() + Slice::kBlockOverhead);
  EXPECT_EQ(slice.size(), kAlignment + 1);
}

TEST(Uuid, PrintsAndParsesAsKafkaDoes) {
  EXPECT_EQ((Uuid{0, 1}).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
  const Uuid id{0x0123456789abcdef, 0xfedcba9876543210};
  EXPECT_EQ(Uuid::parse(id.to_string()), id);
  EXPECT_EQ(Uuid::parse("short"), std::nullopt);
  EXPECT_EQ(Uuid::parse("AAAAAAAAAAAAAAAAAAAA!Q"), std::nullopt);
}

TEST(Slice, PartsKeepTheWholeAlive) {
  Slice part;
  {
    const Slice whole = Slice::copy_of(as_bytes("abcdef"));
    part = whole.subslice(2, 3);
  }
  EXPECT_EQ(as_text(part.view()), "cde");
}

TEST(Gather, FlattensInOrder) {
  Gather gather(Slice::copy_of(as_bytes("ab")));
  gather.append(Gather(Slice::copy_of(as_bytes("cd"))));
  EXPECT_EQ(gather.size_bytes(), 4u);
  EXPECT_EQ(as_text(gather.flatten().view()), "abcd");
}

}  // namespace
}  // namespace ottla
