#include "io/fault/trace.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ottla::io::fault {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kMarkBytes = 8;

}  // namespace

std::unique_ptr<TraceLog> TraceLog::open(const std::string& path, std::string marker) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return nullptr;
  return std::unique_ptr<TraceLog>(new TraceLog(file, std::move(marker)));
}

TraceLog::~TraceLog() { std::fclose(file_); }

void TraceLog::write(unsigned shard, Instant now, std::string_view text) {
  std::scoped_lock lock(mutex_);
  fmt::print(file_, "{} {} {} {}\n", ++sequence_, now.ns, shard, text);
  std::fflush(file_);
}

std::uint64_t TraceLog::next_id() {
  std::scoped_lock lock(mutex_);
  return ++next_id_;
}

std::vector<std::string> MarkFinder::find(ByteView bytes) {
  std::vector<std::string> found;
  if (marker_.empty()) return found;
  carried_ += as_text(bytes);
  std::size_t from = 0;
  while (true) {
    const std::size_t at = carried_.find(marker_, from);
    if (at == std::string::npos || at + marker_.size() + kMarkBytes > carried_.size()) {
      // Keep what may be the start of a mark.
      const std::size_t kept = at != std::string::npos
                                   ? carried_.size() - at
                                   : std::min(carried_.size() - from, marker_.size() - 1);
      carried_.erase(0, carried_.size() - kept);
      return found;
    }
    found.push_back(carried_.substr(at + marker_.size(), kMarkBytes));
    from = at + marker_.size() + kMarkBytes;
  }
}

std::string describe_marks(const std::vector<std::string>& marks) {
  return marks.empty() ? "" : fmt::format(" marks={}", fmt::join(marks, ","));
}

void FrameFollower::take(std::uint8_t byte) {
  head_.push_back(static_cast<char>(byte));
  if (head_.size() < kLengthBytes) return;
  const std::uint64_t length = load_big<std::uint32_t>(as_bytes(head_).data());
  if (head_.size() - kLengthBytes == std::min<std::uint64_t>(length, shown_bytes_)) end_head();
}

void FrameFollower::end_head() {
  const ByteView head = as_bytes(head_);
  const std::uint64_t length = load_big<std::uint32_t>(head.data());
  const ByteView shown = head.subspan(kLengthBytes);
  found_frames_.push_back(fmt::format("{}:{:02x}", length, fmt::join(shown, "")));
  ++frame_;
  marks_ = MarkFinder(marker_);
  search(shown);
  rest_ = length - shown.size();
  head_.clear();
}

void FrameFollower::search(ByteView bytes) {
  for (const std::string& mark : marks_.find(bytes))
    found_marks_.push_back(fmt::format("{}@{}", mark, frame_));
}

std::string FrameFollower::take_found() {
  std::string found;
  if (!found_frames_.empty()) found = fmt::format(" frames={}", fmt::join(found_frames_, ","));
  found += describe_marks(found_marks_);
  found_frames_.clear();
  found_marks_.clear();
  return found;
}

std::string FrameFollower::follow(ByteView bytes) {
  while (!bytes.empty()) {
    const auto inside = static_cast<std::size_t>(std::min<std::uint64_t>(rest_, bytes.size()));
    search(bytes.first(inside));
    rest_ -= inside;
    bytes = bytes.subspan(inside);
    if (bytes.empty()) break;
    take(bytes.front());
    bytes = bytes.subspan(1);
  }
  return take_found();
}

std::string FrameFollower::skip(std::uint64_t bytes) {
  if (head_.size() >= kLengthBytes) end_head();
  rest_ -= std::min(rest_, bytes);
  return take_found();
}

}  // namespace ottla::io::fault
