// Records of the metadata log, of raft, snapshots and remote storage; the first two bytes choose.
#include <cstddef>
#include <cstdint>

#include "wire/testing/message_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using enum ottla::wire::MessageKind;
  ottla::wire::testing::fuzz_message({data, size}, {kMetadata, kData});
  return 0;
}
