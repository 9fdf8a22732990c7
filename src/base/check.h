// OTTLA_CHECK: a broken invariant stops the process, in every build. Never used on bytes from
// outside.
#pragma once

#include <source_location>
#include <string_view>

namespace ottla {

// Prints the condition and the place to stderr, then aborts.
[[noreturn]] void check_failed(std::string_view condition, std::source_location where);

}  // namespace ottla

#define OTTLA_CHECK(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::ottla::check_failed(#condition, std::source_location::current()))
