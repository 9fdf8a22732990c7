#include "wire/reader.h"

#include <gtest/gtest.h>

#include "wire/writer.h"

namespace ottla::wire {
namespace {

using Code = DecodeError::Code;

Slice bytes_of(std::initializer_list<std::uint8_t> bytes) { return Slice::copy_of(Bytes(bytes)); }

TEST(Reader, ReadsWhatWriterWrote) {
  const Uuid id{.high = 0x0123456789abcdef, .low = 42};
  Writer writer(1);
  writer.integer(std::int16_t{-2});
  writer.integer(std::uint32_t{0xfffffffe});
  writer.integer(std::int64_t{-3'000'000'000});
  writer.float64(-0.5);
  writer.uuid(id);
  writer.bytes(as_bytes("abc"));
  for (const std::uint32_t number : {0u, 127u, 128u, 16383u, 16384u, 0x7fffffffu, 0xffffffffu})
    writer.unsigned_varint(number);
  Reader reader(std::move(writer).finish().flatten());
  EXPECT_EQ(reader.integer<std::int16_t>(), -2);
  EXPECT_EQ(reader.integer<std::uint32_t>(), 0xfffffffe);
  EXPECT_EQ(reader.integer<std::int64_t>(), -3'000'000'000);
  EXPECT_EQ(reader.float64(), -0.5);
  EXPECT_EQ(reader.uuid(), id);
  EXPECT_EQ(as_text(reader.view(3)), "abc");
  for (const std::uint32_t number : {0u, 127u, 128u, 16383u, 16384u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_EQ(reader.unsigned_varint(), number);
  }
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.failed());
}

TEST(Reader, TheFirstFailureSticks) {
  Reader reader(bytes_of({1, 2, 3}));
  EXPECT_EQ(reader.integer<std::int8_t>(), 1);
  EXPECT_EQ(reader.integer<std::int32_t>(), 0);
  EXPECT_EQ(reader.error(), Code::kTruncated);
  EXPECT_EQ(reader.failed_at(), 1u);
  EXPECT_EQ(reader.integer<std::int8_t>(), 0);  // although two bytes were left
  reader.seek(0);
  EXPECT_EQ(reader.integer<std::int8_t>(), 0);
  reader.fail(Code::kTooLong);
  EXPECT_EQ(reader.error(), Code::kTruncated);
}

TEST(Reader, AVarintHasFiveBytesAtMost) {
  Reader five(bytes_of({0xff, 0xff, 0xff, 0xff, 0x0f}));
  EXPECT_EQ(five.unsigned_varint(), 0xffffffffu);
  EXPECT_FALSE(five.failed());
  Reader six(bytes_of({0x80, 0x80, 0x80, 0x80, 0x80, 0x01}));
  EXPECT_EQ(six.unsigned_varint(), 0u);
  EXPECT_EQ(six.error(), Code::kVarintTooLong);
  Reader cut(bytes_of({0x80, 0x80}));
  EXPECT_EQ(cut.unsigned_varint(), 0u);
  EXPECT_EQ(cut.error(), Code::kTruncated);
}

TEST(Reader, NoLengthReachesBeyondTheEnd) {
  Reader reader(bytes_of({1, 2, 3}));
  EXPECT_TRUE(reader.view(static_cast<std::size_t>(-1)).empty());
  EXPECT_EQ(reader.error(), Code::kTruncated);
}

TEST(Reader, SlicesShareTheFrame) {
  const Slice frame = bytes_of({1, 2, 3, 4});
  Reader reader(frame);
  reader.skip(1);
  const Slice part = reader.slice(2);
  EXPECT_EQ(part.data(), frame.data() + 1);
  EXPECT_EQ(part.size(), 2u);
  EXPECT_EQ(reader.remaining(), 1u);
}

TEST(Reader, ConfinedReadingEndsWhereItShould) {
  Reader reader(bytes_of({1, 2, 3, 4}));
  const std::uint8_t* const outer = reader.confine(2);
  EXPECT_EQ(reader.remaining(), 2u);
  EXPECT_EQ(reader.integer<std::int16_t>(), 0x0102);
  reader.restore(outer);
  EXPECT_EQ(reader.integer<std::int16_t>(), 0x0304);
  EXPECT_FALSE(reader.failed());
}

TEST(Writer, PrefixesOfAnyWidth) {
  for (const std::size_t size : {0u, 1u, 127u, 128u, 300u, 20'000u}) {
    Writer writer(16);
    writer.integer(std::uint8_t{7});
    const std::size_t prefix = writer.open_prefix();
    writer.bytes(Bytes(size, 9));
    writer.close_prefix(prefix, static_cast<std::uint32_t>(writer.bytes_since(prefix)));
    writer.integer(std::uint8_t{8});
    const Slice whole = std::move(writer).finish().flatten();
    Reader reader(whole);
    EXPECT_EQ(reader.integer<std::uint8_t>(), 7);
    EXPECT_EQ(reader.unsigned_varint(), size);
    const ByteView content = reader.view(size);
    EXPECT_EQ(Bytes(content.begin(), content.end()), Bytes(size, 9));
    EXPECT_EQ(reader.integer<std::uint8_t>(), 8);
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Writer, InsertedPartsKeepTheirPlaceAndTheirMemory) {
  const Slice first = bytes_of({10, 11});
  const Slice second = bytes_of({20});
  Writer writer(1);
  writer.integer(std::uint8_t{1});
  writer.insert(Gather(first));
  writer.insert(Gather());
  writer.insert(Gather(second));
  writer.integer(std::uint8_t{2});
  EXPECT_EQ(writer.size_bytes(), 5u);
  const Gather whole = std::move(writer).finish();
  ASSERT_EQ(whole.parts().size(), 4u);
  EXPECT_EQ(std::get<Slice>(whole.parts()[1]).data(), first.data());
  EXPECT_EQ(std::get<Slice>(whole.parts()[2]).data(), second.data());
  const Slice flat = whole.flatten();
  EXPECT_EQ(Bytes(flat.view().begin(), flat.view().end()), (Bytes{1, 10, 11, 20, 2}));
}

}  // namespace
}  // namespace ottla::wire
