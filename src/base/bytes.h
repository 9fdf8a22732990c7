// Views of bytes, and Slice: a reference-counted piece of memory that may be handed on without
// copying.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"

namespace ottla {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Big-endian loads and stores, as everything in Kafka's formats.
template <class T>
T load_big(const std::uint8_t* at) {
  std::make_unsigned_t<T> value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof(T) > 1) value = std::byteswap(value);
  return static_cast<T>(value);
}
template <class T>
void store_big(std::uint8_t* at, T number) {
  auto value = static_cast<std::make_unsigned_t<T>>(number);
  if constexpr (sizeof(T) > 1) value = std::byteswap(value);
  std::memcpy(at, &value, sizeof value);
}

// Called with a new block of memory of which nothing was read or written yet.
using BeforeTouch = std::function<void(MutableByteView block)>;

// Memory shared by its slices; freed with the last one. Counting is atomic: slices travel between
// shards.
class SharedMemory {
 public:
  static SharedMemory* allocate(std::size_t size);
  static SharedMemory* allocate_block(std::size_t size, std::size_t alignment,
                                      const BeforeTouch& before_touch);
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release();
  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::size_t size() const { return size_; }
  bool is_unique() const { return references_.load(std::memory_order_acquire) == 1; }

 private:
  explicit SharedMemory(std::size_t size) : size_(size) {}
  std::atomic<std::uint32_t> references_{1};
  std::size_t size_;
};

// A piece of a SharedMemory. Cheap to copy; copies see the same bytes. Empty by default.
// Bytes may be changed through mutable_data() only before the slice is handed to a second owner.
class Slice {
 public:
  Slice() = default;
  static Slice allocate(std::size_t size);  // uninitialised
  // The same in a block that begins at a multiple of `alignment` (a power of two), a whole number
  // of them long. The slice does not begin there: before its bytes stands what counts the owners.
  static Slice allocate_in_block(std::size_t size, std::size_t alignment,
                                 const BeforeTouch& before_touch);
  static constexpr std::size_t kBlockOverhead = 16;
  static Slice copy_of(ByteView bytes);

  Slice(const Slice& other) : memory_(other.memory_), data_(other.data_), size_(other.size_) {
    if (memory_) memory_->retain();
  }
  Slice(Slice&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() {
    if (memory_) memory_->release();
  }

  const std::uint8_t* data() const { return data_; }
  std::uint8_t* mutable_data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteView view() const { return {data_, size_}; }
  MutableByteView mutable_view() const { return {data_, size_}; }
  operator ByteView() const { return view(); }  // NOLINT(google-explicit-constructor)

  // Same bytes, wherever they lie.
  friend bool operator==(const Slice& left, const Slice& right) {
    return left.size_ == right.size_ &&
           (left.size_ == 0 || std::memcmp(left.data_, right.data_, left.size_) == 0);
  }

  // The part [from, from + count); shares the memory. REQUIRES: it lies inside.
  Slice subslice(std::size_t from, std::size_t count) const;

  // Whether nobody else holds this memory.
  bool is_unique() const { return memory_ && memory_->is_unique(); }

  // How much memory this slice keeps alive, for budgets.
  std::size_t retained_bytes() const { return memory_ ? memory_->size() : 0; }

 private:
  explicit Slice(SharedMemory* memory);

  SharedMemory* memory_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ottla
