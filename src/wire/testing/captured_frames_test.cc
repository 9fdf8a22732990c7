// Frames that real clients and a real Kafka exchanged (tests/wire/vectors/README.md): each decodes
// to its last byte, and what was decoded encodes to the same bytes.
#include <charconv>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

#include "wire/header.h"
#include "wire/testing/any_message.h"

namespace ottla::wire {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(OTTLA_TESTS) / "wire/vectors";
constexpr std::size_t kFramesMin = 300;  // so that a folder that is gone is noticed

struct Frame {
  bool is_request = false;
  std::int16_t key = 0;
  std::int16_t version = 0;
  Slice bytes;
};

Slice unhex(const std::string& text) {
  Slice bytes = Slice::allocate(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, bytes.mutable_data()[i], 16);
  }
  return bytes;
}

std::vector<Frame> frames_of(const std::filesystem::path& path) {
  std::vector<Frame> frames;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string direction, hex;
    Frame frame;
    words >> direction >> frame.key >> frame.version >> hex;
    frame.is_request = direction == "request";
    frame.bytes = unhex(hex);
    frames.push_back(std::move(frame));
  }
  return frames;
}

const AnyMessage* message_of(const Frame& frame) {
  for (const AnyMessage* message : all_messages()) {
    const MessageKind wanted = frame.is_request ? MessageKind::kRequest : MessageKind::kResponse;
    if (message->info->kind == wanted && message->info->key == frame.key) return message;
  }
  return nullptr;
}

// Where the body begins; nothing if the header cannot be read.
std::optional<std::size_t> body_offset(const Frame& frame) {
  if (frame.is_request) {
    const auto header = parse_request_header(frame.bytes);
    if (!header || header->api_key != frame.key || header->api_version != frame.version)
      return std::nullopt;
    return header->body_offset;
  }
  const auto header = parse_response_header(frame.bytes, *find_api(frame.key), frame.version);
  return header ? std::optional(header->body_offset) : std::nullopt;
}

TEST(CapturedFrames, DecodeAndEncodeToTheSameBytes) {
  std::size_t count = 0;
  std::set<std::string> pairs;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".txt") continue;
    for (const Frame& frame : frames_of(entry.path())) {
      const AnyMessage* message = message_of(frame);
      ASSERT_NE(message, nullptr);
      SCOPED_TRACE(entry.path().filename().string() + ": " + std::string(message->info->name) +
                   " version " + std::to_string(frame.version));
      const auto offset = body_offset(frame);
      ASSERT_TRUE(offset);
      std::int16_t version = frame.version;
      if (!message->info->versions.contains(version)) {
        // franz-go asks for a version of ApiVersions that Kafka does not have yet, and is answered
        // in version 0.
        ASSERT_EQ(frame.key, static_cast<std::int16_t>(ApiKey::kApiVersions));
        if (frame.is_request) continue;
        version = 0;
      }
      const Slice body = frame.bytes.subslice(*offset, frame.bytes.size() - *offset);
      const auto decoded = message->decode(body, version, {});
      ASSERT_TRUE(decoded) << decoded.error().to_string();
      const auto encoded = message->encode(decoded->get(), version);
      ASSERT_TRUE(encoded) << encoded.error().to_string();
      EXPECT_TRUE(*encoded == body) << message->print(decoded->get(), version);
      pairs.insert(std::string(message->info->name) + std::to_string(frame.version));
      ++count;
    }
  }
  EXPECT_GE(count, kFramesMin);
  RecordProperty("frames", static_cast<int>(count));
  RecordProperty("pairs", static_cast<int>(pairs.size()));
  std::printf("%zu frames of %zu (message, version) pairs\n", count, pairs.size());
}

}  // namespace
}  // namespace ottla::wire
