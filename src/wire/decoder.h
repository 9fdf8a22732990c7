// Decoder: the visitor that fills a message from a Reader. Only codec_impl.h and tests include it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "wire/codec.h"
#include "wire/message.h"
#include "wire/reader.h"

namespace ottla::wire {

template <class T>
inline constexpr std::size_t kElementBytesMin = T::kWireBytesMin > 0 ? T::kWireBytesMin : 1;
template <class T>
  requires std::is_arithmetic_v<T>
inline constexpr std::size_t kElementBytesMin<T> = sizeof(T);
template <>
inline constexpr std::size_t kElementBytesMin<std::string> = 1;
template <>
inline constexpr std::size_t kElementBytesMin<Uuid> = 16;

class Decoder {
 public:
  using Code = DecodeError::Code;

  Decoder(Reader& reader, std::int16_t version, bool flexible, const DecodeLimits& limits)
      : reader_(reader), version_(version), flexible_(flexible), limits_(limits) {}

  template <class M>
  void message(M& m) {
    M::walk(*this, m);
  }
  const char* failed_field() const { return field_; }

  template <class T>
  [[gnu::always_inline]] void field(T& value, const FieldInfo& info, auto...) {
    if (!info.versions.contains(version_)) return;
    note(info);
    read(value, info);
  }

  // Tagged fields come in any order, so they are listed first; each known one then looks for its
  // own.
  void begin_tags(const UnknownTags&) {
    if (flexible_) list_tags();
  }
  template <class T>
  [[gnu::always_inline]] void tagged(T& value, const FieldInfo& info, auto...) {
    if (tags_begin_ == tags_.size() || !info.versions.contains(version_)) return;
    tagged_field(value, info);
  }
  void end_tags(UnknownTags& unknown) {
    if (tags_begin_ != tags_.size()) keep_unknown(unknown);
  }

 private:
  struct Tag {
    std::uint32_t number;
    std::size_t position;
    std::size_t size;
    bool known;
  };

  // Only the first failure is reported, so its field must not be overwritten.
  void note(const FieldInfo& info) {
    if (!reader_.failed()) field_ = info.name;
  }

  void list_tags();
  void keep_unknown(UnknownTags& unknown);

  template <class T>
  void tagged_field(T& value, const FieldInfo& info) {
    const std::size_t end = reader_.position();
    for (std::size_t i = tags_begin_; i < tags_.size() && !reader_.failed(); ++i) {
      if (tags_[i].number != static_cast<std::uint32_t>(info.tag)) continue;
      tags_[i].known = true;
      note(info);
      const std::size_t size = tags_[i].size;
      reader_.seek(tags_[i].position);
      const std::uint8_t* const outer = reader_.confine(size);
      read_tagged(value, info);
      if (reader_.remaining() != 0) reader_.fail(Code::kTaggedFieldSize);
      reader_.restore(outer);
    }
    reader_.seek(end);
  }

  // --- lengths: -1 for null ---
  std::int64_t compact_length() { return static_cast<std::int64_t>(reader_.unsigned_varint()) - 1; }
  std::int64_t string_length(const FieldInfo& info) {
    return flexible_ && !info.never_flexible ? compact_length() : reader_.integer<std::int16_t>();
  }
  std::int64_t long_length() {
    return flexible_ ? compact_length() : reader_.integer<std::int32_t>();
  }

  // The length of something that may be null; false if it is, or if reading failed.
  bool present(std::int64_t length, bool null_allowed) {
    if (reader_.failed()) return false;
    if (length >= 0) return true;
    if (length != -1) {
      reader_.fail(Code::kNegativeLength);
    } else if (!null_allowed) {
      reader_.fail(Code::kNullNotAllowed);
    }
    return false;
  }
  bool nullable(const FieldInfo& info) const { return info.nullable.contains(version_); }

  // --- scalars ---
  template <class T>
    requires std::is_integral_v<T>
  void read(T& value, const FieldInfo&) {
    if constexpr (std::is_same_v<T, bool>) {
      value = reader_.integer<std::uint8_t>() != 0;
    } else {
      value = reader_.integer<T>();
    }
  }
  void read(double& value, const FieldInfo&) { value = reader_.float64(); }
  void read(Uuid& value, const FieldInfo&) { value = reader_.uuid(); }

