// What holds for every message in every version: 739 pairs, random content from fixed seeds.
#include <gtest/gtest.h>
#include <set>

#include "wire/testing/any_message.h"

namespace ottla::wire {
namespace {

constexpr std::uint64_t kSeedsPerPair = 12;
constexpr std::size_t kMessages = 281;  // Kafka 4.3
constexpr std::size_t kPairs = 739;

FillOptions options_for(std::uint64_t seed) {
  return {.defaults_only = seed == 0, .unknown_tags = seed % 2 == 1, .empty_records_only = false};
}

// Calls test(message, version, where) for every pair.
template <class Test>
std::size_t for_each_pair(Test test) {
  std::size_t pairs = 0;
  for (const AnyMessage* message : all_messages()) {
    for (int version = message->info->versions.first; version <= message->info->versions.last;
         ++version) {
      ++pairs;
      SCOPED_TRACE(std::string(message->info->name) + " version " + std::to_string(version));
      test(*message, static_cast<std::int16_t>(version));
      if (testing::Test::HasFatalFailure()) return pairs;
    }
  }
  return pairs;
}

TEST(AllMessages, AreThere) {
  std::set<std::string_view> names;
  for (const AnyMessage* message : all_messages()) names.insert(message->info->name);
  EXPECT_EQ(names.size(), kMessages);
  EXPECT_EQ(for_each_pair([](const AnyMessage&, std::int16_t) {}), kPairs);
}

TEST(AllMessages, SurviveBytes) {
  for_each_pair([](const AnyMessage& message, std::int16_t version) {
    for (std::uint64_t seed = 0; seed < kSeedsPerPair; ++seed) {
      const auto original = message.random(seed, version, options_for(seed));
      const auto bytes = message.encode(original.get(), version);
      ASSERT_TRUE(bytes) << bytes.error().to_string();
      EXPECT_EQ(*message.encoded_size(original.get(), version), bytes->size());
      const auto decoded = message.decode(*bytes, version, {});
      ASSERT_TRUE(decoded) << decoded.error().to_string();
      EXPECT_TRUE(message.equal(decoded->get(), original.get()))
          << message.print(original.get(), version);
      EXPECT_EQ(*message.encode(decoded->get(), version), *bytes);
    }
  });
}

TEST(AllMessages, SurviveJson) {
  for_each_pair([](const AnyMessage& message, std::int16_t version) {
    for (std::uint64_t seed = 0; seed < kSeedsPerPair / 2; ++seed) {
      const auto original = message.random(seed, version, {.defaults_only = seed == 0});
      const std::string json = message.to_json(original.get(), version);
      const auto read = message.from_json(json, version);
      ASSERT_TRUE(read) << read.error() << "\n" << json;
      EXPECT_TRUE(message.equal(read->get(), original.get())) << json;
    }
  });
}

// Whatever is cut off, changed or promised: an error or a message, never more. (Sanitizers judge
// the rest.)
TEST(AllMessages, CutShortIsAnError) {
  for_each_pair([](const AnyMessage& message, std::int16_t version) {
    const auto original = message.random(5, version, options_for(5));
    const Slice bytes = *message.encode(original.get(), version);
    const std::size_t step = 1 + bytes.size() / 64;
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      EXPECT_FALSE(message.decode(bytes.subslice(0, size), version, {}))
          << size << " of " << bytes.size();
    }
  });
}

TEST(AllMessages, OneByteMoreIsAnError) {
  for_each_pair([](const AnyMessage& message, std::int16_t version) {
    const auto original = message.random(6, version, {});
    const Slice encoded = *message.encode(original.get(), version);
    Bytes bytes(encoded.view().begin(), encoded.view().end());
    bytes.push_back(0);
    const auto decoded = message.decode(Slice::copy_of(bytes), version, {});
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, DecodeError::Code::kTrailingBytes);
  });
}

TEST(AllMessages, DamagedBytesAreNoDanger) {
  for_each_pair([](const AnyMessage& message, std::int16_t version) {
    const auto original = message.random(7, version, options_for(7));
    const Slice bytes = *message.encode(original.get(), version);
    const std::size_t step = 1 + bytes.size() / 32;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      for (const std::uint8_t damage : {0x01, 0x80, 0xff}) {
        Slice damaged = Slice::copy_of(bytes);
        damaged.mutable_data()[at] ^= damage;
        const auto decoded = message.decode(damaged, version, {});
        if (decoded) EXPECT_FALSE(message.print(decoded->get(), version).empty());
      }
    }
  });
}

TEST(AllMessages, HaveNoOtherVersions) {
  for (const AnyMessage* message : all_messages()) {
    const auto after = static_cast<std::int16_t>(message->info->versions.last + 1);
    const auto decoded = message->decode(Slice::allocate(0), after, {});
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, DecodeError::Code::kUnsupportedVersion);
    const auto fresh = message->random(0, message->info->versions.last, {.defaults_only = true});
    const auto encoded = message->encode(fresh.get(), after);
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().code, EncodeError::Code::kUnsupportedVersion);
  }
}

}  // namespace
}  // namespace ottla::wire
