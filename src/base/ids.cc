#include "base/ids.h"

namespace ottla {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextLength = 22;  // 128 bits in groups of six, the last group has two

}  // namespace

std::string Uuid::to_string() const {
  std::array<std::uint8_t, 16> bytes;
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  std::string text;
  text.reserve(kTextLength);
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (std::uint8_t byte : bytes) {
    pending = (pending << 8) | byte;
    for (bits += 8; bits >= 6; bits -= 6) text += kAlphabet[(pending >> (bits - 6)) & 63];
  }
  text += kAlphabet[(pending << (6 - bits)) & 63];
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != kTextLength) return std::nullopt;
  Uuid id;
  for (std::size_t i = 0; i < kTextLength; ++i) {
    const std::size_t digit = kAlphabet.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    const unsigned width = i + 1 == kTextLength ? 2 : 6;
    const std::uint64_t value = width == 2 ? digit >> 4 : digit;
    id.high = (id.high << width) | (id.low >> (64 - width));
    id.low = (id.low << width) | value;
  }
  return id;
}

}  // namespace ottla
