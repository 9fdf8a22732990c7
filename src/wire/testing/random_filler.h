// RandomFiller: the visitor that gives a message random content that is valid in one version, from
// a seed. For tests only. The same seed, message and version give the same content everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "wire/message.h"

namespace ottla::wire {

struct FillOptions {
  bool defaults_only = false;  // change nothing but what the version cannot say as it is
  bool unknown_tags = false;
  bool empty_records_only = false;
};

class RandomFiller {
 public:
  RandomFiller(std::uint64_t seed, std::int16_t version, bool flexible, FillOptions options = {})
      : state_(seed), version_(version), flexible_(flexible), options_(options) {}

  template <class M>
  void message(M& m) {
    M::walk(*this, m);
  }

  template <class T>
  void field(T& value, const FieldInfo& info, auto...) {
    if (!info.versions.contains(version_)) return;
    if (!options_.defaults_only && !one_in(4)) fill(value, info);
    no_forbidden_null(value, info);
  }
  template <class T>
  void tagged(T& value, const FieldInfo& info, auto... default_value) {
    tags_used_.push_back(static_cast<std::uint32_t>(info.tag));  // taken, in whatever version
    field(value, info, default_value...);
  }
  void begin_tags(const UnknownTags&) { tags_used_.clear(); }
  void end_tags(UnknownTags& unknown);

 private:
  std::uint64_t next();  // splitmix64
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t edgy_bits();  // often near a power of two
  std::string text();
  Bytes blob();

  // --- values ---
  void fill(bool& value, const FieldInfo&) { value = one_in(2); }
  template <class T>
    requires std::is_integral_v<T>
  void fill(T& value, const FieldInfo&) {
    value = static_cast<T>(edgy_bits());
  }
  void fill(double& value, const FieldInfo&);
  void fill(std::string& value, const FieldInfo&) { value = text(); }
  void fill(Uuid& value, const FieldInfo&) { value = {.high = next(), .low = next()}; }
  void fill(Bytes& value, const FieldInfo&) { value = blob(); }
  void fill(Slice& value, const FieldInfo&) { value = Slice::copy_of(blob()); }
  void fill(Records& value, const FieldInfo& info) {
    value = Records(Slice::copy_of(options_.empty_records_only ? Bytes() : blob()));
    if (info.nullable.contains(version_) && one_in(4)) value = Records();
  }
  template <class T>
    requires requires { T::kWireBytesMin; }
  void fill(T& value, const FieldInfo&) {
    std::vector<std::uint32_t> outer = std::move(tags_used_);
    ++depth_;
    T::walk(*this, value);
    --depth_;
    tags_used_ = std::move(outer);
  }
  template <class T>
    requires(!std::is_same_v<T, std::uint8_t>)
  void fill(std::vector<T>& value, const FieldInfo& info) {
    value.clear();
    for (std::uint64_t count = below(depth_ < 2 ? 4 : 3); count > 0; --count) {
      T element{};
      fill(element, info);
      value.push_back(std::move(element));
    }
  }
  template <class T>
  void fill(std::optional<T>& value, const FieldInfo& info) {
    value.reset();
    if (info.nullable.contains(version_) && one_in(3)) return;
    fill(value.emplace(), info);
  }

  // A default may be null although this version has no null.
  template <class T>
  void no_forbidden_null(T& value, const FieldInfo& info) {
    if constexpr (requires { value.has_value(); }) {
      if (!value && !info.nullable.contains(version_)) value.emplace();
      if constexpr (requires { value->kWireBytesMin; }) {
        if (value) visit_inner(*value);
      }
    } else if constexpr (std::is_same_v<T, Records>) {
      if (value.is_null() && !info.nullable.contains(version_)) value = Records::none();
    } else if constexpr (requires { T::kWireBytesMin; }) {
      visit_inner(value);
    }
  }
  // A struct left at its defaults has fields of its own that may need the same.
  template <class T>
  void visit_inner(T& value) {
    const FillOptions before = options_;
    options_ = {.defaults_only = true, .unknown_tags = false, .empty_records_only = false};
    fill(value, {});
    options_ = before;
  }

  std::uint64_t state_;
  const std::int16_t version_;
  const bool flexible_;
  FillOptions options_;
  int depth_ = 0;
  std::vector<std::uint32_t> tags_used_;  // of the struct being filled
};

}  // namespace ottla::wire
