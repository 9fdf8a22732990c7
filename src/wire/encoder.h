// Encoder: the visitor that writes a message to a Sink (Writer or SizeCounter). Only codec_impl.h
// and tests include it.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "wire/codec.h"
#include "wire/message.h"
#include "wire/writer.h"

namespace ottla::wire {

// Whether a value equals the default that the walk names for it.
template <class T>
bool is_default(const T& value, EmptyDefault) {
  if constexpr (requires { value.has_value(); }) {
    return value.has_value() && is_default(*value, kEmpty);
  } else if constexpr (requires { value.empty(); }) {
    return value.empty();
  } else {
    return value == T();
  }
}
template <class T>
bool is_default(const T& value, NullDefault) {
  if constexpr (requires { value.is_null(); }) {
    return value.is_null();
  } else {
    return !value.has_value();
  }
}
template <class T, class D>
  requires std::is_arithmetic_v<D>
bool is_default(const T& value, D number) {
  return value == static_cast<T>(number);
}

template <class Sink>
class Encoder {
 public:
  using Code = EncodeError::Code;

  Encoder(Sink& sink, std::int16_t version, bool flexible)
      : sink_(sink), version_(version), flexible_(flexible) {}

  template <class M>
  void message(const M& m) {
    M::walk(*this, m);
  }
  const std::optional<EncodeError>& error() const { return error_; }

  template <class T, class D = EmptyDefault>
  [[gnu::always_inline]] void field(const T& value, const FieldInfo& info, D default_value = {}) {
    if (info.versions.contains(version_)) {
      write(value, info);
    } else if (!info.ignorable && !is_default(value, default_value)) {
      fail(Code::kFieldNotInVersion, info);
    }
  }

  void begin_tags(const UnknownTags& unknown) {
    if (flexible_) {
      tags_ = {.unknown = &unknown, .prefix = sink_.open_prefix()};
    } else if (!unknown.empty()) {
      fail(Code::kTagsNotInVersion, {});
    }
  }
  template <class T, class D = EmptyDefault>
  [[gnu::always_inline]] void tagged(const T& value, const FieldInfo& info, D default_value = {}) {
    if (is_default(value, default_value)) return;
    if (info.versions.contains(version_)) {
      tagged_field(value, info);
    } else if (!info.ignorable) {
      fail(Code::kFieldNotInVersion, info);
    }
  }
  void end_tags(const UnknownTags& unknown) {
    if (!flexible_) return;
    while (tags_.next_unknown < unknown.size()) unknown_field();
    sink_.close_prefix(tags_.prefix, tags_.count);
  }

 private:
  // The tagged fields of the struct being written.
  struct Tags {
    const UnknownTags* unknown = nullptr;
    decltype(std::declval<Sink&>().open_prefix()) prefix{};
    std::size_t next_unknown = 0;
    std::uint32_t count = 0;
    std::int64_t last = -1;
  };

  void fail(Code code, const FieldInfo& info) {
    if (!error_) error_ = {.code = code, .message = "", .field = info.name};
  }

  void tag_number(std::uint32_t tag) {
    if (static_cast<std::int64_t>(tag) <= tags_.last) fail(Code::kTagsOutOfOrder, {});
    tags_.last = tag;
    ++tags_.count;
    sink_.unsigned_varint(tag);
  }
  void unknown_field() {
    const UnknownTag& tag = (*tags_.unknown)[tags_.next_unknown++];
    tag_number(tag.tag);
    sink_.unsigned_varint(static_cast<std::uint32_t>(tag.data.size()));
    sink_.bytes(tag.data);
  }
  template <class T>
  void tagged_field(const T& value, const FieldInfo& info) {
    const auto number = static_cast<std::uint32_t>(info.tag);
    const UnknownTags& unknown = *tags_.unknown;
    while (tags_.next_unknown < unknown.size() && unknown[tags_.next_unknown].tag < number)
      unknown_field();
    tag_number(number);
    const auto content = sink_.open_prefix();
    write_tagged(value, info);
    sink_.close_prefix(content, static_cast<std::uint32_t>(sink_.bytes_since(content)));
  }

