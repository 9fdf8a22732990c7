#include "base/gather.h"

#include <algorithm>

namespace ottla {

bool Gather::in_memory() const {
  return std::ranges::all_of(parts_,
                             [](const Part& p) { return std::holds_alternative<Slice>(p); });
}

Slice Gather::flatten() const {
  OTTLA_CHECK(in_memory());
  if (parts_.empty()) return {};
  if (parts_.size() == 1) return std::get<Slice>(parts_.front());
  Slice whole = Slice::allocate(size_bytes_);
  std::size_t at = 0;
  for (const Part& part : parts_) {
    const Slice& slice = std::get<Slice>(part);
    std::memcpy(whole.mutable_data() + at, slice.data(), slice.size());
    at += slice.size();
  }
  return whole;
}

}  // namespace ottla
