#include "wire/decoder.h"

#include <tuple>

namespace ottla::wire {

void Decoder::list_tags() {
  const std::uint32_t count = reader_.unsigned_varint();
  if (count == 0) return;
  field_ = reader_.failed() ? field_ : "tagged fields";
  if (count > kTaggedFieldsMax || count > reader_.remaining() / 2) {
    return reader_.fail(Code::kTooManyTags);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t number = reader_.unsigned_varint();
    const std::uint32_t size = reader_.unsigned_varint();
    const std::size_t position = reader_.position();
    reader_.skip(size);
    if (reader_.failed()) return;
    tags_.push_back({number, position, size, false});
  }
}

void Decoder::keep_unknown(UnknownTags& unknown) {
  const std::size_t end = reader_.position();
  std::sort(tags_.begin() + static_cast<std::ptrdiff_t>(tags_begin_), tags_.end(),
            [](const Tag& a, const Tag& b) {
              return std::tie(a.number, a.position) < std::tie(b.number, b.position);
            });
  for (std::size_t i = tags_begin_; i < tags_.size() && !reader_.failed(); ++i) {
    if (tags_[i].known) continue;
    reader_.seek(tags_[i].position);
    const ByteView data = reader_.view(tags_[i].size);
    // Of two with one number the last counts, as for known ones; written again there could be only
    // one.
    if (unknown.empty() || unknown.back().tag != tags_[i].number)
      unknown.push_back({tags_[i].number, {}});
    unknown.back().data.assign(data.begin(), data.end());
  }
  reader_.seek(end);
}

}  // namespace ottla::wire
