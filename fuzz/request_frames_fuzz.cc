// What comes from a connection: a header, then the body that it names.
#include <cstddef>
#include <cstdint>

#include "wire/testing/message_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ottla::wire::testing::fuzz_request_frame({data, size});
  return 0;
}
