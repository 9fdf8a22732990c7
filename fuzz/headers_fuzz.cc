// Headers alone; the first two bytes choose request or response, and the version.
#include <cstddef>
#include <cstdint>

#include "wire/testing/message_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using enum ottla::wire::MessageKind;
  ottla::wire::testing::fuzz_message({data, size}, {kHeader});
  return 0;
}
