#include "io/fault/trace.h"

#include <algorithm>
#include <fmt/format.h>

namespace ottla::io::fault {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kShownBytes = 8;
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

void FrameFollower::take(std::uint8_t byte, std::string& found) {
  head_.push_back(static_cast<char>(byte));
  if (head_.size() < kLengthBytes) return;
  const ByteView head = as_bytes(head_);
  const std::uint64_t length = load_big<std::uint32_t>(head.data());
  const std::size_t shown = std::min<std::uint64_t>(length, kShownBytes);
  if (head_.size() < kLengthBytes + shown) return;
  found += fmt::format("{}{}:{:02x}", found.empty() ? " frames=" : ",", length,
                       fmt::join(head.subspan(kLengthBytes), ""));
  rest_ = length - shown;
  head_.clear();
}

std::string FrameFollower::follow(ByteView bytes) {
  std::string found;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t skipped = std::min<std::uint64_t>(rest_, bytes.size() - at);
    rest_ -= skipped;
    at += static_cast<std::size_t>(skipped);
    if (at < bytes.size()) take(bytes[at++], found);
  }
  return found;
}

void FrameFollower::skip(std::uint64_t bytes) { rest_ -= std::min(rest_, bytes); }

std::string MarkFinder::find(ByteView bytes) {
  std::string found;
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
    found += fmt::format("{}{}", found.empty() ? " marks=" : ",",
                         carried_.substr(at + marker_.size(), kMarkBytes));
    from = at + marker_.size() + kMarkBytes;
  }
}

}  // namespace ottla::io::fault
