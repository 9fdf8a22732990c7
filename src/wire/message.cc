#include "wire/message.h"

#include <algorithm>

namespace ottla::wire {

bool operator==(const Records& left, const Records& right) {
  if (left.is_null() != right.is_null() || left.size_bytes() != right.size_bytes()) return false;
  if (left.empty()) return true;
  if (!left.bytes_.in_memory() || !right.bytes_.in_memory()) return false;
  return std::ranges::equal(left.flatten().view(), right.flatten().view());
}

}  // namespace ottla::wire
