#include "wire/testing/random_filler.h"

#include <algorithm>

namespace ottla::wire {

std::uint64_t RandomFiller::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::uint64_t RandomFiller::edgy_bits() {
  switch (below(4)) {
    case 0:
      return below(8) - 4;  // defaults are among -2, -1 and 0
    case 1:
      return (std::uint64_t{1} << below(64)) - below(2);
    case 2:
      return ~(std::uint64_t{1} << below(64)) + below(2);
    default:
      return next();
  }
}

void RandomFiller::fill(double& value, const FieldInfo&) {
  value = static_cast<double>(static_cast<std::int64_t>(next() >> 11)) / 1024.0 - 1e12;
}

std::string RandomFiller::text() {
  static constexpr const char* kPieces[] = {"a",  "B",  "7", "-", "_", ".",  " ", "\"",
                                            "\\", "\n", "é", "ж", "€", "字", "𝄞"};
  std::string text;
  const std::uint64_t pieces =
      one_in(20) ? 60 + below(200) : below(9);  // now and then a length of two varint bytes
  for (std::uint64_t i = 0; i < pieces; ++i) text += kPieces[below(std::size(kPieces))];
  return text;
}

Bytes RandomFiller::blob() {
  Bytes bytes(one_in(20) ? 100 + below(200) : below(12));
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(next());
  return bytes;
}

void RandomFiller::end_tags(UnknownTags& unknown) {
  unknown.clear();
  if (!flexible_ || !options_.unknown_tags || options_.defaults_only || one_in(2)) return;
  for (std::uint64_t count = 1 + below(3); count > 0; --count) {
    const auto tag = static_cast<std::uint32_t>(one_in(3) ? below(70'000) : below(12));
    if (std::ranges::find(tags_used_, tag) != tags_used_.end()) continue;
    tags_used_.push_back(tag);
    unknown.push_back({.tag = tag, .data = blob()});
  }
  std::ranges::sort(unknown, {}, &UnknownTag::tag);
}

}  // namespace ottla::wire