  // --- bytes ---
  void assign(std::string& value, std::int64_t length) {
    if (length > kStringBytesMax) return reader_.fail(Code::kTooLong);
    value.assign(as_text(reader_.view(static_cast<std::size_t>(length))));
  }
  void assign(Bytes& value, std::int64_t length) {
    const ByteView bytes = reader_.view(static_cast<std::size_t>(length));
    value.assign(bytes.begin(), bytes.end());
  }
  void assign(Slice& value, std::int64_t length) {
    value = reader_.slice(static_cast<std::size_t>(length));
  }
  std::int64_t length_of(const std::string&, const FieldInfo& info) { return string_length(info); }
  std::int64_t length_of(const Bytes&, const FieldInfo&) { return long_length(); }
  std::int64_t length_of(const Slice&, const FieldInfo&) { return long_length(); }

  template <class T>
    requires(std::is_same_v<T, std::string> || std::is_same_v<T, Bytes> || std::is_same_v<T, Slice>)
  void read(T& value, const FieldInfo& info) {
    const std::int64_t length = length_of(value, info);
    if (present(length, false)) assign(value, length);
  }
  template <class T>
    requires(std::is_same_v<T, std::string> || std::is_same_v<T, Bytes> || std::is_same_v<T, Slice>)
  void read(std::optional<T>& value, const FieldInfo& info) {
    const std::int64_t length = length_of(T(), info);
    if (present(length, nullable(info))) {
      assign(value.emplace(), length);
    } else {
      value.reset();
    }
  }
  void read(Records& value, const FieldInfo& info) {
    const std::int64_t length = long_length();
    if (present(length, nullable(info))) {
      value = Records(reader_.slice(static_cast<std::size_t>(length)));
    } else {
      value = Records();
    }
  }

  // --- structs ---
  template <class T>
    requires requires { T::kWireBytesMin; }
  void read(T& value, const FieldInfo&) {
    walk(value);
  }
  template <class T>
    requires requires { T::kWireBytesMin; }
  void read(std::optional<T>& value, const FieldInfo& info) {
    if (present(reader_.integer<std::int8_t>() < 0 ? -1 : 1, nullable(info))) {
      walk(value.emplace());
    } else {
      value.reset();
    }
  }
  // As a tagged field, Kafka marks a struct's presence by a varint, 0 for null, instead of a byte,
  // -1 for null.
  template <class T>
    requires requires { T::kWireBytesMin; }
  void read_tagged(std::optional<T>& value, const FieldInfo& info) {
    if (present(reader_.unsigned_varint() == 0 ? -1 : 1, nullable(info))) {
      walk(value.emplace());
    } else {
      value.reset();
    }
  }
  template <class T>
  void read_tagged(T& value, const FieldInfo& info) {
    read(value, info);
  }
  template <class T>
  void walk(T& value) {
    const std::size_t outer = tags_begin_;
    tags_begin_ = tags_.size();
    T::walk(*this, value);
    tags_.resize(tags_begin_);
    tags_begin_ = outer;
  }

  // --- arrays ---
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void read(std::vector<T>& value, const FieldInfo& info) {
    value.clear();
    const std::int64_t count = long_length();
    if (present(count, false)) elements(value, count, info);
  }
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void read(std::optional<std::vector<T>>& value, const FieldInfo& info) {
    value.reset();
    const std::int64_t count = long_length();
    if (present(count, nullable(info))) elements(value.emplace(), count, info);
  }
  template <class T>
  void elements(std::vector<T>& value, std::int64_t count, const FieldInfo& info) {
    if (!room_for(static_cast<std::size_t>(count), kElementBytesMin<T>, sizeof(T))) return;
    value.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count && !reader_.failed(); ++i) read(value.emplace_back(), info);
  }
  bool room_for(std::size_t count, std::size_t wire_bytes_min, std::size_t memory_bytes) {
    decoded_bytes_ += count * memory_bytes;
    if (count <= limits_.array_elements_max && count <= reader_.remaining() / wire_bytes_min &&
        decoded_bytes_ <= limits_.decoded_bytes_max) {
      return true;
    }
    reader_.fail(Code::kTooManyElements);
    return false;
  }

  Reader& reader_;
  const std::int16_t version_;
  const bool flexible_;
  const DecodeLimits& limits_;
  const char* field_ = "";
  std::size_t decoded_bytes_ = 0;
  std::vector<Tag> tags_;  // of the struct being read, from tags_begin_ on; below, those of the
                           // structs around it
  std::size_t tags_begin_ = 0;
};

}  // namespace ottla::wire
