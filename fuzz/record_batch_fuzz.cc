// Record batches, their records, codecs and validation on any bytes. The first byte chooses topic
// settings.
//   record_batch_fuzz CORPUS_FOLDER   (seeds: tests/vectors/record_batch, as binary, with a byte
//                                      before)
#include <cstddef>
#include <cstdint>

#include "wire/record_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ottla::wire::testing::fuzz_record_batch({data, size});
  return 0;
}
