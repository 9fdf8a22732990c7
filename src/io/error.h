// What can go wrong outside the process.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace ottla::io {

enum class ErrorKind {
  not_found,
  exists,
  permission,
  no_space,
  in_use,   // address taken, file locked
  closed,   // the connection or listener was closed, by either side
  refused,  // nobody listens there
  timed_out,
  exhausted,    // no descriptors or memory left in the process or the system
  invalid,      // the arguments make no sense here: bad address, not a directory ...
  input_output  // the device failed; for a write or sync: nothing may be trusted after it
};

std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::input_output;
  std::string message;  // names the operation, its object and the cause, for people
};

template <class T = void>
using Result = std::expected<T, Error>;

}  // namespace ottla::io
