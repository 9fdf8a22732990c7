#include "wire/writer.h"

#include <algorithm>

namespace ottla::wire {

void Writer::grow(std::size_t size) {
  Slice bigger = Slice::allocate(std::max(2 * buffer_.size(), size_ + size));
  if (size_ > 0) std::memcpy(bigger.mutable_data(), buffer_.data(), size_);
  buffer_ = std::move(bigger);
}

void Writer::insert(const Gather& parts) {
  if (parts.empty()) return;
  inserted_bytes_ += parts.size_bytes();
  insertions_.push_back({size_, parts});
}

void Writer::close_prefix(std::size_t prefix, std::uint32_t number) {
  OTTLA_CHECK(insertions_.empty() || insertions_.back().position < prefix);
  std::uint8_t encoded[5];
  std::size_t width = 0;
  for (; number >= 0x80; number >>= 7) encoded[width++] = static_cast<std::uint8_t>(number | 0x80);
  encoded[width++] = static_cast<std::uint8_t>(number);
  if (width > 1) {  // one byte was left for it
    const std::size_t content = size_ - prefix;
    claim(width - 1);
    std::uint8_t* const from = buffer_.mutable_data() + prefix;
    std::memmove(from + width - 1, from, content);
  }
  std::memcpy(buffer_.mutable_data() + prefix - 1, encoded, width);
}

Gather Writer::finish() && {
  Gather result;
  std::size_t from = 0;
  for (Insertion& insertion : insertions_) {
    result.append(buffer_.subslice(from, insertion.position - from));
    from = insertion.position;
    result.append(std::move(insertion.parts));
  }
  result.append(buffer_.subslice(from, size_ - from));
  return result;
}

}  // namespace ottla::wire