  // --- lengths ---
  void short_length(std::size_t size, const FieldInfo& info) {
    if (size > kStringBytesMax) return fail(Code::kTooLong, info);
    if (flexible_ && !info.never_flexible) {
      sink_.unsigned_varint(static_cast<std::uint32_t>(size + 1));
    } else {
      sink_.integer(static_cast<std::int16_t>(size));
    }
  }
  void long_length(std::uint64_t size, const FieldInfo& info) {
    if (size >= INT32_MAX) return fail(Code::kTooLong, info);
    if (flexible_) {
      sink_.unsigned_varint(static_cast<std::uint32_t>(size + 1));
    } else {
      sink_.integer(static_cast<std::int32_t>(size));
    }
  }
  void null_string(const FieldInfo& info) {
    if (!null_allowed(info)) return;
    if (flexible_ && !info.never_flexible) {
      sink_.integer(std::uint8_t{0});
    } else {
      sink_.integer(std::int16_t{-1});
    }
  }
  void null_long(const FieldInfo& info) {
    if (!null_allowed(info)) return;
    if (flexible_) {
      sink_.integer(std::uint8_t{0});
    } else {
      sink_.integer(std::int32_t{-1});
    }
  }
  bool null_allowed(const FieldInfo& info) {
    if (info.nullable.contains(version_)) return true;
    fail(Code::kNullNotAllowed, info);
    return false;
  }

  // --- values ---
  template <class T>
    requires std::is_integral_v<T>
  void write(T value, const FieldInfo&) {
    if constexpr (std::is_same_v<T, bool>) {
      sink_.integer(static_cast<std::uint8_t>(value));
    } else {
      sink_.integer(value);
    }
  }
  void write(double value, const FieldInfo&) { sink_.float64(value); }
  void write(const Uuid& value, const FieldInfo&) { sink_.uuid(value); }
  void write(const std::string& value, const FieldInfo& info) {
    short_length(value.size(), info);
    sink_.bytes(as_bytes(value));
  }
  void write(const Bytes& value, const FieldInfo& info) {
    long_length(value.size(), info);
    sink_.bytes(value);
  }
  void write(const Slice& value, const FieldInfo& info) {
    long_length(value.size(), info);
    sink_.insert(Gather(value));
  }
  void write(const Records& value, const FieldInfo& info) {
    if (value.is_null()) return null_long(info);
    long_length(value.size_bytes(), info);
    sink_.insert(value.bytes());
  }
  template <class T>
    requires requires { T::kWireBytesMin; }
  void write(const T& value, const FieldInfo&) {
    const Tags outer = tags_;
    T::walk(*this, value);
    tags_ = outer;
  }
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void write(const std::vector<T>& value, const FieldInfo& info) {
    long_length(value.size(), info);
    for (const auto& element : value) write(element, info);
  }

  // --- null or a value ---
  template <class T>
  void write(const std::optional<T>& value, const FieldInfo& info) {
    constexpr bool is_struct = requires { T::kWireBytesMin; };
    if constexpr (is_struct) {
      if (value || null_allowed(info)) sink_.integer(static_cast<std::int8_t>(value ? 1 : -1));
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value) null_string(info);
    } else {
      if (!value) null_long(info);
    }
    if (value) write(*value, info);
  }

  // As a tagged field, Kafka marks a struct's presence by a varint, 0 for null, instead of a byte,
  // -1 for null.
  template <class T>
    requires requires { T::kWireBytesMin; }
  void write_tagged(const std::optional<T>& value, const FieldInfo& info) {
    if (!value && !null_allowed(info)) return;
    sink_.unsigned_varint(value ? 1 : 0);
    if (value) write(*value, info);
  }
  template <class T>
  void write_tagged(const T& value, const FieldInfo& info) {
    write(value, info);
  }

  Sink& sink_;
  const std::int16_t version_;
  const bool flexible_;
  std::optional<EncodeError> error_;
  Tags tags_;
};

}  // namespace ottla::wire
