#include "rpc/receive_buffer.h"

#include <algorithm>

namespace ottla::rpc {

Slice ReceiveBuffer::take() {
  if (!chunk_.empty() && used_ > 0 && chunk_.is_unique()) used_ = 0;
  if (chunk_.size() - used_ < kReadBytesMin) {
    chunk_ = Slice::allocate(kChunkBytes);
    used_ = 0;
  }
  const std::size_t size = std::min(kReadBytesMax, chunk_.size() - used_);
  Slice taken = chunk_.subslice(used_, size);
  used_ += size;
  return taken;
}

void ReceiveBuffer::give_back(const Slice& taken, std::size_t used) {
  // only the newest piece of the present chunk can shrink
  if (!chunk_.empty() && taken.data() + taken.size() == chunk_.data() + used_) {
    used_ -= taken.size() - used;
  }
}

}  // namespace ottla::rpc
