#include "cli/process.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

extern char** environ;

namespace ottla::cli {
namespace {

constexpr std::string_view kPrefix = "OTTLA_";
constexpr std::size_t kReadBytes = 64 * 1024;

std::string reason() { return std::strerror(errno); }

}  // namespace

std::vector<std::pair<std::string, std::string>> own_variables() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view whole = *variable;
    const std::size_t equals = whole.find('=');
    if (equals == std::string_view::npos || !whole.starts_with(kPrefix)) continue;
    found.emplace_back(whole.substr(0, equals), whole.substr(equals + 1));
  }
  std::ranges::sort(found);
  return found;
}

std::expected<std::string, std::string> read_text_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(reason());
  std::string text;
  for (;;) {
    const std::size_t size = text.size();
    text.resize(size + kReadBytes);
    const auto got = ::read(descriptor, text.data() + size, kReadBytes);
    if (got < 0) {
      std::string why = reason();
      ::close(descriptor);
      return std::unexpected(std::move(why));
    }
    text.resize(size + static_cast<std::size_t>(got));
    if (got == 0) break;
    if (text.size() > kTextFileBytesMax) {
      ::close(descriptor);
      return std::unexpected(fmt::format("larger than {} bytes", kTextFileBytesMax));
    }
  }
  ::close(descriptor);
  return text;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void flush() { std::fflush(stdout); }
bool is_output_open() { return std::ferror(stdout) == 0; }

void print_error(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string make_temporary_folder() {
  const char* parent = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/ottla-XXXXXX", parent && *parent ? parent : "/tmp");
  if (::mkdtemp(path.data()) != nullptr) return path;
  print_error(
      fmt::format("ottla: no temporary folder {}: {}. Set TMPDIR to a folder that may be "
                  "written",
                  path, reason()));
  return "";
}

void remove_folder(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::optional<LineReader> LineReader::open(const std::string& path) {
  if (path == "-") return LineReader(STDIN_FILENO);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) return LineReader(descriptor);
  print_error(fmt::format("ottla: can't read {}: {}", path, reason()));
  return std::nullopt;
}

LineReader::LineReader(LineReader&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      buffer_(std::move(other.buffer_)),
      at_(other.at_),
      ended_(other.ended_) {}

LineReader::~LineReader() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

bool LineReader::fill() {
  if (ended_) return false;
  if (at_ > 0) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  const std::size_t size = buffer_.size();
  buffer_.resize(size + kReadBytes);
  const auto got = ::read(descriptor_, buffer_.data() + size, kReadBytes);
  buffer_.resize(size + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got <= 0) ended_ = true;
  return got > 0;
}

std::optional<std::string> LineReader::next() {
  std::size_t searched = at_;
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(at_, end - at_);
      at_ = end + 1;
      return line;
    }
    const std::size_t unread = buffer_.size() - at_;
    if (fill()) {
      searched = unread;  // fill() moved what is left to the front
      continue;
    }
    if (at_ == buffer_.size()) return std::nullopt;
    std::string line = buffer_.substr(at_);
    at_ = buffer_.size();
    return line;
  }
}

bool LineReader::is_ready() {
  if (ended_ || buffer_.find('\n', at_) != std::string::npos) return true;
  pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, 0) > 0;
}

std::string LineReader::rest() {
  while (fill()) {
  }
  std::string all = buffer_.substr(at_);
  at_ = buffer_.size();
  return all;
}

}  // namespace ottla::cli
