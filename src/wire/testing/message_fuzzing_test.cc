// The fuzzers' bodies over seeds: random messages, whole and damaged. A real run is tools/fuzz.
#include "wire/testing/message_fuzzing.h"

#include <gtest/gtest.h>

#include "wire/testing/any_message.h"

namespace ottla::wire::testing {
namespace {

constexpr auto kAllKinds = {MessageKind::kRequest,         MessageKind::kResponse,
                            MessageKind::kHeader,          MessageKind::kData,
                            MessageKind::kMetadata,        MessageKind::kCoordinatorKey,
                            MessageKind::kCoordinatorValue};

TEST(MessageFuzzing, SmokeOverSeeds) {
  for (unsigned seed = 0; seed < 256; ++seed) {
    const auto all = all_messages();
    const AnyMessage& message = *all[seed % all.size()];
    if (message.info->versions.empty()) continue;
    const std::int16_t version = message.info->versions.last;
    const auto random = message.random(seed, version, {.unknown_tags = true});
    const Slice bytes = *message.encode(random.get(), version);
    for (std::size_t at = 0; at <= bytes.size(); at += 1 + bytes.size() / 16) {
      for (const MessageKind kind : kAllKinds) {
        Bytes input = {static_cast<std::uint8_t>(seed), static_cast<std::uint8_t>(seed >> 3)};
        input.insert(input.end(), bytes.view().begin(), bytes.view().end());
        if (at > 0) input[at + 1] ^= static_cast<std::uint8_t>(1 + seed);
        fuzz_message(input, {kind});
        fuzz_request_frame(input);
      }
    }
  }
}

}  // namespace
}  // namespace ottla::wire::testing
