// Keys and values of the group, transaction and share coordinators; the first two bytes choose.
#include <cstddef>
#include <cstdint>

#include "wire/testing/message_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using enum ottla::wire::MessageKind;
  ottla::wire::testing::fuzz_message({data, size}, {kCoordinatorKey, kCoordinatorValue});
  return 0;
}
