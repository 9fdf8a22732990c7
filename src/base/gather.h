// Gather: what one write sends: pieces of memory and ranges of files, in order. Records travel as a
// Gather from the log to the socket, so that neither the codec nor the broker touches their bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace ottla {

// What a FileRange refers to. Only io:: derives from it, and only io:: knows how to send it.
class FileSource {
 public:
  virtual ~FileSource() = default;
  // The file itself, where this one is wrapped around another (io/fault).
  virtual FileSource& underlying() { return *this; }
};

struct FileRange {
  std::shared_ptr<FileSource> file;
  std::uint64_t position = 0;
  std::uint64_t size_bytes = 0;
};

class Gather {
 public:
  using Part = std::variant<Slice, FileRange>;

  Gather() = default;
  explicit Gather(Slice slice) { append(std::move(slice)); }

  void append(Slice slice) {
    if (slice.empty()) return;
    size_bytes_ += slice.size();
    parts_.emplace_back(std::move(slice));
  }
  void append(FileRange range) {
    if (range.size_bytes == 0) return;
    size_bytes_ += range.size_bytes;
    parts_.emplace_back(std::move(range));
  }
  void append(Gather other) {
    size_bytes_ += other.size_bytes_;
    for (Part& part : other.parts_) parts_.push_back(std::move(part));
  }

  const std::vector<Part>& parts() const { return parts_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  bool empty() const { return size_bytes_ == 0; }
  bool in_memory() const;

  // All bytes as one slice: without copying if there is one part. REQUIRES: in_memory().
  Slice flatten() const;

 private:
  std::vector<Part> parts_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace ottla
