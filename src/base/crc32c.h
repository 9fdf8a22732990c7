// CRC-32C (Castagnoli), by the processor's instruction where there is one. Used by record batches,
// the journal and every file of our own.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace ottla {

// The CRC of `bytes`; pass an earlier result as `seed` to continue over the next piece.
std::uint32_t crc32c(ByteView bytes, std::uint32_t seed = 0);

// The same by table, for processors without the instruction and to check the other one.
std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t seed = 0);

}  // namespace ottla
