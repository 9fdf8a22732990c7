// Writer: Kafka's primitive types into a Gather. Small values accumulate in one piece of memory of
// its own; Records are taken over part by part, untouched, at the place where they belong.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/gather.h"
#include "base/ids.h"

namespace ottla::wire {

class Writer {
 public:
  explicit Writer(std::size_t capacity = 256) : buffer_(Slice::allocate(capacity)) {}

  // Everything so far, inserted parts included.
  std::uint64_t size_bytes() const { return size_ + inserted_bytes_; }

  template <class T>
  void integer(T number) {
    store_big(claim(sizeof(T)), number);
  }
  void float64(double number) { integer(std::bit_cast<std::uint64_t>(number)); }
  void uuid(const Uuid& id) {
    integer(id.high);
    integer(id.low);
  }
  void unsigned_varint(std::uint32_t number) {
    while (number >= 0x80) {
      integer(static_cast<std::uint8_t>(number | 0x80));
      number >>= 7;
    }
    integer(static_cast<std::uint8_t>(number));
  }
  void bytes(ByteView bytes) {
    if (!bytes.empty()) std::memcpy(claim(bytes.size()), bytes.data(), bytes.size());
  }
  // Follows what was written so far; not copied.
  void insert(const Gather& parts);

  // A size that is known only after what it counts: open, write the content, close with the number
  // to stand in front. Nothing may be insert()ed between. Pairs nest.
  std::size_t open_prefix() {
    claim(1);
    return size_;
  }
  std::size_t bytes_since(std::size_t prefix) const { return size_ - prefix; }
  void close_prefix(std::size_t prefix, std::uint32_t number);

  // Overwrites four bytes written before, such as a frame's length.
  void patch_int32(std::size_t position, std::int32_t number) {
    store_big(buffer_.mutable_data() + position, number);
  }

  Gather finish() &&;

 private:
  struct Insertion {
    std::size_t position;  // in the buffer
    Gather parts;
  };

  std::uint8_t* claim(std::size_t size) {
    if (buffer_.size() - size_ < size) grow(size);
    return buffer_.mutable_data() + std::exchange(size_, size_ + size);
  }
  void grow(std::size_t size);

  Slice buffer_;
  std::size_t size_ = 0;
  std::uint64_t inserted_bytes_ = 0;
  std::vector<Insertion> insertions_;
};

// Counts what a Writer would write.
class SizeCounter {
 public:
  std::uint64_t size_bytes() const { return size_; }

  template <class T>
  void integer(T) {
    size_ += sizeof(T);
  }
  void float64(double) { size_ += 8; }
  void uuid(const Uuid&) { size_ += 16; }
  void unsigned_varint(std::uint32_t number) { size_ += varint_bytes(number); }
  void bytes(ByteView bytes) { size_ += bytes.size(); }
  void insert(const Gather& parts) { size_ += parts.size_bytes(); }
  std::uint64_t open_prefix() const { return size_; }
  std::uint64_t bytes_since(std::uint64_t prefix) const { return size_ - prefix; }
  void close_prefix(std::uint64_t, std::uint32_t number) { size_ += varint_bytes(number); }

 private:
  static std::uint64_t varint_bytes(std::uint32_t number) {
    return (static_cast<unsigned>(std::bit_width(number | 1)) + 6) / 7;
  }
  std::uint64_t size_ = 0;
};

}  // namespace ottla::wire
