// Where a shard's connections receive. Small requests of all connections fill one chunk after the
// other, so that an idle connection holds no memory and a log that keeps a batch keeps little
// beside it.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace ottla::rpc {

class ReceiveBuffer {
 public:
  static constexpr std::size_t kChunkBytes = 256 << 10;
  static constexpr std::size_t kReadBytesMin = 16 << 10;  // less room than this starts a new chunk
  static constexpr std::size_t kReadBytesMax = 64 << 10;

  // Room to read into. Belongs to the caller alone until give_back().
  Slice take();
  // The first `used` bytes of what take() gave stay the caller's, the rest may be given out again.
  void give_back(const Slice& taken, std::size_t used);

 private:
  Slice chunk_;
  std::size_t used_ = 0;
};

}  // namespace ottla::rpc
